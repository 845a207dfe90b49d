"""Rules about peers: rates, scanners, and the listener and address that each peer sees."""

from __future__ import annotations

from dataclasses import replace

from ringback.machine import SECOND, Instant
from ringback.sip.flow import Flow, Listener, Transport
from ringback.sip.policy import (
    SourceRates,
    is_local,
    is_numeric,
    is_scanner,
    listener_for,
    listener_of,
    sent_by,
    source_of,
)
from ringback.sip.settings import SipSettings

LOOPBACK = Listener(Transport.UDP, "127.0.0.1", 5060, "127.0.0.1", 5060)
OUTSIDE = Listener(Transport.UDP, "192.0.2.9", 5070, "192.0.2.9", 5070)
TCP = Listener(Transport.TCP, "192.0.2.9", 5071, "192.0.2.9", 5071)
SIX = Listener(Transport.UDP, "2001:db8::9", 5060, "2001:db8::9", 5060)
ALL = (LOOPBACK, OUTSIDE, TCP, SIX)


def test_a_source_may_burst_and_then_goes_on_at_its_rate() -> None:
    rates = SourceRates(rate_per_s=2.0, burst=3, limit=10)
    at = Instant(0)
    assert [rates.admits(at, "203.0.113.1") for _ in range(4)] == [True, True, True, False]
    assert rates.admits(Instant(SECOND // 2), "203.0.113.1")
    assert not rates.admits(Instant(SECOND // 2), "203.0.113.1")
    assert [rates.admits(Instant(60 * SECOND), "203.0.113.1") for _ in range(4)] == [True, True, True, False]


def test_sources_do_not_share_a_rate() -> None:
    rates = SourceRates(1.0, 1, 10)
    assert rates.admits(Instant(0), "203.0.113.1")
    assert rates.admits(Instant(0), "203.0.113.2")
    assert not rates.admits(Instant(0), "203.0.113.1")


def test_the_longest_silent_source_is_forgotten_when_the_table_is_full() -> None:
    rates = SourceRates(0.001, 1, limit=3)
    for number in range(3):
        assert rates.admits(Instant(number), f"203.0.113.{number}")
    assert not rates.admits(Instant(3), "203.0.113.0")
    assert rates.admits(Instant(4), "203.0.113.9")
    assert len(rates) == 3
    assert rates.admits(Instant(5), "203.0.113.1")
    assert not rates.admits(Instant(6), "203.0.113.0")


def test_ipv6_sources_count_by_their_64_bit_network() -> None:
    assert source_of("2001:db8:1:2::1") == source_of("2001:db8:1:2:ffff::7")
    assert source_of("2001:db8:1:3::1") != source_of("2001:db8:1:2::1")
    assert source_of("fe80::1%eth0") == source_of("fe80::2")
    assert source_of("not:an:address") == "not:an:address"
    assert source_of("203.0.113.1") == "203.0.113.1"


def test_scanners_are_known_by_any_part_of_their_name() -> None:
    agents = SipSettings().scanner_agents
    assert is_scanner("friendly-scanner", agents)
    assert is_scanner("My SIPVicious/0.3", agents)
    assert not is_scanner("Linphone/5.1", agents)
    assert not is_scanner(None, agents)
    assert not is_scanner("", agents)


def test_local_addresses() -> None:
    networks = SipSettings().local_networks
    assert is_local("10.1.2.3", networks)
    assert is_local("[::1]", networks)
    assert is_local("fe80::1%eth0", networks)
    assert not is_local("203.0.113.1", networks)
    assert not is_local("2001:db8::1", networks)
    assert not is_local("pbx.example", networks)
    assert is_numeric("[2001:db8::1]")
    assert is_numeric("10.0.0.1")
    assert not is_numeric("pbx1")


def test_the_listener_of_the_same_transport_and_family_speaks_loopback_to_loopback() -> None:
    assert listener_for(ALL, Transport.UDP, "203.0.113.1") is OUTSIDE
    assert listener_for(ALL, Transport.UDP, "127.0.0.1") is LOOPBACK
    assert listener_for(ALL, Transport.TCP, "203.0.113.1") is TCP
    assert listener_for(ALL, Transport.UDP, "2001:db8::1") is SIX
    assert listener_for(ALL, Transport.TCP, "2001:db8::1") is None
    assert listener_for((OUTSIDE,), Transport.UDP, "127.0.0.1") is OUTSIDE


def test_a_flow_belongs_to_the_listener_that_it_came_in_by() -> None:
    assert listener_of(ALL, Flow(Transport.UDP, ("192.0.2.9", 5070), ("127.0.0.1", 9))) is OUTSIDE
    assert listener_of(ALL, Flow(Transport.TCP, ("192.0.2.9", 49_152), ("203.0.113.1", 5060), 7)) is TCP


def test_peers_outside_see_the_public_address() -> None:
    settings = replace(SipSettings(), public_host="198.51.100.7")
    assert sent_by(OUTSIDE, "203.0.113.1", settings) == "198.51.100.7:5070"
    assert sent_by(OUTSIDE, "10.0.0.5", settings) == "192.0.2.9:5070"
    assert sent_by(OUTSIDE, "203.0.113.1", SipSettings()) == "192.0.2.9:5070"
    assert sent_by(SIX, "2001:db8::1", SipSettings()) == "[2001:db8::9]:5060"
