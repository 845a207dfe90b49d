"""Frames that name their call and their number in every five of their bytes, so that an echo is exact."""

from __future__ import annotations

from functools import cache

FRAME_BYTES = 160
FRAME_NS = 20_000_000
CALLS_MAX = 10_000
_NAME_BYTES = 5
_MARK = 0x80
"""Set in the first byte of a name and in no other; no byte is µ-law silence (0xFF, 0x7F)."""


def call_name(call: int) -> bytes:
    """Return the two bytes that name a call, 0 to 9,999."""
    return bytes((_MARK | call // 100 + 1, call % 100 + 1))


@cache
def number_name(number: int) -> bytes:
    """Return the three bytes that name the number of a frame; its low two decimal digits come last."""
    return bytes((number // 10_000 + 1, number // 100 % 100 + 1, number % 100 + 1))


def frame_of(name: bytes, number: int) -> bytes:
    """Return the frame `number` of the call that `call_name` gave `name`."""
    return (name + number_name(number)) * (FRAME_BYTES // _NAME_BYTES)


def read_frame(frame: bytes) -> tuple[int, int] | None:
    """Return call and number of a whole, unaltered frame, `None` for any other audio."""
    if len(frame) != FRAME_BYTES or not frame[0] & _MARK or frame != frame[:_NAME_BYTES] * (FRAME_BYTES // _NAME_BYTES):
        return None
    high, low, ten_thousands, hundreds, ones = frame[:_NAME_BYTES]
    if 0xFF in (high, low) or 0 in (low, ten_thousands, hundreds, ones):
        return None
    return (high - _MARK - 1) * 100 + low - 1, (ten_thousands - 1) * 10_000 + (hundreds - 1) * 100 + ones - 1
