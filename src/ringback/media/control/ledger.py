"""The worker's store of state events that the server has not acknowledged.

It is also the outgoing queue: the link takes frames in `seq` order with `take_unsent` as fast as the socket allows, so
no event waits in a second buffer, and a fresh server is served by `rewind`.
"""

from __future__ import annotations

from collections import deque

import msgspec

from ringback.media.control.events import AnyEvent, EventsLost
from ringback.media.control.wire import encode

MAX_ITEMS = 10_000
MAX_BYTES = 8 * 1024 * 1024


class Ledger:
    """State events from `first_seq` to `last_seq`, gapless, bounded by count and bytes.

    State: at a bound `is_full` is true and the worker refuses new sessions; appending goes on and forgets the oldest
    events, which `take_unsent` reports as `EventsLost` in their place.
    """

    __slots__ = ("_bytes", "_first_seq", "_frames", "_lost_from", "_max_bytes", "_max_items", "_next_unsent")

    def __init__(self, max_items: int = MAX_ITEMS, max_bytes: int = MAX_BYTES) -> None:
        self._max_items = max_items
        self._max_bytes = max_bytes
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._first_seq = 1
        self._next_unsent = 1
        self._lost_from = 0

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def size_bytes(self) -> int:
        """Bytes of all held frames."""
        return self._bytes

    @property
    def first_seq(self) -> int:
        """The number of the oldest event that is or will be held."""
        return self._first_seq

    @property
    def last_seq(self) -> int:
        """The number of the newest event, 0 before the first."""
        return self._first_seq + len(self._frames) - 1

    @property
    def is_full(self) -> bool:
        """Whether the next event makes the ledger forget one."""
        return len(self._frames) >= self._max_items or self._bytes >= self._max_bytes

    @property
    def has_unsent(self) -> bool:
        """Whether `take_unsent` has something to give."""
        return self._lost_from > 0 or self._next_unsent <= self.last_seq

    def append(self, event: AnyEvent, wall_ms: int = 0) -> int:
        """Number, label and keep a state event; returns its `seq`."""
        seq = self.last_seq + 1
        frame = encode(msgspec.structs.replace(event, seq=seq, wall_ms=wall_ms))
        while self._frames and (len(self._frames) >= self._max_items or self._bytes + len(frame) > self._max_bytes):
            self._forget_oldest()
        self._frames.append(frame)
        self._bytes += len(frame)
        return seq

    def acknowledge(self, up_to_seq: int) -> None:
        """Forget events up to and including `up_to_seq`; numbers outside what was sent change nothing more."""
        while self._frames and self._first_seq <= up_to_seq and self._first_seq < self._next_unsent:
            self._bytes -= len(self._frames.popleft())
            self._first_seq += 1

    def take_unsent(self, limit: int = 64) -> list[bytes]:
        """Return up to `limit` further frames in order and count them as sent."""
        frames: list[bytes] = []
        if self._lost_from:
            frames.append(encode(EventsLost(first_seq=self._lost_from, last_seq=self._first_seq - 1)))
            self._lost_from = 0
        start = self._next_unsent - self._first_seq
        count = min(limit, len(self._frames) - start)
        # Indexing a deque costs its distance from the nearer end; unsent events stand at the right end.
        for index in range(start, start + count):
            frames.append(self._frames[index])
        self._next_unsent += count
        return frames

    def rewind(self) -> None:
        """Count nothing as sent: a new server takes over."""
        self._next_unsent = self._first_seq

    def _forget_oldest(self) -> None:
        self._bytes -= len(self._frames.popleft())
        # An event that was sent but not acknowledged may be lost to the server's disk as well: it is reported too.
        if not self._lost_from:
            self._lost_from = self._first_seq
        self._first_seq += 1
        self._next_unsent = max(self._next_unsent, self._first_seq)
