"""What the timeline says about the end of a call."""

from __future__ import annotations

from typing import Any

from tests.support.customer import Customer


async def ending_of(customer: Customer, call_uuid: str) -> dict[str, Any]:
    """Return the fields of the fact that ends a call, as soon as it is there."""
    return dict((await customer.until_event(call_uuid, "call", state="ended"))["fields"])
