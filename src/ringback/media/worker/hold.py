"""Holds the event loop between slots; only what is urgent ends a hold early."""

from __future__ import annotations

import select


class LoopHold:
    """Blocks the thread, and with it the loop, for a bounded time.

    Everything else that becomes ready meanwhile (audio, timers, tasks) is found by the loop's next poll, at most one
    slot later. The loop stays the only one that reads: a hold merely ends when an urgent descriptor becomes readable.
    """

    __slots__ = ("_descriptor", "_epoll")

    def __init__(self) -> None:
        # A descriptor of the process's first moments is below the limit of select(), which, unlike epoll, takes
        # microseconds.
        self._epoll = select.epoll()
        self._descriptor = self._epoll.fileno()

    def watch(self, descriptor: int) -> None:
        """End holds when this descriptor becomes readable; closing it ends the watch."""
        # Edge-triggered: one arrival ends one hold, whether or not it is read then.
        self._epoll.register(descriptor, select.EPOLLIN | select.EPOLLET)

    def hold(self, longest_ns: int) -> None:
        """Return after that time, or as soon as something urgent arrived; at once when it is not positive."""
        if longest_ns > 0 and select.select((self._descriptor,), (), (), longest_ns / 1e9)[0]:
            self._epoll.poll(0)

    def close(self) -> None:
        """Free the descriptor; idempotent."""
        self._epoll.close()
