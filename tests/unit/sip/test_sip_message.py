"""The header map, messages of our own, responses to requests, and safe emission."""

from __future__ import annotations

import pytest
from tests.support.sip_messages import request_bytes

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.header_fields import Headers, Latin1Text, application_header
from ringback.sip.headers.cseq import CSeq
from ringback.sip.headers.reason import Reason
from ringback.sip.message import SipRequest, SipResponse, number_of, response_to
from ringback.sip.parser import parse_message
from ringback.sip.reason_phrases import REASON_PHRASES
from ringback.sip.uri import SipUri


def invite() -> SipRequest:
    """Return a parsed INVITE with two hops and two recorded routes."""
    message = parse_message(
        request_bytes(
            "Record-Route: <sip:p1;lr>, <sip:p2;lr>",
            replace={"Via": "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2"},
        )
    )
    assert isinstance(message, SipRequest)
    return message


# The header map.


def test_names_are_found_in_any_spelling() -> None:
    headers = Headers([("Call-ID", "1"), ("X-PH-One", "2"), ("k", "timer")])
    assert headers.get("call-id") == headers.get("i") == headers.get("CALL-ID") == "1"
    assert headers.get("x-ph-one") == "2"
    assert headers.get("Supported") == "timer"
    assert headers.get("absent") is None
    assert headers.get("absent", "default") == "default"
    assert "I" in headers
    assert "absent" not in headers


def test_order_is_kept_and_names_are_canonical() -> None:
    headers = Headers([("v", "1"), ("X-b", "2"), ("Via", "3")])
    assert list(headers) == [("via", "1"), ("x-b", "2"), ("via", "3")]
    assert headers.spelled_pairs() == [("Via", "1"), ("X-b", "2"), ("Via", "3")]
    assert len(headers) == 3


def test_set_replaces_the_first_and_drops_the_others() -> None:
    headers = Headers([("Via", "1"), ("Q", "2"), ("Via", "3")])
    headers.set("v", "new")
    headers.set("W", "4")
    assert list(headers) == [("via", "new"), ("q", "2"), ("w", "4")]


def test_set_first_value_keeps_the_rest_of_a_list() -> None:
    headers = Headers([("Via", "a, b"), ("Via", "c"), ("Q", "1, 2")])
    headers.set_first_value("via", "new")
    headers.set_first_value("q", "3")
    headers.set_first_value("to", "4")
    assert list(headers) == [("via", "new, b"), ("via", "c"), ("q", "3"), ("to", "4")]


def test_remove_insert_and_copy() -> None:
    headers = Headers([("G", "1"), ("H", "2")])
    other = headers.copy()
    headers.remove("g")
    headers.remove("absent")
    headers.insert_first("P", "3")
    assert list(headers) == [("p", "3"), ("h", "2")]
    assert list(other) == [("g", "1"), ("h", "2")]
    assert other == Headers([("g", "1"), ("h", "2")])
    assert other != headers
    assert other != [("g", "1")]


def test_all_splits_lists_alone() -> None:
    headers = Headers([("Allow", "INVITE, ACK"), ("m", '"a,b" <sip:x>,<sip:y>'), ("X", "1, 2"), ("Allow", "BYE")])
    assert headers.all("allow") == ("INVITE", "ACK", "BYE")
    assert headers.all("Contact") == ('"a,b" <sip:x>', "<sip:y>")
    assert headers.all("x") == ("1, 2",)
    assert headers.lines("allow") == ("INVITE, ACK", "BYE")
    assert headers.all("absent") == ()


def test_repr_shows_no_value() -> None:
    assert repr(Headers([("From", "secret")])) == "Headers(['from'])"
    assert "secret" not in repr(SipRequest("INVITE", "sip:secret@x")) + repr(SipResponse(200, "secret"))


@pytest.mark.parametrize("value", ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "\udcff"])
def test_values_cannot_break_out_of_their_line(value: str) -> None:
    headers = Headers()
    for put in (headers.add, headers.set, headers.insert_first, headers.set_first_value):
        with pytest.raises(UnsafeHeader):
            put("X-PH-One", value)
    with pytest.raises(UnsafeHeader):
        application_header("X-PH-One", value)
    assert len(headers) == 0


@pytest.mark.parametrize("name", ["", "a b", "a:b", "a\r\n", "é"])
def test_names_cannot_break_out_of_their_line(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        Headers().add(name, "x")
    with pytest.raises(UnsafeHeader):
        application_header(name, "x")


@pytest.mark.parametrize(
    "name", ["Via", "v", "FROM", "Content-Length", "l", "Route", "cseq", "Authorization", "Contact"]
)
def test_applications_cannot_write_the_headers_of_the_sip_layer(name: str) -> None:
    with pytest.raises(UnsafeHeader):
        application_header(name, "x")


def test_application_headers_pass() -> None:
    assert application_header("X-PH-One", "a, b") == ("X-PH-One", "a, b")


# Views.


def test_views_follow_a_change_of_headers() -> None:
    message = invite()
    assert message.cseq is message.cseq
    message.headers.set("CSeq", "103 INVITE")
    assert message.cseq == CSeq(103, "INVITE")
    message.headers.set_first_value("via", "SIP/2.0/UDP new;branch=z9hG4bK9")
    assert [via.host for via in message.vias] == ["new", "b"]
    assert message.via.host == "new"


def test_missing_headers_of_our_own_messages_are_named() -> None:
    message = SipRequest("INVITE", "sip:a@b")
    for view in ("via", "from_", "to", "call_id", "cseq"):
        with pytest.raises(MalformedSip):
            getattr(message, view)
    assert [message.vias, message.contacts, message.routes, message.record_routes] == [()] * 4
    assert (message.max_forwards, message.content_type, message.expires) == (70, None, None)


def test_views_of_our_own_messages_are_read_on_demand() -> None:
    message = SipRequest("INVITE", "sip:a@b", [("Max-Forwards", "60"), ("Contact", "*")])
    assert message.uri == SipUri("b", "a")
    assert message.uri is message.uri
    assert message.max_forwards == 60
    assert message.contacts == ()
    message.headers.set("Max-Forwards", "256")
    with pytest.raises(MalformedSip):
        _ = message.max_forwards
    with pytest.raises(MalformedSip):
        _ = SipRequest("INVITE", "nonsense").uri


def test_optional_views() -> None:
    message = SipRequest(
        "BYE",
        "sip:a@b",
        [
            ("Reason", 'Q.850;cause=16;text="Normal, clearing", SIP;cause=200'),
            ("Content-Type", 'Multipart/Mixed ; boundary="a b"'),
            ("Expires", "60"),
            ("P-Asserted-Identity", '"A" <sip:a@b>, tel:+1555'),
            ("P-Asserted-Identity", '"broken <sip:x>'),
        ],
    )
    assert message.reasons == (Reason("Q.850", 16, "Normal, clearing"), Reason("SIP", 200))
    assert message.content_type is not None
    assert (message.content_type.full_type, message.content_type.boundary) == ("multipart/mixed", "a b")
    assert message.expires == 60
    assert [address.uri_text for address in message.addresses("p-asserted-identity")] == ["sip:a@b", "tel:+1555"]


def test_response_classes() -> None:
    rows = [
        (response.is_provisional, response.is_success, response.is_final)
        for response in map(SipResponse, (100, 199, 200, 299, 300, 699))
    ]
    assert rows == [
        *[(True, False, False)] * 2,
        *[(False, True, True)] * 2,
        *[(False, False, True)] * 2,
    ]


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("0", 0),
        ("30 (busy)", 30),
        ("30;duration=5", 30),
        ("4294967295", 4294967295),
        ("4294967296", None),
        ("x", None),
        ("", None),
    ],
)
def test_number_of(value: str, number: int | None) -> None:
    assert number_of(Headers([("Retry-After", value)]), "retry-after") == number


def test_number_of_absent_header() -> None:
    assert number_of(Headers(), "expires") is None


# Emission.


def test_bytes_have_usual_names_own_spelling_and_a_right_length() -> None:
    message = SipRequest(
        "INVITE", "sip:a@b", [("v", "SIP/2.0/UDP h"), ("CSEQ", "1 INVITE"), ("X-pH-one", "é"), ("l", "999")], b"body"
    )
    assert (
        message.to_bytes()
        == (
            "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nCSeq: 1 INVITE\r\nX-pH-one: é\r\n"
            "Content-Length: 4\r\n\r\nbody"
        ).encode()
    )


def test_bytes_are_built_once_until_a_header_changes() -> None:
    message = invite()
    first = message.to_bytes()
    assert message.to_bytes() is first
    message.headers.add("Q", "1")
    assert b"\r\nQ: 1\r\n" in message.to_bytes()


@pytest.mark.parametrize(
    "message",
    [
        SipRequest("IN VITE", "sip:a@b"),
        SipRequest("INVITE\r\n", "sip:a@b"),
        SipRequest("INVITE", "sip:a@b SIP/2.0\r\nX: y"),
        SipRequest("INVITE", "<sip:a@b>"),
        SipRequest("INVITE", ""),
        SipResponse(200, "OK\r\nX: y"),
        SipResponse(200, "a\0"),
        SipResponse(99),
        SipResponse(700),
    ],
)
def test_start_lines_cannot_be_spliced(message: SipRequest | SipResponse) -> None:
    with pytest.raises(UnsafeHeader):
        message.to_bytes()


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\rb"])
def test_a_line_break_behind_the_checks_is_still_caught(value: str) -> None:
    message = SipRequest("INVITE", "sip:a@b", Headers.from_parsed([("x", value, "X")], {}, {}))
    with pytest.raises(UnsafeHeader):
        message.to_bytes()


def test_latin1_values_keep_their_bytes_beside_utf8() -> None:
    message = SipRequest(
        "INVITE", "sip:a@b", Headers.from_parsed([("x", Latin1Text("é"), "X"), ("y", "é", "Y")], {}, {})
    )
    assert b"\r\nX: \xe9\r\nY: \xc3\xa9\r\n" in message.to_bytes()


# Responses.


def test_response_copies_what_rfc_3261_says() -> None:
    response = response_to(invite(), 180, to_tag="t1", headers=[("Contact", "<sip:us@h>")], body=b"x")
    assert list(response.headers) == [
        ("via", "SIP/2.0/UDP a;branch=z9hG4bK1, SIP/2.0/UDP b;branch=z9hG4bK2"),
        ("from", '"Alice Example" <sip:+15551234567@carrier.example.com>;tag=9fxced76sl'),
        ("to", "<sip:15550001000@198.51.100.20>;tag=t1"),
        ("call-id", "3848276298220188511@192.0.2.1"),
        ("cseq", "102 INVITE"),
        ("record-route", "<sip:p1;lr>, <sip:p2;lr>"),
        ("contact", "<sip:us@h>"),
    ]
    assert (response.status, response.reason, response.body) == (180, "Ringing", b"x")
    assert response.to.tag == "t1"


@pytest.mark.parametrize(("status", "copied"), [(100, False), (183, True), (200, True), (302, False), (486, False)])
def test_record_route_is_copied_where_a_dialog_may_arise(status: int, copied: bool) -> None:
    assert ("record-route" in response_to(invite(), status).headers) is copied


def test_tag_is_added_only_once_and_checked() -> None:
    message = invite()
    message.headers.set("To", "<sip:b@c>;tag=theirs")
    assert response_to(message, 200, to_tag="ours").headers.get("to") == "<sip:b@c>;tag=theirs"
    with pytest.raises(UnsafeHeader):
        response_to(message, 200, to_tag="a;b")
    assert response_to(message, 100).to.tag == "theirs"


def test_reason_phrases() -> None:
    assert response_to(invite(), 486).reason == "Busy Here"
    assert response_to(invite(), 486, "Later").reason == "Later"
    assert response_to(invite(), 499).reason == ""
    assert all(100 <= status <= 699 and phrase for status, phrase in REASON_PHRASES.items())


def test_response_headers_are_checked() -> None:
    with pytest.raises(UnsafeHeader):
        response_to(invite(), 200, headers=[("X", "a\r\nb")])


def test_changing_a_response_leaves_the_request_alone() -> None:
    message = invite()
    response_to(message, 200).headers.set("To", "x")
    assert message.headers.get("to") == "<sip:15550001000@198.51.100.20>"
