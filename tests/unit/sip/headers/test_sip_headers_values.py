"""CSeq, Reason, media types and header names."""

from __future__ import annotations

import pytest

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.headers.content_type import MediaType, parse_media_type
from ringback.sip.headers.cseq import CSeq, parse_cseq
from ringback.sip.headers.names import CANONICAL, USUAL_SPELLING, canonical_name, is_header_name, wire_name
from ringback.sip.headers.reason import Reason, parse_reasons


def test_cseq() -> None:
    assert parse_cseq(" 0000000000009 \t INVITE ") == CSeq(9, "INVITE")
    assert parse_cseq("00000000000 ACK") == CSeq(0, "ACK")
    assert str(CSeq(9, "BYE")) == "9 BYE"


@pytest.mark.parametrize("text", ["", "1", "INVITE 1", "1 IN(VITE", "2147483648 X", "1" * 4_000 + " X", "1 A B", "² X"])
def test_cseq_refused(text: str) -> None:
    with pytest.raises(MalformedSip):
        parse_cseq(text)


def test_reasons() -> None:
    assert parse_reasons(['Q.850;cause=16;text="a \\"b\\", c", SIP ;cause=200', "(bad);cause=1", "X;cause=abc"]) == (
        Reason("Q.850", 16, 'a "b", c'),
        Reason("SIP", 200),
        Reason("X"),
    )
    with pytest.raises(MalformedSip):
        parse_reasons(['Q.850;text="x'])


def test_reason_survives_a_round_trip() -> None:
    reason = Reason("SIP", 200, 'Call "completed"; elsewhere')
    assert parse_reasons([str(reason)]) == (reason,)
    assert str(Reason("Q.850", 16)) == "Q.850;cause=16"
    assert str(Reason("SIP")) == "SIP"
    with pytest.raises(UnsafeHeader):
        str(Reason("Q 850", 16))


def test_media_types() -> None:
    assert parse_media_type("Application/SDP") == MediaType("application/sdp")
    assert parse_media_type('multipart/mixed; Boundary="x;y"').boundary == "x;y"
    assert parse_media_type("text/plain").boundary is None
    for text in ("", "sdp", "a/", "/b", "a b/c", 'a/b;x="y'):
        with pytest.raises(MalformedSip):
            parse_media_type(text)


@pytest.mark.parametrize(
    ("media_range", "accepted"),
    [("*/*", True), ("application/*", True), ("application/sdp", True), ("text/*", False), ("application/isup", False)],
)
def test_media_ranges(media_range: str, accepted: bool) -> None:
    assert parse_media_type(media_range).accepts("application/sdp") is accepted


def test_header_names() -> None:
    assert canonical_name("i") == canonical_name("CALL-id") == "call-id"
    assert canonical_name("X-PH-One") == "x-ph-one"
    assert wire_name("cseq", "CSEQ") == "CSeq"
    assert wire_name("x-ph-one", "X-PH-One") == "X-PH-One"
    assert is_header_name("X-PH-One")
    assert not is_header_name("a b")
    assert all(canonical in USUAL_SPELLING for canonical in CANONICAL.values())
