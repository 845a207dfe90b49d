"""Rules about peers, as pure functions and small tables: who may start something, how often, what address we name."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from ringback.machine import SECOND, Instant
from ringback.sip.flow import Flow, Listener, Transport, bracketed, is_ipv6
from ringback.sip.settings import SipSettings


class SourceRates:
    """Token buckets for untrusted sources: /32 for IPv4, /64 for IPv6.

    State: bounded; when full, the source that was silent longest is forgotten, which only ever forgives.
    """

    __slots__ = ("_buckets", "_burst", "_limit", "_per_ns")

    def __init__(self, rate_per_s: float, burst: int, limit: int) -> None:
        self._per_ns = rate_per_s / SECOND
        self._burst = float(burst)
        self._limit = limit
        self._buckets: dict[str, tuple[float, Instant]] = {}

    def __len__(self) -> int:
        return len(self._buckets)

    def admits(self, now: Instant, host: str) -> bool:
        """Return whether one more request of `host` is within its rate, and count it."""
        source = source_of(host)
        level, since = self._buckets.pop(source, (self._burst, now))
        level = min(self._burst, level + (now - since) * self._per_ns)
        admitted = level >= 1.0
        if len(self._buckets) >= self._limit:
            # The dict is in order of last use, because every use moves a source to the end.
            del self._buckets[next(iter(self._buckets))]
        self._buckets[source] = (level - 1.0 if admitted else level, now)
        return admitted


def source_of(host: str) -> str:
    """Return what a rate is counted on: an IPv4 address, or the /64 of an IPv6 one."""
    if not is_ipv6(host):
        return host
    try:
        return str(ip_network((host.partition("%")[0], 64), strict=False))
    except ValueError:
        return host


def is_scanner(user_agent: str | None, scanner_agents: tuple[str, ...]) -> bool:
    """Return whether a User-Agent is that of a known scanner."""
    if not user_agent:
        return False
    lowered = user_agent.lower()
    return any(agent in lowered for agent in scanner_agents)


@lru_cache(maxsize=64)
def _networks(texts: tuple[str, ...]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(text, strict=False) for text in texts)


@lru_cache(maxsize=4_096)
def is_local(host: str, local_networks: tuple[str, ...]) -> bool:
    """Return whether a numeric address lies in one of `local_networks`; a name never does."""
    try:
        address = ip_address(host.partition("%")[0].strip("[]"))
    except ValueError:
        return False
    return any(address in network for network in _networks(local_networks) if network.version == address.version)


def is_numeric(host: str) -> bool:
    """Return whether `host` is an IP address, with or without brackets."""
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def listener_for(listeners: tuple[Listener, ...], transport: Transport, host: str) -> Listener | None:
    """Return the listener to speak from to a numeric address: same transport and family, loopback to loopback."""
    same = [entry for entry in listeners if entry.transport is transport and is_ipv6(entry.host) == is_ipv6(host)]
    if not same:
        return None
    remote_is_loopback = _is_loopback(host)
    for entry in same:
        if _is_loopback(entry.host) == remote_is_loopback:
            return entry
    return same[0]


def listener_of(listeners: tuple[Listener, ...], flow: Flow) -> Listener | None:
    """Return the listener that a flow belongs to, or the one we would use towards its peer."""
    for entry in listeners:
        if entry.transport is flow.transport and (entry.host, entry.port) == flow.local:
            return entry
    return listener_for(listeners, flow.transport, flow.remote[0])


def sent_by(listener: Listener, remote_host: str, settings: SipSettings) -> str:
    """Return the `host:port` under which a peer reaches a listener: the public address for peers from outside."""
    host = listener.advertised_host
    if settings.public_host and not is_local(remote_host, settings.local_networks):
        host = settings.public_host
    return f"{bracketed(host)}:{listener.advertised_port}"


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"
