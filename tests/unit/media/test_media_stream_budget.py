"""`media.stream.budget`: bursts in slices, a rate after them, large messages cost more."""

from __future__ import annotations

from ringback.machine import MS, SECOND, Instant
from ringback.media.stream.budget import SLICE, InputBudget


def taken(budget: InputBudget, now: int, wanted: int, cost: int = 1) -> int:
    """Return how many messages of a cost are taken at a moment."""
    count = 0
    while count < wanted and (budget.left > 0 or budget.renew(Instant(now))):
        budget.left -= cost
        count += 1
    return count


def test_a_slice_at_a_time_and_no_more() -> None:
    budget = InputBudget(Instant(0), 1_000, 4_000)
    assert taken(budget, 0, 10_000) == SLICE
    assert taken(budget, 9 * MS, 10_000) == 0
    assert budget.wait_s == 0.01
    assert taken(budget, 10 * MS, 10_000) == SLICE


def test_after_the_burst_the_rate_counts() -> None:
    budget = InputBudget(Instant(0), 1_000, 4_000)
    total = sum(taken(budget, at * MS, 10_000) for at in range(0, 10_000, 10))
    assert 4_000 + 9_900 <= total <= 4_000 + 10_100
    assert budget.wait_s == 0.05
    # It fills up again, to the burst and not further.
    assert sum(taken(budget, 60 * SECOND + at * MS, 10_000) for at in range(0, 200, 10)) <= 4_200


def test_an_agent_at_its_usual_pace_is_never_held() -> None:
    budget = InputBudget(Instant(0), 1_000, 4_000)
    assert all(taken(budget, at * 20 * MS, 1) == 1 for at in range(10_000))


def test_a_large_message_is_paid_for_afterwards() -> None:
    budget = InputBudget(Instant(0), 1_000, 4_000)
    assert taken(budget, 0, 1, cost=3_999) == 1
    assert taken(budget, 10 * MS, 10) == 10
    assert taken(budget, 20 * MS, 10, cost=1_000) == 1
    assert taken(budget, 30 * MS, 10) == 0
    assert taken(budget, 2 * SECOND, 10) == 10
