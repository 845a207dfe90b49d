"""What the message layer raises: malformed text from a peer, and unsafe text from our own side."""

from __future__ import annotations

from ringback.errors import InvalidParameter, ProtocolError


class MalformedSip(ProtocolError):
    """Text from a peer that breaks SIP's grammar beyond repair.

    `status` is the verdict for a request: 400, 416, 505, 513, or `None` to drop it.
    """

    default_code = "malformed-sip"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        hint: str = "",
        status: int | None = 400,
        **fields: object,
    ) -> None:
        super().__init__(message, code=code, hint=hint, **fields)
        self.status = status


class UnsafeHeader(InvalidParameter):
    """A header name or value of our own side that would break out of its place in the message."""

    default_code = "unsafe-header"
