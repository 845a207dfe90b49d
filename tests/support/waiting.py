"""Waiting in tests: for something to become true, never for time to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 40.0
"""Far above what anything waited for takes on a quiet machine; it is spent only by a test that fails."""
_LOOK_EVERY_S = 0.02
_REST = 4
"""How many times as long as a look it rests: the phones of a test run in the loop that looks at what they heard."""


async def until(look: Callable[[], T], what: str = "it", timeout_s: float = PATIENCE_S) -> T:
    """Return the first truthy value of `look`.

    Raises:
        AssertionError: there was none in time; names `what` and the last value.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while True:
        began = loop.time()
        if found := look():
            return found
        now = loop.time()
        assert now < deadline, f"waited {timeout_s} s for {what}, last saw {found!r}"
        await asyncio.sleep(max(_LOOK_EVERY_S, _REST * (now - began)))


async def until_is(ask: Callable[[], Awaitable[T]], is_wanted: Callable[[T], object], what: str = "it") -> T:
    """Return the first answer of `ask` that is as wanted: what the API tells is written beside the call.

    Raises:
        AssertionError: there was none in time; names `what` and the last answer.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_S
    while not is_wanted(found := await ask()):
        assert loop.time() < deadline, f"waited {PATIENCE_S} s for {what}, last saw {found!r}"
        await asyncio.sleep(_LOOK_EVERY_S)
    return found
