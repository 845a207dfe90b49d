from decimal import Decimal

import pytest

from ringback.billing.cdr import billed_duration_s, duration_s
from ringback.billing.rating import amount, money


@pytest.mark.parametrize(("seconds", "billed"), [(0, 0), (1, 60), (27, 60), (60, 60), (61, 120), (924, 960)])
def test_billing_rounds_up_to_the_started_minute(seconds: int, billed: int):
    assert billed_duration_s(seconds) == billed


@pytest.mark.parametrize(
    ("start", "end", "seconds"),
    [
        (None, 5, 0),
        (5, None, 0),
        (1000, 1000, 0),
        (1000, 1001, 1),
        (1000, 4010, 3),
        (1000, 28_499, 27),
        (1000, 28_500, 28),
    ],
)
def test_duration_is_rounded_to_seconds_and_at_least_one(start: int | None, end: int | None, seconds: int):
    assert duration_s(start, end) == seconds


def test_amounts_have_five_places():
    assert money(amount(27, Decimal("0.003"))) == "0.00300"
    assert money(amount(924, Decimal("0.0085"))) == "0.13600"
    assert money(amount(0, Decimal("0.0085"))) == "0.00000"
