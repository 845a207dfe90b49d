"""Bodies of INVITE usages: finding the SDP in a plain or multipart body, refusing what must be understood."""

from __future__ import annotations

from ringback.sip.errors import MalformedSip
from ringback.sip.headers.content_type import MediaType, parse_media_type
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.syntax import parse_params

SDP_TYPE = "application/sdp"
MAX_PARTS = 16
"""Parts of a multipart body that are looked at."""


class UnsupportedBody(MalformedSip):
    """A body, or a part that must be handled, of a type that we do not know (415)."""

    default_code = "unsupported-body"


def sdp_of(message: SipRequest | SipResponse) -> bytes | None:
    """Return the SDP that a message carries, or None when it carries none.

    Raises:
        UnsupportedBody: the body is something else and not optional.
    """
    if not message.body.strip():
        return None
    encoding = message.headers.get("content-encoding")
    if encoding and encoding.strip().lower() != "identity":
        raise UnsupportedBody("found an encoded body, allowed is identity", status=415)
    content_type = message.content_type
    if content_type is None or content_type.full_type == SDP_TYPE:
        # A body without a readable type is SDP in practice; the SDP parser has the last word.
        return message.body
    if content_type.full_type.startswith("multipart/"):
        return _sdp_part(message.body, content_type)
    if _is_optional(message.headers.get("content-disposition")):
        return None
    raise UnsupportedBody(f"found a body of type {content_type.full_type}, allowed is {SDP_TYPE}", status=415)


def sdp_or_none(message: SipRequest | SipResponse) -> bytes | None:
    """Return the SDP that a message carries; an unknown body counts as none."""
    try:
        return sdp_of(message)
    except MalformedSip:
        return None


def _sdp_part(body: bytes, content_type: MediaType) -> bytes | None:
    boundary = content_type.boundary
    if not boundary:
        raise UnsupportedBody("found a multipart body without boundary", status=400)
    pieces = body.split(b"--" + boundary.encode("utf-8", "replace"))[1:]
    found: bytes | None = None
    for piece in pieces[:MAX_PARTS]:
        if piece.startswith(b"--"):
            break
        text, part = _head_and_body(piece)
        headers = _part_headers(text)
        part_type = headers.get("content-type", "text/plain")
        if part_type.partition(";")[0].strip().lower() == SDP_TYPE:
            found = part if found is None else found
        elif content_type.full_type != "multipart/alternative" and not _is_optional(headers.get("content-disposition")):
            raise UnsupportedBody(f"found a required part of type {_shown(part_type)}", status=415)
    return found


def _head_and_body(piece: bytes) -> tuple[str, bytes]:
    piece = piece.lstrip(b" \t")
    for separator in (b"\r\n\r\n", b"\n\n"):
        head, found, part = piece.partition(separator)
        if found:
            return head.decode("latin-1"), part.removesuffix(b"\r\n")
    return piece.decode("latin-1"), b""


def _part_headers(text: str) -> dict[str, str]:
    pairs = (line.partition(":") for line in text.replace("\r\n", "\n").split("\n"))
    return {name.strip().lower(): value.strip() for name, colon, value in pairs if colon}


def _is_optional(disposition: str | None) -> bool:
    """Return whether a part may be left alone: said so, or of a disposition that is not `session` (RFC 3261 §20.11)."""
    if disposition is None:
        return False
    kind, _, params = disposition.partition(";")
    handling = (parse_params(params).get("handling") or "").lower() if params else ""
    if handling:
        return handling == "optional"
    return kind.strip().lower() not in ("session", "early-session")


def _shown(part_type: str) -> str:
    try:
        return parse_media_type(part_type).full_type
    except MalformedSip:
        return "unreadable"
