"""Asks name servers over the network."""

from __future__ import annotations

from collections.abc import Sequence

import dns.asyncresolver
import dns.exception
import dns.resolver
from dns.nameserver import Do53Nameserver

from ringback.sip.flow import HostPort
from ringback.sip.resolve import DnsAnswer, DnsKind, DnsQuestion, NaptrRecord, SrvRecord

_ABSENT_TTL_MS = 30_000
"""How long the absence of a name is remembered."""


class NameServers:
    """The given name servers, or those of the system; read once, at the first question."""

    def __init__(self, servers: Sequence[HostPort]) -> None:
        try:
            self._resolver = dns.asyncresolver.Resolver(configure=not servers)
        except dns.resolver.NoResolverConfiguration:
            self._resolver = dns.asyncresolver.Resolver(configure=False)
        if servers:
            self._resolver.nameservers = [Do53Nameserver(host, port) for host, port in servers]

    async def ask(self, question: DnsQuestion, timeout_s: float) -> DnsAnswer:
        """Return what they say; never raises, a failure is an answer."""
        try:
            answer = await self._resolver.resolve(question.name, question.kind.value, lifetime=timeout_s)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return DnsAnswer(ttl_ms=_ABSENT_TTL_MS)
        except (dns.exception.DNSException, OSError):
            return DnsAnswer(has_failed=True)
        ttl_ms = (answer.rrset.ttl if answer.rrset is not None else 0) * 1_000
        if question.kind is DnsKind.SRV:
            services = tuple(
                SrvRecord(record.priority, record.weight, record.port, str(record.target)) for record in answer
            )
            return DnsAnswer(srv=services, ttl_ms=ttl_ms)
        if question.kind is DnsKind.NAPTR:
            pointers = tuple(
                NaptrRecord(
                    record.order,
                    record.preference,
                    record.flags.decode("latin-1"),
                    record.service.decode("latin-1"),
                    str(record.replacement),
                )
                for record in answer
            )
            return DnsAnswer(naptr=pointers, ttl_ms=ttl_ms)
        return DnsAnswer(addresses=tuple(record.address for record in answer), ttl_ms=ttl_ms)
