"""Requests outside calls that the owner of the endpoint answers: REGISTER."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType, Protocol

from ringback.machine import Instant, after_ms
from ringback.sip.flow import Flow
from ringback.sip.invite.values import HeaderLines
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.settings import SipSettings
from ringback.sip.timers import OwnedTimers, Timer, TimerHeap
from ringback.sip.transaction.server import ServerFailure, ServerTransaction

AskedId = NewType("AskedId", str)
"""Names one request that waits for its owner's answer."""


@dataclass(frozen=True, slots=True)
class RegisterReceived:
    """A REGISTER; the owner calls `reply` or `ignore` within 64 × T1, or it is forgotten."""

    asked_id: AskedId
    request: SipRequest
    flow: Flow


class AskedHost(Protocol):
    """What such a request needs from the endpoint that holds it."""

    settings: SipSettings
    timers: TimerHeap

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
        """Send a response with our Server header and return it."""

    def forget_asked(self, asked_id: AskedId) -> None:
        """Give the id up."""


class AskedRequest:
    """One request while its owner thinks; the usage of its transaction."""

    __slots__ = ("_host", "_timers", "_transaction", "asked_id")

    def __init__(self, host: AskedHost, asked_id: AskedId, transaction: ServerTransaction, now: Instant) -> None:
        self.asked_id = asked_id
        self._host = host
        self._transaction = transaction
        self._timers = OwnedTimers(host.timers, self)
        self._timers.arm(Timer.REPLY_WAIT, after_ms(now, 64 * host.settings.t1_ms))
        transaction.user = self

    def reply(self, now: Instant, status: int, reason: str, headers: HeaderLines) -> None:
        """Send the final response.

        Raises:
            UnsafeHeader: a header would break out of its line; nothing was sent.
        """
        self._host.respond(now, self._transaction, status, reason, headers)
        self._finish()

    def ignore(self, now: Instant) -> None:
        """Never answer; a repeat is a new request."""
        self._finish()
        self._transaction.abandon(now)

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Give up waiting for the owner."""
        self._timers.fired(timer)
        self.ignore(now)

    def acknowledged(self, now: Instant, transaction: ServerTransaction, ack: SipRequest) -> None:
        """Ignore it: only an INVITE is acknowledged."""

    def cancelled(self, now: Instant, transaction: ServerTransaction, cancel: SipRequest) -> None:
        """Ignore it: only an INVITE can be cancelled (RFC 3261 §9.1)."""

    def response_failed(self, now: Instant, transaction: ServerTransaction, failure: ServerFailure) -> None:
        """Ignore it: the peer repeats its request or gives up."""

    def server_transaction_ended(self, now: Instant, transaction: ServerTransaction) -> None:
        """Let go of a request whose transaction was ended otherwise."""
        self._finish()

    def _finish(self) -> None:
        self._timers.stop_all()
        self._host.forget_asked(self.asked_id)
