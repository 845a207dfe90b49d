"""The parser contract: what is accepted and repaired, what is refused, and every limit at N and N+1."""

from __future__ import annotations

import pytest
from tests.support.sip_messages import SDP, request_bytes, response_bytes

from ringback.sip.message import SipRequest, SipResponse, response_to
from ringback.sip.parser import ParserLimits, SipParseError, is_keep_alive, parse_message
from ringback.sip.uri import SipUri, TelUri


def request(data: bytes) -> SipRequest:
    """Return the request in `data`, which must parse."""
    message = parse_message(data)
    assert isinstance(message, SipRequest)
    return message


def refusal(data: bytes, limits: ParserLimits | None = None) -> SipParseError:
    """Return the error for `data`, which must not parse."""
    with pytest.raises(SipParseError) as caught:
        parse_message(data) if limits is None else parse_message(data, limits)
    return caught.value


# What is accepted and repaired.


def test_a_plain_invite_is_read() -> None:
    message = request(request_bytes("Content-Type: application/sdp", body=SDP))
    assert (message.method, message.uri_text) == ("INVITE", "sip:15550001000@198.51.100.20")
    assert message.uri == SipUri("198.51.100.20", "15550001000")
    assert (message.via.transport, message.via.host, message.via.port) == ("UDP", "192.0.2.1", 5060)
    assert message.via.has_rport
    assert message.from_.display == "Alice Example"
    assert message.from_.uri == SipUri("carrier.example.com", "+15551234567")
    assert (message.from_.tag, message.to.tag) == ("9fxced76sl", None)
    assert message.call_id == "3848276298220188511@192.0.2.1"
    assert (message.cseq.number, message.cseq.method) == (102, "INVITE")
    assert message.contacts[0].uri_text == "sip:+15551234567@192.0.2.1:5060;transport=udp"
    assert message.max_forwards == 70
    assert message.body == SDP


def test_bare_lf_ends_lines_when_no_crlf_occurs() -> None:
    message = request(request_bytes(line_end="\n", body=SDP))
    assert message.from_.tag == "9fxced76sl"
    assert message.body == SDP


def test_crlf_before_the_start_line() -> None:
    assert request(b"\r\n\r\n" + request_bytes()).method == "INVITE"


def test_absent_content_length_means_the_rest_of_the_datagram() -> None:
    assert request(request_bytes(has_length=False) + SDP).body == SDP


def test_octets_behind_the_declared_body_are_ignored() -> None:
    assert request(request_bytes(body=SDP) + b"junk\0junk").body == SDP


def test_equal_content_lengths_are_one() -> None:
    assert request(request_bytes(f"l: {len(SDP)}", body=SDP)).body == SDP


def test_header_section_without_blank_line_only_with_length_zero() -> None:
    whole = request_bytes()
    assert request(whole[:-2]).body == b""
    assert refusal(request_bytes(body=SDP)[: -len(SDP) - 2]).status == 400
    assert refusal(request_bytes(has_length=False)[:-2]).status == 400
    assert refusal(whole[:-4]).status == 400


def test_latin1_and_invalid_utf8_values_are_read_and_sent_back_as_they_came() -> None:
    data = (
        request_bytes("X-Note: ok")
        .replace(b"Alice Example", b"Ren\xe9")
        .replace(b"X-Note: ok", b"X-Note: \xff\xfe\xc3\xa9")
    )
    message = request(data)
    assert message.from_.display == "René"
    assert b'From: "Ren\xe9" <' in message.to_bytes()
    assert b"X-Note: \xff\xfe\xc3\xa9\r\n" in message.to_bytes()
    assert b'From: "Ren\xe9" <' in response_to(message, 200, to_tag="t").to_bytes()


def test_utf8_values_are_read() -> None:
    message = request(request_bytes(replace={"From": '"Žofie ☎" <sip:z@example.com>;tag=1'}))
    assert message.from_.display == "Žofie ☎"
    assert '"Žofie ☎"'.encode() in message.to_bytes()


def test_latin1_in_to_keeps_its_bytes_when_the_tag_is_added() -> None:
    data = request_bytes(replace={"To": '"X" <sip:b@example.com>'}).replace(b'"X"', b'"\xfc"')
    assert b'To: "\xfc" <sip:b@example.com>;tag=t\r\n' in response_to(request(data), 180, to_tag="t").to_bytes()


def test_folded_headers_are_unfolded_before_anything_else() -> None:
    data = request_bytes(
        "Subject: one\r\n two:\r\n\tthree",
        replace={"From": '"A"\r\n  <sip:a@example.com>\r\n ;tag=1', "Via": "SIP/2.0/UDP\r\n 192.0.2.1;branch=z9hG4bKx"},
    )
    message = request(data)
    assert message.headers.get("subject") == "one two: three"
    assert message.from_.tag == "1"
    assert message.via.branch == "z9hG4bKx"


@pytest.mark.parametrize("colon", [" :", "\t:", ":\t", "  :  ", ":"])
def test_white_space_round_the_colon(colon: str) -> None:
    assert request(request_bytes(f"X-PH-Case{colon}abc ")).headers.get("x-ph-case") == "abc"


@pytest.mark.parametrize(
    ("short", "long", "value"),
    [
        ("k", "supported", "timer"),
        ("c", "content-type", "application/sdp"),
        ("E", "content-encoding", "gzip"),
        ("s", "subject", "x"),
        ("O", "event", "talk"),
        ("r", "refer-to", "<sip:a@b>"),
        ("B", "referred-by", "<sip:a@b>"),
        ("x", "session-expires", "1800"),
        ("u", "allow-events", "talk"),
        ("a", "accept-contact", "*"),
        ("J", "reject-contact", "*"),
        ("d", "request-disposition", "queue"),
        ("y", "identity", "x"),
        ("N", "identity-info", "x"),
    ],
)
def test_compact_forms_in_any_case(short: str, long: str, value: str) -> None:
    assert request(request_bytes(f"{short}: {value}")).headers.get(long) == value


def test_compact_forms_of_the_mandatory_headers() -> None:
    data = request_bytes(has_length=False)
    for name, short in (("Via", "v"), ("From", "F"), ("To", "t"), ("Call-ID", "I"), ("Contact", "m")):
        data = data.replace(f"\r\n{name}: ".encode(), f"\r\n{short}: ".encode())
    message = request(data.replace(b"\r\n\r\n", b"\r\nL: 0\r\n\r\n"))
    assert message.from_.tag == "9fxced76sl"
    assert message.call_id.endswith("@192.0.2.1")
    assert b"\r\nCall-ID: " in message.to_bytes()


def test_names_in_any_case() -> None:
    data = request_bytes().replace(b"Call-ID:", b"cALL-iD:").replace(b"CSeq:", b"CSEQ:")
    assert request(data).cseq.number == 102


def test_several_values_in_one_line_are_split() -> None:
    message = request(
        request_bytes(
            "Route: <sip:a.example.com;lr>, <sip:b.example.com;lr=on>",
            'Record-Route: <sip:c.example.com>,"x, y" <sip:d.example.com>',
            "Allow: INVITE, ACK,BYE",
            "Supported: timer, ,path",
            replace={"Via": "SIP/2.0/UDP a;branch=z9hG4bK1 , SIP/2.0/TCP b:5080;branch=z9hG4bK2"},
        )
    )
    assert [route.uri_text for route in message.routes] == ["sip:a.example.com;lr", "sip:b.example.com;lr=on"]
    assert all(isinstance(route.uri, SipUri) and route.uri.is_loose_route for route in message.routes)
    assert [route.display for route in message.record_routes] == ["", "x, y"]
    assert message.option_tags("allow") == ("INVITE", "ACK", "BYE")
    assert message.option_tags("Supported") == ("timer", "path")
    assert [via.sent_by for via in message.vias] == ["a:5060", "b:5080"]
    assert message.via is message.vias[0]


def test_credentials_and_dates_are_never_split() -> None:
    message = request(
        request_bytes('Authorization: Digest username="a", realm="b"', "Date: Sat, 15 Oct 2005 04:44:56 GMT")
    )
    assert message.headers.all("authorization") == ('Digest username="a", realm="b"',)
    assert message.headers.all("date") == ("Sat, 15 Oct 2005 04:44:56 GMT",)


def test_quoted_names_with_separators() -> None:
    message = request(request_bytes(replace={"From": '"a, <b>; \\"c\\" \\\\" <sip:a@example.com>;tag=1'}))
    assert message.from_.display == 'a, <b>; "c" \\'
    assert message.from_.uri_text == "sip:a@example.com"


def test_parameters_without_angle_brackets_belong_to_the_header() -> None:
    message = request(
        request_bytes(replace={"From": "sip:a@example.com;tag=1;user=phone", "To": "tel:+15550001000;x=1"})
    )
    assert message.from_.uri == SipUri("example.com", "a")
    assert message.from_.params == {"tag": "1", "user": "phone"}
    assert (message.to.uri, message.to.params) == (TelUri("+15550001000"), {"x": "1"})


@pytest.mark.parametrize("rport", ["rport", "rport=", "rport;;", "rport = "])
def test_rport_with_and_without_value_asks(rport: str) -> None:
    via = request(request_bytes(replace={"Via": f"SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx;{rport}"})).via
    assert via.has_rport
    assert via.rport is None


def test_empty_parameters_are_skipped() -> None:
    message = request(
        request_bytes(
            replace={"Via": "SIP/2.0/UDP h;;branch=z9hG4bKx;", "From": "<sip:a@b>;;tag=1;", "To": "<sip:b@c>;"}
        )
    )
    assert message.via.params == {"branch": "z9hG4bKx"}
    assert (message.from_.tag, message.to.tag) == ("1", None)


@pytest.mark.parametrize("host", ["pbx1", "sbc.dc2", "my_pbx.local", "a--b.example.com", "example.com."])
def test_hosts_of_the_field(host: str) -> None:
    message = request(request_bytes(uri=f"sip:1@{host}:5080", replace={"Via": f"SIP/2.0/UDP {host};branch=z9hG4bKx"}))
    assert message.uri == SipUri(host, "1", 5080)
    assert message.via.host == host


def test_number_sign_in_the_user_part() -> None:
    uri = request(request_bytes(uri="sip:*67#5551234@example.com")).uri
    assert isinstance(uri, SipUri)
    assert uri.user == "*67#5551234"


def test_scheme_and_version_in_any_case() -> None:
    message = request(request_bytes(start_line="INVITE SIP:1@example.com sip/2.0", replace={"Contact": "<SIP:a@b>"}))
    assert message.uri == SipUri("example.com", "1")
    assert parse_message(response_bytes("sip/2.0 200 OK")).headers


@pytest.mark.parametrize(
    "via", ["SIP / 2.0 / UDP 192.0.2.1 : 5070 ; branch = z9hG4bKx", "sip/2.0/udp 192.0.2.1:5070;branch=z9hG4bKx"]
)
def test_spaced_and_lower_case_via(via: str) -> None:
    read = request(request_bytes(replace={"Via": via})).via
    assert (read.transport, read.host, read.port, read.branch) == ("UDP", "192.0.2.1", 5070, "z9hG4bKx")


def test_tel_uris() -> None:
    message = request(
        request_bytes(uri="tel:+1-555-000-1000;phone-context=example.com", replace={"From": "<tel:555;x=1>;tag=1"})
    )
    assert isinstance(message.uri, TelUri)
    assert (message.uri.digits, message.uri.phone_context) == ("+15550001000", "example.com")
    assert message.from_.uri == TelUri("555", {"x": "1"})


def test_wildcard_contact_in_register_with_expires_zero() -> None:
    message = request(request_bytes("Expires: 0", method="REGISTER", replace={"Contact": "*"}))
    assert message.has_wildcard_contact
    assert message.contacts == ()


def test_absent_max_forwards_is_70() -> None:
    assert request(request_bytes(replace={"Max-Forwards": None})).max_forwards == 70


def test_bad_optional_headers_cost_only_themselves() -> None:
    message = request(
        request_bytes(
            "Expires: soon",
            "Content-Type: sdp",
            'Reason: Q.850;cause=16;text="unterminated',
            "Date: yesterday",
            'P-Asserted-Identity: "unterminated, <sip:x@y>',
            "Session-Expires: ;;;",
        )
    )
    assert message.expires is None
    assert message.content_type is None
    assert message.reasons == ()
    assert message.addresses("p-asserted-identity") == ()


def test_unreadable_contact_of_a_failure_response_is_left_out() -> None:
    for status in (183, 302, 486):
        assert parse_message(response_bytes(f"SIP/2.0 {status} X", replace={"Contact": "sip:a b"})).contacts == ()
    assert refusal(response_bytes(replace={"Contact": "sip:a b"})).status is None


def test_status_line_without_reason_phrase() -> None:
    for line in ("SIP/2.0 180", "SIP/2.0 180 "):
        message = parse_message(response_bytes(line))
        assert isinstance(message, SipResponse)
        assert (message.status, message.reason) == (180, "")


# What is refused.


@pytest.mark.parametrize("name", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_missing_mandatory_header_is_dropped(name: str) -> None:
    error = refusal(request_bytes(replace={name: None}))
    assert (error.status, error.request) == (None, None)


@pytest.mark.parametrize("name", ["From", "To", "Call-ID", "CSeq", "Max-Forwards"])
def test_repeated_single_header_is_refused(name: str) -> None:
    value = {
        "From": "<sip:x@y>;tag=2",
        "To": "<sip:x@y>",
        "Call-ID": "other",
        "CSeq": "102 INVITE",
        "Max-Forwards": "70",
    }
    error = refusal(request_bytes(f"{name}: {value[name]}"))
    assert error.status == 400


@pytest.mark.parametrize("length", ["-1", "+0", "0x0", "", "1 2", "99999999999", "1,1", "٣"])
def test_bad_content_length_is_refused(length: str) -> None:
    assert refusal(request_bytes(f"Content-Length: {length}", has_length=False)).status == 400


def test_content_length_beyond_the_datagram_is_refused() -> None:
    assert request(request_bytes(body=b"1234")).body == b"1234"
    assert refusal(request_bytes(body=b"1234")[:-1]).status == 400


def test_different_content_lengths_are_refused() -> None:
    assert refusal(request_bytes("Content-Length: 5", body=b"1234567890")).status == 400


@pytest.mark.parametrize(
    "cseq", ["102 BYE", "102 invite", "INVITE", "102", "x INVITE", "-1 INVITE", "2147483648 INVITE", "1 2 INVITE"]
)
def test_bad_cseq_is_refused(cseq: str) -> None:
    assert refusal(request_bytes(replace={"CSeq": cseq})).status in (400, None)


def test_cseq_bounds() -> None:
    assert request(request_bytes(replace={"CSeq": "2147483647 INVITE"})).cseq.number == 2**31 - 1
    assert refusal(request_bytes(replace={"CSeq": "2147483648 INVITE"})).status == 400


def test_max_forwards_bounds() -> None:
    assert request(request_bytes(replace={"Max-Forwards": "255"})).max_forwards == 255
    for value in ("256", "-1", "x", ""):
        assert refusal(request_bytes(replace={"Max-Forwards": value})).status == 400


@pytest.mark.parametrize("name", ["From", "To"])
def test_unterminated_quote_is_refused_with_400(name: str) -> None:
    error = refusal(request_bytes(replace={name: '"Alice <sip:a@example.com>;tag=1'}))
    assert error.status == 400
    assert error.code == "unterminated-quote"


@pytest.mark.parametrize("octet", [b"\0", b"\r", b"\n"])
@pytest.mark.parametrize("where", [b"192.0.2.1:5060;", b"Alice", b"3848276298220188511", b"Max-Forwards: 7"])
def test_control_characters_are_refused_and_never_repeated(octet: bytes, where: bytes) -> None:
    data = request_bytes()
    error = refusal(data.replace(where, where + octet, 1))
    if error.request is not None:
        assert error.status == 400
        assert octet not in response_to(error.request, 400).to_bytes().replace(b"\r\n", b"")
    else:
        assert error.status is None


def test_quoted_nul_is_legal_and_an_escaped_backslash_does_not_quote_it() -> None:
    data = request_bytes(replace={"From": '"a\\Zb" <sip:a@b>;tag=1'})
    assert request(data.replace(b"\\Z", b"\\\0")).from_.display == "ab"
    assert refusal(data.replace(b"\\Z", b"\\\\\0")).status is None
    assert refusal(data.replace(b"\\Z", b"x" * 8_192 + b"\\\0")).status is None


def test_as_many_stray_cr_as_stray_lf_are_still_seen() -> None:
    assert refusal(request_bytes("X-One: a\nb", "X-Two: c\rd")).code == "control-character"


def test_a_control_character_in_the_start_line_is_refused() -> None:
    assert refusal(request_bytes(start_line="INVITE sip:a\0@b SIP/2.0")).status == 400


def test_an_empty_call_id_is_dropped() -> None:
    assert refusal(request_bytes(replace={"Call-ID": ""})).status is None
    assert refusal(response_bytes(replace={"Call-ID": ""})).status is None


def test_crlf_mode_and_lf_mode_do_not_mix() -> None:
    data = request_bytes("X-One: 1\nX-Two: 2")
    assert refusal(data).status == 400
    mixed = request_bytes("X-One: 1\r", line_end="\n")
    assert refusal(mixed).status == 400


def test_line_ends_cannot_smuggle_a_header_section() -> None:
    data = request_bytes("X-One: 1\n\nVia: SIP/2.0/UDP evil")
    assert refusal(data).status == 400


@pytest.mark.parametrize(
    "start_line",
    [
        "INVITE <sip:a@b> SIP/2.0",
        "INVITE sip:a@b?x=y SIP/2.0",
        "INVITE  sip:a@b SIP/2.0",
        "INVITE sip:a@b SIP/2.0 ",
        "INVITE sip:a@b",
        "INVITE sip:a b@c SIP/2.0",
        "INVITE sip:@b SIP/2.0",
        "INVITE sip: SIP/2.0",
        "INVITE a@b SIP/2.0",
        "INVITE(1) sip:a@b SIP/2.0",
        "INVITE sip:a@b:99999 SIP/2.0",
        "INVITE sip:a@b:port SIP/2.0",
        "INVITE sip:a@[2001:db8::g] SIP/2.0",
        "INVITE sip:a@[::1]x SIP/2.0",
        "INVITE sip:a@b@c SIP/2.0",
        'INVITE sip:"a"@b SIP/2.0',
        "INVITE sip:a@b HTTP/1.1",
        "INVITE sip:a@b SIP/x",
        "INVITE sip:a\t@b SIP/2.0",
    ],
)
def test_bad_request_lines_are_refused_with_400(start_line: str) -> None:
    assert refusal(request_bytes(start_line=start_line)).status == 400


def test_request_uri_of_2048_characters_is_read_and_a_longer_one_is_414() -> None:
    fitting = "sip:" + "1" * (2_048 - len("sip:@a.example")) + "@a.example"
    parse_message(request_bytes(uri=fitting))
    assert refusal(request_bytes(uri="sip:1" + fitting.removeprefix("sip:"))).status == 414


def test_other_versions_are_505_and_other_schemes_416() -> None:
    assert refusal(request_bytes(start_line="INVITE sip:a@b SIP/3.0")).status == 505
    assert refusal(request_bytes(uri="urn:service:sos")).status == 416
    assert refusal(request_bytes(uri="mailto:a@b")).status == 416


@pytest.mark.parametrize("status", ["099", "700", "20", "2000", "abc", "2٠0", "-20", ""])
def test_bad_status_is_dropped(status: str) -> None:
    error = refusal(response_bytes(f"SIP/2.0 {status} X"))
    assert (error.status, error.request) == (None, None)


def test_responses_and_acks_are_never_answered() -> None:
    assert refusal(response_bytes(replace={"To": '"x'})).status is None
    assert refusal(response_bytes("SIP/3.0 200 OK")).status is None
    assert refusal(request_bytes(method="ACK", replace={"To": '"x'})).status is None
    assert refusal(request_bytes(method="BYE", replace={"To": '"x'})).status == 400


@pytest.mark.parametrize(
    "contact", ["sip:a@b?x=y", "sip:a@b, c", "sip:a b@c", "a@b", "<sip:a@b", "<>", "<sip:a@b> x", "*, *"]
)
def test_bad_contact_is_refused(contact: str) -> None:
    assert refusal(request_bytes(replace={"Contact": contact})).status == 400


def test_wildcard_contact_elsewhere_is_refused() -> None:
    assert refusal(request_bytes(replace={"Contact": "*"})).status == 400
    assert refusal(request_bytes("Expires: 0", replace={"Contact": "*"})).status == 400
    assert refusal(request_bytes("Expires: 60", method="REGISTER", replace={"Contact": "*"})).status == 400
    assert refusal(request_bytes(method="REGISTER", replace={"Contact": "*"})).status == 400


@pytest.mark.parametrize(
    "via",
    [
        "SIP/2.0/UDP a,",
        "SIP/2.0/UDP a,,SIP/2.0/UDP b",
        "SIP/2.0/UDP a, junk",
        'SIP/2.0/UDP a;x="unterminated',
    ],
)  # fmt: skip - one case per line
def test_bad_later_hop_is_refused_with_400(via: str) -> None:
    assert refusal(request_bytes(replace={"Via": via})).status in (400, None)


@pytest.mark.parametrize(
    "via", ["SIP/2.0/UDP", "SIP/2.0 a", "HTTP/2.0/UDP a", "SIP/2.0/UDP a b", "SIP/2.0/UDP a:x", "SIP/2.0/UDP [::x]", ""]
)
def test_unreadable_top_hop_is_dropped(via: str) -> None:
    assert refusal(request_bytes(replace={"Via": via})).status is None


@pytest.mark.parametrize("line", ["no colon here", ": no name", "bad name: x", "bäd: x"])
def test_a_line_that_is_no_header_is_refused(line: str) -> None:
    assert refusal(request_bytes(line)).status == 400


def test_noise_is_dropped() -> None:
    for noise in (
        b"",
        b"\r\n",
        b"\0",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\n\n",
        b"x" * 70_000,
        b"\xff\n",
    ):
        assert refusal(noise).status is None


def test_keep_alives_are_told_from_messages() -> None:
    assert all(is_keep_alive(data) for data in (b"", b"\r\n\r\n", b"\0\0\0\0", b"\r\n"))
    assert not is_keep_alive(request_bytes())


# Limits.


def test_datagram_limit() -> None:
    data = request_bytes()
    assert request(data + b"x" * (65_535 - len(data))).body == b""
    assert refusal(data + b"x" * (65_536 - len(data))).status is None


def test_header_line_limit() -> None:
    limits = ParserLimits(max_header_lines=20)
    room = 20 - 8
    assert len(parse_message(request_bytes(*["X: 1"] * room), limits).headers) == 20
    assert refusal(request_bytes(*["X: 1"] * (room + 1)), limits).status is None


def test_line_length_limit() -> None:
    assert len(request(request_bytes("X: " + "a" * (8_192 - 3))).headers.get("x") or "") == 8_189
    error = refusal(request_bytes("X: " + "a" * (8_192 - 2)))
    assert error.status == 513
    folded = refusal(request_bytes("X: " + "\r\n ".join(["a" * 99] * 90)))
    assert folded.status == 513


def test_via_limit() -> None:
    def many(count: int) -> bytes:
        return request_bytes(
            replace={"Via": ", ".join(f"SIP/2.0/UDP h{number};branch=z9hG4bKx" for number in range(count))}
        )

    assert len(request(many(70)).vias) == 70
    assert refusal(many(71)).status is None


@pytest.mark.parametrize("name", ["Route", "Record-Route"])
def test_route_limit(name: str) -> None:
    assert len(request(request_bytes(f"{name}: " + ", ".join(["<sip:h;lr>"] * 32))).headers.all(name)) == 32
    assert refusal(request_bytes(f"{name}: " + ", ".join(["<sip:h;lr>"] * 33))).status == 400
