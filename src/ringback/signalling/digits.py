"""Digits by SIP INFO: reading its bodies. Whether one counts is the media session's to say, which hears RTP too."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

DIGITS: Final = frozenset("0123456789*#ABCD")
_EVENT_NUMBERS: Final = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}
_MAXIMUM_DURATION_MS: Final = 10_000


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
