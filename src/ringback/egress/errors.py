"""Why a customer's URL could not be reached. Every error names its class, the only part that customers are told."""

from __future__ import annotations

from enum import Enum

from ringback.errors import EgressError


class FailureClass(Enum):
    """What a customer is told about a failure; operators see the detail."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    FORBIDDEN = "forbidden"
    BROKEN = "broken"
    """Connected, but the peer does not speak the protocol or broke off."""
    TOO_LARGE = "too-large"
    ENCODING = "encoding"
    """A content encoding that is unknown, broken, or inflates beyond reason."""
    REDIRECTS = "redirects"
    """More redirects than allowed, or one that leads nowhere."""


class EgressFailed(EgressError):
    """A request to a customer's URL failed."""

    default_code = "egress-failed"

    def __init__(self, message: str, failure: FailureClass, *, hint: str = "", is_connected: bool = False) -> None:
        super().__init__(message, hint=hint, failure=failure.value)
        self.failure = failure
        self.is_connected = is_connected
        """Whether a connection existed: a time-out before and after that are different settings."""


class AddressRefused(EgressFailed):
    """The policy forbids a URL or an address."""

    default_code = "address-refused"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, FailureClass.FORBIDDEN, hint=hint)


class InvalidUrl(EgressFailed):
    """A URL is not one that can be requested at all."""

    default_code = "invalid-url"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, FailureClass.FORBIDDEN, hint=hint)


class ConnectFailed(EgressFailed):
    """No connection: name not found, refused, no TLS, or not in time."""

    default_code = "connect-failed"


class ExchangeFailed(EgressFailed):
    """Connected, but no usable reply came."""

    default_code = "exchange-failed"

    def __init__(self, message: str, failure: FailureClass, *, hint: str = "") -> None:
        super().__init__(message, failure, hint=hint, is_connected=True)


class ResponseTooLarge(EgressFailed):
    """The reply is larger than allowed, before or after inflating."""

    default_code = "response-too-large"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message, FailureClass.TOO_LARGE, hint=hint, is_connected=True)
