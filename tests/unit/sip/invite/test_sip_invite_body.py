"""Finding SDP in plain and multipart bodies."""

from __future__ import annotations

import pytest
from tests.support.sip_transactions import request

from ringback.sip.invite.body import MAX_PARTS, UnsupportedBody, sdp_of, sdp_or_none
from ringback.sip.message import SipRequest

SDP = b"v=0\r\ns=x\r\n"


def message(content_type: str | None, body: bytes, **headers: str) -> SipRequest:
    original = request("INVITE")
    if content_type is not None:
        original.headers.add("content-type", content_type)
    for name, value in headers.items():
        original.headers.add(name.replace("_", "-"), value)
    return SipRequest("INVITE", original.uri_text, original.headers, body)


def part(content_type: str, body: bytes, disposition: str = "") -> bytes:
    lines = f"--cut\r\nContent-Type: {content_type}\r\n"
    if disposition:
        lines += f"Content-Disposition: {disposition}\r\n"
    return lines.encode() + b"\r\n" + body + b"\r\n"


def test_plain_sdp_and_none() -> None:
    assert sdp_of(message("application/sdp", SDP)) == SDP
    assert sdp_of(message("Application/SDP;charset=utf-8", SDP)) == SDP
    assert sdp_of(message(None, SDP)) == SDP
    assert sdp_of(message(None, b"")) is None
    assert sdp_of(message("application/sdp", b"\r\n")) is None


def test_sdp_beside_isup_that_may_be_left_out() -> None:
    body = part("application/isup;version=itu", b"\x01\x00\xff", "signal;handling=optional")
    body += part("application/sdp", SDP) + b"--cut--\r\n"
    assert sdp_of(message('multipart/mixed;boundary="cut"', body)) == SDP


def test_a_required_unknown_part_is_415() -> None:
    body = part("application/sdp", SDP) + part("application/isup", b"x", "signal;handling=required") + b"--cut--"
    with pytest.raises(UnsupportedBody) as caught:
        sdp_of(message("multipart/mixed;boundary=cut", body))
    assert caught.value.status == 415
    assert "application/isup" in str(caught.value)
    assert sdp_or_none(message("multipart/mixed;boundary=cut", body)) is None


def test_alternatives_need_not_all_be_known() -> None:
    body = part("text/plain", b"hello") + part("application/sdp", SDP) + b"--cut--"
    assert sdp_of(message("multipart/alternative;boundary=cut", body)) == SDP


def test_a_multipart_without_boundary_is_400() -> None:
    with pytest.raises(UnsupportedBody) as caught:
        sdp_of(message("multipart/mixed", SDP))
    assert caught.value.status == 400


def test_a_foreign_body_is_415_unless_it_is_optional() -> None:
    with pytest.raises(UnsupportedBody):
        sdp_of(message("text/plain", b"hello"))
    assert sdp_of(message("text/plain", b"hello", content_disposition="render")) is None
    assert sdp_of(message("text/plain", b"hello", content_disposition="session;handling=optional")) is None
    with pytest.raises(UnsupportedBody):
        sdp_of(message("text/plain", b"hello", content_disposition="session"))


def test_an_encoded_body_is_415() -> None:
    with pytest.raises(UnsupportedBody):
        sdp_of(message("application/sdp", b"\x1f\x8b", content_encoding="gzip"))
    assert sdp_of(message("application/sdp", SDP, content_encoding="identity")) == SDP


def test_parts_with_bare_line_feeds_and_without_headers() -> None:
    body = b"--cut\nContent-Type: application/sdp\n\n" + SDP + b"\n--cut--\n"
    assert sdp_of(message("multipart/mixed;boundary=cut", body)) == SDP + b"\n"
    headless = b"--cut\r\nContent-Type: application/sdp\r\n--cut--"
    assert sdp_of(message("multipart/mixed;boundary=cut", headless)) == b""
    with pytest.raises(UnsupportedBody):
        sdp_of(message("multipart/mixed;boundary=cut", b"--cut\r\nContent-Type: ???\r\n\r\nx\r\n--cut--"))


def test_no_more_than_the_bound_of_parts_is_looked_at() -> None:
    optional = part("text/plain", b"x", "render;handling=optional")
    within = optional * (MAX_PARTS - 1) + part("application/sdp", SDP) + b"--cut--"
    assert sdp_of(message("multipart/mixed;boundary=cut", within)) == SDP
    beyond = optional * MAX_PARTS + part("application/sdp", SDP) + b"--cut--"
    assert sdp_of(message("multipart/mixed;boundary=cut", beyond)) is None
