import pytest

from ringback.errors import InvalidParameter
from ringback.media.control.values import AudioFormat, Encoding, Track
from ringback.streams.spec import check_combination, check_extra_headers, check_url, content_format


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("audio/x-l16;rate=8000", AudioFormat(Encoding.L16, 8000)),
        ("audio/x-l16; rate=16000", AudioFormat(Encoding.L16, 16000)),
        ("AUDIO/X-MULAW;rate=8000", AudioFormat(Encoding.MULAW, 8000)),
    ],
)
def test_content_types_are_taken_apart(text: str, expected: AudioFormat):
    assert content_format(text) == expected


@pytest.mark.parametrize("text", ["", "audio/x-l16", "audio/x-l16;rate=24000", "audio/x-mulaw;rate=16000", "text/html"])
def test_other_content_types_are_refused_with_the_allowed_ones(text: str):
    with pytest.raises(InvalidParameter, match="audio/x-mulaw;rate=8000"):
        content_format(text)


def test_urls_are_trimmed_and_must_be_websocket_urls():
    assert check_url("\n   wss://agent.example/ws?a=b&c=d \n") == "wss://agent.example/ws?a=b&c=d"
    for bad in ("", "  ", "https://agent.example/", "agent.example"):
        with pytest.raises(InvalidParameter):
            check_url(bad)


def test_url_length_is_bounded_at_2048():
    assert check_url("ws://a/" + "x" * 2041)
    with pytest.raises(InvalidParameter, match="2049 characters"):
        check_url("ws://a/" + "x" * 2042)


def test_two_way_streams_carry_inbound_only():
    check_combination(bidirectional=True, track=Track.INBOUND)
    check_combination(bidirectional=False, track=Track.BOTH)
    for track in (Track.OUTBOUND, Track.BOTH):
        with pytest.raises(InvalidParameter):
            check_combination(bidirectional=True, track=track)


def test_extra_headers_are_bounded_at_512_bytes():
    assert check_extra_headers("k=" + "é" * 255) == "k=" + "é" * 255
    with pytest.raises(InvalidParameter, match="513 bytes"):
        check_extra_headers("k=" + "é" * 255 + "x")
