"""When and how often a callback is tried: the settings in a URL's fragment, and the decisions that follow.

Spec: wire spec 5.5 and section 8 items 43-45; reference reliability.md F-10, F-11, F-13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final
from urllib.parse import parse_qsl

CONNECT_MS: Final = range(100, 10_001)
READ_MS: Final = range(100, 40_001)
TOTAL_MS: Final = range(100, 55_001)
RETRIES: Final = range(6)
REGIONS: Final = frozenset({"nearest", "local", "n_california", "n_virginia", "frankfurt", "singapore", "mumbai"})
_FRAGMENT_MAX_CHARS = 256


class Failure(Enum):
    """Why an attempt failed, as far as retrying is concerned; the value is the customer-visible class."""

    CONNECT = "connect"
    """Name not found, refused, TLS failed, or not connected in time."""
    READ = "read"
    """Connected, but no whole reply in time, or the connection broke."""
    STATUS_4XX = "4xx"
    STATUS_5XX = "5xx"
    STATUS_OTHER = "status"
    """1xx or 3xx that is no redirect, or a redirect too many."""
    FORBIDDEN = "forbidden"
    """The policy refuses the address: another attempt would be refused too."""
    UNUSABLE = "unusable"
    """Too large or undecodable: another attempt would be the same."""


_POLICY_NAMES = {
    "ct": Failure.CONNECT,
    "rt": Failure.READ,
    "4xx": Failure.STATUS_4XX,
    "5xx": Failure.STATUS_5XX,
}
_ALWAYS_FINAL = frozenset({Failure.FORBIDDEN, Failure.UNUSABLE, Failure.STATUS_OTHER})


@dataclass(frozen=True, slots=True)
class RetryRules:
    """How one callback URL is tried.

    `retries` is `None` when the URL does not say: then `attempts` decides by whether a fallback exists.
    """

    connect_ms: int = 2_000
    read_ms: int = 15_000
    """From the request's last byte to the reply's last byte."""
    total_ms: int = 55_000
    """All attempts together."""
    retries: int | None = None
    policy: frozenset[Failure] = frozenset({Failure.CONNECT, Failure.READ, Failure.STATUS_5XX})
    region: str = "nearest"
    """Accepted for compatibility; a self-hosted platform has one."""
    ignored: tuple[str, ...] = ()
    """Fragment settings that were not understood, for the timeline."""

    def attempts(self, *, has_fallback: bool) -> int:
        """Return how often the URL is tried in all: 3 before a fallback, else 2, unless the URL says."""
        if self.retries is not None:
            return self.retries + 1
        return 3 if has_fallback else 2

    def is_retried(self, failure: Failure) -> bool:
        """Return whether a further attempt after `failure` makes sense and is wanted."""
        return failure not in _ALWAYS_FINAL and failure in self.policy


DEFAULT_RULES: Final = RetryRules()


def rules_of(url: str, defaults: RetryRules = DEFAULT_RULES) -> RetryRules:
    """Return the rules in the fragment of `url`; what is absent or not understood keeps its default.

    Numbers outside their range are moved to its nearest end. A fragment that is no list of settings is ignored.
    """
    fragment = url.partition("#")[2][:_FRAGMENT_MAX_CHARS]
    rules, ignored = defaults, list[str]()
    for name, text in parse_qsl(fragment, keep_blank_values=True) if "=" in fragment else ():
        changed = _with_setting(rules, name, text)
        if changed is None:
            ignored.append(f"{name}={text}"[:64])
        else:
            rules = changed
    return replace(rules, ignored=tuple(ignored[:8])) if ignored else rules


def failure_of_status(status: int) -> Failure | None:
    """Return how an HTTP status fails an answer, or `None` when it is a success (2xx)."""
    if 200 <= status < 300:
        return None
    if 400 <= status < 500:
        return Failure.STATUS_4XX
    return Failure.STATUS_5XX if 500 <= status < 600 else Failure.STATUS_OTHER


@dataclass(frozen=True, slots=True)
class DeliveryRules:
    """How long facts are delivered (outbox): back-off doubles from `first_ms` to `longest_ms`, until `give_up_ms`."""

    first_ms: int = 1_000
    longest_ms: int = 600_000
    give_up_ms: int = 86_400_000


def next_delay_ms(rules: DeliveryRules, failures: int, chance: Callable[[], float]) -> int:
    """Return the pause after the `failures`-th failure in a row: half of it fixed, half of it random."""
    full = min(rules.longest_ms, rules.first_ms * 2 ** min(max(failures, 1) - 1, 30))
    return int(full * (0.5 + 0.5 * chance()))


@dataclass(frozen=True, slots=True)
class AskedRetries:
    """What a callback's URL itself says about retrying; `None` where it says nothing and our own rules hold."""

    retries: int | None = None
    """`rc`: attempts after the first one."""
    policy: frozenset[Failure] | None = None
    """`rp`: after which failures."""


def asked_retries(url: str) -> AskedRetries:
    """Return what the fragment of `url` asks for."""
    rules = rules_of(url, replace(DEFAULT_RULES, policy=frozenset()))
    return AskedRetries(rules.retries, rules.policy or None)


class Delivery(Enum):
    """What becomes of a callback after an attempt."""

    SENT = "sent"
    RETRY = "retry"
    DEAD = "dead"
    """Set aside: it can be replayed by hand."""


_WORTH_RETRYING_4XX = frozenset({408, 425, 429})


def judge_delivery(
    rules: DeliveryRules,
    status: int | None,
    failure: Failure | None,
    age_ms: int,
    attempts: int = 1,
    asked: AskedRetries | None = None,
) -> Delivery:
    """Return what becomes of a callback.

    Args:
        status: Of the reply, or `None` when there was none.
        failure: Why there was none.
        age_ms: Since the fact.
        attempts: How often it was tried in all.
        asked: What its URL says; where it is silent a callback is tried for as long as `rules` say.
    """
    asked = asked or AskedRetries()
    if status is not None:
        found = failure_of_status(status)
        if found is None:
            return Delivery.SENT
        is_final = found is not Failure.STATUS_5XX and status not in _WORTH_RETRYING_4XX
    elif failure is Failure.UNUSABLE:
        # The receiver answered; what it said does not matter.
        return Delivery.SENT
    else:
        found = failure
        is_final = failure is Failure.FORBIDDEN or failure is Failure.STATUS_OTHER
    if asked.policy is not None:
        is_final = found in _ALWAYS_FINAL or found not in asked.policy
    if asked.retries is not None and attempts > asked.retries:
        is_final = True
    return Delivery.DEAD if is_final or age_ms >= rules.give_up_ms else Delivery.RETRY


def _with_setting(rules: RetryRules, name: str, text: str) -> RetryRules | None:
    match name:
        case "ct":
            value = _in_range(text, CONNECT_MS)
            return None if value is None else replace(rules, connect_ms=value)
        case "rt":
            value = _in_range(text, READ_MS)
            return None if value is None else replace(rules, read_ms=value)
        case "tt":
            value = _in_range(text, TOTAL_MS)
            return None if value is None else replace(rules, total_ms=value)
        case "rc":
            value = _in_range(text, RETRIES)
            return None if value is None else replace(rules, retries=value)
        case "rp":
            return _with_policy(rules, text)
        case "er" if text in REGIONS:
            return replace(rules, region=text)
        case _:
            return None


def _with_policy(rules: RetryRules, text: str) -> RetryRules | None:
    names = [name.strip().lower() for name in text.split(",") if name.strip()]
    if "all" in names:
        return replace(rules, policy=frozenset(_POLICY_NAMES.values()))
    if not names or any(name not in _POLICY_NAMES for name in names):
        return None
    return replace(rules, policy=frozenset(_POLICY_NAMES[name] for name in names))


def _in_range(text: str, allowed: range) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        return None
    return min(max(int(text), allowed[0]), allowed[-1])
