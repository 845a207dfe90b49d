"""How many requests may be in flight: per host, per account and in total, each with a bounded wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from ringback.egress.errors import ConnectFailed, FailureClass


class Slots:
    """Counts requests in flight under several names at once and lets the next one wait its turn, in order.

    State: a name without holders and waiters takes no memory.
    """

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._gates: dict[str, _Gate] = {}

    @property
    def names_in_use(self) -> int:
        """Return how many names have a holder or a waiter."""
        return len(self._gates)

    @asynccontextmanager
    async def hold(self, *bounds: tuple[str, int]) -> AsyncIterator[None]:
        """Hold one slot under each `(name, limit)`, taken in the given order.

        Raises:
            ConnectFailed: no slot became free in time; counts as a connect time-out.
        """
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._wait_ms / 1000):
                    for name, limit in bounds:
                        await stack.enter_async_context(self._one(name, limit))
            except TimeoutError:
                message = f"no free slot within {self._wait_ms} ms: too many requests in flight"
                raise ConnectFailed(message, FailureClass.TIMEOUT) from None
            yield

    @asynccontextmanager
    async def _one(self, name: str, limit: int) -> AsyncIterator[None]:
        gate = self._gates.get(name)
        if gate is None:
            gate = self._gates[name] = _Gate(limit)
        gate.users += 1
        try:
            async with gate.semaphore:
                yield
        finally:
            gate.users -= 1
            if gate.users == 0:
                del self._gates[name]


class _Gate:
    """One name: its semaphore and how many hold it or wait for it."""

    __slots__ = ("semaphore", "users")

    def __init__(self, limit: int) -> None:
        self.semaphore = asyncio.Semaphore(limit)
        self.users = 0
