"""Counts a key once that arrives both by RTP (RFC 4733) and by signalling (SIP INFO)."""

from __future__ import annotations

from enum import Enum
from typing import Final

from ringback.machine import Instant, after_ms

_MAXIMUM_REMEMBERED: Final = 32


class DigitSource(Enum):
    """How a digit arrived."""

    RTP = "rtp"
    INFO = "info"


class DigitMerger:
    """Decides whether a digit counts: the same key by the other way within `window_ms` is the same press.

    Two presses of one key by one way are two digits, however close (RFC 4733 timestamps tell them apart).
    """

    __slots__ = ("_seen", "_window_ms")

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        # A list: most calls carry no digits, and an empty deque takes 760 bytes of every call.
        self._seen: list[tuple[Instant, DigitSource, str]] = []

    def counts(self, now: Instant, source: DigitSource, digit: str) -> bool:
        """Return whether this arrival is a new press."""
        while self._seen and after_ms(self._seen[0][0], self._window_ms) < now:
            self._seen.pop(0)
        for entry in self._seen:
            if entry[1] is not source and entry[2] == digit:
                self._seen.remove(entry)
                return False
        self._seen.append((now, source, digit))
        del self._seen[:-_MAXIMUM_REMEMBERED]
        return True
