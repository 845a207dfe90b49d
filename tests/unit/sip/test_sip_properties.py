"""Properties of the parser for any input: a message or a `SipParseError`, stable rebuilding, framing of any cut."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.sip_messages import SDP, request_bytes, response_bytes
from tests.support.sip_vectors import rfc4475, rfc4475_names, rfc5118, rfc5118_names

from ringback.errors import RingbackError
from ringback.sip.address import NameAddr, name_addr, parse_name_addr
from ringback.sip.digest import Challenge, Credentials, DigestClient
from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.header_fields import Headers
from ringback.sip.message import SipMessage, SipRequest, SipResponse, response_to
from ringback.sip.parser import KeepAlive, SipParseError, StreamFramer, parse_message
from ringback.sip.syntax import parse_params, quote, split_list, unquote
from ringback.sip.uri import escape_user, parse_uri, parse_uri_or_opaque, unescape

SEEDS = [
    *(rfc4475(name) for name in rfc4475_names()),
    *(rfc5118(name) for name in rfc5118_names()),
    request_bytes("Route: <sip:a;lr>, <sip:b;lr>", "Record-Route: <sip:c;lr>", body=SDP),
    response_bytes(body=SDP),
]
SPLICES = [
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b"\r\n ",
        b'"',
        b"\\",
        b"<",
        b">",
        b";",
        b",",
        b":",
        b"@",
        b"?",
        b"%",
        b"=",
        b" ",
        b"\t",
    ),
    *(
        b"\xff",
        b"\xc3\xa9",
        b"[",
        b"]",
        b"sip:",
        b"tel:",
        b"SIP/2.0",
        b"Via: ",
        b"\r\n\r\n",
        b"*",
        b"-1",
        b"99999999999",
    ),
    *(b"Content-Length: 5\r\n", b"Contact: *\r\n", b"To: x\r\n", b"ACK", b"REGISTER"),
]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Draw a valid or torture message with a few cuts, doublings, splices and changed octets."""
    data = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(data)))
        length = draw(st.integers(0, 12))
        match draw(st.integers(0, 3)):
            case 0:
                del data[at : at + length]
            case 1:
                data[at:at] = data[at : at + length]
            case 2:
                data[at:at] = draw(st.sampled_from(SPLICES))
            case _:
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(data)


def exercise(message: SipMessage) -> None:
    """Use every view of a parsed message: none may raise."""
    assert message.vias
    assert message.via == message.vias[0]
    for address in (message.from_, message.to, *message.contacts, *message.routes, *message.record_routes):
        assert str(address.uri)
        assert parse_name_addr(str(address)).uri_text == address.uri_text
    for via in message.vias:
        str(via)
    assert Headers(message.headers) == message.headers
    assert message.call_id
    assert 0 <= message.cseq.number < 2**31
    assert 0 <= message.max_forwards <= 255
    message.content_type, message.expires, message.reasons, message.has_wildcard_contact  # noqa: B018 - must not raise
    message.addresses("p-asserted-identity")
    message.option_tags("supported")
    if isinstance(message, SipRequest):
        assert str(message.uri)
        response_to(message, 200, to_tag="t").to_bytes()


def check(data: bytes) -> None:
    """Parse `data`; whatever comes out must be whole."""
    refusal: SipParseError | None = None
    try:
        message = parse_message(data)
    except SipParseError as error:
        refusal = error
    if refusal is not None:
        if refusal.status is not None:
            assert refusal.request is not None
            assert refusal.request.via.host
            response_to(refusal.request, refusal.status, to_tag="t").to_bytes()
        return
    exercise(message)
    built = message.to_bytes()
    again = parse_message(built)
    exercise(again)
    assert again.to_bytes() == built
    assert again.body == message.body
    assert again.start_line == message.start_line


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=600))
def test_random_bytes_give_a_message_or_a_parse_error(data: bytes) -> None:
    check(data)


@settings(max_examples=600, deadline=None)
@given(mutated())
def test_mutated_messages_give_a_message_or_a_parse_error(data: bytes) -> None:
    check(data)


@settings(max_examples=200, deadline=None)
@given(st.lists(mutated() | st.binary(max_size=80), max_size=4), st.lists(st.integers(1, 400), min_size=1, max_size=20))
def test_a_stream_gives_the_same_for_every_cut(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts)
    whole, pieces = StreamFramer(), StreamFramer()
    expected = whole.feed(data)
    found: list[SipMessage | KeepAlive | SipParseError] = []
    start = number = 0
    while start < len(data):
        size = cuts[number % len(cuts)]
        found += pieces.feed(data[start : start + size])
        start, number = start + size, number + 1
    assert described(found) == described(expected)
    assert pieces.is_broken == whole.is_broken
    assert pieces.has_partial_message == whole.has_partial_message


def described(items: list[SipMessage | KeepAlive | SipParseError]) -> list[object]:
    """Return the items in a form to compare; keep-alives depend on the cut and are left out."""
    rows: list[object] = []
    for item in items:
        if isinstance(item, SipRequest | SipResponse):
            exercise(item)
            rows.append(item.to_bytes())
        elif isinstance(item, SipParseError):
            rows.append((item.status, item.code, item.closes_stream))
    return rows


@given(st.text(max_size=60))
def test_quoting_is_undone_by_unquoting(text: str) -> None:
    assert unquote(quote(text)) == text


@given(st.text(max_size=80))
def test_lexical_functions_raise_nothing_but_their_own_error(text: str) -> None:
    split_list(text)
    unescape(text)
    parse_uri_or_opaque(text)
    for read in (parse_params, parse_uri, parse_name_addr, Challenge.parse):
        try:
            read(text)
        except MalformedSip:
            continue


@given(st.text(min_size=1, max_size=40))
def test_any_user_survives_escaping(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        return
    assert parse_uri(f"sip:{escape_user(text)}@h").user_text == text.replace("\0", "%00")


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=20))
def test_own_addresses_come_back_whole_or_are_refused(uri: str, display: str, value: str) -> None:
    try:
        address: NameAddr = name_addr(f"sip:{uri}", display, {"x": value})
    except UnsafeHeader:
        return
    read = parse_name_addr(str(address))
    assert (read.uri_text, read.display) == (address.uri_text, display)
    assert unquote(read.params["x"] or "") == unquote(value)


@given(st.text(max_size=60), st.text(max_size=30))
def test_any_challenge_is_answered_in_one_safe_line_or_not_at_all(challenge: str, username: str) -> None:
    client = DigestClient(lambda: "c")
    try:
        parsed = Challenge.parse(f'Digest realm="r", nonce="n", {challenge}')
        headers = client.authorize_all([parsed], "BYE", "sip:a@b", b"", [Credentials(username, "p")])
    except RingbackError:
        return
    for _, value in headers:
        assert "\r" not in value
        assert "\n" not in value
