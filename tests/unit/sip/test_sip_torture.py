"""Every message of RFC 4475 and RFC 5118, with the result it must have at message level."""

from __future__ import annotations

import pytest
from tests.support.sip_vectors import rfc4475, rfc4475_names, rfc5118, rfc5118_names

from ringback.sip.message import SipMessage, SipRequest, SipResponse, response_to
from ringback.sip.parser import KeepAlive, SipParseError, StreamFramer, parse_message
from ringback.sip.uri import OpaqueUri, SipUri

REFUSED: dict[str, int | None] = {
    "badinv01": 400,
    "clerr": 400,
    "ncl": 400,
    "scalar02": 400,
    "scalarlg": None,
    "quotbal": 400,
    "ltgtruri": 400,
    "lwsruri": 400,
    "lwsstart": 400,
    "trws": 400,
    "escruri": 400,
    "regbadct": 400,
    "badaspec": 400,
    "badvers": 505,
    "mismatch01": 400,
    "mismatch02": 400,
    "bigcode": None,
    "insuf": None,
    "unkscm": 416,
    "novelsc": 416,
    "multi01": 400,
    "mcl01": 400,
}
"""The verdict of each message that must not pass; `None` is dropped. All others are accepted."""


def accepted(name: str) -> SipRequest:
    """Return a torture request that must pass."""
    message = parse_message(rfc4475(name))
    assert isinstance(message, SipRequest)
    return message


def other_than_length(message: SipMessage) -> list[tuple[str, str]]:
    """Return the headers but Content-Length, which is always written anew, last."""
    return [pair for pair in message.headers if pair[0] != "content-length"]


def test_the_corpora_are_complete() -> None:
    assert len(rfc4475_names()) == 49
    assert len(rfc5118_names()) == 12


@pytest.mark.parametrize("name", rfc4475_names())
def test_verdict(name: str) -> None:
    if name not in REFUSED:
        parse_message(rfc4475(name))
        return
    with pytest.raises(SipParseError) as caught:
        parse_message(rfc4475(name))
    assert caught.value.status == REFUSED[name]


@pytest.mark.parametrize("name", [name for name, status in REFUSED.items() if status is not None])
def test_a_refused_request_can_be_answered(name: str) -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(rfc4475(name))
    request, status = caught.value.request, caught.value.status
    assert request is not None
    assert status is not None
    assert request.via.host
    answer = response_to(request, status, to_tag="refused").to_bytes()
    assert answer.startswith(b"SIP/2.0 %d " % status)
    for header in (b"Via: ", b"From: ", b"To: ", b"Call-ID: ", b"CSeq: "):
        assert answer.count(b"\r\n" + header) >= 1


@pytest.mark.parametrize("name", sorted(set(rfc4475_names()) - set(REFUSED)))
def test_an_accepted_message_survives_rebuilding(name: str) -> None:
    once = parse_message(rfc4475(name))
    twice = parse_message(once.to_bytes())
    assert other_than_length(twice) == other_than_length(once)
    assert twice.body == once.body
    assert twice.to_bytes() == once.to_bytes()


@pytest.mark.parametrize("name", rfc4475_names())
def test_a_stream_gives_the_same_verdict(name: str) -> None:
    framer = StreamFramer()
    outcomes = [item for item in framer.feed(rfc4475(name)) if not isinstance(item, KeepAlive)]
    if name in ("baddn", "clerr"):
        # Without a blank line or the whole body a stream waits for more.
        assert outcomes == []
        assert framer.has_partial_message
        return
    first = outcomes[0]
    if name == "inv2543":
        # No Content-Length: fine in a datagram, the end of a stream.
        assert isinstance(first, SipParseError)
        assert (first.status, first.closes_stream, framer.is_broken) == (400, True, True)
        return
    if name in REFUSED:
        assert isinstance(first, SipParseError)
        assert first.status == REFUSED[name]
        assert first.closes_stream is (name in ("ncl", "mcl01"))
    else:
        assert isinstance(first, SipRequest | SipResponse)


def test_wsinv_equals_its_unfolded_form() -> None:
    message = accepted("wsinv")
    assert message.to.uri_text == "sip:vivekg@chair-dnrc.example.com"
    assert message.to.tag == "1918181833n"
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_.tag == "98asjd8"
    assert message.max_forwards == 68
    assert (message.cseq.number, message.cseq.method) == (9, "INVITE")
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.headers.get("newfangledheader") == "newfangled value continued newfangled value"
    assert message.headers.get("unknownheaderwithunusualvalue") == ";;,,;;,;"
    assert message.headers.get("subject") == ""
    (contact,) = message.contacts
    assert contact.display == 'Quoted string ""'
    assert contact.params == {"newparam": "newvalue", "secondparam": None, "q": "0.33"}
    (route,) = message.routes
    assert isinstance(route.uri, SipUri)
    assert route.uri.is_loose_route
    assert route.uri.params == {"lr": None, "unknownwith": "value", "unknown-no-value": None}
    assert len(message.body) == 150


def test_intmeth_keeps_every_wild_character() -> None:
    message = accepted("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.via.branch == "z9hG4bK-.!%66*_+`'~"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.from_.display == "token1~` token2'+_ token3*%!.-"
    assert message.to.display == "BEL:\a NUL: DEL:\x7f"
    assert isinstance(message.uri, SipUri)
    assert message.uri.host == "example.com"
    assert response_to(message, 405, to_tag="x").headers.get("to") == f"{message.headers.get('to')};tag=x"
    # The quoted NUL is legal to receive, and left out of everything that goes on from here.
    assert b"NUL: DEL:" in response_to(message, 405).to_bytes()


def test_esc01_decodes_for_reading_and_keeps_for_sending() -> None:
    message = accepted("esc01")
    assert isinstance(message.uri, SipUri)
    assert message.uri.user_text == "sips:user@example.com"
    assert message.to.uri.user_text == "user"
    assert message.from_.uri.user_text == "I have spaces"
    assert b"To: sip:%75se%72@example.com\r\n" in message.to_bytes()


def test_escnull_is_not_cut_at_nul() -> None:
    message = accepted("escnull")
    assert message.to.uri.user_text == "null-%00-null"
    assert [contact.uri.user_text for contact in message.contacts] == ["%00", "%00%00"]


def test_esc02_percent_in_names_is_no_escape() -> None:
    message = accepted("esc02")
    assert message.method == "RE%47IST%45R"
    assert len(message.contacts) == 2
    assert message.to.display == "%Z%45"


def test_dblreq_ignores_what_lies_behind_the_body() -> None:
    message = accepted("dblreq")
    assert (message.method, message.body) == ("REGISTER", b"")


def test_dblreq_on_a_stream_is_two_messages() -> None:
    # The second body is one octet longer than declared, so what follows it is no message.
    register, line_end, invite, rest = StreamFramer().feed(rfc4475("dblreq"))
    assert isinstance(register, SipRequest)
    assert isinstance(invite, SipRequest)
    assert (register.method, line_end, invite.method) == ("REGISTER", KeepAlive.PONG, "INVITE")
    assert isinstance(rest, SipParseError)
    assert rest.closes_stream


def test_semiuri_semicolon_in_the_user_part() -> None:
    uri = accepted("semiuri").uri
    assert isinstance(uri, SipUri)
    assert uri.user == "user;par=u%40example.net"
    assert uri.params == {}


def test_transports_are_all_kept() -> None:
    assert [via.transport for via in accepted("transports").vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]


def test_mpart01_body_stays_bytes() -> None:
    message = accepted("mpart01")
    assert len(message.body) == 553
    assert message.content_type is not None
    assert message.content_type.boundary == "7a9cbec02ceef655"


def test_reason_phrases_in_utf8_and_empty() -> None:
    wild, empty = parse_message(rfc4475("unreason")), parse_message(rfc4475("noreason"))
    assert isinstance(wild, SipResponse)
    assert isinstance(empty, SipResponse)
    assert wild.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"
    assert (empty.status, empty.reason) == (100, "")


def test_baddn_commas_in_an_unquoted_name_of_a_single_value() -> None:
    assert accepted("baddn").from_.display == "Bell, Alexander"


def test_badbranch_is_matched_by_the_old_rules() -> None:
    assert not accepted("badbranch").via.has_magic_branch


def test_unknown_schemes_stay_opaque() -> None:
    message = accepted("unksm2")
    assert message.to.uri == OpaqueUri("isbn", "2983792873")
    assert message.from_.uri == OpaqueUri("http", "//www.example.com")
    assert message.contacts[0].uri == OpaqueUri("name", "John_Smith")


def test_unknown_parameters_stay_on_their_side() -> None:
    outside, inside = accepted("cparam01").contacts[0], accepted("cparam02").contacts[0]
    assert (outside.params, outside.uri_text) == ({"unknownparam": None}, "sip:+19725552222@gw1.example.net")
    assert inside.params == {}
    assert isinstance(inside.uri, SipUri)
    assert inside.uri.params == {"unknownparam": None}


def test_regescrt_route_header_inside_the_contact() -> None:
    uri = accepted("regescrt").contacts[0].uri
    assert isinstance(uri, SipUri)
    assert uri.headers == "Route=%3Csip:sip.example.com%3E"


def test_zeromf_and_longreq_and_inv2543() -> None:
    assert accepted("zeromf").max_forwards == 0
    assert len(accepted("longreq").vias) == 34
    old = accepted("inv2543")
    assert (old.via.branch, old.from_.tag, old.max_forwards) == ("", None, 70)


@pytest.mark.parametrize("name", [name for name in rfc5118_names() if name != "ipv6-bad"])
def test_ipv6_messages_are_accepted(name: str) -> None:
    message = parse_message(rfc5118(name))
    assert parse_message(message.to_bytes()).to_bytes() == message.to_bytes()


def test_ipv6_without_brackets_is_refused() -> None:
    with pytest.raises(SipParseError) as caught:
        parse_message(rfc5118("ipv6-bad"))
    assert caught.value.status == 400


def test_ipv6_is_understood() -> None:
    ambiguous, clear = parse_message(rfc5118("port-ambiguous")), parse_message(rfc5118("port-unambiguous"))
    assert isinstance(ambiguous, SipRequest)
    assert isinstance(clear, SipRequest)
    assert ambiguous.uri == SipUri("[2001:db8::10:5070]")
    assert clear.uri == SipUri("[2001:db8::10]", port=5070)
    for name in ("via-received-param-no-delim", "via-received-param-with-delim"):
        assert parse_message(rfc5118(name)).via.received == "2001:db8::9:255"
    assert parse_message(rfc5118("ipv6-bug-abnf-3-colons")).to.uri.matches(
        parse_message(rfc5118("ipv6-correct-abnf-2-colons")).to.uri
    )
    assert [via.host for via in parse_message(rfc5118("mult-ip-in-header")).vias] == [
        "[2001:db8::9:1]",
        "192.0.2.1",
        "[2001:db8::9:255]",
    ]
