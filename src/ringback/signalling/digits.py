"""Digits by RFC 4733 and by SIP INFO: reading INFO bodies, and counting a key once that arrives both ways."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ringback.machine import Instant, after_ms

DIGITS: Final = frozenset("0123456789*#ABCD")
_EVENT_NUMBERS: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
_MAXIMUM_DURATION_MS: Final = 10_000
_MAXIMUM_REMEMBERED: Final = 32


class DigitSource(Enum):
    """How a digit arrived."""

    RTP = "rtp"
    INFO = "info"


@dataclass(frozen=True, slots=True)
class InfoDigit:
    """A key from an INFO body."""

    digit: str
    duration_ms: int


def read_info(content_type: str, body: bytes) -> InfoDigit | None:
    """Return the key in an `application/dtmf-relay` or `application/dtmf` body, or `None`.

    Leniency: a signal may be the event's number (10 is `*`), quoted, in any case; the duration may be missing.
    """
    text = body[:512].decode("utf-8", "replace")
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/dtmf":
        digit = _digit(text)
        return InfoDigit(digit, 0) if digit else None
    if kind != "application/dtmf-relay":
        return None
    digit, duration_ms = "", 0
    for line in text.replace("\r", "\n").split("\n"):
        name, _, value = line.partition("=")
        match name.strip().lower():
            case "signal":
                digit = digit or _digit(value)
            case "duration":
                stripped = value.strip()
                if 0 < len(stripped) <= 6 and stripped.isascii() and stripped.isdigit():
                    duration_ms = min(int(stripped), _MAXIMUM_DURATION_MS)
            case _:
                pass
    return InfoDigit(digit, duration_ms) if digit else None


def _digit(text: str) -> str:
    stripped = text.strip().strip("\"'").strip().upper()
    found = _EVENT_NUMBERS.get(stripped, stripped)
    return found if found in DIGITS else ""


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
