"""Builders of SIP messages as text, for parsing."""

from __future__ import annotations

from collections.abc import Sequence

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n"

INVITE_LINES: tuple[tuple[str, str], ...] = (
    ("Via", "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9;rport"),
    ("Max-Forwards", "70"),
    ("From", '"Alice Example" <sip:+15551234567@carrier.example.com>;tag=9fxced76sl'),
    ("To", "<sip:15550001000@198.51.100.20>"),
    ("Call-ID", "3848276298220188511@192.0.2.1"),
    ("CSeq", "102 INVITE"),
    ("Contact", "<sip:+15551234567@192.0.2.1:5060;transport=udp>"),
)
"""The headers of a plain carrier INVITE."""


def request_bytes(
    *extra: str,
    method: str = "INVITE",
    uri: str = "sip:15550001000@198.51.100.20",
    start_line: str | None = None,
    replace: dict[str, str | None] | None = None,
    body: bytes = b"",
    line_end: str = "\r\n",
    has_length: bool = True,
) -> bytes:
    """Return a request: the plain INVITE with some headers replaced (`None` drops one) and `extra` lines behind."""
    replaced = {"CSeq": f"102 {method}", **(replace or {})}
    lines = [start_line if start_line is not None else f"{method} {uri} SIP/2.0"]
    for name, value in INVITE_LINES:
        value_or_none = replaced.get(name, value)
        if value_or_none is not None:
            lines.append(f"{name}: {value_or_none}")
    lines += extra
    if has_length:
        lines.append(f"Content-Length: {len(body)}")
    return (line_end.join(lines) + line_end * 2).encode() + body


def response_bytes(
    status_line: str = "SIP/2.0 200 OK",
    extra: Sequence[str] = (),
    replace: dict[str, str | None] | None = None,
    body: bytes = b"",
) -> bytes:
    """Return a response to the plain INVITE."""
    return request_bytes(*extra, start_line=status_line, replace={"Max-Forwards": None, **(replace or {})}, body=body)


def sized_invite(size_bytes: int, number: int = 0) -> bytes:
    """Return a distinct, typical carrier INVITE of exactly `size_bytes`."""
    extra = ["User-Agent: Carrier SBC 9.2", "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE", "Supported: timer"]
    replace: dict[str, str | None] = {
        "Via": f"SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{number:016x};rport",
        "Call-ID": f"{number:032x}@192.0.2.1",
    }
    kind = "Content-Type: application/sdp"
    short = len(request_bytes(*extra, kind, replace=replace, body=SDP + b"a=x:\r\n"))
    body = SDP + b"a=x:" + b"y" * (size_bytes - short) + b"\r\n"
    return request_bytes(*extra, kind, replace=replace, body=body)
