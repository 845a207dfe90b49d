"""What the event log gets of every message, in or out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.sip.flow import Flow, Target
from ringback.sip.message import SipMessage, SipRequest

_SECRET_HEADERS = (b"authorization:", b"proxy-authorization:")


class Direction(Enum):
    """Who sent a message."""

    IN = "in"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class SipTrace:
    """One message, in or out; repeats are traced too.

    `summary` is `INVITE sip:…` or `180 Ringing (INVITE)`. `call_id` is empty when it could not be read.
    `raw` holds the bytes with the values of Authorization masked.
    """

    direction: Direction
    flow: Flow | Target
    summary: str
    call_id: str
    raw: bytes
    invite_id: str | None = None


def summary_of(message: SipMessage) -> str:
    """Return one line that tells a message's kind."""
    if isinstance(message, SipRequest):
        return f"{message.method} {message.uri_text}"
    return f"{message.status} {message.reason} ({message.cseq.method})"


def sent_facts(payload: bytes) -> tuple[str, str, str]:
    """Return summary, Call-ID and local tag of a message that we built, read from its bytes."""
    start = payload[: payload.find(b"\r\n")].decode("utf-8", "replace")
    is_response = start.startswith("SIP/2.0 ")
    method = _line(payload, b"\r\nCSeq: ").rpartition(" ")[2]
    local = _line(payload, b"\r\nTo: " if is_response else b"\r\nFrom: ")
    tag = local.partition(";tag=")[2].partition(";")[0]
    summary = f"{start[8:]} ({method})" if is_response else start.removesuffix(" SIP/2.0")
    return summary, _line(payload, b"\r\nCall-ID: "), tag


def _line(payload: bytes, start: bytes) -> str:
    found = payload.find(start)
    if found < 0:
        return ""
    found += len(start)
    return payload[found : payload.find(b"\r\n", found)].decode("utf-8", "replace")


def masked(raw: bytes) -> bytes:
    """Return a message's bytes without the values of its Authorization headers."""
    lowered = raw.lower()
    if not any(name in lowered for name in _SECRET_HEADERS):
        return raw
    head, separator, body = raw.partition(b"\r\n\r\n")
    lines = [
        line.partition(b":")[0] + b": (masked)" if line.lower().startswith(_SECRET_HEADERS) else line
        for line in head.split(b"\r\n")
    ]
    return b"\r\n".join(lines) + separator + body
