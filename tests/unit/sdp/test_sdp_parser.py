"""Reading session descriptions: what is repaired, what is refused, and that nothing foreign ever leaves the parser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.sdp.errors import MalformedSdp
from ringback.sdp.parser import MAXIMUM_BYTES, MAXIMUM_LINES_PER_MEDIA, MAXIMUM_MEDIA, parse_sdp
from ringback.sdp.session import Attribute, Direction, Origin, RtpMap

HEAD = "v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n"
AUDIO = "m=audio 4000 RTP/AVP 0 8 101\r\n"
PLAIN = (HEAD + AUDIO + "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=sendonly\r\n").encode()


def test_plain_description_is_read() -> None:
    description = parse_sdp(PLAIN)
    assert description.origin == Origin("-", "1", "2", "192.0.2.1")
    assert description.host == "192.0.2.1"
    (audio,) = description.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 4000, "RTP/AVP", ("0", "8", "101"))
    assert audio.attributes[1] == Attribute("fmtp", "101 0-16")
    assert description.direction_of(audio) is Direction.SENDONLY
    assert description.host_of(audio) == "192.0.2.1"


@pytest.mark.parametrize(
    "text",
    [
        PLAIN.decode().replace("\r\n", "\n"),
        PLAIN.decode().replace("\r\n", "\r"),
        "\r\n" + PLAIN.decode(),
        PLAIN.decode().rstrip(),
        PLAIN.decode().replace("\r\n", "  \r\n"),
        PLAIN.decode().replace("m=audio 4000 RTP/AVP 0 8 101", "m=audio  4000\tRTP/AVP 0  8 101 "),
        PLAIN.decode().replace("s=-\r\n", "").replace("t=0 0\r\n", ""),
        PLAIN.decode() + "q=unknown\r\nnot a line\r\n=\r\n",
        PLAIN.decode().replace("a=sendonly", "a=SENDONLY"),
        PLAIN.decode().replace("a=sendonly", "a = x\r\na=sendonly\r\na=sendrecv"),
        PLAIN.decode().replace("4000 ", "4000/2 "),
        PLAIN.decode() + "\0\0",
    ],
    ids=[
        "lf", "cr", "leading-crlf", "no-last-crlf", "trailing-space", "odd-space", "no-s-no-t", "unknown-lines",
        "attribute-case", "first-direction-wins", "port-count", "nul",
    ],
)  # fmt: skip
def test_odd_spellings_mean_the_same(text: str) -> None:
    description, plain = parse_sdp(text.encode()), parse_sdp(PLAIN)
    assert description.host == plain.host
    assert description.media[0].formats == plain.media[0].formats
    assert description.media[0].port == 4000
    assert description.direction_of(description.media[0]) is Direction.SENDONLY
    assert description.media[0].maps() == plain.media[0].maps()


def test_latin_1_and_utf_8_names_are_read() -> None:
    assert parse_sdp(HEAD.replace("s=-", "s=Grüße").encode("latin-1")).name == "Grüße"
    assert parse_sdp(HEAD.replace("s=-", "s=Grüße").encode()).name == "Grüße"


def test_media_address_comes_before_the_session_address() -> None:
    description = parse_sdp((HEAD + AUDIO + "c=IN IP4 198.51.100.9/127\r\nc=IN IP4 198.51.100.10\r\n").encode())
    assert description.host_of(description.media[0]) == "198.51.100.9"


def test_ipv6_is_read() -> None:
    text = "v=0\no=- 1 2 IN IP6 2001:db8::1\nc=IN IP6 [2001:db8::2]\nm=audio 4000 RTP/AVP 0\n"
    description = parse_sdp(text.encode())
    assert (description.origin.host, description.host) == ("2001:db8::1", "2001:db8::2")


def test_origin_without_user_name_is_read() -> None:
    assert parse_sdp(b"v=0\no=1 2 IN IP4 192.0.2.1\n").origin == Origin("-", "1", "2", "192.0.2.1")


def test_first_origin_counts() -> None:
    assert parse_sdp(b"v=0\no=- 1 2 IN IP4 a\no=- 9 9 IN IP4 b\n").origin.session_id == "1"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "sdp-no-version"),
        ("\x00\xff\xfe", "sdp-no-version"),
        ("o=- 1 2 IN IP4 192.0.2.1\n", "sdp-no-version"),
        ("v=1\no=- 1 2 IN IP4 192.0.2.1\n", "sdp-version"),
        ("v=0\n", "sdp-no-origin"),
        ("v=0\no=- 1\n", "sdp-origin"),
        ("v=0\no=- x y z w\n", "sdp-origin"),
        (HEAD + "m=audio\n", "sdp-media"),
        (HEAD + "m=audio 4000\n", "sdp-media"),
        (HEAD + "m=audio 4000 RTP/AVP \x1b\n", "sdp-media"),
        (HEAD + "m=audio x RTP/AVP 0\n", "sdp-port"),
        (HEAD + "m=audio 65536 RTP/AVP 0\n", "sdp-port"),
        (HEAD + "m=audio -1 RTP/AVP 0\n", "sdp-port"),
        (HEAD + "m=audio ٤٠٠ RTP/AVP 0\n", "sdp-media"),
        ("v=0\no=- 1 2 IN IP4 h\nc=IN\n", "sdp-address"),
        ("v=0\no=- 1 2 IN IP4 h\nc=ATM NSAP x\n", "sdp-address"),
        ("v=0\no=- 1 2 IN IP4 h\nc=IN IP4 /3\n", "sdp-address"),
        ("v=0\no=- 1 2 IN IP4 h\nc=IN IP4 höst\n", "sdp-address"),
    ],
)
def test_meaningless_text_is_refused(text: str, code: str) -> None:
    with pytest.raises(MalformedSdp) as caught:
        parse_sdp(text.encode())
    assert caught.value.code == code


def test_size_is_bounded() -> None:
    text = HEAD.encode() + b"a=x:"
    assert parse_sdp(text + b"y" * (MAXIMUM_BYTES - len(text)))
    with pytest.raises(MalformedSdp, match="16385 bytes"):
        parse_sdp(text + b"y" * (MAXIMUM_BYTES - len(text) + 1))


def test_media_lines_are_bounded() -> None:
    assert len(parse_sdp((HEAD + AUDIO * MAXIMUM_MEDIA).encode()).media) == MAXIMUM_MEDIA
    with pytest.raises(MalformedSdp, match="more than 16 media"):
        parse_sdp((HEAD + AUDIO * (MAXIMUM_MEDIA + 1)).encode())


def test_lines_per_section_are_bounded() -> None:
    full = HEAD + AUDIO + "a=x\r\n" * (MAXIMUM_LINES_PER_MEDIA - 1)
    assert len(parse_sdp(full.encode()).media[0].attributes) == MAXIMUM_LINES_PER_MEDIA - 1
    with pytest.raises(MalformedSdp, match="101 lines"):
        parse_sdp((full + "a=x\r\n").encode())
    session = HEAD + "a=x\r\n" * (MAXIMUM_LINES_PER_MEDIA - 5)
    assert parse_sdp(session.encode())
    with pytest.raises(MalformedSdp, match="101 lines"):
        parse_sdp((session + "a=x\r\n").encode())


def test_payload_maps() -> None:
    lines = [
        "a=rtpmap:96 pcmu/8000/1", "a=rtpmap:97 opus/48000/2", "a=rtpmap:98", "a=rtpmap:99 x", "a=rtpmap:128 PCMA/8000",
        "a=rtpmap:0 PCMA/8000", "a=rtpmap:8 PCMU/0", "a=rtpmap:xx PCMA/8000", "a=rtpmap:96 PCMA/8000",
    ]  # fmt: skip
    text = HEAD + "m=audio 4000 RTP/AVP 0 8 18 96 97 98 99 128 abc 9999\r\n" + "\r\n".join(lines)
    assert parse_sdp(text.encode()).media[0].maps() == {
        0: RtpMap(0, "PCMA", 8000),
        8: RtpMap(8, "PCMA", 8000),
        18: RtpMap(18, "G729", 8000),
        96: RtpMap(96, "pcmu", 8000),
        97: RtpMap(97, "opus", 48000, 2),
    }


@pytest.mark.parametrize(
    ("line", "value"), [("ptime:20", 20), ("ptime: 20.0", 20), ("ptime:x", None), ("ptime:999999", None), ("z", None)]
)
def test_packet_time_is_read(line: str, value: int | None) -> None:
    assert parse_sdp((HEAD + AUDIO + f"a={line}\r\n").encode()).media[0].milliseconds("ptime") == value


def _reads_or_refuses(data: bytes) -> None:
    try:
        description = parse_sdp(data)
    except MalformedSdp:
        return
    for media in description.media:
        media.maps()
        description.direction_of(media)
    written = description.to_bytes()
    # Latin-1 text grows in UTF-8, so that a text near the limit may not be read again.
    if len(written) <= MAXIMUM_BYTES:
        assert parse_sdp(written) == description


@given(st.binary(max_size=400))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    _reads_or_refuses(data)


_LINES = st.one_of(
    st.sampled_from(
        [
            "v=0", "o=- 1 2 IN IP4 h", "s= x", "c=IN IP4 1.2.3.4", "c=IN IP6 ::1", "t=0 0", "m=audio 4000 RTP/AVP 0 8",
            "m=audio 0 RTP/AVP", "m=video 1 RTP/SAVPF 96 97", "a=rtpmap:96 PCMU/8000", "a=sendonly", "a=ptime:20",
            "a=", "a=:", "a= : ", "m=", "c=", "o=", "b=AS:64", "=", "a=x:\x0b", "a=\x1c",
        ]
    ),
    st.builds(lambda kind, value: f"{kind}={value}", st.sampled_from("vosctmabkxyz"), st.text(max_size=30)),
)  # fmt: skip


@given(st.lists(_LINES, max_size=30), st.sampled_from(["\r\n", "\n", "\r"]))
def test_any_lines_are_read_or_refused(lines: list[str], line_end: str) -> None:
    _reads_or_refuses(line_end.join(["v=0", "o=- 1 2 IN IP4 h", *lines]).encode("utf-8", "replace"))
