"""Via."""

from __future__ import annotations

import pytest

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.headers.via import Via, parse_via, parse_vias


@pytest.mark.parametrize(
    "text",
    [
        "SIP/2.0/UDP h;branch=z9hG4bKx;rport",
        "SIP/2.0/TLS [2001:db8::1]:5061;received=[2001:db8::2]",
        "SIP/2.0/WS x.invalid",
        "SIP/3.0/SCTP h:1",
    ],
)
def test_text_survives_a_round_trip(text: str) -> None:
    assert str(parse_via(text)) == text


def test_fast_and_slow_path_agree() -> None:
    assert parse_via("SIP/2.0/UDP h:5070;branch=x") == parse_via("sip / 2.0 / udp  h : 5070 ; branch=x")


@pytest.mark.parametrize(
    ("branch", "magic"), [("z9hG4bKx", True), ("Z9HG4BKx", True), ("z9hG4bK", False), ("x", False), ("", False)]
)
def test_magic_branch(branch: str, magic: bool) -> None:
    assert Via("UDP", "h", params={"branch": branch}).has_magic_branch is magic


def test_sent_by_fills_in_the_default_port() -> None:
    assert Via("UDP", "H").sent_by == "h:5060"
    assert Via("TLS", "h").sent_by == "h:5061"
    assert Via("TCP", "h", 7).sent_by == "h:7"


def test_source_is_written_over_what_came_by_the_wire() -> None:
    via = parse_via("SIP/2.0/UDP 10.0.0.1;rport;received=198.51.100.9;branch=z9hG4bKx").with_source("192.0.2.7", 6000)
    assert str(via) == "SIP/2.0/UDP 10.0.0.1;rport=6000;received=192.0.2.7;branch=z9hG4bKx"
    assert (via.received, via.rport) == ("192.0.2.7", 6000)
    assert "rport" not in parse_via("SIP/2.0/UDP h").with_source("192.0.2.7", 6000).params


@pytest.mark.parametrize("value", ["", "x", "70000", "-1", "999999"])
def test_unreadable_rport_is_none(value: str) -> None:
    assert Via("UDP", "h", params={"rport": value}).rport is None


def test_received_forms() -> None:
    assert Via("UDP", "h", params={"received": "[::1]"}).received == "::1"
    assert Via("UDP", "h", params={"received": ""}).received is None
    assert Via("UDP", "h").received is None


def test_lists_refuse_stray_commas() -> None:
    assert len(parse_vias(["SIP/2.0/UDP a, SIP/2.0/UDP b", "SIP/2.0/UDP c"])) == 3
    with pytest.raises(MalformedSip):
        parse_vias(["SIP/2.0/UDP a,"])


@pytest.mark.parametrize(
    "text", ["SIP/2.0/UDP", "SIP//UDP h", "SIP/2.0/U(P h", "SIP/2.0/UDP h x", "X/2.0/UDP h", "SIP/2.0/UDP ;x"]
)
def test_refused(text: str) -> None:
    with pytest.raises(MalformedSip):
        parse_via(text)


@pytest.mark.parametrize(
    "via", [Via("UDP x", "h"), Via("UDP", "h;x"), Via("UDP", "h\r\nX: y"), Via("UDP", "h", version="2 0")]
)
def test_unsafe_parts_are_never_sent(via: Via) -> None:
    with pytest.raises(UnsafeHeader):
        str(via)
