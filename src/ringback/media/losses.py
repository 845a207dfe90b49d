"""What a leg lost since the last time somebody asked."""

from __future__ import annotations

from typing import NamedTuple

from ringback.media.playout import SAMPLES_PER_MS, Playout
from ringback.media.receive import Receiver


class Lost(NamedTuple):
    """Losses of about a second."""

    cut_ms: int
    """Agent audio that was cut out to undo delay."""
    incomplete_samples: int
    """Rests of agent samples that never became whole."""
    late_packets: int
    """Packets that came when their audio had been made up already."""


class Losses:
    """Remembers how far the counters had come; what is less than a millisecond waits for the next time."""

    __slots__ = ("_cut_ms", "_incomplete", "_late")

    def __init__(self) -> None:
        self._cut_ms = 0
        self._incomplete = 0
        self._late = 0

    def since(self, playout: Playout, receiver: Receiver) -> Lost:
        """Return what was lost since the last call."""
        cut_ms, incomplete, late = playout.trimmed_samples // SAMPLES_PER_MS, playout.incomplete_samples, receiver.late
        lost = Lost(cut_ms - self._cut_ms, incomplete - self._incomplete, late - self._late)
        self._cut_ms, self._incomplete, self._late = cut_ms, incomplete, late
        return lost
