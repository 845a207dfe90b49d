"""Where to send a request: the targets of a URI in failover order (RFC 3263), without asking DNS itself.

`locate` is a generator: it yields the DNS questions it needs next, all at once, takes their answers in the same order,
and returns the targets.

Example:
    >>> uri = SipUri("192.0.2.1", params={"transport": "tcp"})
    >>> steps = locate(uri, (Transport.UDP, Transport.TCP), lambda: 0.5)
    >>> try:
    ...     questions = next(steps)
    ... except StopIteration as done:
    ...     [(target.transport.name, target.host, target.port) for target in done.value]
    [('TCP', '192.0.2.1', 5060)]
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from enum import Enum
from ipaddress import AddressValueError, IPv4Address, IPv6Address
from itertools import accumulate
from typing import Final

from ringback.errors import ProtocolError
from ringback.machine import Instant, after_ms
from ringback.sip.flow import Target, Transport
from ringback.sip.uri import SipUri, Uri

DEFAULT_PORT: Final = 5060
MAX_TARGETS: Final = 16
"""Targets of one URI; further ones are left out, for each costs the caller a time-out."""
MAX_RECORDS: Final = 64
"""Records of one answer that are looked at."""

_SERVICES: Final = {"sip+d2u": Transport.UDP, "sip+d2t": Transport.TCP}
_SRV_PREFIX: Final = {Transport.UDP: "_sip._udp.", Transport.TCP: "_sip._tcp."}


class TargetNotFound(ProtocolError):
    """A URI leads to no address that we can send to."""

    default_code = "target-not-found"


class DnsKind(Enum):
    """The record types that RFC 3263 needs."""

    NAPTR = "NAPTR"
    SRV = "SRV"
    A = "A"
    AAAA = "AAAA"


@dataclass(frozen=True, slots=True)
class DnsQuestion:
    """One question; `name` is lower-case without a final dot."""

    kind: DnsKind
    name: str


@dataclass(frozen=True, slots=True)
class NaptrRecord:
    """One NAPTR record (RFC 3403 §4.1)."""

    order: int
    preference: int
    flags: str
    service: str
    replacement: str


@dataclass(frozen=True, slots=True)
class SrvRecord:
    """One SRV record (RFC 2782)."""

    priority: int
    weight: int
    port: int
    target: str


@dataclass(frozen=True, slots=True)
class DnsAnswer:
    """What DNS said: records of the kind asked for, or nothing.

    `has_failed` tells a failure of DNS (time-out, SERVFAIL) from the answer that no such record exists.
    """

    naptr: tuple[NaptrRecord, ...] = ()
    srv: tuple[SrvRecord, ...] = ()
    addresses: tuple[str, ...] = ()
    ttl_ms: int = 0
    has_failed: bool = False


Steps = Generator[tuple[DnsQuestion, ...], tuple[DnsAnswer, ...], tuple[Target, ...]]
"""Questions out, answers in, targets at the end."""


def is_failover_status(status: int) -> bool:
    """Return whether a final response means that the next target should be tried: 503 alone (RFC 3263 §4.3)."""
    return status == 503


def locate(
    uri: Uri,
    transports: Sequence[Transport],
    chance: Callable[[], float],
    kinds: Sequence[DnsKind] = (DnsKind.A, DnsKind.AAAA),
) -> Steps:
    """Return the targets of `uri`, best first, after asking for the DNS records that decide it.

    Args:
        transports: What we can send by, most wanted first.
        chance: Draws in [0, 1) that spread load by SRV weight.
        kinds: Address families to use, in order of preference.
    Raises:
        TargetNotFound: another scheme than sip, a transport we do not speak, or no address. Its field
            `has_dns_failed` is true when DNS failed, so that an earlier answer may still serve.
    """
    if not isinstance(uri, SipUri):
        raise TargetNotFound(f"found a {uri.scheme} URI, allowed is sip", hint="route numbers through a trunk")
    if uri.is_secure:
        raise TargetNotFound("found a sips URI, allowed is sip: TLS is not spoken here")
    wanted = _wanted_transport(uri, transports)
    host = (uri.params.get("maddr") or uri.host).strip("[]").lower().rstrip(".")
    numeric = _numeric(host)
    if numeric is not None:
        return (Target(wanted or _first(transports), numeric, uri.port or DEFAULT_PORT),)
    if uri.port is not None:
        hosts = [(wanted or _first(transports), host, uri.port)]
    elif wanted is not None:
        (answer,) = yield (DnsQuestion(DnsKind.SRV, _SRV_PREFIX[wanted] + host),)
        hosts = _srv_hosts(wanted, answer, chance) or [(wanted, host, DEFAULT_PORT)]
    else:
        hosts = yield from _by_naptr(host, transports, chance)
        if not hosts:
            hosts = yield from _by_srv(host, transports, chance)
        if not hosts:
            hosts = [(_first(transports), host, DEFAULT_PORT)]
    return (yield from _addresses(hosts, kinds))


def order_srv(records: Sequence[SrvRecord], chance: Callable[[], float]) -> list[SrvRecord]:
    """Return the records in the order to try: by priority, and within one by weighted lot (RFC 2782)."""
    ordered: list[SrvRecord] = []
    for priority in sorted({record.priority for record in records}):
        # Weightless records first, so that they too are drawn now and then.
        equals = [record for record in records if record.priority == priority]
        waiting = sorted(equals, key=lambda record: record.weight)
        while waiting:
            sums = list(accumulate(record.weight for record in waiting))
            lot = min(int(chance() * (sums[-1] + 1)), sums[-1])
            ordered.append(waiting.pop(bisect_left(sums, lot)))
    return ordered


def order_naptr(records: Sequence[NaptrRecord], transports: Sequence[Transport]) -> list[tuple[Transport, str]]:
    """Return (transport, SRV name) of the usable records, by order and preference."""
    usable = [
        (record.order, record.preference, _SERVICES[record.service.lower()], record.replacement.lower().rstrip("."))
        for record in records
        if record.flags.lower() == "s" and record.service.lower() in _SERVICES and record.replacement.strip(".")
    ]
    usable.sort(key=lambda entry: entry[:2])
    return [(transport, name) for _, _, transport, name in usable if transport in transports]


class AnswerCache:
    """Keeps DNS answers for their time to live, and the last good one for when DNS fails.

    State: at most `max_entries`; the one unused for longest goes first. Failures are never stored.
    """

    __slots__ = ("_entries", "_max_entries", "_max_ttl_ms", "_min_ttl_ms")

    def __init__(self, max_entries: int = 1_000, min_ttl_ms: int = 1_000, max_ttl_ms: int = 3_600_000) -> None:
        self._entries: OrderedDict[DnsQuestion, tuple[Instant, DnsAnswer]] = OrderedDict()
        self._max_entries = max_entries
        self._min_ttl_ms = min_ttl_ms
        self._max_ttl_ms = max_ttl_ms

    def fresh(self, now: Instant, question: DnsQuestion) -> DnsAnswer | None:
        """Return the stored answer if its time has not run out."""
        entry = self._entries.get(question)
        if entry is None:
            return None
        self._entries.move_to_end(question)
        return entry[1] if now < entry[0] else None

    def settle(self, now: Instant, question: DnsQuestion, answer: DnsAnswer) -> DnsAnswer:
        """Return the answer to use: a new one is stored; in place of a failure comes the last good one, if any."""
        if answer.has_failed:
            entry = self._entries.get(question)
            return entry[1] if entry is not None else answer
        ttl_ms = min(max(answer.ttl_ms, self._min_ttl_ms), self._max_ttl_ms)
        self._entries[question] = (after_ms(now, ttl_ms), answer)
        self._entries.move_to_end(question)
        while len(self._entries) > self._max_entries:
            self._entries.popitem(last=False)
        return answer

    def __len__(self) -> int:
        """Return the number of answers kept."""
        return len(self._entries)


def _wanted_transport(uri: SipUri, transports: Sequence[Transport]) -> Transport | None:
    name = uri.transport
    if name is None:
        return None
    for transport in transports:
        if transport.name.lower() == name:
            return transport
    allowed = ", ".join(transport.name.lower() for transport in transports)
    raise TargetNotFound(f"found transport {name}, allowed are {allowed}")


def _first(transports: Sequence[Transport]) -> Transport:
    """Return UDP if we speak it: what RFC 3263 §4.1 prescribes where nothing else decides."""
    if Transport.UDP in transports or not transports:
        return Transport.UDP
    return transports[0]


def _numeric(host: str) -> str | None:
    for kind in (IPv4Address, IPv6Address):
        try:
            return str(kind(host))
        except AddressValueError:
            continue
    return None


def _by_naptr(
    host: str, transports: Sequence[Transport], chance: Callable[[], float]
) -> Generator[tuple[DnsQuestion, ...], tuple[DnsAnswer, ...], list[tuple[Transport, str, int]]]:
    (answer,) = yield (DnsQuestion(DnsKind.NAPTR, host),)
    services = order_naptr(answer.naptr[:MAX_RECORDS], transports)[:MAX_TARGETS]
    if not services:
        return []
    answers = yield tuple(DnsQuestion(DnsKind.SRV, name) for _, name in services)
    return [
        found
        for (transport, _), answer in zip(services, answers, strict=True)
        for found in _srv_hosts(transport, answer, chance)
    ]


def _by_srv(
    host: str, transports: Sequence[Transport], chance: Callable[[], float]
) -> Generator[tuple[DnsQuestion, ...], tuple[DnsAnswer, ...], list[tuple[Transport, str, int]]]:
    answers = yield tuple(DnsQuestion(DnsKind.SRV, _SRV_PREFIX[transport] + host) for transport in transports)
    return [
        found
        for transport, answer in zip(transports, answers, strict=True)
        for found in _srv_hosts(transport, answer, chance)
    ]


def _srv_hosts(
    transport: Transport, answer: DnsAnswer, chance: Callable[[], float]
) -> list[tuple[Transport, str, int]]:
    # A target of "." says that the service is decidedly absent (RFC 2782).
    offered = [record for record in answer.srv[:MAX_RECORDS] if record.target.strip(".") and 0 < record.port <= 65535]
    return [(transport, record.target.lower().rstrip("."), record.port) for record in order_srv(offered, chance)]


def _addresses(hosts: list[tuple[Transport, str, int]], kinds: Sequence[DnsKind]) -> Steps:
    names = list(dict.fromkeys(host for _, host, _ in hosts[:MAX_TARGETS] if _numeric(host) is None))
    questions = tuple(DnsQuestion(kind, name) for name in names for kind in kinds)
    answers = (yield questions) if questions else ()
    found: dict[str, list[str]] = {name: [] for name in names}
    for question, answer in zip(questions, answers, strict=True):
        found[question.name] += answer.addresses[:MAX_RECORDS]
    targets: dict[Target, None] = {}
    for transport, host, port in hosts[:MAX_TARGETS]:
        for address in found.get(host, [host]):
            numeric = _numeric(address)
            if numeric is not None:
                targets[Target(transport, numeric, port)] = None
    if not targets:
        raise TargetNotFound(
            f"found no address for {', '.join(names)}",
            code="host-not-found",
            has_dns_failed=any(answer.has_failed for answer in answers),
        )
    return tuple(targets)[:MAX_TARGETS]
