"""What the timeline says about the end of a call."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.support.customer import Customer

_LOOK_EVERY_S = 0.05
_LOOKS = 100


async def ending_of(customer: Customer, call_uuid: str) -> dict[str, Any]:
    """Return the fields of the fact that ends a call; facts are written within 100 ms."""
    for _ in range(_LOOKS):
        if found := await customer.events(call_uuid, "call", state="ended"):
            return dict(found[0]["fields"])
        await asyncio.sleep(_LOOK_EVERY_S)
    raise AssertionError("the timeline does not tell the end")
