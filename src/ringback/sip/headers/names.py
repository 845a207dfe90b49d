"""Header names: compact forms, one canonical spelling inside, the usual capitalisation on the wire."""

from __future__ import annotations

from typing import Final

from ringback.sip.syntax import is_token

_COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}

_USUAL: Final = (
    *("Accept", "Accept-Contact", "Accept-Encoding", "Accept-Language", "Alert-Info", "Allow", "Allow-Events"),
    *("Authentication-Info", "Authorization", "CSeq", "Call-ID", "Call-Info", "Contact", "Content-Disposition"),
    *("Content-Encoding", "Content-ID", "Content-Language", "Content-Length", "Content-Type", "Date", "Diversion"),
    *("Error-Info", "Event", "Expires", "Flow-Timer", "From", "Geolocation", "History-Info", "Identity"),
    *("Identity-Info", "In-Reply-To", "Info-Package", "Join", "MIME-Version", "Max-Breadth", "Max-Forwards"),
    *("Min-Expires", "Min-SE", "Organization", "P-Access-Network-Info", "P-Asserted-Identity"),
    *("P-Called-Party-ID", "P-Charging-Vector", "P-Preferred-Identity", "Path", "Priority", "Privacy"),
    *("Proxy-Authenticate", "Proxy-Authorization", "Proxy-Require", "RAck", "RSeq", "Reason", "Record-Route"),
    *("Recv-Info", "Refer-Sub", "Refer-To", "Referred-By", "Reject-Contact", "Remote-Party-ID", "Replaces"),
    *("Reply-To", "Request-Disposition", "Require", "Retry-After", "Route", "SIP-ETag", "SIP-If-Match", "Server"),
    *("Service-Route", "Session-Expires", "Session-ID", "Subject", "Subscription-State", "Supported"),
    *("Target-Dialog", "Timestamp", "To", "Unsupported", "User-Agent", "Via", "WWW-Authenticate", "Warning"),
    *("X-CallUUID",),
)

USUAL_SPELLING: Final[dict[str, str]] = {name.lower(): name for name in _USUAL}
"""The usual capitalisation of each known canonical name."""

CANONICAL: Final[dict[str, str]] = {
    **{name: name.lower() for name in _USUAL},
    **{name.lower(): name.lower() for name in _USUAL},
    **{name.upper(): name.lower() for name in _USUAL},
    **_COMPACT,
    **{short.upper(): long for short, long in _COMPACT.items()},
}
"""Common spellings and compact forms to canonical names: the fast path of `canonical_name`."""

LIST_HEADERS: Final = frozenset(
    {
        *("accept", "accept-contact", "accept-encoding", "accept-language", "alert-info", "allow", "allow-events"),
        *("call-info", "contact", "content-encoding", "content-language", "diversion", "error-info", "history-info"),
        *("in-reply-to", "p-asserted-identity", "p-preferred-identity", "path", "proxy-require", "reason"),
        *("record-route", "recv-info", "reject-contact", "require", "route", "service-route", "supported"),
        *("unsupported", "via", "warning"),
    }
)
"""Headers whose values may stand in one line, separated by commas. Credentials, challenges and dates never split."""

CORE_HEADERS: Final = frozenset(
    {
        *("via", "from", "to", "call-id", "cseq", "contact", "max-forwards", "route", "record-route"),
        *("content-length", "content-type", "authorization", "proxy-authorization", "www-authenticate"),
        *("proxy-authenticate", "require", "proxy-require", "supported", "allow", "rack", "rseq", "session-expires"),
        *("min-se", "expires", "path", "service-route", "content-encoding", "content-disposition"),
    }
)
"""Headers that only the SIP layer itself may write; an application's value is refused."""


def canonical_name(name: str) -> str:
    """Return the lower-case long form of a header name in any spelling; unknown names are lower-cased."""
    known = CANONICAL.get(name)
    if known is not None:
        return known
    lowered = name.lower()
    return _COMPACT.get(lowered, lowered)


def wire_name(canonical: str, spelled: str) -> str:
    """Return the spelling to send: the usual one of a known header, else the one that came in."""
    return USUAL_SPELLING.get(canonical, spelled)


def is_header_name(name: str) -> bool:
    """Return whether `name` may stand before the colon of a header line."""
    return is_token(name)
