"""An outgoing call: targets, challenges, forks, CANCEL, and the dialog of the first 2xx (RFC 3261 §13.2)."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.machine import Instant, after_ms
from ringback.sip.dialog import Dialog, DialogId, MalformedDialog, dialog_id_of, dialog_of_uac
from ringback.sip.digest import DigestClient, challenges_of
from ringback.sip.flow import Target, Transmit, Transport
from ringback.sip.invite.acknowledgement import acknowledge
from ringback.sip.invite.attempts import Attempts, cancel_of, invite_of
from ringback.sip.invite.body import SDP_TYPE, sdp_or_none
from ringback.sip.invite.dialog_usage import DialogRequest, DialogUsage, receive_info
from ringback.sip.invite.events import Answered, EndDetail, HungUp, InviteEnded, Progressed, Refused
from ringback.sip.invite.host import ALLOW, InviteHost, Path
from ringback.sip.invite.states import OUTGOING, CallEffect, CallState, CallTrigger
from ringback.sip.invite.values import HeaderLines, InviteId, OutboundInvite
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.reason_phrases import REASON_PHRASES
from ringback.sip.timers import OwnedTimers, Timer
from ringback.sip.transaction.client import ClientFailure, ClientTransaction, UnattendedClient, timeout_ms_for
from ringback.sip.transaction.layer import TransactionTableFull
from ringback.sip.transaction.server import ServerTransaction

MAX_EARLY_DIALOGS = 16
"""Early dialogs of one call that are told apart; further forks ring unseen, and still may answer."""

_BEFORE_2XX = (CallState.CALLING, CallState.PROCEEDING, CallState.HELD, CallState.CANCELLING)


@dataclass(slots=True)
class _Cause:
    """What a trigger brings along."""

    status: int = 0
    response: SipResponse | None = None
    dialog: Dialog | None = None
    request: SipRequest | None = None
    transaction: ServerTransaction | None = None
    sdp: bytes | None = None
    detail: EndDetail = EndDetail.REMOTE


class OutgoingCall:
    """One call of ours, over all its attempts, and the dialog that grows from it.

    State: after `InviteEnded` it stays the user of its INVITE transaction, which may still bring 2xx of other forks:
    those are acknowledged and hung up.
    """

    __slots__ = (
        "_acks",
        "_attempts",
        "_authorization",
        "_cseq",
        "_digest",
        "_early",
        "_host",
        "_invite",
        "_is_rival",
        "_leaving_headers",
        "_outbound",
        "_path",
        "_timers",
        "_transaction",
        "_usage",
        "call_id",
        "from_tag",
        "invite_id",
        "state",
    )

    def __init__(
        self, host: InviteHost, invite_id: InviteId, outbound: OutboundInvite, *, is_rival: bool = False
    ) -> None:
        """Prepare the first attempt.

        Args:
            is_rival: Other phones ring for the same call: one that says nothing is given up early.
        Raises:
            UnsafeHeader: a value of `outbound` cannot be sent.
        """
        self.invite_id = invite_id
        self.state = OUTGOING.initial
        self._host = host
        self._outbound = outbound
        self._is_rival = is_rival
        self._timers = OwnedTimers(host.timers, self)
        self._digest = DigestClient(host.new_token)
        self._authorization: HeaderLines = ()
        self.call_id = host.new_token() + host.new_token()
        self.from_tag = host.new_token()
        self._cseq = 0
        self._early: dict[str, Dialog] = {}
        self._acks: dict[str, Transmit] = {}
        self._usage: DialogUsage | None = None
        self._transaction: ClientTransaction | None = None
        self._leaving_headers: HeaderLines = ()
        paths = ((target, host.path_to(target)) for target in outbound.targets)
        self._attempts = Attempts([(target, path) for target, path in paths if path is not None])
        self._path: Path | None = None
        # Building it once here shows unsafe values to the caller of the verb, and tells the size.
        self._invite = self._build(Path(Target(Transport.UDP, "0.0.0.0", 0), "0.0.0.0:0"))
        self._cseq = 0

    def start(self, now: Instant) -> None:
        """Send the INVITE to the first target."""
        if len(self._attempts):
            self._take_target()
            self._send_invite(now)
        else:
            self._step(now, CallTrigger.REFUSED, _Cause(status=503, detail=EndDetail.TRANSPORT))

    def names(self) -> tuple[tuple[str, str], ...]:
        """Return Call-ID and From tag of each of its INVITEs."""
        return ((self.call_id, self.from_tag),)

    # Verbs of the owner.

    def hangup(self, now: Instant, headers: HeaderLines) -> bool:
        """End the call by what its state asks for: CANCEL, which waits for the first response, or BYE."""
        self._leaving_headers = headers
        return self._step(now, CallTrigger.HANGUP, _Cause())

    def ack_with(self, now: Instant, sdp: bytes) -> bool:
        """Answer the offer of a 200, of the call or of our empty re-INVITE."""
        if self.state is CallState.ANSWER_DUE:
            return self._step(now, CallTrigger.ANSWER_OFFER, _Cause(sdp=sdp))
        return self._usage is not None and self._usage.reoffer.answer_offer(now, sdp)

    def progress(self, now: Instant, status: int, sdp: bytes | None, headers: HeaderLines) -> bool:
        """Return False: it is the peer who answers an outgoing call."""
        return False

    def answer(self, now: Instant, sdp: bytes, headers: HeaderLines) -> bool:
        """Return False: it is the peer who answers an outgoing call."""
        return False

    def reject(self, now: Instant, status: int, reason: str, headers: HeaderLines) -> bool:
        """Return False: it is the peer who answers an outgoing call."""
        return False

    def drop(self, now: Instant) -> bool:
        """Return False: it is the peer who answers an outgoing call."""
        return False

    def reoffer(self, now: Instant, sdp: bytes | None) -> bool:
        """Send a re-INVITE."""
        usage = self._usage
        return usage is not None and self.state is CallState.CONFIRMED and usage.reoffer.offer(now, sdp)

    def accept_reoffer(self, now: Instant, sdp: bytes) -> bool:
        """Answer 200 to the peer's re-INVITE."""
        return self._usage is not None and self._usage.reoffer.accept(now, sdp)

    def refuse_reoffer(self, now: Instant, status: int, reason: str) -> bool:
        """Refuse the peer's re-INVITE."""
        return self._usage is not None and self._usage.reoffer.refuse(now, status, reason)

    def send_info(self, now: Instant, content_type: str, body: bytes) -> bool:
        """Send INFO; possible once the call is confirmed."""
        if self._usage is None or self.state is not CallState.CONFIRMED:
            return False
        self._usage.send_info(now, content_type, body)
        return True

    # From the peer.

    def response_received(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        """Take a response to one of our INVITEs."""
        status = response.status
        if 200 <= status < 300:
            self._success(now, transaction, response)
        elif transaction is self._transaction:
            if status < 200:
                self._provisional(now, transaction, response)
            else:
                self._failure(now, response)

    def transaction_failed(self, now: Instant, transaction: ClientTransaction, failure: ClientFailure) -> None:
        """Try the next target, or give up."""
        if transaction is not self._transaction:
            return
        if len(self._attempts):
            self._take_target()
            self._step(now, CallTrigger.RETRY, _Cause())
        elif failure is ClientFailure.TIMEOUT:
            self._step(now, CallTrigger.REFUSED, _Cause(status=408, detail=EndDetail.TIMEOUT))
        else:
            self._step(now, CallTrigger.REFUSED, _Cause(status=503, detail=EndDetail.TRANSPORT))

    def transaction_ended(self, now: Instant, transaction: ClientTransaction) -> None:
        """Forget what was kept for repeats of its 2xx."""
        if transaction is self._transaction:
            self._transaction = None
            self._acks.clear()

    def dialog(self) -> Dialog | None:
        """Return what both sides have agreed on, `None` before the answer."""
        return self._usage.dialog if self._usage is not None else None

    def receive_in_dialog(self, now: Instant, transaction: ServerTransaction) -> None:
        """Answer a request inside the dialog, or inside an early one."""
        request = transaction.request
        usage = self._usage
        if usage is not None and dialog_id_of(request) == usage.dialog.dialog_id:
            usage.receive(now, transaction, may_reoffer=self.state is CallState.CONFIRMED)
            return
        early = self._early.get(request.from_.tag or "")
        host = self._host
        if early is None:
            host.respond(now, transaction, 481)
        elif not early.accepts_cseq(request):
            host.respond(now, transaction, 500, "CSeq Out of Order")
        elif request.method == "OPTIONS":
            host.respond(now, transaction, 200, headers=(("allow", ALLOW), ("accept", SDP_TYPE)))
        elif request.method == "INFO":
            receive_info(host, now, transaction, self.invite_id)
        elif request.method == "INVITE":
            host.respond(now, transaction, 491)
        elif request.method == "BYE":
            # A callee must not do this (RFC 3261 §15); the INVITE's own final response ends the call.
            host.respond(now, transaction, 200)
        else:
            host.respond(now, transaction, 405, headers=(("allow", ALLOW),))

    def receive_ack(self, now: Instant, ack: SipRequest) -> None:
        """Take the ACK of our 200 to a re-INVITE."""
        if self._usage is not None:
            self._usage.reoffer.receive_ack(now, ack)

    def connections(self) -> tuple[int, ...]:
        """Return the connections that its dialogs speak over."""
        dialogs = [*self._early.values(), *((self._usage.dialog,) if self._usage is not None else ())]
        return tuple(dialog.flow.connection_id for dialog in dialogs)

    def bye_received(self, now: Instant, transaction: ServerTransaction) -> None:
        """Take the peer's BYE."""
        self._step(now, CallTrigger.BYE, _Cause(transaction=transaction, request=transaction.request))

    def bye_done(self, now: Instant) -> None:
        """Learn that our BYE was answered or gave up."""
        self._step(now, CallTrigger.BYE_DONE, _Cause())

    def dialog_lost(self, now: Instant, detail: EndDetail) -> None:
        """Learn that the peer is gone."""
        self._step(now, CallTrigger.DIALOG_LOST, _Cause(detail=detail))

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Act on a timer that is due."""
        self._timers.fired(timer)
        if timer is Timer.CANCEL_WAIT:
            self._step(now, CallTrigger.CANCEL_TIMEOUT, _Cause())
        else:
            self._step(now, CallTrigger.ANSWER_TIMEOUT, _Cause(detail=EndDetail.NO_ANSWER_FROM_OWNER))

    # Responses to the INVITE.

    def _provisional(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        tag = response.to.tag
        if response.status > 100 and tag and tag not in self._early and len(self._early) < MAX_EARLY_DIALOGS:
            dialog = self._dialog_of(transaction, response)
            if dialog is not None:
                self._early[tag] = dialog
                self._host.add_dialog(dialog.dialog_id, self)
        self._step(now, CallTrigger.PROVISIONAL, _Cause(status=response.status, response=response))

    def _success(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        tag = response.to.tag or ""
        known = self._acks.get(tag)
        if known is not None:
            self._host.transmit(known)
            return
        is_first = self.state in _BEFORE_2XX
        if not is_first and self._usage is not None and self._usage.dialog.dialog_id.remote_tag == tag:
            return  # the owner's answer to the offer is still due
        dialog = self._dialog_of(transaction, response)
        if dialog is None:
            if is_first:
                self._step(now, CallTrigger.REFUSED, _Cause(status=502, detail=EndDetail.REMOTE))
        elif is_first:
            self._digest.accepted(response)
            brings_offer = self._outbound.sdp is None and sdp_or_none(response) is not None
            trigger = CallTrigger.SUCCESS_WITH_OFFER if brings_offer else CallTrigger.SUCCESS
            self._step(now, trigger, _Cause(status=response.status, response=response, dialog=dialog))
        else:
            self._leave_fork(now, transaction, dialog)

    def _failure(self, now: Instant, response: SipResponse) -> None:
        status = response.status
        cause = _Cause(status=status, response=response)
        if status in (401, 407):
            invite = self._invite
            self._authorization = self._digest.authorize_all(
                challenges_of(response), "INVITE", invite.uri_text, invite.body, self._outbound.credentials
            )
            if self._authorization:
                self._step(now, CallTrigger.RETRY, cause)
                return
            cause.detail = EndDetail.CREDENTIALS
        elif status == 503 and len(self._attempts):
            self._take_target()
            self._step(now, CallTrigger.RETRY, cause)
            return
        self._step(now, CallTrigger.REFUSED, cause)

    def _leave_fork(self, now: Instant, transaction: ClientTransaction, dialog: Dialog) -> None:
        """Acknowledge and hang up a 2xx that came after another one (RFC 3261 §13.2.2.4)."""
        host, tag = self._host, dialog.dialog_id.remote_tag
        if len(self._acks) >= MAX_EARLY_DIALOGS:
            return
        self._acks[tag] = acknowledge(host, dialog, transaction.request, None)
        headers = (("reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
        bye = DialogRequest(
            host,
            dialog,
            self._digest,
            self._outbound.credentials,
            "BYE",
            headers,
            b"",
            lambda at, status, response: None,
        )
        bye.send(now)

    def _dialog_of(self, transaction: ClientTransaction, response: SipResponse) -> Dialog | None:
        assert transaction.flow is not None  # a response has just come over it
        contact = transaction.request.headers.get("contact") or ""
        try:
            return dialog_of_uac(transaction.request, response, contact, transaction.flow)
        except MalformedDialog:
            return None

    # Attempts.

    def _take_target(self) -> None:
        is_large = len(self._invite.to_bytes()) > self._host.settings.large_request_bytes
        self._path = self._attempts.take(is_large)

    def _build(self, path: Path) -> SipRequest:
        self._cseq += 1
        authorization, self._authorization = self._authorization, ()
        invite = invite_of(
            self._outbound,
            path,
            call_id=self.call_id,
            from_tag=self.from_tag,
            cseq=self._cseq,
            token=self._host.new_token(),
            user_agent=self._host.settings.user_agent,
            authorization=authorization,
        )
        invite.to_bytes()
        return invite

    def _send_invite(self, now: Instant) -> None:
        path, host = self._path, self._host
        assert path is not None
        self._drop_early()
        self._invite = self._build(path)
        is_last = not len(self._attempts) and not self._is_rival
        timeout_ms = timeout_ms_for(host.settings, is_last_target=is_last)
        try:
            self._transaction = host.transactions.start_client(
                now, self._invite, path.destination, self, timeout_ms, path.fallback
            )
        except TransactionTableFull:
            self._step(now, CallTrigger.REFUSED, _Cause(status=503, detail=EndDetail.LIMIT))

    def _drop_early(self, except_for: DialogId | None = None) -> None:
        for early in self._early.values():
            if early.dialog_id != except_for:
                self._host.remove_dialog(early.dialog_id)
        self._early.clear()

    # The machine.

    def _step(self, now: Instant, trigger: CallTrigger, cause: _Cause) -> bool:
        transition = OUTGOING.table.get((self.state, trigger))
        if transition is None:
            return False
        self.state = transition.state
        for effect in transition.effects:
            self._carry_out(now, effect, cause)
        return True

    def _carry_out(self, now: Instant, effect: CallEffect, cause: _Cause) -> None:
        host, response = self._host, cause.response
        if effect is CallEffect.SEND_NEXT:
            self._send_invite(now)
        elif effect is CallEffect.SEND_CANCEL:
            self._send_cancel(now)
        elif effect is CallEffect.ESTABLISH:
            self._establish(cause)
        elif effect is CallEffect.SEND_ACK:
            self._send_ack(cause.sdp)
        elif effect is CallEffect.SEND_BYE:
            assert self._usage is not None
            self._usage.send_bye(now, self._leaving_headers)
        elif effect is CallEffect.ACCEPT_BYE:
            assert cause.transaction is not None
            host.respond(now, cause.transaction, 200)
        elif effect is CallEffect.START_ANSWER_WAIT:
            self._timers.arm(Timer.ANSWER_WAIT, after_ms(now, 64 * host.settings.t1_ms))
        elif effect is CallEffect.STOP_ANSWER_WAIT:
            self._timers.stop(Timer.ANSWER_WAIT)
        elif effect is CallEffect.ABANDON:
            if self._transaction is not None:
                self._transaction.abandon(now)
        elif effect is CallEffect.TELL_PROGRESS:
            assert response is not None
            if response.status > 100:
                host.emit(Progressed(self.invite_id, response.status, response.reason, sdp_or_none(response), response))
        elif effect is CallEffect.TELL_ANSWERED:
            assert response is not None
            host.emit(Answered(self.invite_id, sdp_or_none(response), response))
        elif effect is CallEffect.TELL_REFUSED:
            reason = response.reason if response is not None else REASON_PHRASES.get(cause.status, "")
            host.emit(Refused(self.invite_id, cause.status, reason, response, response is None, cause.detail))
        elif effect is CallEffect.TELL_CANCELLED:
            is_local = response is None or response.status != 487
            reason = REASON_PHRASES[487]
            host.emit(Refused(self.invite_id, 487, reason, response, is_local, EndDetail.CANCELLED))
        elif effect is CallEffect.TELL_HUNG_UP:
            host.emit(HungUp(self.invite_id, cause.request, cause.detail))
        elif effect is CallEffect.FINISH:
            self._finish(now)
        else:  # pragma: no cover - the tables' test shows that outgoing calls use no other effect
            raise AssertionError(effect)

    def _send_cancel(self, now: Instant) -> None:
        host, transaction = self._host, self._transaction
        self._timers.arm(Timer.CANCEL_WAIT, after_ms(now, 64 * host.settings.t1_ms))
        if transaction is None:
            return
        cancel = cancel_of(transaction.request, self._leaving_headers)
        try:
            host.transactions.start_client(now, cancel, transaction.destination, UnattendedClient())
        except TransactionTableFull:
            pass  # the limit on the wait for a final response ends the call

    def _establish(self, cause: _Cause) -> None:
        dialog = cause.dialog
        assert dialog is not None
        early = self._early.get(dialog.dialog_id.remote_tag)
        if early is not None:
            dialog.remote_cseq = early.remote_cseq
        self._timers.stop(Timer.CANCEL_WAIT)
        self._drop_early(except_for=dialog.dialog_id)
        self._host.add_dialog(dialog.dialog_id, self)
        self._usage = DialogUsage(self._host, self, self.invite_id, dialog, self._digest, self._outbound.credentials)

    def _send_ack(self, sdp: bytes | None) -> None:
        usage = self._usage
        assert usage is not None
        tag = usage.dialog.dialog_id.remote_tag
        self._acks[tag] = acknowledge(self._host, usage.dialog, self._invite, sdp)

    def _finish(self, now: Instant) -> None:
        self._timers.stop_all()
        self._drop_early()
        if self._usage is not None:
            self._usage.close(now)
            self._host.remove_dialog(self._usage.dialog.dialog_id)
        self._host.forget_invite(self.invite_id)
        self._host.emit(InviteEnded(self.invite_id))
