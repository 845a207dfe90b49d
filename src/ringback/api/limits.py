"""How often an account may ask, and how often a source may fail to log in."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable

from ringback.machine import MS, SECOND, Instant


class RequestLimit:
    """Counts requests per key in windows of fixed length.

    State: one entry per account that authenticated, so it is as bounded as the accounts are.
    """

    def __init__(self, count: int, window_ms: int, now: Callable[[], Instant]) -> None:
        self._count = count
        self._window_ns = window_ms * MS
        self._now = now
        self._used: dict[Hashable, tuple[Instant, int]] = {}

    def retry_after_s(self, key: Hashable) -> int:
        """Count one request; return 0 when it is within the bound, else whole seconds until the next window."""
        if not self._count:
            return 0
        now = self._now()
        start, used = self._used.get(key, (now, 0))
        if now - start >= self._window_ns:
            start, used = now, 0
        if used >= self._count:
            return max(1, -(-(start + self._window_ns - now) // SECOND))
        self._used[key] = (start, used + 1)
        return 0


class FailureLimit:
    """Counts failed logins per source in windows of a minute; remembers a bounded number of sources.

    Right credentials are never refused: a token has 240 bits, so slowing guesses matters less than not letting
    strangers behind the same address lock a customer out.
    """

    SOURCES_MAX = 10_000
    WINDOW_NS = 60 * SECOND

    def __init__(self, count: int, now: Callable[[], Instant]) -> None:
        self._count = count
        self._now = now
        self._failed: OrderedDict[str, tuple[Instant, int]] = OrderedDict()

    def retry_after_s(self, source: str) -> int:
        """Count one failure; return 0 while the source is within the bound, else seconds until it is forgiven."""
        if not self._count:
            return 0
        now = self._now()
        start, failed = self._failed.get(source, (now, 0))
        if now - start >= self.WINDOW_NS:
            start, failed = now, 0
        self._failed[source] = (start, failed + 1)
        self._failed.move_to_end(source)
        if len(self._failed) > self.SOURCES_MAX:
            self._failed.popitem(last=False)
        return max(1, -(-(start + self.WINDOW_NS - now) // SECOND)) if failed >= self._count else 0
