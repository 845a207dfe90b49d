"""An incoming call: from the INVITE to the end of its dialog (RFC 3261 §13.3, §14.2, §15)."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.machine import Instant, after_ms
from ringback.sip.dialog import Dialog
from ringback.sip.digest import DigestClient
from ringback.sip.invite.body import SDP_TYPE, sdp_or_none
from ringback.sip.invite.dialog_usage import DialogUsage
from ringback.sip.invite.events import (
    CancelReceived,
    Confirmed,
    EndDetail,
    HungUp,
    InviteEnded,
    InviteReceived,
)
from ringback.sip.invite.host import ALLOW, InviteHost
from ringback.sip.invite.states import INCOMING, CallEffect, CallState, CallTrigger
from ringback.sip.invite.success import SuccessRepeater
from ringback.sip.invite.values import HeaderLines, InviteId
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.timers import OwnedTimers, Timer
from ringback.sip.transaction.server import ServerFailure, ServerTransaction


@dataclass(slots=True)
class _Cause:
    """What a trigger brings along."""

    status: int = 0
    reason: str = ""
    headers: HeaderLines = ()
    sdp: bytes | None = None
    request: SipRequest | None = None
    transaction: ServerTransaction | None = None
    detail: EndDetail = EndDetail.REMOTE


class IncomingCall:
    """One received INVITE and the dialog that grows from it."""

    __slots__ = (
        "_bye_headers",
        "_cseq_number",
        "_dialog",
        "_host",
        "_offer",
        "_provisional",
        "_repeater",
        "_timers",
        "_transaction",
        "_usage",
        "invite_id",
        "state",
    )

    def __init__(
        self,
        host: InviteHost,
        invite_id: InviteId,
        transaction: ServerTransaction,
        dialog: Dialog,
        offer: bytes | None,
    ) -> None:
        self.invite_id = invite_id
        self.state = INCOMING.initial
        self._host = host
        self._transaction: ServerTransaction | None = transaction
        self._cseq_number = transaction.request.cseq.number
        self._dialog = dialog
        self._offer = offer
        self._timers = OwnedTimers(host.timers, self)
        self._repeater = SuccessRepeater(host, self._timers, Timer.SUCCESS_REPEAT, Timer.ACK_WAIT)
        self._usage = DialogUsage(host, self, invite_id, dialog, DigestClient(host.new_token))
        self._provisional: SipResponse | None = None
        self._bye_headers: HeaderLines = ()
        transaction.user = self
        transaction.local_tag = dialog.dialog_id.local_tag
        host.add_dialog(dialog.dialog_id, self)

    def start(self, now: Instant) -> None:
        """Report the call to its owner-to-be."""
        transaction = self._invite
        self._host.emit(InviteReceived(self.invite_id, transaction.request, transaction.flow, self._offer))

    # Verbs of the owner.

    def progress(self, now: Instant, status: int, sdp: bytes | None, headers: HeaderLines) -> bool:
        """Send a provisional response."""
        return self._step(now, CallTrigger.PROGRESS, _Cause(status=status, sdp=sdp, headers=headers))

    def answer(self, now: Instant, sdp: bytes, headers: HeaderLines) -> bool:
        """Send 200, repeated until its ACK comes."""
        return self._step(now, CallTrigger.ANSWER, _Cause(sdp=sdp, headers=headers))

    def reject(self, now: Instant, status: int, reason: str, headers: HeaderLines) -> bool:
        """Send a final failure."""
        return self._step(now, CallTrigger.REJECT, _Cause(status=status, reason=reason, headers=headers))

    def hangup(self, now: Instant, headers: HeaderLines) -> bool:
        """End the call by what its state asks for: 480, or BYE, which waits for the ACK of our 200."""
        if self.state in (CallState.ANSWERED, CallState.CONFIRMED):
            self._bye_headers = headers
        return self._step(now, CallTrigger.HANGUP, _Cause(headers=headers))

    def drop(self, now: Instant) -> bool:
        """Never answer, and absorb the repeats of the INVITE."""
        return self._step(now, CallTrigger.DROP, _Cause())

    def ack_with(self, now: Instant, sdp: bytes) -> bool:
        """Answer the offer that a 200 to our empty re-INVITE brought."""
        return self._usage.reoffer.answer_offer(now, sdp)

    def reoffer(self, now: Instant, sdp: bytes | None) -> bool:
        """Send a re-INVITE."""
        return self.state is CallState.CONFIRMED and self._usage.reoffer.offer(now, sdp)

    def accept_reoffer(self, now: Instant, sdp: bytes) -> bool:
        """Answer 200 to the peer's re-INVITE."""
        return self._usage.reoffer.accept(now, sdp)

    def refuse_reoffer(self, now: Instant, status: int, reason: str) -> bool:
        """Refuse the peer's re-INVITE."""
        return self._usage.reoffer.refuse(now, status, reason)

    def send_info(self, now: Instant, content_type: str, body: bytes) -> bool:
        """Send INFO; possible once the call is confirmed."""
        if self.state is not CallState.CONFIRMED:
            return False
        self._usage.send_info(now, content_type, body)
        return True

    # From the peer.

    def dialog(self) -> Dialog | None:
        """Return what both sides have agreed on."""
        return self._dialog

    def receive_in_dialog(self, now: Instant, transaction: ServerTransaction) -> None:
        """Answer a request inside the dialog."""
        self._usage.receive(now, transaction, may_reoffer=self.state is CallState.CONFIRMED)

    def receive_ack(self, now: Instant, ack: SipRequest) -> None:
        """Take the ACK of our 200, or of a 200 to a re-INVITE."""
        if ack.cseq.number != self._cseq_number:
            self._usage.reoffer.receive_ack(now, ack)
            return
        if self._offer is not None:
            self._step(now, CallTrigger.ACK, _Cause())
            return
        answer = sdp_or_none(ack)
        if answer is None:
            self._step(now, CallTrigger.ACK_WITHOUT_ANSWER, _Cause(detail=EndDetail.NO_ANSWER_IN_ACK))
        else:
            self._step(now, CallTrigger.ACK, _Cause(sdp=answer))

    def connections(self) -> tuple[int, ...]:
        """Return the connection that the dialog speaks over."""
        return (self._dialog.flow.connection_id,)

    def acknowledged(self, now: Instant, transaction: ServerTransaction, ack: SipRequest) -> None:
        """Take an ACK that carries the branch of its INVITE, as some peers send it."""
        self.receive_ack(now, ack)

    def cancelled(self, now: Instant, transaction: ServerTransaction, cancel: SipRequest) -> None:
        """Take the caller's CANCEL."""
        self._step(now, CallTrigger.CANCEL, _Cause(request=cancel))

    def response_failed(self, now: Instant, transaction: ServerTransaction, failure: ServerFailure) -> None:
        """Ignore it: before the final response the caller repeats its INVITE, after it the ACK decides."""

    def server_transaction_ended(self, now: Instant, transaction: ServerTransaction) -> None:
        """Let go of the INVITE: the dialog of a confirmed call lives on by itself, and without its 8 kB."""
        if self.state is CallState.CONFIRMED and transaction is self._transaction:
            self._transaction = None

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
        if timer is Timer.SUCCESS_REPEAT:
            self._repeater.repeat(now)
        elif timer is Timer.ACK_WAIT:
            self._step(now, CallTrigger.ACK_TIMEOUT, _Cause(detail=EndDetail.NO_ACK))
        elif self._provisional is not None:
            self._invite.respond(now, self._provisional)
            self._timers.arm(Timer.RINGING_REFRESH, after_ms(now, self._host.settings.ringing_refresh_ms))

    # The machine.

    @property
    def _invite(self) -> ServerTransaction:
        """Return the INVITE's transaction, which is there until the call is confirmed."""
        assert self._transaction is not None
        return self._transaction

    def _step(self, now: Instant, trigger: CallTrigger, cause: _Cause) -> bool:
        transition = INCOMING.table.get((self.state, trigger))
        if transition is None:
            return False
        self.state = transition.state
        for effect in transition.effects:
            self._carry_out(now, effect, cause)
        return True

    def _carry_out(self, now: Instant, effect: CallEffect, cause: _Cause) -> None:
        if effect is CallEffect.SEND_PROVISIONAL:
            self._send_provisional(now, cause)
        elif effect is CallEffect.SEND_SUCCESS:
            self._timers.stop(Timer.RINGING_REFRESH)
            self._provisional = None
            response = self._respond(now, 200, "", (("allow", ALLOW), *cause.headers), cause.sdp)
            self._repeater.start(now, self._invite, response.to_bytes())
        elif effect is CallEffect.SEND_FAILURE:
            self._respond(now, cause.status, cause.reason, cause.headers, None)
        elif effect is CallEffect.SEND_UNAVAILABLE:
            self._respond(now, 480, "", cause.headers, None)
        elif effect is CallEffect.SEND_TERMINATED:
            self._respond(now, 487, "", (), None)
        elif effect is CallEffect.SEND_NOTHING:
            self._invite.ignore(now)
        elif effect is CallEffect.STOP_SUCCESS:
            self._repeater.stop()
        elif effect is CallEffect.ACCEPT_BYE:
            assert cause.transaction is not None
            self._host.respond(now, cause.transaction, 200)
        elif effect is CallEffect.SEND_BYE:
            self._usage.send_bye(now, self._bye_headers)
        elif effect is CallEffect.TELL_CONFIRMED:
            self._host.emit(Confirmed(self.invite_id, cause.sdp))
        elif effect is CallEffect.TELL_CALLER_GONE:
            self._host.emit(CancelReceived(self.invite_id, cause.request))
        elif effect is CallEffect.TELL_HUNG_UP:
            self._host.emit(HungUp(self.invite_id, cause.request, cause.detail))
        elif effect is CallEffect.FINISH:
            self._finish(now)
        else:  # pragma: no cover - the tables' test shows that incoming calls use no other effect
            raise AssertionError(effect)

    def _send_provisional(self, now: Instant, cause: _Cause) -> None:
        self._provisional = self._respond(now, cause.status, "", cause.headers, cause.sdp)
        if cause.status > 100:
            self._timers.arm(Timer.RINGING_REFRESH, after_ms(now, self._host.settings.ringing_refresh_ms))

    def _respond(self, now: Instant, status: int, reason: str, headers: HeaderLines, sdp: bytes | None) -> SipResponse:
        lines: list[tuple[str, str]] = []
        if 100 < status < 300:
            lines.append(("contact", self._dialog.contact))
        lines += headers
        if sdp is not None:
            lines.append(("content-type", SDP_TYPE))
        tag = "" if status == 100 else self._dialog.dialog_id.local_tag
        return self._host.respond(now, self._invite, status, reason, tuple(lines), sdp or b"", tag)

    def _finish(self, now: Instant) -> None:
        self._timers.stop_all()
        self._usage.close(now)
        self._host.remove_dialog(self._dialog.dialog_id)
        self._host.forget_invite(self.invite_id)
        self._host.emit(InviteEnded(self.invite_id))
