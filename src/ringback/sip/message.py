"""SIP messages: requests, responses, and their bytes.

Typed views are computed on first use and kept until a header changes. What `parser` let through never raises on
`vias`, `from_`, `to`, `call_id`, `cseq`, `contacts`, `routes`, `record_routes` and `max_forwards`; views of optional
headers read `None` or nothing where the value is unreadable. On messages of our own a missing header raises
`MalformedSip`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Final

from ringback.sip.address import NameAddr, parse_name_addr, parse_name_addrs
from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.header_fields import Headers, Latin1Text
from ringback.sip.headers.content_type import MediaType, parse_media_type
from ringback.sip.headers.cseq import CSeq, parse_cseq
from ringback.sip.headers.names import wire_name
from ringback.sip.headers.reason import Reason, parse_reasons
from ringback.sip.headers.via import Via, parse_via, parse_vias
from ringback.sip.reason_phrases import REASON_PHRASES
from ringback.sip.syntax import is_digits, is_token, refuse_unsafe, split_list
from ringback.sip.uri import Uri, parse_uri, safe_uri_text

DEFAULT_MAX_FORWARDS: Final = 70
"""What an absent Max-Forwards means (RFC 3261 §16.6)."""


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
