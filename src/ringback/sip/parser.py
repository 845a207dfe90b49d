"""Bytes to messages: what is accepted, repaired and refused, and the framing of streams."""

from __future__ import annotations

from enum import Enum

from ringback.sip.errors import MalformedSip
from ringback.sip.message import SipMessage, SipRequest


class KeepAlive(Enum):
    """Line ends between messages of a stream (RFC 5626 §3.5.1, §4.4.1)."""

    PING = "ping"
    """Two line ends: answer with one."""
    PONG = "pong"
    """One line end: the answer to our ping."""


class SipParseError(MalformedSip):
    """A message that is refused.

    `status` is the answer it deserves, or `None` to drop it: responses, ACKs, and requests that cannot be answered.
    `request` is a view good for `response_to` and `.via` whenever `status` is set; other views of it may raise
    `MalformedSip`. `closes_stream` says that the byte stream cannot be read any further.
    """

    default_code = "malformed-message"

    def __init__(
        self,
        message: str,
        *,
        status: int | None,
        request: SipRequest | None = None,
        closes_stream: bool = False,
        code: str | None = None,
    ) -> None:
        super().__init__(message, code=code, status=status)
        self.request = request
        self.closes_stream = closes_stream


def is_keep_alive(data: bytes) -> bool:
    """Return whether a datagram holds nothing but line ends (or is empty): not a message, not an error."""
    return not data.strip(b"\r\n\0")


def parse_message(data: bytes) -> SipMessage:
    """Return the message in one datagram (or WebSocket frame).

    Raises:
        SipParseError: the message is refused; see its `status`. Nothing else is ever raised.
    """
    raise SipParseError("found no message", status=None)


class StreamFramer:
    """Cuts a byte stream into messages.

    State: after an error with `closes_stream` the framer is `is_broken` and ignores all further bytes.
    """

    def __init__(self) -> None:
        self.is_broken = False

    @property
    def has_partial_message(self) -> bool:
        """Return whether a message has begun and not ended: the shell limits how long that may last."""
        return False

    def feed(self, data: bytes) -> list[SipMessage | KeepAlive | SipParseError]:
        """Return what `data` completes, in order. Errors are returned, never raised."""
        return []
