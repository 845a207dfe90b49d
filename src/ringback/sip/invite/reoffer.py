"""Re-INVITEs inside a confirmed dialog, sent and received: one at a time, glare resolved by 491 (RFC 3261 §14)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ringback.machine import Instant, after_ms
from ringback.sip.dialog import Dialog
from ringback.sip.digest import Credentials, DigestClient, challenges_of
from ringback.sip.errors import MalformedSip
from ringback.sip.flow import Transmit
from ringback.sip.invite.acknowledgement import acknowledge
from ringback.sip.invite.body import SDP_TYPE, sdp_of, sdp_or_none
from ringback.sip.invite.events import EndDetail, ReofferAnswered, ReofferConfirmed, Reoffered, ReofferRefused
from ringback.sip.invite.host import ALLOW, InviteHost
from ringback.sip.invite.reoffer_states import (
    REOFFER_TABLE,
    ReofferEffect,
    ReofferState,
    ReofferTrigger,
)
from ringback.sip.invite.success import SuccessRepeater
from ringback.sip.invite.values import HeaderLines, InviteId
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.timers import OwnedTimers, Timer
from ringback.sip.transaction.client import ClientFailure, ClientTransaction
from ringback.sip.transaction.layer import TransactionTableFull
from ringback.sip.transaction.server import ServerFailure, ServerTransaction


@dataclass(slots=True)
class _Cause:
    """What a trigger brings along."""

    transaction: ServerTransaction | None = None
    request: SipRequest | None = None
    response: SipResponse | None = None
    sdp: bytes | None = None
    status: int = 0
    reason: str = ""
    headers: HeaderLines = ()
    detail: EndDetail = EndDetail.DIALOG_GONE


class Reoffer:
    """The renegotiation of one dialog.

    State: `close` ends it; a re-INVITE of the peer that still waits gets 487.
    """

    __slots__ = (
        "_acks",
        "_authorization",
        "_credentials",
        "_dialog",
        "_dialog_lost",
        "_digest",
        "_host",
        "_invite_id",
        "_is_closed",
        "_offer",
        "_received",
        "_repeater",
        "_request",
        "_timers",
        "_we_offered",
        "state",
    )

    def __init__(
        self,
        host: InviteHost,
        invite_id: InviteId,
        dialog: Dialog,
        digest: DigestClient,
        credentials: tuple[Credentials, ...],
        dialog_lost: Callable[[Instant, EndDetail], None],
    ) -> None:
        self.state = ReofferState.IDLE
        self._host = host
        self._invite_id = invite_id
        self._dialog = dialog
        self._digest = digest
        self._credentials = credentials
        self._dialog_lost = dialog_lost
        self._timers = OwnedTimers(host.timers, self)
        self._repeater = SuccessRepeater(host, self._timers, Timer.REOFFER_SUCCESS_REPEAT, Timer.REOFFER_ACK_WAIT)
        self._is_closed = False
        self._offer: bytes | None = None
        self._request: SipRequest | None = None
        self._acks: dict[int, Transmit] = {}
        self._authorization: HeaderLines = ()
        self._received: ServerTransaction | None = None
        self._we_offered = False

    # Verbs of the owner.

    def offer(self, now: Instant, sdp: bytes | None) -> bool:
        """Send a re-INVITE; return False while another renegotiation runs."""
        if self._is_closed or self.state is not ReofferState.IDLE:
            return False
        self._offer = sdp
        return self._step(now, ReofferTrigger.OFFER, _Cause())

    def answer_offer(self, now: Instant, sdp: bytes) -> bool:
        """Answer the offer that a 200 to our empty re-INVITE brought."""
        return self._step(now, ReofferTrigger.ANSWER_OFFER, _Cause(sdp=sdp))

    def accept(self, now: Instant, sdp: bytes) -> bool:
        """Answer 200 to the peer's re-INVITE."""
        return self._step(now, ReofferTrigger.ACCEPT, _Cause(sdp=sdp))

    def refuse(self, now: Instant, status: int, reason: str) -> bool:
        """Refuse the peer's re-INVITE."""
        return self._step(now, ReofferTrigger.REFUSE, _Cause(status=status, reason=reason))

    def close(self, now: Instant) -> None:
        """Stop: the call is over."""
        if self._is_closed:
            return
        if self.state is ReofferState.RECEIVED:
            self._step(now, ReofferTrigger.CANCEL, _Cause())
        self._is_closed = True
        self._timers.stop_all()

    # From the peer.

    def receive(self, now: Instant, transaction: ServerTransaction) -> None:
        """Take a re-INVITE."""
        request = transaction.request
        if self._is_closed:
            self._host.respond(now, transaction, 487)
            return
        try:
            sdp = sdp_of(request)
        except MalformedSip as error:
            self._host.respond(now, transaction, error.status or 415, headers=(("accept", SDP_TYPE),))
            return
        self._step(now, ReofferTrigger.INVITE, _Cause(transaction=transaction, request=request, sdp=sdp))

    def receive_ack(self, now: Instant, ack: SipRequest) -> None:
        """Take the ACK of our 200 to a re-INVITE."""
        received = self._received
        if received is not None and ack.cseq.number == received.request.cseq.number:
            self._step(now, ReofferTrigger.ACK, _Cause(sdp=sdp_or_none(ack) if self._we_offered else None))

    def acknowledged(self, now: Instant, transaction: ServerTransaction, ack: SipRequest) -> None:
        """Take an ACK that carries the branch of its re-INVITE."""
        self.receive_ack(now, ack)

    def cancelled(self, now: Instant, transaction: ServerTransaction, cancel: SipRequest) -> None:
        """Take the CANCEL of a re-INVITE."""
        if transaction is self._received:
            self._step(now, ReofferTrigger.CANCEL, _Cause())

    def response_failed(self, now: Instant, transaction: ServerTransaction, failure: ServerFailure) -> None:
        """Ignore it: the peer repeats its request, or gives up."""

    def server_transaction_ended(self, now: Instant, transaction: ServerTransaction) -> None:
        """Need nothing: the repeats of the 200 have their own timers."""

    def response_received(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        """Take a response to our re-INVITE."""
        status = response.status
        if status < 200:
            return
        if 200 <= status < 300:
            self._success(now, transaction, response)
            return
        if transaction.request is not self._request or self._is_closed:
            return
        cause = _Cause(response=response, status=status, reason=response.reason)
        if status in (401, 407):
            self._authorization = self._digest.authorize_all(
                challenges_of(response),
                "INVITE",
                transaction.request.uri_text,
                transaction.request.body,
                self._credentials,
            )
        else:
            self._digest.accepted(response)
        if status in (401, 407) and self._authorization:
            self._step(now, ReofferTrigger.AUTHORIZED, cause)
        elif status == 491:
            self._step(now, ReofferTrigger.GLARE, cause)
        elif status in (408, 481):
            self._step(now, ReofferTrigger.LOST, cause)
        else:
            self._step(now, ReofferTrigger.REFUSED, cause)

    def transaction_failed(self, now: Instant, transaction: ClientTransaction, failure: ClientFailure) -> None:
        """Take a time-out or transport error of our re-INVITE."""
        if transaction.request is self._request and not self._is_closed:
            self._step(now, ReofferTrigger.LOST, _Cause(status=408, reason="Request Timeout"))

    def transaction_ended(self, now: Instant, transaction: ClientTransaction) -> None:
        """Forget the ACK kept for repeats."""
        self._acks.pop(transaction.request.cseq.number, None)

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Act on a timer that is due."""
        self._timers.fired(timer)
        if timer is Timer.REOFFER_SUCCESS_REPEAT:
            self._repeater.repeat(now)
        elif timer is Timer.REOFFER_ACK_WAIT:
            self._step(now, ReofferTrigger.ACK_TIMEOUT, _Cause(detail=EndDetail.NO_ACK))
        elif timer is Timer.REOFFER_ANSWER_WAIT:
            self._step(now, ReofferTrigger.ANSWER_TIMEOUT, _Cause(detail=EndDetail.NO_ANSWER_FROM_OWNER))
        else:
            self._step(now, ReofferTrigger.GLARE_OVER, _Cause())

    # The machine.

    def _step(self, now: Instant, trigger: ReofferTrigger, cause: _Cause) -> bool:
        if self._is_closed:
            return False
        transition = REOFFER_TABLE.get((self.state, trigger))
        if transition is None:
            return False
        self.state = transition.state
        for effect in transition.effects:
            self._carry_out(now, effect, cause)
        return True

    def _carry_out(self, now: Instant, effect: ReofferEffect, cause: _Cause) -> None:
        host, settings = self._host, self._host.settings
        if effect is ReofferEffect.SEND_INVITE:
            self._send_invite(now)
        elif effect is ReofferEffect.SEND_ACK:
            self._send_ack(cause.sdp if cause.response is None else None)
        elif effect is ReofferEffect.SEND_SUCCESS:
            self._send_success(now, cause.sdp)
        elif effect is ReofferEffect.SEND_FAILURE:
            self._fail(now, cause.status, cause.reason)
        elif effect is ReofferEffect.SEND_TERMINATED:
            self._fail(now, 487, "")
        elif effect is ReofferEffect.SEND_PENDING:
            assert cause.transaction is not None
            host.respond(now, cause.transaction, 491)
        elif effect is ReofferEffect.SEND_RETRY_LATER:
            assert cause.transaction is not None
            seconds = str(int(host.chance() * 11))
            host.respond(now, cause.transaction, 500, headers=(("retry-after", seconds),))
        elif effect is ReofferEffect.STOP_SUCCESS:
            self._repeater.stop()
        elif effect is ReofferEffect.START_BACKOFF:
            self._timers.arm(Timer.GLARE, after_ms(now, glare_ms(self._dialog.owns_call_id, host.chance())))
        elif effect is ReofferEffect.STOP_BACKOFF:
            self._timers.stop(Timer.GLARE)
        elif effect is ReofferEffect.START_ANSWER_WAIT:
            self._timers.arm(Timer.REOFFER_ANSWER_WAIT, after_ms(now, 64 * settings.t1_ms))
        elif effect is ReofferEffect.STOP_ANSWER_WAIT:
            self._timers.stop(Timer.REOFFER_ANSWER_WAIT)
        elif effect is ReofferEffect.TELL_REOFFERED:
            self._take_invite(cause)
        elif effect is ReofferEffect.TELL_CONFIRMED:
            host.emit(ReofferConfirmed(self._invite_id, cause.sdp))
        elif effect is ReofferEffect.TELL_ANSWERED:
            assert cause.response is not None
            host.emit(ReofferAnswered(self._invite_id, sdp_or_none(cause.response), cause.response))
        elif effect is ReofferEffect.TELL_REFUSED:
            host.emit(ReofferRefused(self._invite_id, cause.status or 491, cause.reason or "Request Pending"))
        else:
            self._dialog_lost(now, cause.detail)

    def _success(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        known = self._acks.get(transaction.request.cseq.number)
        if known is not None:
            self._host.transmit(known)
            return
        if self._is_closed:
            # The call ended while the re-INVITE was out; its 200 still wants an ACK.
            self._acks[transaction.request.cseq.number] = acknowledge(
                self._host, self._dialog, transaction.request, None
            )
            return
        if self.state is not ReofferState.SENT or transaction.request is not self._request:
            return
        self._digest.accepted(response)
        self._dialog.refresh_target(response)
        brings_offer = self._offer is None and sdp_or_none(response) is not None
        trigger = ReofferTrigger.SUCCESS_WITH_OFFER if brings_offer else ReofferTrigger.SUCCESS
        self._step(now, trigger, _Cause(response=response, status=response.status, reason=response.reason))

    def _send_invite(self, now: Instant) -> None:
        host, dialog, sdp = self._host, self._dialog, self._offer
        path = host.path_of(dialog)
        body = sdp or b""
        uri_text = dialog.request("INVITE", 0, "").uri_text
        authorization = self._authorization or self._digest.headers_for("INVITE", uri_text, body)
        self._authorization = ()
        headers: HeaderLines = (
            ("contact", dialog.contact),
            ("user-agent", host.settings.user_agent),
            ("allow", ALLOW),
            *authorization,
            *((("content-type", SDP_TYPE),) if sdp is not None else ()),
        )
        request = dialog.request("INVITE", dialog.next_cseq(), path.via(host.new_token()), headers, body)
        self._request = request
        try:
            host.transactions.start_client(now, request, path.destination, self, fallback=path.fallback)
        except TransactionTableFull:
            self._step(now, ReofferTrigger.REFUSED, _Cause(status=503, reason="Service Unavailable"))

    def _send_ack(self, sdp: bytes | None) -> None:
        assert self._request is not None
        self._acks[self._request.cseq.number] = acknowledge(self._host, self._dialog, self._request, sdp)

    def _take_invite(self, cause: _Cause) -> None:
        assert cause.transaction is not None
        assert cause.request is not None
        self._received = cause.transaction
        cause.transaction.user = self
        cause.transaction.local_tag = self._dialog.dialog_id.local_tag
        self._we_offered = cause.sdp is None
        self._dialog.refresh_target(cause.request)
        self._host.emit(Reoffered(self._invite_id, cause.sdp, cause.request))

    def _send_success(self, now: Instant, sdp: bytes | None) -> None:
        assert self._received is not None
        headers = (("contact", self._dialog.contact), ("allow", ALLOW), ("content-type", SDP_TYPE))
        response = self._host.respond(now, self._received, 200, headers=headers, body=sdp or b"")
        self._repeater.start(now, self._received, response.to_bytes())

    def _fail(self, now: Instant, status: int, reason: str) -> None:
        assert self._received is not None
        self._host.respond(now, self._received, status, reason)


def glare_ms(owns_call_id: bool, chance: float) -> int:
    """Return the back-off after 491, in steps of 10 ms: 2.1 to 4 s for the owner of the Call-ID, else up to 2 s."""
    return 2_100 + 10 * int(chance * 191) if owns_call_id else 10 * int(chance * 201)
