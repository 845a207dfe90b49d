"""One call to several phones at once: the first 2xx wins, the others are cancelled (RFC 3261 §16.7, as a UAC).

Every phone has an INVITE of its own, with its own Call-ID; towards the owner they are one call under one `InviteId`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from ringback.machine import Instant
from ringback.sip.dialog import Dialog, DialogId
from ringback.sip.flow import Target, Transmit
from ringback.sip.invite.events import Answered, EndDetail, InviteEnded, InviteEvent, Progressed, Refused
from ringback.sip.invite.host import DialogOwner, InviteHost, Path
from ringback.sip.invite.outgoing import OutgoingCall
from ringback.sip.invite.values import HeaderLines, InviteId, OutboundInvite
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.settings import SipSettings
from ringback.sip.timers import OwnedTimers, Timer, TimerHeap
from ringback.sip.transaction.layer import TransactionLayer
from ringback.sip.transaction.server import ServerTransaction

_ELSEWHERE: Final[HeaderLines] = (("reason", 'SIP;cause=200;text="Call completed elsewhere"'),)
_AT_ONCE: Final = Instant(0)


class ForkedCall:
    """The INVITEs of one call, and the one of them that was answered.

    State: reports `Refused` once: when all have failed, or when one phone declined for all (6xx).
    """

    __slots__ = ("_calls", "_early", "_host", "_is_decided", "_open", "_refusals", "_timers", "_winner", "invite_id")

    def __init__(self, host: InviteHost, invite_id: InviteId, outbound: OutboundInvite) -> None:
        """Prepare the INVITE of each of `outbound.forks`.

        Raises:
            UnsafeHeader: a value of `outbound` cannot be sent.
        """
        self.invite_id = invite_id
        self._host = host
        is_rival = len(outbound.forks) > 1
        self._calls = [
            OutgoingCall(
                _ForkHost(host, self, index),
                invite_id,
                replace(outbound, request_uri=fork.request_uri, targets=fork.targets, route=fork.route, forks=()),
                is_rival=is_rival,
            )
            for index, fork in enumerate(outbound.forks)
        ]
        self._timers = OwnedTimers(host.timers, self)
        self._open = set(range(len(self._calls)))
        self._refusals: dict[int, Refused] = {}
        self._winner: int | None = None
        self._early: int | None = None
        self._is_decided = False

    def start(self, now: Instant) -> None:
        """Ring every phone."""
        for call in self._calls:
            call.start(now)

    def names(self) -> tuple[tuple[str, str], ...]:
        """Return Call-ID and From tag of each of its INVITEs."""
        return tuple(name for call in self._calls for name in call.names())

    # Verbs of the owner.

    def hangup(self, now: Instant, headers: HeaderLines) -> bool:
        """End the answered call, or stop every phone from ringing."""
        wanted = self._open if self._winner is None else {self._winner}
        took_effect = [self._calls[index].hangup(now, headers) for index in sorted(wanted)]
        return any(took_effect)

    def ack_with(self, now: Instant, sdp: bytes) -> bool:
        """Answer the offer of a 200, of the call or of our empty re-INVITE."""
        return self._winner is not None and self._calls[self._winner].ack_with(now, sdp)

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
        return self._winner is not None and self._calls[self._winner].reoffer(now, sdp)

    def accept_reoffer(self, now: Instant, sdp: bytes) -> bool:
        """Answer 200 to the peer's re-INVITE."""
        return self._winner is not None and self._calls[self._winner].accept_reoffer(now, sdp)

    def refuse_reoffer(self, now: Instant, status: int, reason: str) -> bool:
        """Refuse the peer's re-INVITE."""
        return self._winner is not None and self._calls[self._winner].refuse_reoffer(now, status, reason)

    def send_info(self, now: Instant, content_type: str, body: bytes) -> bool:
        """Send INFO; possible once the call is confirmed."""
        return self._winner is not None and self._calls[self._winner].send_info(now, content_type, body)

    # From the endpoint: every dialog belongs to the INVITE that founded it, never to this object.

    def receive_in_dialog(self, now: Instant, transaction: ServerTransaction) -> None:
        """Refuse it: no dialog leads here."""
        self._host.respond(now, transaction, 481)

    def receive_ack(self, now: Instant, ack: SipRequest) -> None:
        """Ignore it: no dialog leads here."""

    def dialog(self) -> Dialog | None:
        """Return what the one that answered has agreed on."""
        return self._calls[self._winner].dialog() if self._winner is not None else None

    def connections(self) -> tuple[int, ...]:
        """Return nothing: each INVITE tells of its own."""
        return ()

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Stop the phones that are not wanted any more."""
        self._timers.fired(timer)
        for index in sorted(self._open - {self._winner}):
            self._calls[index].hangup(now, _ELSEWHERE if self._winner is not None else ())

    # From the INVITEs.

    def take(self, index: int, event: InviteEvent) -> None:
        """Take an event of one INVITE; the owner is told what concerns the call."""
        if isinstance(event, InviteEnded):
            self._open.discard(index)
            if not self._open:
                self._timers.stop_all()
                self._host.forget_invite(self.invite_id)
                self._host.emit(event)
        elif isinstance(event, Refused):
            self._refused(index, event)
        elif isinstance(event, Progressed):
            self._progressed(index, event)
        elif isinstance(event, Answered) and self._winner is None and not self._is_decided:
            self._winner = index
            self._stop_others()
            self._host.emit(replace(event, fork=index))
        elif isinstance(event, Answered):
            # Answered in the same moment as another: it has lost and is hung up.
            self._stop_others()
        elif index == self._winner:
            self._host.emit(event)

    def _progressed(self, index: int, event: Progressed) -> None:
        if self._winner is not None or self._is_decided:
            return
        if event.sdp is not None and self._early is None:
            self._early = index
        # One phone's early media at a time: all of them share our one port.
        self._host.emit(event if index == self._early else replace(event, sdp=None))

    def _refused(self, index: int, event: Refused) -> None:
        self._refusals[index] = event
        if self._winner is not None or self._is_decided:
            return
        if event.status >= 600 or len(self._refusals) == len(self._calls):
            self._is_decided = True
            self._stop_others()
            self._host.emit(min(self._refusals.values(), key=_rank))

    def _stop_others(self) -> None:
        # An event brings no time along: the others are stopped when the shell asks for timers, which is at once.
        self._timers.arm(Timer.FORKS_STOP, _AT_ONCE)


def _rank(refusal: Refused) -> tuple[bool, bool, bool, int]:
    """Return how little a refusal says about the call: 6xx is best, then what a phone said, by class (§16.7 step 6)."""
    is_cancelled = refusal.detail is EndDetail.CANCELLED
    return (refusal.status < 600, is_cancelled, refusal.local, refusal.status // 100)


class _ForkHost:
    """The endpoint as one INVITE of a forked call sees it: its events go to the call, all else to the endpoint."""

    __slots__ = ("_call", "_host", "_index")

    def __init__(self, host: InviteHost, call: ForkedCall, index: int) -> None:
        self._host = host
        self._call = call
        self._index = index

    @property
    def settings(self) -> SipSettings:
        return self._host.settings

    @property
    def timers(self) -> TimerHeap:
        return self._host.timers

    @property
    def transactions(self) -> TransactionLayer:
        return self._host.transactions

    def emit(self, event: InviteEvent) -> None:
        self._call.take(self._index, event)

    def forget_invite(self, invite_id: InviteId) -> None:
        """Keep the id: it is given up when the last INVITE has ended."""

    def transmit(self, transmit: Transmit) -> None:
        self._host.transmit(transmit)

    def new_token(self) -> str:
        return self._host.new_token()

    def chance(self) -> float:
        return self._host.chance()

    def path_to(self, target: Target) -> Path | None:
        return self._host.path_to(target)

    def path_of(self, dialog: Dialog) -> Path:
        return self._host.path_of(dialog)

    def respond(
        self,
        now: Instant,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
        to_tag: str = "",
    ) -> SipResponse:
        return self._host.respond(now, transaction, status, reason, headers, body, to_tag)

    def add_dialog(self, dialog_id: DialogId, owner: DialogOwner) -> None:
        self._host.add_dialog(dialog_id, owner)

    def remove_dialog(self, dialog_id: DialogId) -> None:
        self._host.remove_dialog(dialog_id)
