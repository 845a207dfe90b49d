"""Fragments of callback URLs against a small model, and what becomes of a callback."""

from __future__ import annotations

import itertools

import pytest

from ringback.webhooks.retry import (
    DEFAULT_RULES,
    Delivery,
    DeliveryRules,
    Failure,
    RetryRules,
    asked_retries,
    failure_of_status,
    judge_delivery,
    next_delay_ms,
    rules_of,
)

BASE = "https://h/p?x=1"


def model_number(text: str, low: int, high: int, default: int) -> int:
    return min(max(int(text), low), high) if text.isdigit() else default


NUMBERS = ["", "99", "100", "2000", "10000", "10001", "40000", "40001", "55001", "-1", "x"]


@pytest.mark.parametrize(("ct", "rt", "tt"), list(itertools.product(NUMBERS[::2], NUMBERS[1::2], NUMBERS[::3])))
def test_time_settings_follow_the_model(ct: str, rt: str, tt: str) -> None:
    rules = rules_of(f"{BASE}#ct={ct}&rt={rt}&tt={tt}")
    assert rules.connect_ms == model_number(ct, 100, 10_000, 2_000)
    assert rules.read_ms == model_number(rt, 100, 40_000, 15_000)
    assert rules.total_ms == model_number(tt, 100, 55_000, 55_000)


@pytest.mark.parametrize("text", ["0", "1", "5", "6", "x", ""])
def test_retry_count_follows_the_model(text: str) -> None:
    rules = rules_of(f"{BASE}#rc={text}")
    if text.isdigit():
        expected = min(int(text), 5) + 1
        assert rules.attempts(has_fallback=True) == rules.attempts(has_fallback=False) == expected
    else:
        assert rules.attempts(has_fallback=True) == 3
        assert rules.attempts(has_fallback=False) == 2
        assert rules.ignored


NAMES = {"ct": Failure.CONNECT, "rt": Failure.READ, "4xx": Failure.STATUS_4XX, "5xx": Failure.STATUS_5XX}


@pytest.mark.parametrize("names", [c for n in range(1, 5) for c in itertools.combinations(NAMES, n)])
def test_policy_follows_the_model(names: tuple[str, ...]) -> None:
    rules = rules_of(f"{BASE}#rp={','.join(names)}")
    for name, failure in NAMES.items():
        assert rules.is_retried(failure) is (name in names)


def test_policy_all_retries_all_but_what_is_always_the_same() -> None:
    rules = rules_of(f"{BASE}#rp=all")
    assert {failure for failure in Failure if rules.is_retried(failure)} == set(NAMES.values())


def test_default_policy_retries_connect_read_and_5xx() -> None:
    retried = {failure for failure in Failure if DEFAULT_RULES.is_retried(failure)}
    assert retried == {Failure.CONNECT, Failure.READ, Failure.STATUS_5XX}


def test_what_is_not_understood_is_reported_and_changes_nothing() -> None:
    rules = rules_of(f"{BASE}#ct=soon&rp=teapot&er=moon&zz=1&rc=2")
    assert rules.connect_ms == 2_000
    assert rules.policy == DEFAULT_RULES.policy
    assert rules.retries == 2
    assert rules.ignored == ("ct=soon", "rp=teapot", "er=moon", "zz=1")


@pytest.mark.parametrize("url", [BASE, f"{BASE}#", f"{BASE}#top", "#" * 10_000])
def test_other_fragments_leave_the_defaults(url: str) -> None:
    assert rules_of(url) == DEFAULT_RULES


def test_region_is_accepted() -> None:
    assert rules_of(f"{BASE}#er=frankfurt").region == "frankfurt"
    assert rules_of(f"{BASE}#er=frankfurt").ignored == ()


def test_defaults_of_the_installation_hold_where_the_url_is_silent() -> None:
    rules = rules_of(f"{BASE}#rt=300", RetryRules(connect_ms=500, retries=4))
    assert (rules.connect_ms, rules.read_ms, rules.retries) == (500, 300, 4)


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (199, Failure.STATUS_OTHER),
        (200, None),
        (204, None),
        (299, None),
        (304, Failure.STATUS_OTHER),
        (400, Failure.STATUS_4XX),
        (499, Failure.STATUS_4XX),
        (500, Failure.STATUS_5XX),
        (599, Failure.STATUS_5XX),
    ],
)
def test_any_status_but_2xx_is_a_failure(status: int, failure: Failure | None) -> None:
    assert failure_of_status(status) is failure


def test_delays_double_up_to_the_longest_and_half_is_chance() -> None:
    rules = DeliveryRules()
    assert [next_delay_ms(rules, n, lambda: 1.0) for n in (1, 2, 3, 4)] == [1_000, 2_000, 4_000, 8_000]
    assert next_delay_ms(rules, 1, lambda: 0.0) == 500
    assert next_delay_ms(rules, 11, lambda: 1.0) == 600_000
    assert next_delay_ms(rules, 10_000, lambda: 1.0) == 600_000


RULES = DeliveryRules()


@pytest.mark.parametrize(
    ("status", "failure", "age_ms", "expected"),
    [
        (200, None, 0, Delivery.SENT),
        (204, None, RULES.give_up_ms * 2, Delivery.SENT),
        (None, Failure.UNUSABLE, 0, Delivery.SENT),
        (500, None, 0, Delivery.RETRY),
        (503, None, RULES.give_up_ms - 1, Delivery.RETRY),
        (503, None, RULES.give_up_ms, Delivery.DEAD),
        (404, None, 0, Delivery.DEAD),
        (429, None, 0, Delivery.RETRY),
        (408, None, 0, Delivery.RETRY),
        (301, None, 0, Delivery.DEAD),
        (None, Failure.CONNECT, 0, Delivery.RETRY),
        (None, Failure.READ, 0, Delivery.RETRY),
        (None, Failure.READ, RULES.give_up_ms, Delivery.DEAD),
        (None, Failure.FORBIDDEN, 0, Delivery.DEAD),
        (None, Failure.STATUS_OTHER, 0, Delivery.DEAD),
    ],
)
def test_delivery_is_judged(status: int | None, failure: Failure | None, age_ms: int, expected: Delivery) -> None:
    assert judge_delivery(RULES, status, failure, age_ms) is expected


@pytest.mark.parametrize(
    ("fragment", "status", "failure", "attempts", "expected"),
    [
        ("rc=0", 503, None, 1, Delivery.DEAD),
        ("rc=2", 503, None, 2, Delivery.RETRY),
        ("rc=2", 503, None, 3, Delivery.DEAD),
        ("rc=5", 404, None, 1, Delivery.DEAD),
        ("rc=0", 200, None, 1, Delivery.SENT),
        ("rp=ct", 503, None, 1, Delivery.DEAD),
        ("rp=ct", None, Failure.CONNECT, 99, Delivery.RETRY),
        ("rp=ct", None, Failure.READ, 1, Delivery.DEAD),
        ("rp=4xx", 404, None, 99, Delivery.RETRY),
        ("rp=all", 404, None, 99, Delivery.RETRY),
        ("rp=all", None, Failure.FORBIDDEN, 1, Delivery.DEAD),
        ("rp=all&rc=1", 404, None, 2, Delivery.DEAD),
        ("ct=100&rt=100&tt=100", 503, None, 99, Delivery.RETRY),
        ("rp=nonsense&rc=x", 503, None, 99, Delivery.RETRY),
    ],
)
def test_delivery_follows_what_the_url_says_about_retries(
    fragment: str, status: int | None, failure: Failure | None, attempts: int, expected: Delivery
) -> None:
    asked = asked_retries(f"{BASE}#{fragment}")
    assert judge_delivery(RULES, status, failure, 0, attempts, asked) is expected
