"""The exception tree. A room's own errors derive from its branch and live in the room.

RingbackError(code, message, hint, **fields)
├── ConfigError            the operator must change a setting
├── RequestError           the customer's request: InvalidParameter NotFound NotAllowed Conflict LimitReached
├── DocumentError          the customer's XML: InvalidDocument UnreachableUrl
├── ProtocolError          a peer: MalformedMessage MalformedSdp DialogNotFound AuthenticationFailed
├── MediaError             SessionLost WorkerLost NoCommonCodec CommandRejected
├── EgressError            AddressRefused ConnectFailed ResponseTooLarge
└── Bug                    a broken promise of ours; costs one call at most
"""

from __future__ import annotations


class RingbackError(Exception):
    """The root of every error that Ringback raises on purpose.

    `code` is stable and kebab-case; values stand in `fields`, so that logs and APIs need not parse the message.
    """

    default_code = "error"

    def __init__(self, message: str, *, code: str | None = None, hint: str = "", **fields: object) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.hint = hint
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class ConfigError(RingbackError):
    """A setting that the operator must change."""

    default_code = "config"


class RequestError(RingbackError):
    """A customer's API request that cannot be carried out."""

    default_code = "request"


class InvalidParameter(RequestError):
    """A parameter is missing or has a value outside its range."""

    default_code = "invalid-parameter"


class NotFound(RequestError):
    """The named resource does not exist for this account."""

    default_code = "not-found"


class NotAllowed(RequestError):
    """The account may not do this."""

    default_code = "not-allowed"


class Conflict(RequestError):
    """The resource is in a state that forbids the request."""

    default_code = "conflict"


class LimitReached(RequestError):
    """A configured bound is reached; try again later."""

    default_code = "limit-reached"


class DocumentError(RingbackError):
    """A customer's XML that cannot be run."""

    default_code = "document"


class ProtocolError(RingbackError):
    """A peer broke its protocol."""

    default_code = "protocol"


class MediaError(RingbackError):
    """Audio cannot flow."""

    default_code = "media"


class EgressError(RingbackError):
    """A customer's URL could not be reached."""

    default_code = "egress"


class Bug(RingbackError):
    """A broken promise of ours."""

    default_code = "bug"
