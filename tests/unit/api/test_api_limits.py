"""Bounds on requests and on failed logins, at N and N+1, on a clock of our own."""

from __future__ import annotations

from ringback.api.limits import FailureLimit, RequestLimit
from ringback.machine import SECOND, Instant


class Clock:
    def __init__(self) -> None:
        self.at = Instant(7 * SECOND)

    def __call__(self) -> Instant:
        return self.at

    def pass_s(self, seconds: float) -> None:
        self.at = Instant(self.at + int(seconds * SECOND))


def test_requests_are_refused_from_the_next_one_until_the_window_ends() -> None:
    clock = Clock()
    limit = RequestLimit(300, 5_000, clock)
    assert [limit.retry_after_s("a") for _ in range(300)] == [0] * 300
    assert limit.retry_after_s("a") == 5
    assert limit.retry_after_s("b") == 0
    clock.pass_s(4.5)
    assert limit.retry_after_s("a") == 1
    clock.pass_s(0.5)
    assert limit.retry_after_s("a") == 0


def test_never_more_than_the_bound_in_a_window() -> None:
    clock = Clock()
    limit = RequestLimit(2, 5_000, clock)
    allowed = 0
    for _ in range(50):
        allowed += limit.retry_after_s("a") == 0
        clock.pass_s(0.1)
    assert allowed == 2


def test_zero_is_no_bound() -> None:
    limit = RequestLimit(0, 5_000, Clock())
    assert all(limit.retry_after_s("a") == 0 for _ in range(1_000))
    failures = FailureLimit(0, Clock())
    assert all(failures.retry_after_s("a") == 0 for _ in range(1_000))


def test_failures_are_refused_from_the_next_one_for_a_minute() -> None:
    clock = Clock()
    limit = FailureLimit(10, clock)
    assert [limit.retry_after_s("10.0.0.1") for _ in range(10)] == [0] * 10
    assert limit.retry_after_s("10.0.0.1") == 60
    assert limit.retry_after_s("10.0.0.2") == 0
    clock.pass_s(60)
    assert limit.retry_after_s("10.0.0.1") == 0


def test_remembered_sources_are_bounded() -> None:
    limit = FailureLimit(1, Clock())
    for index in range(FailureLimit.SOURCES_MAX + 1):
        limit.retry_after_s(str(index))
    assert len(limit._failed) == FailureLimit.SOURCES_MAX
    assert limit.retry_after_s("1") > 0
    assert limit.retry_after_s("0") == 0
