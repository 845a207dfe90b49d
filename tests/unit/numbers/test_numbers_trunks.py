"""Trunks: the way out by prefix, priority and weight; the way in by source address."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from ringback.errors import ConfigError
from ringback.numbers.trunks import (
    Gateway,
    GatewayCredentials,
    Trunk,
    TrunkDirection,
    match_inbound,
    order_gateways,
    route_outbound,
)

ONE = (Gateway("sip.one.example"),)


def drawn(*numbers: float) -> Callable[[], float]:
    """Return a chance that yields these numbers."""
    sequence: Iterator[float] = iter(numbers)
    return lambda: next(sequence)


def test_without_trunks_there_is_no_route() -> None:
    assert route_outbound([], "15550001000") is None


def test_trunk_without_prefixes_takes_every_number() -> None:
    trunk = Trunk("all", gateways=ONE)
    route = route_outbound([trunk], "15550001000")
    assert route is not None
    assert route.trunk is trunk
    assert route.gateways == ONE
    assert route.request_uri == "sip:+15550001000@sip.one.example"


@pytest.mark.parametrize(
    ("number", "name"),
    [("+4930123", "berlin"), ("4930123", "berlin"), ("4940123", "germany"), ("15550001000", "world")],
)
def test_longest_prefix_wins_with_or_without_plus(number: str, name: str) -> None:
    trunks = [
        Trunk("world", gateways=ONE),
        Trunk("germany", gateways=ONE, numbers=("+49",)),
        Trunk("berlin", gateways=ONE, numbers=("4930", "49")),
    ]
    route = route_outbound(trunks, number)
    assert route is not None
    assert route.trunk.name == name


def test_number_outside_all_prefixes_has_no_route() -> None:
    assert route_outbound([Trunk("germany", gateways=ONE, numbers=("+49",))], "15550001000") is None


def test_priority_decides_between_equal_prefixes_then_order() -> None:
    first, cheap, second = Trunk("a", gateways=ONE), Trunk("b", gateways=ONE, priority=5), Trunk("c", gateways=ONE)
    assert route_outbound([first, cheap, second], "1").trunk is cheap  # type: ignore[union-attr]  # there is a route
    assert route_outbound([first, second], "1").trunk is first  # type: ignore[union-attr]  # there is a route


@pytest.mark.parametrize(
    "trunk", [Trunk("in", TrunkDirection.INBOUND, gateways=ONE), Trunk("empty", TrunkDirection.OUTBOUND)]
)
def test_trunk_that_cannot_carry_the_call_is_passed_over(trunk: Trunk) -> None:
    assert route_outbound([trunk], "15550001000") is None


@pytest.mark.parametrize(
    ("plus", "prefix", "wire"),
    [(True, "", "+4930123"), (False, "", "4930123"), (False, "77#", "77#4930123"), (True, "0", "0+4930123")],
)
def test_number_is_written_as_the_trunk_wants_it(plus: bool, prefix: str, wire: str) -> None:
    trunk = Trunk("t", gateways=ONE, e164_plus=plus, tech_prefix=prefix)
    for number in ("+4930123", "4930123"):
        route = route_outbound([trunk], number)
        assert route is not None
        assert route.wire_number == wire


def test_request_uri_carries_port_and_ipv6_brackets() -> None:
    route = route_outbound([Trunk("t", gateways=(Gateway("2001:db8::1", 5070),), e164_plus=False)], "1")
    assert route is not None
    assert route.request_uri == "sip:1@[2001:db8::1]:5070"


def test_gateways_go_by_priority_then_weight() -> None:
    backup = Gateway("backup", priority=20)
    light, heavy = Gateway("light", weight=10), Gateway("heavy", weight=90)
    gateways = (backup, light, heavy)
    assert order_gateways(gateways, drawn(0.05, 0.0, 0.0)) == (light, heavy, backup)
    assert order_gateways(gateways, drawn(0.5, 0.0, 0.0)) == (heavy, light, backup)
    assert order_gateways(gateways, drawn(0.999, 0.999, 0.999)) == (heavy, light, backup)


def test_weights_share_calls() -> None:
    gateways = (Gateway("a", weight=1), Gateway("b", weight=3))
    firsts = Counter(order_gateways(gateways, drawn(n / 100, 0.0))[0].host for n in range(100))
    assert firsts == {"a": 25, "b": 75}


def test_gateways_without_weight_keep_their_order() -> None:
    gateways = (Gateway("a", weight=0), Gateway("b", weight=0))
    assert order_gateways(gateways, drawn(0.9, 0.9)) == gateways
    assert order_gateways((), drawn()) == ()


def test_source_address_finds_its_trunk() -> None:
    wide = Trunk("wide", allowed_addresses=("203.0.113.0/24",))
    narrow = Trunk("narrow", allowed_addresses=("203.0.113.8/29", "2001:db8::/32"))
    gateway = Trunk("gateway", gateways=(Gateway("198.51.100.1"), Gateway("sip.example.net"), Gateway("2001:db8:9::1")))
    trunks = [wide, narrow, gateway]

    def name(host: str) -> str | None:
        found = match_inbound(trunks, host)
        return found.name if found is not None else None

    assert name("203.0.113.9") == "narrow"
    assert name("203.0.113.200") == "wide"
    assert name("::ffff:203.0.113.200") == "wide"
    assert name("198.51.100.1") == "gateway"
    assert name("2001:db8:9::1") == "gateway"
    assert name("[2001:db8:8::1]") == "narrow"
    assert name("192.0.2.1") is None
    assert name("sip.example.net") is None


def test_outbound_trunk_takes_no_calls() -> None:
    trunk = Trunk("out", TrunkDirection.OUTBOUND, gateways=(Gateway("198.51.100.1"),))
    assert match_inbound([trunk], "198.51.100.1") is None


def test_wrong_network_is_a_setting_to_change() -> None:
    with pytest.raises(ConfigError, match=r"trunk acme: allowed_addresses has 'sip\.example\.net'"):
        Trunk("acme", allowed_addresses=("sip.example.net",))


def test_password_is_not_printed() -> None:
    assert "secret" not in repr(Trunk("t", credentials=(GatewayCredentials("u", "secret"),)))
