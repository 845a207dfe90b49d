"""How often calls may start: at most so many in any second."""

from __future__ import annotations

from collections import deque

from ringback.machine import SECOND, Instant


class Pace:
    """Lets at most `per_second` starts happen in any span of one second; 0 is no bound.

    A full second's worth may start at once: a carrier's bound counts seconds too.
    """

    def __init__(self, per_second: int) -> None:
        self._per_second = per_second
        self._starts: deque[Instant] = deque(maxlen=per_second or 1)

    def ready_at(self, now: Instant) -> Instant:
        """Return when the next start may happen: `now`, or later."""
        if not self._per_second or len(self._starts) < self._per_second:
            return now
        return Instant(max(now, self._starts[0] + SECOND))

    def take(self, now: Instant) -> None:
        """Count a start, now or at a later moment; the caller has seen from `ready_at` that it may happen then."""
        self._starts.append(now)
