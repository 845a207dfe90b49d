"""Money: a rate per started minute, exact decimals, printed with five places as clients parse them."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from ringback.billing.cdr import BILLING_STEP_S, billed_duration_s

FREE = Decimal("0")


@dataclass(frozen=True, slots=True)
class RateTable:
    """Prices per started minute, in USD; everything is free unless the operator says otherwise."""

    call_per_minute: Decimal = FREE
    stream_per_minute: Decimal = FREE


def amount(seconds: int, per_minute: Decimal) -> Decimal:
    """Return the price of `seconds`, billed per started minute."""
    return per_minute * (billed_duration_s(seconds) // BILLING_STEP_S)


def money(value: Decimal) -> str:
    """Return `value` with five decimal places, such as `0.00300` (spec 3.2, 4.6)."""
    return f"{value:.5f}"
