"""The resolver against a name server on loopback."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.dns_server import Zone, dns_server

from ringback.sip.errors import MalformedSip
from ringback.sip.flow import Target, Transport
from ringback.sip.resolve import DnsKind, TargetNotFound
from ringback.sip.settings import SipSettings
from ringback.sip.transport.resolver import Resolver

BOTH = (Transport.UDP, Transport.TCP)
V4 = (DnsKind.A,)
ZONE: Zone = {
    ("NAPTR", "carrier.example"): ['10 10 "s" "SIP+D2T" "" _sip._tcp.carrier.example.'],
    ("SRV", "_sip._tcp.carrier.example"): ["20 0 5080 b.carrier.example.", "10 0 5070 a.carrier.example."],
    ("A", "a.carrier.example"): ["192.0.2.11"],
    ("A", "b.carrier.example"): ["192.0.2.12"],
    ("SRV", "_sip._udp.plain.example"): ["10 0 5062 a.carrier.example."],
    ("A", "plain.example"): ["192.0.2.13"],
    ("A", "bare.example"): ["192.0.2.14", "192.0.2.15"],
    ("AAAA", "bare.example"): ["2001:db8::14"],
}


async def test_naptr_srv_and_addresses_are_followed_in_order() -> None:
    async with dns_server(ZONE) as (_, address):
        resolver = Resolver(replace(SipSettings(), dns_servers=(address,)), lambda: 0.5)
        assert await resolver.resolve("sip:x@carrier.example", BOTH, V4) == (
            Target(Transport.TCP, "192.0.2.11", 5070),
            Target(Transport.TCP, "192.0.2.12", 5080),
        )
        assert await resolver.resolve("sip:x@plain.example", BOTH, V4) == (Target(Transport.UDP, "192.0.2.11", 5062),)


async def test_addresses_of_both_families_are_used_without_srv() -> None:
    async with dns_server(ZONE) as (_, address):
        resolver = Resolver(replace(SipSettings(), dns_servers=(address,)), lambda: 0.5)
        found = await resolver.resolve("sip:x@bare.example", BOTH, (DnsKind.A, DnsKind.AAAA))
        assert {target.host for target in found} == {"192.0.2.14", "192.0.2.15", "2001:db8::14"}
        assert {target.port for target in found} == {5060}


async def test_answers_are_kept_and_serve_when_dns_fails() -> None:
    async with dns_server(ZONE) as (server, address):
        resolver = Resolver(replace(SipSettings(), dns_servers=(address,), dns_timeout_ms=300), lambda: 0.5)
        first = await resolver.resolve("sip:x@carrier.example", BOTH, V4)
        asked = len(server.questions)
        server.is_failing = True
        assert await resolver.resolve("sip:x@carrier.example", BOTH, V4) == first
        assert len(server.questions) == asked


async def test_a_name_that_does_not_exist_and_a_failing_server_are_told_apart() -> None:
    async with dns_server(ZONE) as (server, address):
        resolver = Resolver(replace(SipSettings(), dns_servers=(address,), dns_timeout_ms=300), lambda: 0.5)
        with pytest.raises(TargetNotFound) as absent:
            await resolver.resolve("sip:x@nowhere.example:5060", BOTH, V4)
        assert absent.value.fields["has_dns_failed"] is False
        server.is_failing = True
        with pytest.raises(TargetNotFound) as failed:
            await resolver.resolve("sip:x@elsewhere.example:5060", BOTH, V4)
        assert failed.value.fields["has_dns_failed"] is True


async def test_names_of_this_machine_come_from_the_system_without_asking_dns() -> None:
    resolver = Resolver(SipSettings(), lambda: 0.5)
    found = await resolver.resolve("sip:x@localhost", BOTH, V4)
    assert found == (Target(Transport.UDP, "127.0.0.1", 5060),)


async def test_an_unreadable_uri_is_refused() -> None:
    resolver = Resolver(SipSettings(), lambda: 0.5)
    with pytest.raises(MalformedSip):
        await resolver.resolve("sip:", BOTH, V4)
    with pytest.raises(TargetNotFound):
        await resolver.resolve("tel:+15550001000", BOTH, V4)
