"""Wrong passwords: so many and not one more, by user and by source, and what is forgotten."""

from __future__ import annotations

from ringback.machine import SECOND, Instant
from ringback.signalling.login_limit import LoginLimit, LoginRules

HOST, OTHER = "192.0.2.1", "192.0.2.2"
RULES = LoginRules(per_user=3, per_source=5, window_ms=10_000, silence_ms=20_000, entries_max=6)


def at(seconds: float) -> Instant:
    return Instant(int(seconds * SECOND))


def test_the_last_wrong_password_of_a_user_silences_that_user_at_that_source() -> None:
    limit = LoginLimit(RULES)
    assert [limit.failed(at(n), HOST, "alice", is_known=False) for n in range(3)] == [False, False, True]
    assert limit.is_silent(at(3), HOST, "alice")
    assert not limit.is_silent(at(3), HOST, "bob")
    assert not limit.is_silent(at(3), OTHER, "alice")
    assert limit.is_silent(at(21.9), HOST, "alice")
    assert not limit.is_silent(at(22), HOST, "alice")
    assert not limit.failed(at(22), HOST, "alice", is_known=False)


def test_many_users_silence_the_source_unless_it_is_known() -> None:
    limit = LoginLimit(RULES)
    told = [limit.failed(at(0), HOST, f"user{n}", is_known=False) for n in range(5)]
    assert told == [False] * 4 + [True]
    assert limit.is_silent(at(1), HOST, "anybody")
    known = LoginLimit(RULES)
    assert not any(known.failed(at(0), HOST, f"user{n}", is_known=True) for n in range(5))
    assert not known.is_silent(at(1), HOST, "anybody")


def test_old_failures_do_not_count_and_success_clears() -> None:
    limit = LoginLimit(RULES)
    for second in (0, 1, 10):
        assert not limit.failed(at(second), HOST, "alice", is_known=True)
    assert not limit.is_silent(at(10), HOST, "alice")
    limit.succeeded(HOST, "alice")
    assert len(limit) == 0
    limit.succeeded(HOST, "alice")


def test_one_network_of_ipv6_is_one_source() -> None:
    limit = LoginLimit(RULES)
    for n in range(3):
        limit.failed(at(0), f"2001:db8::{n + 1}", "alice", is_known=True)
    assert limit.is_silent(at(0), "2001:db8::99", "alice")
    assert not limit.is_silent(at(0), "2001:db8:0:1::1", "alice")


def test_memory_is_bounded_and_only_ever_forgives() -> None:
    limit = LoginLimit(RULES)
    for _ in range(3):
        limit.failed(at(0), HOST, "first", is_known=True)
    for n in range(RULES.entries_max - 1):
        limit.failed(at(0), HOST, f"user{n}", is_known=True)
    assert len(limit) == RULES.entries_max
    assert limit.is_silent(at(0), HOST, "first")
    limit.failed(at(0), HOST, "one more", is_known=True)
    assert len(limit) == RULES.entries_max
    assert not limit.is_silent(at(0), HOST, "first")
