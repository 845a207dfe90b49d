"""Name-addr and addr-spec."""

from __future__ import annotations

import pytest

from ringback.sip.address import NameAddr, name_addr, parse_name_addr, parse_name_addrs
from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.uri import OpaqueUri, SipUri


@pytest.mark.parametrize(
    ("text", "display", "uri_text", "params"),
    [
        ("<sip:a@b>", "", "sip:a@b", {}),
        ("sip:a@b", "", "sip:a@b", {}),
        ("sip:a@b ; tag = 1", "", "sip:a@b", {"tag": "1"}),
        ('"A \\"B\\"" <sip:a@b>;tag=1', 'A "B"', "sip:a@b", {"tag": "1"}),
        ("A B<sip:a@b;x>;y", "A B", "sip:a@b;x", {"y": None}),
        ('5" disc; x=y <sip:a@b>', '5" disc; x=y', "sip:a@b", {}),
        ("Bell, A <sip:a@b>", "Bell, A", "sip:a@b", {}),
        ('""<sip:a@b>', "", "sip:a@b", {}),
        ("<sip:a@b?Replaces=1%40x>", "", "sip:a@b?Replaces=1%40x", {}),
        ('<sip:a@b>;x="y;z>"', "", "sip:a@b", {"x": '"y;z>"'}),
    ],
)
def test_read(text: str, display: str, uri_text: str, params: dict[str, str | None]) -> None:
    address = parse_name_addr(text)
    assert (address.display, address.uri_text, address.params) == (display, uri_text, params)
    assert parse_name_addr(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "  ",
        '"A',
        '"A" sip:a@b',
        '"A" x <sip:a@b>',
        "<sip:a@b",
        "<>",
        "< sip:a@b>",
        "<sip:a@b >",
        "<sip:a@b> y",
        "<sip:<a@b>",
        "sip:a@b?x=y",
        "sip:a@b,sip:c@d",
        "sip:a b@c",
        "a@b",
        ";tag=1",
        ":x",
        '<sip:a@b>;x="y',
        "<sip:a\x01@b>",
    ],
)  # fmt: skip - one line each would be long
def test_refused(text: str) -> None:
    with pytest.raises(MalformedSip):
        parse_name_addr(text)


def test_list_skips_empty_elements_and_keeps_order() -> None:
    addresses = parse_name_addrs(['"x, y" <sip:a@b>,, <sip:c@d>;q=1', "sip:e@f,"])
    assert [address.uri_text for address in addresses] == ["sip:a@b", "sip:c@d", "sip:e@f"]
    assert addresses[1].params == {"q": "1"}


def test_uri_is_typed_once_and_never_raises() -> None:
    address = parse_name_addr("<sip:a@b>")
    assert address.uri == SipUri("b", "a")
    assert address.uri is address.uri
    assert parse_name_addr("<sip:a@[x]>").uri == OpaqueUri("sip", "a@[x]")


def test_tags() -> None:
    address = parse_name_addr("A <sip:a@b>;x=1")
    assert address.tag is None
    assert str(address.with_tag("t1")) == '"A" <sip:a@b>;x=1;tag=t1'
    assert str(address.with_tag("t1").without_params()) == '"A" <sip:a@b>'
    assert parse_name_addr("<sip:a@b>;tag=").tag is None


def test_own_addresses_are_quoted_and_checked() -> None:
    assert str(name_addr("sip:a@b", 'Eve" <sip:evil@x>', {"tag": "1"})) == '"Eve\\" <sip:evil@x>" <sip:a@b>;tag=1'
    assert str(name_addr(SipUri("b", "a"))) == "<sip:a@b>"
    for uri, display in (("sip:a@b>;x", ""), ("sip:a@b", "A\r\nVia: x"), ("sip:a@b", "A\0"), ("sip:a b@c", "")):
        with pytest.raises(UnsafeHeader):
            name_addr(uri, display)
    with pytest.raises(UnsafeHeader):
        str(NameAddr("sip:a@b", params={"x y": None}))
