"""The stream framer: messages out of any cut of the bytes, keep-alives, bounds, and when the stream is lost."""

from __future__ import annotations

import pytest
from tests.support.sip_messages import SDP, request_bytes, response_bytes

from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.parser import KeepAlive, ParserLimits, SipParseError, StreamFramer

PAIR = request_bytes(body=SDP) + response_bytes() + b"\r\n\r\n" + request_bytes(method="BYE")


def kinds(items: list[SipRequest | SipResponse | KeepAlive | SipParseError]) -> list[object]:
    """Return method, status, keep-alive or error of each item."""
    return [
        item.method if isinstance(item, SipRequest) else item.status if isinstance(item, SipResponse) else item
        for item in items
    ]


def only_error(items: list[SipRequest | SipResponse | KeepAlive | SipParseError]) -> SipParseError:
    """Return the one item, which must be an error."""
    (item,) = items
    assert isinstance(item, SipParseError)
    return item


@pytest.mark.parametrize("step", [1, 2, 3, 7, 64, 1000, len(PAIR)])
def test_any_cut_of_the_stream_gives_the_same_messages(step: int) -> None:
    framer = StreamFramer()
    found = []
    for start in range(0, len(PAIR), step):
        found += framer.feed(PAIR[start : start + step])
    messages = [kind for kind in kinds(found) if not isinstance(kind, KeepAlive)]
    assert messages == ["INVITE", 200, "BYE"]
    assert KeepAlive.PING in found
    first = found[0]
    assert isinstance(first, SipRequest)
    assert first.body == SDP
    assert not framer.has_partial_message


def test_ping_and_pong() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n\r\n") == [KeepAlive.PING]
    assert framer.feed(b"\r\n") == [KeepAlive.PONG]


def test_a_ping_cut_in_two_is_still_a_ping() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r") == []
    assert framer.feed(b"\n") == [KeepAlive.PONG]
    assert framer.feed(b"\r\n") == [KeepAlive.PING]


def test_stray_line_feeds_between_messages_are_skipped() -> None:
    assert kinds(StreamFramer().feed(b"\n\n\n" + request_bytes(method="BYE"))) == [KeepAlive.PONG, "BYE"]
    assert kinds(StreamFramer().feed(b"\n" + request_bytes(method="BYE"))) == ["BYE"]


def test_a_pong_then_a_message_then_a_pong_is_no_ping() -> None:
    framer = StreamFramer()
    assert kinds(framer.feed(b"\r\n" + request_bytes(method="BYE"))) == [KeepAlive.PONG, "BYE"]
    assert framer.feed(b"\r\n") == [KeepAlive.PONG]


def test_a_flood_of_line_ends_yields_one_ping_per_read() -> None:
    framer = StreamFramer()
    assert framer.feed(b"\r\n" * 30_000) == [KeepAlive.PING]
    assert not framer.has_partial_message


def test_bare_lf_on_a_stream() -> None:
    framer = StreamFramer()
    assert kinds(framer.feed(request_bytes(line_end="\n", body=SDP) + request_bytes(method="BYE"))) == ["INVITE", "BYE"]


def test_partial_message_is_visible() -> None:
    framer = StreamFramer()
    assert not framer.has_partial_message
    framer.feed(request_bytes(body=SDP)[:-1])
    assert framer.has_partial_message
    framer.feed(SDP[-1:])
    assert not framer.has_partial_message


def test_a_bad_message_with_a_good_length_does_not_end_the_stream() -> None:
    framer = StreamFramer()
    bad, good = framer.feed(request_bytes(replace={"To": '"x'}, body=SDP) + request_bytes(method="BYE"))
    assert isinstance(bad, SipParseError)
    assert (bad.status, bad.closes_stream) == (400, False)
    assert bad.request is not None
    assert isinstance(good, SipRequest)
    assert not framer.is_broken


@pytest.mark.parametrize("length", [None, "-1", "x", "", "5 5"])
def test_absent_or_bad_length_ends_the_stream_after_the_400(length: str | None) -> None:
    framer = StreamFramer()
    extra = () if length is None else (f"Content-Length: {length}",)
    error = only_error(framer.feed(request_bytes(*extra, has_length=False) + request_bytes(method="BYE")))
    assert (error.status, error.closes_stream) == (400, True)
    assert error.request is not None
    assert framer.is_broken
    assert framer.feed(request_bytes()) == []
    assert not framer.has_partial_message


def test_different_lengths_end_the_stream() -> None:
    error = only_error(StreamFramer().feed(request_bytes("Content-Length: 9", body=b"123456789012")))
    assert error.closes_stream


def test_header_section_limit() -> None:
    whole = request_bytes(*[f"X-{number}: {'a' * 900}" for number in range(9)])
    size = whole.index(b"\r\n\r\n")
    assert kinds(StreamFramer(ParserLimits(max_stream_head_bytes=size)).feed(whole)) == ["INVITE"]
    error = only_error(StreamFramer(ParserLimits(max_stream_head_bytes=size - 1)).feed(whole))
    assert (error.status, error.closes_stream) == (None, True)


def test_unfinished_header_section_is_cut_off_at_its_limit() -> None:
    framer = StreamFramer()
    line = b"X-Filler: " + b"a" * 1_000 + b"\r\n"
    fed = framer.feed(b"INVITE sip:a@b SIP/2.0\r\n")
    for _ in range(40):
        fed += framer.feed(line)
    error = only_error(fed)
    assert error.closes_stream
    assert framer.is_broken


def test_start_line_without_end_is_cut_off() -> None:
    framer = StreamFramer()
    assert framer.feed(b"x" * 8_192) == []
    assert only_error(framer.feed(b"x")).closes_stream


def test_message_limit() -> None:
    def sized(total: int) -> bytes:
        empty = len(request_bytes("Content-Length: 100000", has_length=False))
        return request_bytes(body=b"x" * (total - empty))

    assert len(sized(128 * 1024)) == 128 * 1024
    assert kinds(StreamFramer().feed(sized(128 * 1024))) == ["INVITE"]
    error = only_error(StreamFramer().feed(sized(128 * 1024 + 1)))
    assert (error.status, error.closes_stream) == (513, True)


def test_too_many_header_lines_end_the_stream() -> None:
    assert kinds(StreamFramer().feed(request_bytes(*["X: 1"] * 248))) == ["INVITE"]
    error = only_error(StreamFramer().feed(request_bytes(*["X: 1"] * 249)))
    assert (error.status, error.closes_stream) == (None, True)


def test_foreign_protocols_end_the_stream() -> None:
    for noise in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00" + b"\x01" * 9_000):
        error = only_error(StreamFramer().feed(noise))
        assert (error.status, error.closes_stream) == (None, True)
