"""Who has the floor: the loudest voice, unless it is only a cough.

Levels follow the voices quickly upwards and slowly downwards, so that pauses between words do not lose the floor.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

SPEAKING_LEVEL = 330.0
"""Root mean square of 16-bit samples, −40 dBov, from which on a member speaks."""
CHALLENGE_TICKS = 10
"""Slots (200 ms) that another member must be the loudest before it takes the floor."""
LOUDER = 2.0
"""How much louder than its holder, by whom the floor is taken from someone who still speaks (6 dB)."""
_RISE = 0.35
_FALL = 0.05


def follow(level: float, rms: float) -> float:
    """Return a voice's level after one more frame."""
    return level + (rms - level) * (_RISE if rms > level else _FALL)


class Floor(Generic[K]):
    """Remembers the holder.

    State: `judge` once per 20 ms with everyone's level.
    """

    __slots__ = ("_challenger", "_ticks", "holder")

    def __init__(self) -> None:
        self.holder: K | None = None
        self._challenger: K | None = None
        self._ticks = 0

    def forget(self, member: K) -> None:
        """Free the floor of a member that left."""
        if self.holder == member:
            self.holder = None

    def judge(self, levels: Iterable[tuple[K, float]]) -> K | None:
        """Return who takes the floor now, or `None` when it stays where it is."""
        loudest: K | None = None
        loudest_level = holder_level = 0.0
        for member, level in levels:
            if member == self.holder:
                holder_level = level
            if level > loudest_level:
                loudest, loudest_level = member, level
        if loudest is None or loudest == self.holder or loudest_level < SPEAKING_LEVEL:
            self._challenger = None
            return None
        if self.holder is not None and holder_level >= SPEAKING_LEVEL and loudest_level < LOUDER * holder_level:
            self._challenger = None
            return None
        if loudest != self._challenger:
            self._challenger, self._ticks = loudest, 0
        self._ticks += 1
        if self._ticks < CHALLENGE_TICKS:
            return None
        self.holder, self._challenger = loudest, None
        return loudest
