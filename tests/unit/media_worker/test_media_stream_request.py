"""`media.worker.stream_request`: only what cannot be misread reaches the request line and the headers."""

from __future__ import annotations

import ssl

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.ids import CommandId, SessionId, StreamId
from ringback.media.control.commands import OpenStream
from ringback.media.control.values import Address, AudioFormat, Encoding, Track
from ringback.media.worker.stream_request import UnusableStream, check_stream, handshake_headers, tls_context

COMMAND = OpenStream(
    command_id=CommandId("c"),
    session_id=SessionId("s"),
    stream_id=StreamId("st"),
    url="wss://agent.example/ws?body=a=+/",
    headers=(("X-Plivo-Signature-V3", "abc=,def="),),
    addresses=(Address("192.0.2.1", 443),),
    call_uuid="c",
    account_id="MA",
    track=Track.INBOUND,
    bidirectional=True,
    format=AudioFormat(Encoding.MULAW, 8_000),
)


def test_headers_name_the_host_and_carry_the_signature() -> None:
    check_stream(COMMAND)
    headers = handshake_headers(COMMAND)
    assert headers[0] == ("Host", "agent.example")
    assert headers[1][0] == "User-Agent"
    assert headers[2:] == [("Sec-WebSocket-Protocol", "audio.drachtio.org"), ("X-Plivo-Signature-V3", "abc=,def=")]


def test_credentials_of_the_url_stay_out_of_the_host_header() -> None:
    command = msgspec.structs.replace(COMMAND, url="ws://user:secret@agent.example:8080/", subprotocol="")
    check_stream(command)
    headers = dict(handshake_headers(command))
    assert headers["Host"] == "agent.example:8080"
    assert "Sec-WebSocket-Protocol" not in headers


def test_the_longest_url_and_one_character_more() -> None:
    rest = 2_048 - len("agent.example/")
    check_stream(msgspec.structs.replace(COMMAND, url="ws://agent.example/" + "a" * rest))
    with pytest.raises(UnusableStream):
        check_stream(msgspec.structs.replace(COMMAND, url="ws://agent.example/" + "a" * (rest + 1)))


def test_32_headers_and_one_more() -> None:
    headers = tuple((f"X-{number}", "v") for number in range(33))
    check_stream(msgspec.structs.replace(COMMAND, headers=headers[:32]))
    with pytest.raises(UnusableStream, match="too many headers"):
        check_stream(msgspec.structs.replace(COMMAND, headers=headers))


@pytest.mark.parametrize("url", ["http://a/", "ws://", "ws:///x", "ws://[::1/", "ws://a:99999/", "ws://a/\u00fc", ""])
def test_an_unusable_url_is_refused(url: str) -> None:
    with pytest.raises(UnusableStream):
        check_stream(msgspec.structs.replace(COMMAND, url=url))


@given(st.text(max_size=40), st.text(max_size=40), st.text(max_size=40))
def test_what_passes_cannot_break_the_request(path: str, name: str, value: str) -> None:
    command = msgspec.structs.replace(COMMAND, url="ws://a.example/" + path, headers=((name, value),))
    try:
        check_stream(command)
    except UnusableStream:
        return
    text = command.url + "".join(f"{key}: {content}" for key, content in handshake_headers(command))
    assert text.isascii()
    assert not set(text) & set("\r\n\x00")
    assert " " not in command.url
    assert ":" not in name


def test_certificates_are_verified_unless_told() -> None:
    assert tls_context(True).verify_mode is ssl.CERT_REQUIRED
    assert tls_context(True).check_hostname
    assert tls_context(False).verify_mode is ssl.CERT_NONE
    assert tls_context(True) is tls_context(True)
