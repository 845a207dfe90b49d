"""Repeats of a 200 to an INVITE until its ACK comes, on every transport (RFC 3261 §13.3.1.4)."""

from __future__ import annotations

from ringback.machine import Instant, after_ms
from ringback.sip.flow import Transmit
from ringback.sip.invite.host import InviteHost
from ringback.sip.timers import OwnedTimers, Timer
from ringback.sip.transaction.server import ServerTransaction


class SuccessRepeater:
    """Repeats one 200; the owner hands its timers over and acts itself when `ack_wait` fires."""

    __slots__ = ("_ack_wait", "_again", "_host", "_interval_ms", "_payload", "_timers", "_transaction")

    def __init__(self, host: InviteHost, timers: OwnedTimers, again: Timer, ack_wait: Timer) -> None:
        self._host = host
        self._timers = timers
        self._again = again
        self._ack_wait = ack_wait
        self._interval_ms = 0
        self._payload = b""
        self._transaction: ServerTransaction | None = None

    def start(self, now: Instant, transaction: ServerTransaction, payload: bytes) -> None:
        """Begin to repeat a 200 that has just been sent for the first time."""
        settings = self._host.settings
        self._interval_ms = settings.t1_ms
        self._payload = payload
        self._transaction = transaction
        self._timers.arm(self._again, after_ms(now, self._interval_ms))
        self._timers.arm(self._ack_wait, after_ms(now, 64 * settings.t1_ms))

    def repeat(self, now: Instant) -> None:
        """Send the 200 again and double the interval up to T2."""
        transaction = self._transaction
        if transaction is None:
            return
        self._host.transmit(Transmit(self._payload, transaction.flow, None, transaction.fallback))
        self._interval_ms = min(self._interval_ms * 2, self._host.settings.t2_ms)
        self._timers.arm(self._again, after_ms(now, self._interval_ms))

    def stop(self) -> None:
        """Stop: the ACK has come, or nobody waits for it."""
        self._timers.stop(self._again)
        self._timers.stop(self._ack_wait)
        self._transaction = None
        self._payload = b""
