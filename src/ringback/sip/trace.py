"""What the event log gets of every message, in or out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.sip.flow import Flow, Target, Transmit
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


class TraceBook:
    """Makes traces, and knows which call a message belongs to: by Call-ID and our own tag.

    State: names outlive their calls, so that late messages find them; the oldest go first.
    """

    __slots__ = ("_limit", "_names", "_next_name")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: dict[tuple[str, str], str] = {}
        self._next_name: str | None = None

    def __len__(self) -> int:
        return len(self._names)

    def name(self, call_id: str, local_tag: str, invite_id: str) -> None:
        """Note the call of a dialog."""
        self._names[call_id, local_tag] = invite_id
        if len(self._names) > self._limit:
            del self._names[next(iter(self._names))]

    def name_next(self, invite_id: str) -> None:
        """Note the call of the message that has arrived last: an INVITE, which does not carry our tag."""
        self._next_name = invite_id

    def arrived(self, flow: Flow, message: SipMessage) -> SipTrace:
        """Return the trace of a received message."""
        name, self._next_name = self._next_name, None
        if name is None:
            local = message.to if isinstance(message, SipRequest) else message.from_
            name = self._names.get((message.call_id, local.tag or ""))
        raw = masked(message.to_bytes())
        return SipTrace(Direction.IN, flow, summary_of(message), message.call_id, raw, name)

    def sent(self, transmit: Transmit) -> SipTrace:
        """Return the trace of a message that goes out."""
        summary, call_id, local_tag = sent_facts(transmit.payload)
        name = self._names.get((call_id, local_tag))
        return SipTrace(Direction.OUT, transmit.to, summary, call_id, masked(transmit.payload), name)


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
