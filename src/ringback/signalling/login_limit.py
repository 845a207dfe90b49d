"""How often a source may be wrong about a password before it is not answered any more. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.machine import Instant, after_ms
from ringback.sip.policy import source_of


@dataclass(frozen=True, slots=True)
class LoginRules:
    """Bounds of wrong passwords; one more than a bound is not even looked at."""

    per_user: int = 5
    """Of one source about one user."""
    per_source: int = 50
    """Of one source about any users; sources that are known (trunks, loopback) have no such bound."""
    window_ms: int = 300_000
    silence_ms: int = 600_000
    entries_max: int = 10_000
    """Sources and pairs remembered; the one that failed longest ago is forgotten first, which only ever forgives."""


@dataclass(slots=True)
class _Failures:
    count: int
    since: Instant
    is_silent: bool = False


class LoginLimit:
    """Wrong passwords by source and user; a source is an IPv4 address or the /64 of an IPv6 one."""

    __slots__ = ("_failures", "_rules")

    def __init__(self, rules: LoginRules | None = None) -> None:
        self._rules = rules or LoginRules()
        self._failures: dict[tuple[str, str], _Failures] = {}

    def __len__(self) -> int:
        """Return how many sources and pairs are remembered."""
        return len(self._failures)

    def is_silent(self, now: Instant, host: str, user: str) -> bool:
        """Return whether a request of `host` about `user` must not be answered now."""
        source = source_of(host)
        return self._is_silent(now, (source, user)) or self._is_silent(now, (source, ""))

    def failed(self, now: Instant, host: str, user: str, *, is_known: bool) -> bool:
        """Note a wrong password; return whether the source is silenced from now on."""
        source, rules = source_of(host), self._rules
        is_over = self._note(now, (source, user), rules.per_user)
        return (not is_known and self._note(now, (source, ""), rules.per_source)) or is_over

    def succeeded(self, host: str, user: str) -> None:
        """Forget what a source was wrong about before it was right."""
        self._failures.pop((source_of(host), user), None)

    def _is_silent(self, now: Instant, key: tuple[str, str]) -> bool:
        found = self._failures.get(key)
        return found is not None and found.is_silent and now < after_ms(found.since, self._rules.silence_ms)

    def _note(self, now: Instant, key: tuple[str, str], bound: int) -> bool:
        rules = self._rules
        found = self._failures.pop(key, None)
        if found is None or now >= after_ms(found.since, rules.silence_ms if found.is_silent else rules.window_ms):
            found = _Failures(0, now)
        found.count += 1
        if found.count >= bound and not found.is_silent:
            found.is_silent, found.since = True, now
        if len(self._failures) >= rules.entries_max:
            # The dict is in order of the last failure, because each moves its key to the end.
            del self._failures[next(iter(self._failures))]
        self._failures[key] = found
        return found.is_silent
