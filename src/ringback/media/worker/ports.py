"""Which RTP port comes next: even, random, rested. Pure but for the chance it is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ringback.machine import MS, Instant


class PortRange:
    """The even ports from `low` to `high`, each free, taken or resting.

    State: a released port rests for `rest_ms`, so that late packets of the call before do not reach the next one;
    when nothing else is free the port that rested longest is given again after `rest_min_ms`.
    """

    __slots__ = ("_free", "_rest_min_ns", "_rest_ns", "_resting", "_taken")

    def __init__(self, low: int, high: int, rest_ms: int, rest_min_ms: int) -> None:
        self._free = list(range(low + low % 2, high + 1, 2))
        self._resting: deque[tuple[int, Instant]] = deque()
        self._taken: set[int] = set()
        self._rest_ns = rest_ms * MS
        self._rest_min_ns = min(rest_min_ms, rest_ms) * MS

    @property
    def taken(self) -> int:
        """How many ports are in use."""
        return len(self._taken)

    def take(self, now: Instant, chance: Callable[[], float]) -> int | None:
        """Return a port and count it as taken, or `None` when none is free or rested enough."""
        while self._resting and now - self._resting[0][1] >= self._rest_ns:
            self._free.append(self._resting.popleft()[0])
        if self._free:
            index = int(chance() * len(self._free))
            port = self._free[index]
            self._free[index] = self._free[-1]
            self._free.pop()
        elif self._resting and now - self._resting[0][1] >= self._rest_min_ns:
            port = self._resting.popleft()[0]
        else:
            return None
        self._taken.add(port)
        return port

    def release(self, now: Instant, port: int) -> None:
        """Let a taken port rest; also one that another process turned out to hold."""
        if port in self._taken:
            self._taken.discard(port)
            self._resting.append((port, now))
