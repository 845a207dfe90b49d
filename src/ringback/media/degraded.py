"""When a play queue counts as degraded: at 30, 60 and 90 % of 40 s, or of its bound if that is less (spec 1.4.1)."""

from __future__ import annotations

SAMPLES_PER_MS = 8
_BASE_SAMPLES = 40_000 * SAMPLES_PER_MS
_PERCENTS = (30, 60, 90)
_NEVER = 1 << 60


class DegradedLevels:
    """The next level of the queue that is news.

    State: `reached` when the level is at least `next_level`, `eased` now and then, `reset` when the queue was emptied.
    """

    __slots__ = ("_base", "_step", "next_level")

    next_level: int
    """Samples queued from which on `reached` has something to say."""

    def __init__(self) -> None:
        self._base = _BASE_SAMPLES
        self._step = 0
        self.reset()

    def bound(self, max_samples: int) -> None:
        """Begin with a queue of this bound."""
        self._base = min(_BASE_SAMPLES, max_samples)
        self.reset()

    def reset(self) -> None:
        """Begin again with the lowest level."""
        self._arm(0)

    def reached(self, level: int) -> int:
        """Return the highest percentage that was passed since the last time, 0 for none."""
        step = sum(level * 100 >= percent * self._base for percent in _PERCENTS)
        is_news = step > self._step
        self._arm(step)
        return _PERCENTS[step - 1] if is_news else 0

    def eased(self, level: int) -> None:
        """Take note of the level: once half emptied, passing a threshold again is news."""
        if self._step and level * 200 < _PERCENTS[self._step - 1] * self._base:
            self._arm(self._step - 1)

    def _arm(self, step: int) -> None:
        self._step = step
        self.next_level = _PERCENTS[step] * self._base // 100 if step < len(_PERCENTS) else _NEVER
