"""SIP messages: an ordered header map, requests, responses, and their bytes.

Typed views are computed on first use and kept until a header changes. What `parser` let through never raises on
`vias`, `from_`, `to`, `call_id`, `cseq`, `contacts`, `routes`, `record_routes` and `max_forwards`; views of optional
headers read `None` or nothing where the value is unreadable. On messages of our own a missing header raises
`MalformedSip`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeVar, cast

from ringback.sip.address import NameAddr, parse_name_addr, parse_name_addrs
from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.headers.content_type import MediaType, parse_media_type
from ringback.sip.headers.cseq import CSeq, parse_cseq
from ringback.sip.headers.names import CORE_HEADERS, LIST_HEADERS, canonical_name, is_header_name, wire_name
from ringback.sip.headers.reason import Reason, parse_reasons
from ringback.sip.headers.via import Via, parse_via, parse_vias
from ringback.sip.syntax import is_digits, is_token, refuse_unsafe, split_list
from ringback.sip.uri import Uri, parse_uri, safe_uri_text

ViewT = TypeVar("ViewT")

DEFAULT_MAX_FORWARDS: Final = 70
"""What an absent Max-Forwards means (RFC 3261 §16.6)."""

REASON_PHRASES: Final[dict[int, str]] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    469: "Bad Info Package",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
"""The registered reason phrase of each status that we send or expect."""


class Latin1Text(str):
    """A header value that arrived in Latin-1: read as text, sent back with its own bytes."""

    __slots__ = ()


class Headers:
    """An ordered multi-map of header lines.

    Names are accepted in any spelling and compact form, and kept canonical (lower-case, long). The order of lines is
    kept. Values are checked when they are added, so nothing can break out of its line.
    """

    __slots__ = ("_index", "_lines", "_version", "_views")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._lines: list[tuple[str, str, str]] = []
        self._index: dict[str, list[str]] | None = None
        self._views: dict[str, Any] = {}
        self._version = 0
        for name, value in pairs:
            self.add(name, value)

    @classmethod
    def from_parsed(
        cls,
        lines: list[tuple[str, str, str]],
        index: dict[str, list[str]],
        views: dict[str, Any],
    ) -> Headers:
        """Return headers over lines of (canonical name, value, name as spelled) that the parser has checked.

        State: takes its arguments over; `index` holds every value by canonical name, `views` what is already typed.
        """
        headers = cls.__new__(cls)
        headers._lines = lines
        headers._index = index
        headers._views = views
        headers._version = 0
        return headers

    @property
    def version(self) -> int:
        """Return a number that grows with every change."""
        return self._version

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of `name` as written, or `default`."""
        values = self._values(name)
        return values[0] if values else default

    def lines(self, name: str) -> tuple[str, ...]:
        """Return every value of `name` as written, one per line."""
        return tuple(self._values(name))

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name`; lines of list headers are split at their commas, empty elements left out."""
        values = self._values(name)
        if canonical_name(name) not in LIST_HEADERS:
            return tuple(values)
        return tuple(element for value in values for element in split_list(value) if element)

    def add(self, name: str, value: str) -> None:
        """Append one line.

        Raises:
            UnsafeHeader: the name is no token, or the value holds CR, LF or NUL.
        """
        self._lines.append(self._checked(name, value))
        self._changed()

    def insert_first(self, name: str, value: str) -> None:
        """Put one line before all others, as a new Via stands.

        Raises:
            UnsafeHeader: as `add`.
        """
        self._lines.insert(0, self._checked(name, value))
        self._changed()

    def set(self, name: str, value: str) -> None:
        """Replace the first line of `name`, drop its others, append it when there is none.

        Raises:
            UnsafeHeader: as `add`.
        """
        line = self._checked(name, value)
        canonical = line[0]
        kept: list[tuple[str, str, str]] = []
        placed = False
        for existing in self._lines:
            if existing[0] != canonical:
                kept.append(existing)
            elif not placed:
                kept.append(line)
                placed = True
        if not placed:
            kept.append(line)
        self._lines = kept
        self._changed()

    def set_first_value(self, name: str, value: str) -> None:
        """Replace the first value of `name` (of its first line's list) and keep all others.

        Raises:
            UnsafeHeader: as `add`.
        """
        line = self._checked(name, value)
        for position, (canonical, existing, spelled) in enumerate(self._lines):
            if canonical != line[0]:
                continue
            rest = split_list(existing)[1:] if canonical in LIST_HEADERS else []
            self._lines[position] = (canonical, ", ".join([value, *rest]), spelled)
            self._changed()
            return
        self._lines.append(line)
        self._changed()

    def remove(self, name: str) -> None:
        """Drop every line of `name`; nothing happens when there is none."""
        canonical = canonical_name(name)
        kept = [line for line in self._lines if line[0] != canonical]
        if len(kept) != len(self._lines):
            self._lines = kept
            self._changed()

    def copy(self) -> Headers:
        """Return an independent copy."""
        headers = Headers()
        headers._lines = self._lines.copy()
        return headers

    def spelled_pairs(self) -> list[tuple[str, str]]:
        """Return (name, value) of each line, unknown names spelled as they came in: for applications and logs."""
        return [(wire_name(canonical, spelled), value) for canonical, value, spelled in self._lines]

    def view(self, key: str, compute: Callable[[Headers], ViewT]) -> ViewT:
        """Return `compute(self)`, remembered under `key` until a header changes."""
        try:
            return cast(ViewT, self._views[key])
        except KeyError:
            result = compute(self)
            self._views[key] = result
            return result

    def __contains__(self, name: str) -> bool:
        """Return whether a line of `name` exists."""
        return bool(self._values(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield (canonical name, value) of each line in order."""
        return ((canonical, value) for canonical, value, _ in self._lines)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same lines in the same order, spelling aside."""
        return isinstance(other, Headers) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        """Return the names only: values may be private."""
        return f"Headers({[canonical for canonical, _, _ in self._lines]})"

    def _values(self, name: str) -> list[str]:
        index = self._index
        if index is None:
            index = {}
            for canonical, value, _ in self._lines:
                index.setdefault(canonical, []).append(value)
            self._index = index
        return index.get(name) or index.get(canonical_name(name)) or []

    def _changed(self) -> None:
        self._index = None
        self._views = {}
        self._version += 1

    @staticmethod
    def _checked(name: str, value: str) -> tuple[str, str, str]:
        if not is_header_name(name):
            raise UnsafeHeader(f"found header name {name!r}, allowed are token characters", header=name)
        refuse_unsafe(name, value)
        return canonical_name(name), value, name


def application_header(name: str, value: str) -> tuple[str, str]:
    """Return the pair, checked to be a header that an application may add to a message of ours.

    Raises:
        UnsafeHeader: the name is no token or belongs to the SIP layer, or the value holds CR, LF or NUL.
    """
    if not is_header_name(name):
        raise UnsafeHeader(f"found header name {name!r}, allowed are token characters", header=name)
    if canonical_name(name) in CORE_HEADERS:
        raise UnsafeHeader(f"found header {name}, allowed are headers that the SIP layer does not write", header=name)
    refuse_unsafe(name, value)
    return name, value


class _Message(ABC):
    """What requests and responses share: headers, body, and the views of the headers."""

    __slots__ = ("_bytes", "_bytes_version", "body", "headers")

    headers: Headers
    body: bytes

    def __init__(self, headers: Headers | Iterable[tuple[str, str]], body: bytes) -> None:
        self.headers = headers if isinstance(headers, Headers) else Headers(headers)
        self.body = body
        self._bytes = b""
        self._bytes_version = -1

    @property
    @abstractmethod
    def start_line(self) -> str:
        """Return the start line without its line end."""

    @property
    def via(self) -> Via:
        """Return the topmost hop; only this one is read."""
        return self.headers.view("via-top", _top_via)

    @property
    def vias(self) -> tuple[Via, ...]:
        """Return every hop, topmost first."""
        return self.headers.view("via", lambda headers: parse_vias(headers.lines("via")))

    @property
    def from_(self) -> NameAddr:
        """Return the From address."""
        return self.headers.view("from", lambda headers: parse_name_addr(_required(headers, "from")))

    @property
    def to(self) -> NameAddr:
        """Return the To address."""
        return self.headers.view("to", lambda headers: parse_name_addr(_required(headers, "to")))

    @property
    def call_id(self) -> str:
        """Return the Call-ID."""
        return _required(self.headers, "call-id")

    @property
    def cseq(self) -> CSeq:
        """Return number and method of the CSeq."""
        return self.headers.view("cseq", lambda headers: parse_cseq(_required(headers, "cseq")))

    @property
    def contacts(self) -> tuple[NameAddr, ...]:
        """Return the contacts; empty for none and for `*` (see `has_wildcard_contact`)."""
        return self.headers.view("contact", _contacts)

    @property
    def has_wildcard_contact(self) -> bool:
        """Return whether the contact is `*`: all bindings of a REGISTER."""
        return self.headers.lines("contact") == ("*",)

    @property
    def routes(self) -> tuple[NameAddr, ...]:
        """Return the Route set, topmost first."""
        return self.headers.view("route", lambda headers: parse_name_addrs(headers.lines("route")))

    @property
    def record_routes(self) -> tuple[NameAddr, ...]:
        """Return the Record-Route set in the order of the message."""
        return self.headers.view("record-route", lambda headers: parse_name_addrs(headers.lines("record-route")))

    @property
    def max_forwards(self) -> int:
        """Return Max-Forwards, 70 when absent."""
        return self.headers.view("max-forwards", _max_forwards)

    @property
    def content_type(self) -> MediaType | None:
        """Return the body's media type, or `None` when absent or unreadable."""
        return self.headers.view("content-type", _content_type)

    @property
    def expires(self) -> int | None:
        """Return Expires in seconds, or `None` when absent, no number, or above 2^32 - 1."""
        return number_of(self.headers, "expires")

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Return the readable Reason values."""
        return self.headers.view("reason", _reasons)

    def option_tags(self, name: str) -> tuple[str, ...]:
        """Return the elements of Supported, Require, Allow and the like as written, in order."""
        return self.headers.all(name)

    def addresses(self, name: str) -> tuple[NameAddr, ...]:
        """Return the readable addresses of any address header (P-Asserted-Identity, Diversion, Refer-To, ...)."""
        return self.headers.view(f"addresses:{name}", lambda headers: _readable_addresses(headers, name))

    def to_bytes(self) -> bytes:
        """Return the message as sent, with a right Content-Length; built once until a header changes.

        Raises:
            UnsafeHeader: a part of the start line or a header would break out of its line.
        """
        if self._bytes_version != self.headers.version:
            self._bytes = _encode(self.start_line, self.headers, self.body)
            self._bytes_version = self.headers.version
        return self._bytes


class SipRequest(_Message):
    """A request. `uri_text` is the Request-URI as written; `uri` its typed form.

    State: `method`, `uri_text` and `body` are set once; headers may change until the message is sent.
    """

    __slots__ = ("_uri", "method", "uri_text")

    def __init__(
        self,
        method: str,
        uri_text: str,
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(headers, body)
        self.method = method
        self.uri_text = uri_text
        self._uri: Uri | None = None

    @classmethod
    def from_parsed(cls, method: str, uri_text: str, uri: Uri, headers: Headers, body: bytes) -> SipRequest:
        """Return a request whose URI is typed already."""
        request = cls(method, uri_text, headers, body)
        request._uri = uri
        return request

    @property
    def uri(self) -> Uri:
        """Return the typed Request-URI.

        Raises:
            MalformedSip: it cannot be read; never for a request that the parser let through.
        """
        uri = self._uri
        if uri is None:
            uri = self._uri = parse_uri(self.uri_text)
        return uri

    @property
    def start_line(self) -> str:
        """Return the request line.

        Raises:
            UnsafeHeader: method or URI would break out of the line.
        """
        if not is_token(self.method):
            raise UnsafeHeader(f"found method {self.method!r}, allowed are token characters")
        return f"{self.method} {safe_uri_text(self.uri_text)} SIP/2.0"

    def __repr__(self) -> str:
        """Return the method alone: the rest may be private."""
        return f"SipRequest({self.method})"


class SipResponse(_Message):
    """A response."""

    __slots__ = ("reason", "status")

    def __init__(
        self,
        status: int,
        reason: str = "",
        headers: Headers | Iterable[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(headers, body)
        self.status = status
        self.reason = reason

    @property
    def is_provisional(self) -> bool:
        """Return whether the status is 1xx."""
        return self.status < 200

    @property
    def is_success(self) -> bool:
        """Return whether the status is 2xx."""
        return 200 <= self.status < 300

    @property
    def is_final(self) -> bool:
        """Return whether the status is 2xx or above."""
        return self.status >= 200

    @property
    def start_line(self) -> str:
        """Return the status line.

        Raises:
            UnsafeHeader: the status is no number from 100 to 699, or the phrase would break out of the line.
        """
        if not 100 <= self.status <= 699:
            raise UnsafeHeader(f"found status {self.status}, allowed is 100 to 699")
        refuse_unsafe("reason phrase", self.reason)
        return f"SIP/2.0 {self.status} {self.reason}"

    def __repr__(self) -> str:
        """Return the status alone: the rest may be private."""
        return f"SipResponse({self.status})"


SipMessage = SipRequest | SipResponse


def response_to(
    request: SipRequest,
    status: int,
    reason: str | None = None,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> SipResponse:
    """Return a response with the request's Via, From, To, Call-ID and CSeq, and Record-Route for 101 to 299.

    `to_tag` is added only when the request's To has none. A 100 never gets a tag (RFC 3261 §8.2.6.2) unless asked for.
    The copied values go back as they came. `Content-Length` is written by `to_bytes`.

    Args:
        reason: `None` means the registered phrase.
        headers: More header lines; `Content-Type` belongs here when there is a body.
    Raises:
        UnsafeHeader: one of `headers` or the tag would break out of its line.
    """
    if to_tag is not None and not is_token(to_tag):
        raise UnsafeHeader(f"found tag {to_tag!r}, allowed are token characters")
    copied = _COPIED_WITH_ROUTE if 100 < status < 300 else _COPIED
    answer = Headers()
    lines = answer._lines
    for line in request.headers._lines:
        name = line[0]
        if name not in copied:
            continue
        if name == "to" and to_tag is not None and not _has_tag(request):
            value = f"{line[1]};tag={to_tag}"
            line = (name, Latin1Text(value) if isinstance(line[1], Latin1Text) else value, line[2])
        lines.append(line)
    for name, value in headers:
        answer.add(name, value)
    if reason is None:
        reason = REASON_PHRASES.get(status, "")
    return SipResponse(status, reason, answer, body)


def number_of(headers: Headers, name: str) -> int | None:
    """Return the number in a header such as Expires, Min-Expires, Retry-After or RSeq.

    `None` stands for absent, not a number, or above 2^32 - 1. What follows the digits (a comment, parameters) is
    ignored.
    """
    value = headers.get(name)
    if value is None:
        return None
    digits = value.partition(";")[0].partition("(")[0].strip()
    if not is_digits(digits) or len(digits) > 32 or (number := int(digits)) > 0xFFFFFFFF:
        return None
    return number


_COPIED: Final = frozenset({"via", "from", "to", "call-id", "cseq"})
_COPIED_WITH_ROUTE: Final = _COPIED | {"record-route"}


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise MalformedSip(f"found no {name} header", code="missing-header", header=name)
    return value


def _has_tag(request: SipRequest) -> bool:
    try:
        return request.to.tag is not None
    except MalformedSip:
        # The lenient view of a refused request: its To is echoed as it came.
        return False


def _top_via(headers: Headers) -> Via:
    return parse_via(split_list(_required(headers, "via"))[0])


def _contacts(headers: Headers) -> tuple[NameAddr, ...]:
    values = headers.lines("contact")
    return () if values == ("*",) else parse_name_addrs(values)


def _max_forwards(headers: Headers) -> int:
    value = headers.get("max-forwards")
    if value is None:
        return DEFAULT_MAX_FORWARDS
    if not is_digits(value) or len(value) > 32 or (number := int(value)) > 255:
        raise MalformedSip("found Max-Forwards that is no number up to 255", code="malformed-max-forwards")
    return number


def _content_type(headers: Headers) -> MediaType | None:
    value = headers.get("content-type")
    try:
        return None if value is None else parse_media_type(value)
    except MalformedSip:
        return None


def _reasons(headers: Headers) -> tuple[Reason, ...]:
    try:
        return parse_reasons(headers.lines("reason"))
    except MalformedSip:
        return ()


def _readable_addresses(headers: Headers, name: str) -> tuple[NameAddr, ...]:
    readable: list[NameAddr] = []
    for value in headers.all(name):
        try:
            readable.append(parse_name_addr(value))
        except MalformedSip:
            continue
    return tuple(readable)


def _encode(start_line: str, headers: Headers, body: bytes) -> bytes:
    lines = [start_line]
    latin1 = False
    for canonical, value, spelled in headers._lines:
        if canonical == "content-length":
            continue
        lines.append(f"{wire_name(canonical, spelled)}: {value}")
        latin1 = latin1 or type(value) is Latin1Text
    lines.append(f"Content-Length: {len(body)}\r\n\r\n")
    text = "\r\n".join(lines)
    expected = len(lines) + 1
    if text.count("\n") != expected or text.count("\r") != expected:
        raise UnsafeHeader("found a line break inside a header value")
    if not latin1:
        return text.encode() + body
    return _encode_mixed(start_line, headers, len(body)) + body


def _encode_mixed(start_line: str, headers: Headers, body_length: int) -> bytes:
    pieces = [start_line.encode()]
    for canonical, value, spelled in headers._lines:
        if canonical != "content-length":
            charset = "latin-1" if type(value) is Latin1Text else "utf-8"
            pieces.append(f"{wire_name(canonical, spelled)}: ".encode() + value.encode(charset))
    pieces.append(f"Content-Length: {body_length}\r\n\r\n".encode())
    return b"\r\n".join(pieces)
