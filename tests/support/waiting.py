"""Waiting in tests: for something to become true, never for time to pass."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PATIENCE_S = 20.0
"""Far above what anything waited for takes on a quiet machine; it is spent only by a test that fails."""
_LOOK_EVERY_S = 0.02


async def until(look: Callable[[], T], what: str = "it", timeout_s: float = PATIENCE_S) -> T:
    """Return the first truthy value of `look`.

    Raises:
        AssertionError: there was none in time; names `what` and the last value.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + timeout_s
    while not (found := look()):
        assert loop.time() < deadline, f"waited {timeout_s} s for {what}, last saw {found!r}"
        await asyncio.sleep(_LOOK_EVERY_S)
    return found
