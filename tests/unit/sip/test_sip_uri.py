"""URIs: reading, writing, comparing, and what is refused."""

from __future__ import annotations

import pytest

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.uri import (
    OpaqueUri,
    SipUri,
    TelUri,
    escape_user,
    parse_host_port,
    parse_uri,
    parse_uri_or_opaque,
    safe_uri_text,
    unescape,
)


@pytest.mark.parametrize(
    "text",
    [
        "sip:alice@example.com",
        "sips:alice:secret@example.com:5061;transport=tls;lr?Subject=x&Priority=urgent",
        "sip:example.com",
        "sip:[2001:db8::1]:5070;maddr=[2001:db8::2]",
        "sip:%61lice@example.com",
        "sip:user;par=x@example.com;user=phone",
        "tel:+1-555-000;phone-context=example.com;ext=1",
        "urn:service:sos",
    ],
)
def test_text_survives_a_round_trip(text: str) -> None:
    assert str(parse_uri(text)) == text


def test_all_parts_of_a_sip_uri() -> None:
    uri = parse_uri("SIPS:alice:pw@Example.com:5061;Transport=TCP;lr=on?a=b")
    assert uri == SipUri("Example.com", "alice", 5061, {"transport": "TCP", "lr": "on"}, "a=b", "sips", "pw")
    assert isinstance(uri, SipUri)
    assert (uri.is_secure, uri.transport, uri.is_loose_route, uri.host_and_port) == (
        True,
        "tcp",
        True,
        "Example.com:5061",
    )
    plain = SipUri("h")
    assert (plain.is_secure, plain.transport, plain.is_loose_route, plain.host_and_port) == (False, None, False, "h")
    assert plain.user_text == ""


@pytest.mark.parametrize(
    "text",
    [
        "",
        "alice",
        ":x",
        "1sip:a@b",
        "sip:",
        "sip:@h",
        "sip::pw@h",
        "sip:a@",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:000001",
        "sip:a@[::1",
        "sip:a@[::1]:x",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@[1.2.3.4]",
        "sip:a@h h",
        "sip:a@hé",
        "sip:a\x7f@h",
        "<sip:a@h>",
        "x:",
    ],
)
def test_refused(text: str) -> None:
    with pytest.raises(MalformedSip):
        parse_uri(text)


def test_unreadable_uris_become_opaque_on_demand() -> None:
    assert parse_uri_or_opaque("sip:a@h h") == OpaqueUri("sip", "a@h h")
    assert parse_uri_or_opaque("alice") == OpaqueUri("", "alice")
    assert str(parse_uri_or_opaque("alice")) == "alice"
    assert parse_uri_or_opaque("sip:a@h") == SipUri("h", "a")


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::1]"),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("urn:x:y", "urn:x:y"),
    ],
)  # fmt: skip - the pairs of RFC 3261 §19.1.4, one per case
def test_equal_uris(one: str, two: str) -> None:
    assert parse_uri(one).matches(parse_uri(two))
    assert parse_uri(two).matches(parse_uri(one))


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("sip:ALICE@atlanta.com", "sip:alice@atlanta.com"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:a@b", "sips:a@b"),
        ("sip:a:x@b", "sip:a:y@b"),
        ("tel:+1201", "tel:+1202"),
        ("tel:1201;phone-context=a", "tel:1201;phone-context=b"),
        ("sip:1@b", "tel:1"),
        ("urn:x:y", "urn:x:z"),
        ("tel:1", "sip:1@b"),
    ],
)
def test_different_uris(one: str, two: str) -> None:
    assert not parse_uri(one).matches(parse_uri(two))
    assert not parse_uri(two).matches(parse_uri(one))


def test_tel() -> None:
    uri = parse_uri("tel:+1 (555)".replace(" ", "-") + ";phone-context=+1")
    assert isinstance(uri, TelUri)
    assert (uri.digits, uri.user_text, uri.phone_context) == ("+1555", "+1555", "+1")


def test_opaque_uris_have_no_user_and_odd_hosts_compare_as_text() -> None:
    assert OpaqueUri("urn", "x").user_text == ""
    assert SipUri("[X]").matches(SipUri("[x]"))
    assert not SipUri("[x]").matches(SipUri("[y]"))


def test_host_and_port() -> None:
    assert parse_host_port("pbx1") == ("pbx1", None)
    assert parse_host_port("[::1]:5060") == ("[::1]", 5060)
    assert parse_host_port("192.0.2.1:65535") == ("192.0.2.1", 65535)
    for bad in ("", "a b", "h:-1", "[::1]5060", "h:"):
        with pytest.raises(MalformedSip):
            parse_host_port(bad)


@pytest.mark.parametrize(
    ("text", "decoded"),
    [
        ("a%20b", "a b"),
        ("%C3%A9", "é"),
        ("%E9", "é"),
        ("100%", "100%"),
        ("%zz%4", "%zz%4"),
        ("%１２", "%１２"),
        ("a%00b%000%41", "a%00b%000A"),
    ],
)
def test_unescape(text: str, decoded: str) -> None:
    assert unescape(text) == decoded


@pytest.mark.parametrize("text", ["alice", "+1555", "a b@c", 'x"<>', "é%", "a:b"])
def test_escape_user_is_undone_by_reading(text: str) -> None:
    uri = parse_uri(f"sip:{escape_user(text)}@h")
    assert isinstance(uri, SipUri)
    assert uri.user_text == text
    assert uri.password is None


@pytest.mark.parametrize("text", ["", "sip:a@b>", "sip:a@b\r\nX: y", "sip:a b@c", 'sip:"@c', "sip:a\0@b"])
def test_unsafe_uris_are_never_sent(text: str) -> None:
    with pytest.raises(UnsafeHeader):
        safe_uri_text(text)
