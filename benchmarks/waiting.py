"""Waiting for what nobody announces."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

_STEP_S = 0.05


async def until(is_so: Callable[[], bool], limit_s: float) -> bool:
    """Return whether it came true within the limit; looks twenty times a second."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + limit_s
    while not is_so():
        if loop.time() >= deadline:
            return False
        await asyncio.sleep(_STEP_S)
    return True
