"""Which URLs and addresses may be reached."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.egress.errors import AddressRefused, EgressFailed, InvalidUrl
from ringback.egress.policy import (
    DENIED_PORTS,
    URL_MAX_CHARS,
    Mode,
    Policy,
    check_address,
    check_url,
    denied_network,
    parse_allow,
    sip_refusal,
    without_credentials,
)

PUBLIC = Policy()
DEV = Policy(Mode.DEV)
HTTP = ("https", "http")

PUBLIC_ADDRESSES = ["8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.255.255", "172.32.0.1", "11.0.0.1"]
PUBLIC_ADDRESSES += ["192.0.1.1", "198.17.255.255", "198.20.0.1", "223.255.255.255", "169.253.1.1", "126.255.255.255"]
PUBLIC_ADDRESSES += ["2001:4860:4860::8888", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PUBLIC_ADDRESSES += ["2002:808:808::1", "::8.8.8.8"]

FORBIDDEN_ADDRESSES = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.8.9.1"),
    *("169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.0.192", "192.0.2.1"),
    *("192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.1.1", "192.175.48.1", "198.18.0.1", "198.19.255.255"),
    *("198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255"),
    *("168.63.129.16", "100.100.100.200"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0:0"),
    *("64:ff9b::7f00:1", "64:ff9b::a00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "64:ff9b:1:7f00::1"),
    *("2002:7f00:1::", "2002:a00:1::1", "2002:c0a8:101::", "2001:0:7f00:1::", "2001:0:808:808::80ff:fffe"),
    *("2001:db8::1", "2001:2::1", "2001:10::1", "2001:20::1", "3fff::1", "5f00::1", "fc00::1", "fd00::1", "fdff::1"),
    *("fe80::1", "febf::1", "fec0::1", "ff02::1", "ff0e::1", "100::1", "200::1", "400::1", "800::1", "1000::1"),
    *("4000::1", "8000::1", "c000::1", "fd00:ec2::254", "fd20:ce::254", "0:1::1"),
]


def literal(address: str) -> str:
    return f"https://[{address}]/x" if ":" in address else f"https://{address}/x"


@pytest.mark.parametrize("address", PUBLIC_ADDRESSES)
def test_public_address_passes(address: str) -> None:
    assert check_url(PUBLIC, literal(address), HTTP).literal == ip_address(address)


@pytest.mark.parametrize("address", FORBIDDEN_ADDRESSES)
@pytest.mark.parametrize("policy", [PUBLIC, Policy(is_plain_allowed=True)])
def test_forbidden_address_is_refused(address: str, policy: Policy) -> None:
    with pytest.raises(AddressRefused):
        check_url(policy, literal(address), HTTP)
    named = check_url(policy, "https://agent.example.com/", HTTP)
    with pytest.raises(AddressRefused):
        check_address(policy, named, ip_address(address))


@pytest.mark.parametrize("address", [a for a in FORBIDDEN_ADDRESSES if a not in ("127.0.0.1", "127.8.9.1", "::1")])
def test_dev_mode_opens_loopback_and_nothing_else(address: str) -> None:
    with pytest.raises(AddressRefused):
        check_url(DEV, literal(address), HTTP)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9000/", "https://127.9.9.9/", "http://[::1]:9000/", "ws://127.0.0.1/"]
)
def test_dev_mode_takes_plain_schemes_on_loopback(url: str) -> None:
    assert check_url(DEV, url, ("http", "https", "ws", "wss")).literal is not None


def test_plain_scheme_to_a_public_address_needs_permission() -> None:
    for policy in (PUBLIC, DEV):
        with pytest.raises(AddressRefused, match="https"):
            check_url(policy, "http://8.8.8.8/", HTTP)
    assert check_url(Policy(is_plain_allowed=True), "http://8.8.8.8/", HTTP).port == 80


TRICKS = [
    *("0x7f.1", "0x7f000001", "2130706433", "0177.0.0.1", "127.1", "127.0.1", "0127.0.0.1", "127.0.0.01", "1.2.3"),
    *("127.0.0.1.1", "256.1.1.1", "1.1.1.256", "017700000001", "0x7f.0x0.0x0.0x1", "foo.1", "foo.0x1", "1.2.3.4.5"),
    *("-a.example.com", "a-.example.com", "a..example.com", ".example.com", "a" * 64 + ".com", "exa mple.com"),
    *("%31%32%37.0.0.1", "fe80::1%25eth0", "[::1", "::1]", "a_b!.com", "ex*mple.com", "host\\@evil.com", "[::g]"),
]


@pytest.mark.parametrize("host", TRICKS)
@pytest.mark.parametrize("policy", [PUBLIC, DEV])
def test_host_that_resolvers_read_as_something_else_is_refused(host: str, policy: Policy) -> None:
    with pytest.raises(EgressFailed):
        check_url(policy, f"https://{host}/", HTTP)


@pytest.mark.parametrize("host", ["１２７.0.0.1", "127。0。0。1", "①②⑦.0.0.1", "ⓛocalhost"])
def test_full_width_host_is_folded_before_it_is_judged(host: str) -> None:
    try:
        checked = check_url(PUBLIC, f"https://{host}/", HTTP)
    except EgressFailed:
        return
    assert checked.host == "localhost"


def test_international_name_becomes_ascii() -> None:
    checked = check_url(PUBLIC, "https://bücher.example.com/ä?ö=ü", HTTP)
    assert checked.host == "xn--bcher-kva.example.com"
    assert checked.authority == "xn--bcher-kva.example.com"
    assert checked.target == "/%C3%A4?%C3%B6=%C3%BC"


@pytest.mark.parametrize(
    "url",
    [
        "ftp://a.example.com/",
        "file:///etc/passwd",
        "gopher://a/",
        "javascript:alert(1)",
        "//a.example.com/",
        "a.example.com",
        "",
        "https://",
        "https:///x",
        "https://u:p@a.example.com/",
        "https://a.example.com\\@b.example.com/",
        "https://a.example.com/\r\nX: 1",
        "https://a.example.com/a b",
        "https://a.example.com/\x7f",
        "https://a.example.com:99999/",
        "https://a.example.com:x/",
        "https://a.example.com/\ud800",
        "https://a.example.com/" + "x" * URL_MAX_CHARS,
    ],
)
def test_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        check_url(DEV, url, HTTP)


def test_longest_url_passes() -> None:
    url = "https://a.example.com/"
    assert check_url(PUBLIC, url + "x" * (URL_MAX_CHARS - len(url)), HTTP).port == 443


@pytest.mark.parametrize("port", [0, 1, 22, 25, 79, 81, 442, 444, 1023, *sorted(DENIED_PORTS)])
def test_other_ports_are_refused(port: int) -> None:
    with pytest.raises(AddressRefused):
        check_url(PUBLIC, f"https://a.example.com:{port}/", HTTP)


@pytest.mark.parametrize("port", [80, 443, 1024, 8080, 8443, 65535])
def test_usual_ports_pass(port: int) -> None:
    assert check_url(PUBLIC, f"https://a.example.com:{port}/", HTTP).port == port


def test_parts_of_a_checked_url() -> None:
    checked = check_url(PUBLIC, "HTTPS://Agent.Example.com.:8443/p;q?a=+/=#frag", HTTP)
    assert (checked.scheme, checked.host, checked.port) == ("https", "agent.example.com", 8443)
    assert checked.authority == "Agent.Example.com.:8443"
    assert checked.target == "/p;q?a=+/="
    assert checked.url == "https://agent.example.com:8443/p;q?a=+/="
    assert checked.is_secure
    assert check_url(PUBLIC, "https://[2001:4860::1]", HTTP).url == "https://[2001:4860::1]:443/"


def test_allow_rule_opens_its_network_and_ports_only() -> None:
    policy = Policy(allow=(parse_allow("10.1.0.0/16:8000-8100"), parse_allow("10.2.0.0/16:25")))
    assert check_url(policy, "http://10.1.2.3:8000/", HTTP)
    assert check_url(policy, "http://10.1.2.3:8100/", HTTP)
    assert check_url(policy, "http://10.2.0.1:25/", HTTP)
    for url in ["http://10.1.2.3:8101/", "http://10.3.2.3:8000/", "https://8.8.8.8:25/", "http://10.1.2.3:25/"]:
        with pytest.raises(AddressRefused):
            check_url(policy, url, HTTP)


def test_allow_rule_for_a_name_opens_what_it_resolves_to() -> None:
    policy = Policy(allow=(parse_allow("agent.internal:9000"), parse_allow("*.svc.internal")))
    named = check_url(policy, "http://agent.internal:9000/", HTTP)
    check_address(policy, named, ip_address("10.0.0.1"))
    below = check_url(policy, "http://a.b.svc.internal:9000/", HTTP)
    check_address(policy, below, ip_address("10.0.0.1"))
    for other in ["http://svc.internal:9000/", "http://evilsvc.internal:9000/", "http://agent.internal:9001/"]:
        with pytest.raises(AddressRefused):
            check_address(policy, check_url(policy, other, HTTP), ip_address("10.0.0.1"))


@pytest.mark.parametrize("address", ["169.254.169.254", "fe80::1", "fd00:ec2::254", "::ffff:169.254.169.254"])
def test_metadata_stays_closed_under_every_rule(address: str) -> None:
    policy = Policy(Mode.DEV, allow=(parse_allow("0.0.0.0/0"), parse_allow("::/0")))
    with pytest.raises(AddressRefused):
        check_url(policy, literal(address), HTTP)


def test_own_ports_stay_closed_under_every_rule() -> None:
    own = frozenset({ip_address("10.0.0.5")})
    policy = Policy(Mode.DEV, (parse_allow("0.0.0.0/0"),), own, frozenset({8080}))
    for url in ["http://10.0.0.5:8080/", "http://127.0.0.1:8080/", "http://[::ffff:127.0.0.1]:8080/"]:
        with pytest.raises(AddressRefused):
            check_url(policy, url, HTTP)
    assert check_url(policy, "http://10.0.0.5:8081/", HTTP)


def test_own_public_address_is_closed_without_a_rule() -> None:
    policy = Policy(own_addresses=frozenset({ip_address("8.8.4.4")}))
    with pytest.raises(AddressRefused, match="this machine"):
        check_url(policy, "https://8.8.4.4/", HTTP)


@pytest.mark.parametrize("text", ["", "10.0.0.0/99", "host:0", "host:70000", "host:9-x", "a b", "-x", "[::1", "*."])
def test_allow_rule_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(InvalidUrl):
        parse_allow(text)


def test_allow_rule_forms() -> None:
    assert str(parse_allow("10.1.2.3/16").network) == "10.1.0.0/16"
    assert str(parse_allow("[fd00::/8]:8000-9000").network) == "fd00::/8"
    assert str(parse_allow("fd00::1").network) == "fd00::1/128"
    rule = parse_allow("Agent.Internal:8080")
    assert (rule.host, rule.low_port, rule.high_port) == ("agent.internal", 8080, 8080)


@given(st.ip_addresses(v=6))
def test_every_ipv6_address_outside_global_unicast_carries_a_public_ipv4_or_is_denied(address: object) -> None:
    named = check_url(PUBLIC, "https://a.example.com/", HTTP)
    try:
        check_address(PUBLIC, named, address)  # type: ignore[arg-type]
    except AddressRefused:
        return
    top = int(address) >> 125  # type: ignore[call-overload]
    assert top == 1 or address.ipv4_mapped or int(address) >> 32 in (0, 0x64FF9B << 64)  # type: ignore[attr-defined, call-overload]


@given(st.text(max_size=60))
def test_any_text_is_a_url_or_our_error(text: str) -> None:
    for url in (text, f"https://{text}/", f"https://a.example.com/{text}"):
        try:
            check_url(DEV, url, HTTP)
        except EgressFailed:
            pass


def test_kinds_of_addresses_have_names() -> None:
    assert denied_network(ip_address("10.0.0.1")) == "private"
    assert denied_network(ip_address("8000::1")) == "reserved"
    assert denied_network(ip_address("8.8.8.8")) == ""


@pytest.mark.parametrize(
    ("url", "rest", "credentials"),
    [
        ("https://u:p@h/x?a@b", "https://h/x?a@b", "u:p"),
        ("https://h/x@y", "https://h/x@y", ""),
        ("https://u@h?x", "https://h?x", "u"),
        ("https://a@b@h/", "https://h/", "a@b"),
        ("nonsense", "nonsense", ""),
    ],
)
def test_credentials_are_taken_out_of_a_url(url: str, rest: str, credentials: str) -> None:
    assert without_credentials(url) == (rest, credentials)


@pytest.mark.parametrize(
    ("host", "port", "word"),
    [
        ("127.0.0.1", 16379, "loopback"),
        ("10.1.2.3", 5060, "private"),
        ("::ffff:10.1.2.3", 5060, "private"),
        ("169.254.169.254", 5060, "metadata"),
        ("8.8.8.8", 22, "port 22"),
        ("pbx.local", 5060, "no address"),
    ],
)
def test_a_customers_sip_uri_leads_to_no_forbidden_address(host: str, port: int, word: str):
    assert word in sip_refusal(Policy(), host, port)


def test_sip_uris_lead_to_public_addresses_and_to_allowed_networks():
    assert sip_refusal(Policy(), "8.8.8.8", 5060) == ""
    assert sip_refusal(Policy(allow=(parse_allow("10.0.0.0/8"),)), "10.1.2.3", 5060) == ""


def test_development_opens_the_desk_but_no_metadata_address():
    policy = Policy(mode=Mode.DEV)
    assert sip_refusal(policy, "127.0.0.1", 5070) == ""
    assert sip_refusal(policy, "192.168.1.7", 5060) == ""
    assert "metadata" in sip_refusal(policy, "169.254.169.254", 5060)
