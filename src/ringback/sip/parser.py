"""Bytes to messages: what is accepted, repaired and refused, and the framing of streams.

Every step is one pass over the bytes. A message that comes out has readable Via, From, To, Call-ID, CSeq, Contact,
Route, Record-Route, Max-Forwards and Request-URI; other headers are read on demand and cost only themselves when bad.
No value that comes out holds CR, LF or NUL, so each may be sent again as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from ringback.sip.address import parse_name_addr, parse_name_addrs
from ringback.sip.errors import MalformedSip
from ringback.sip.header_fields import Headers, Latin1Text
from ringback.sip.headers.cseq import parse_cseq
from ringback.sip.headers.names import CANONICAL, canonical_name
from ringback.sip.headers.via import parse_via, parse_vias
from ringback.sip.message import SipMessage, SipRequest, SipResponse
from ringback.sip.syntax import is_digits, is_token, split_list
from ringback.sip.uri import OpaqueUri, SipUri, Uri, parse_uri

MAX_NUL_LINE_BYTES: Final = 8_192
"""Longer lines with a NUL are refused unread: telling a quoted one takes a walk over every octet."""

_CR: Final = 13
_LF: Final = 10


@dataclass(frozen=True, slots=True)
class ParserLimits:
    """How much one message may hold; what lies beyond is refused or dropped before it costs anything."""

    max_datagram_bytes: int = 65_535
    max_stream_message_bytes: int = 128 * 1024
    max_stream_head_bytes: int = 32 * 1024
    max_header_lines: int = 256
    max_line_bytes: int = 8_192
    max_uri_chars: int = 2_048
    """Of the Request-URI; a longer one is answered 414."""
    max_vias: int = 70
    max_routes: int = 32


DEFAULT_LIMITS: Final = ParserLimits()


class KeepAlive(Enum):
    """Line ends between messages of a stream (RFC 5626 §3.5.1, §4.4.1)."""

    PING = "ping"
    """Two line ends: answer with one."""
    PONG = "pong"
    """One line end: the answer to our ping, or the first half of a ping cut by the network."""


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


class _Draft:
    """The header section of one message, read line by line, before it is judged."""

    __slots__ = ("index", "lines", "method", "problem", "reason", "status", "uri_text")

    def __init__(self) -> None:
        self.method = ""
        self.uri_text = ""
        self.status = 0
        self.reason = ""
        self.lines: list[tuple[str, str, str]] = []
        self.index: dict[str, list[str]] = {}
        self.problem: MalformedSip | None = None


def is_keep_alive(data: bytes) -> bool:
    """Return whether a datagram holds nothing but line ends and NULs (or nothing): neither message nor error."""
    return not data.strip(b"\r\n\0")


def parse_message(data: bytes, limits: ParserLimits = DEFAULT_LIMITS) -> SipMessage:
    """Return the message in one datagram or WebSocket frame.

    A missing Content-Length means that the body is the rest; octets behind the declared body are ignored.

    Raises:
        SipParseError: the message is refused; see its `status`. Nothing else is ever raised.
    """
    size = len(data)
    if size > limits.max_datagram_bytes:
        raise SipParseError(
            f"read {size} bytes, expected at most {limits.max_datagram_bytes}", status=None, code="message-too-large"
        )
    start = 0
    while start < size and (data[start] == _CR or data[start] == _LF):
        start += 1
    first_end = data.find(b"\n", start)
    if first_end < 0:
        raise SipParseError("found no line end", status=None)
    line_end = b"\r\n" if data[first_end - 1] == _CR else b"\n"
    head_end = data.find(line_end + line_end, start)
    is_open_ended = head_end < 0
    if is_open_ended:
        head_end = size - len(line_end) if data.endswith(line_end) else size
    try:
        draft = _read_head(data[start:head_end], line_end, limits)
    except MalformedSip as error:
        raise SipParseError(error.message, status=None, code=error.code) from None
    try:
        lengths = draft.index.get("content-length")
        body_start = head_end + 2 * len(line_end)
        if is_open_ended:
            # A datagram without the blank line was cut short, unless it says itself that nothing follows.
            if lengths is None or not data.endswith(line_end) or _content_length(lengths):
                raise MalformedSip("found no end of the header section", code="truncated-message")
            body = b""
        elif lengths is None:
            body = data[body_start:]
        else:
            length = _content_length(lengths)
            if length > size - body_start:
                raise MalformedSip(
                    f"found Content-Length {length} with {size - body_start} bytes behind the header section",
                    code="malformed-content-length",
                )
            body = data[body_start : body_start + length]
        return _judge(draft, body, limits)
    except MalformedSip as error:
        raise _refusal(draft, error) from None


class StreamFramer:
    """Cuts the bytes of one stream connection into messages.

    State: after an error with `closes_stream` the framer `is_broken` and ignores all further bytes.
    """

    __slots__ = (
        "_body_end",
        "_body_start",
        "_buffer",
        "_draft",
        "_half_ping",
        "_limits",
        "_line_end",
        "_scanned",
        "is_broken",
    )

    def __init__(self, limits: ParserLimits = DEFAULT_LIMITS) -> None:
        self.is_broken = False
        self._limits = limits
        self._buffer = bytearray()
        self._line_end = b""
        self._scanned = 0
        self._draft: _Draft | None = None
        self._body_start = 0
        self._body_end = 0
        self._half_ping = False

    @property
    def has_partial_message(self) -> bool:
        """Return whether a message has begun and not ended: the shell limits how long that may last."""
        return bool(self._buffer) and not self.is_broken

    def feed(self, data: bytes) -> list[SipMessage | KeepAlive | SipParseError]:
        """Return what `data` completes, in order. Errors are returned, never raised.

        Several pings in one call yield one `PING`.
        """
        out: list[SipMessage | KeepAlive | SipParseError] = []
        if self.is_broken:
            return out
        buffer = self._buffer
        buffer += data
        position = 0
        while True:
            if self._draft is None:
                if not self._line_end:
                    skipped = self._skip_line_ends(position, out)
                    self._scanned = max(self._scanned, skipped)
                    position = skipped
                if not self._read_next_head(position, out):
                    break
            if len(buffer) < self._body_end:
                break
            self._complete(out)
            position = self._body_end
            self._scanned = position
        if self.is_broken:
            self._buffer = bytearray()
        elif position:
            del buffer[:position]
            self._scanned -= position
            self._body_start -= position
            self._body_end -= position
        return out

    def _skip_line_ends(self, position: int, out: list[SipMessage | KeepAlive | SipParseError]) -> int:
        buffer, size = self._buffer, len(self._buffer)
        begin = position
        while position < size:
            octet = buffer[position]
            if octet == _LF:
                position += 1
            elif octet == _CR and position + 1 < size and buffer[position + 1] == _LF:
                position += 2
            else:
                break
        pairs = (position - begin) // 2
        if pairs:
            is_ping = pairs > 1 or self._half_ping
            out.append(KeepAlive.PING if is_ping else KeepAlive.PONG)
            self._half_ping = not is_ping
        if position < size and buffer[position] != _CR:
            self._half_ping = False
        return position

    def _read_next_head(self, start: int, out: list[SipMessage | KeepAlive | SipParseError]) -> bool:
        """Return whether a header section is complete and understood well enough to frame its body."""
        buffer, limits = self._buffer, self._limits
        size = len(buffer)
        if not self._line_end:
            first_end = buffer.find(b"\n", self._scanned)
            if first_end < 0:
                self._scanned = size
                if size - start > limits.max_line_bytes:
                    self._break(out, f"read {size - start} bytes without a line end")
                return False
            self._line_end = b"\r\n" if first_end > start and buffer[first_end - 1] == _CR else b"\n"
            self._scanned = start
        blank = self._line_end * 2
        head_end = buffer.find(blank, self._scanned)
        head_size = (size if head_end < 0 else head_end) - start
        if head_size > limits.max_stream_head_bytes:
            self._break(out, f"read {head_size} header bytes, expected at most {limits.max_stream_head_bytes}")
            return False
        if head_end < 0:
            self._scanned = max(start, size - len(blank) + 1)
            return False
        body_start = head_end + len(blank)
        try:
            draft = _read_head(bytes(buffer[start:head_end]), self._line_end, limits)
        except MalformedSip as error:
            self._break(out, error.message, error.code)
            return False
        try:
            lengths = draft.index.get("content-length")
            if lengths is None:
                raise MalformedSip("found no Content-Length on a stream", code="malformed-content-length")
            length = _content_length(lengths)
            total = body_start - start + length
            if total > limits.max_stream_message_bytes:
                raise MalformedSip(
                    f"found a message of {total} bytes, expected at most {limits.max_stream_message_bytes}",
                    code="message-too-large",
                    status=513,
                )
        except MalformedSip as error:
            refusal = _refusal(draft, error)
            refusal.closes_stream = True
            out.append(refusal)
            self.is_broken = True
            return False
        self._line_end = b""
        self._draft, self._body_start, self._body_end = draft, body_start, body_start + length
        return True

    def _complete(self, out: list[SipMessage | KeepAlive | SipParseError]) -> None:
        draft, self._draft = self._draft, None
        assert draft is not None
        try:
            out.append(_judge(draft, bytes(self._buffer[self._body_start : self._body_end]), self._limits))
        except MalformedSip as error:
            out.append(_refusal(draft, error))

    def _break(
        self, out: list[SipMessage | KeepAlive | SipParseError], message: str, code: str = "message-too-large"
    ) -> None:
        self.is_broken = True
        out.append(SipParseError(message, status=None, closes_stream=True, code=code))


def _read_head(head: bytes, line_end: bytes, limits: ParserLimits) -> _Draft:
    """Return the lines of a header section.

    Raises:
        MalformedSip: it holds more lines than allowed. Other faults stand in the draft's `problem`.
    """
    line_ends = head.count(b"\n")
    if line_ends > limits.max_header_lines:
        raise MalformedSip(
            f"read {line_ends} header lines, expected at most {limits.max_header_lines}",
            code="too-many-headers",
            status=None,
        )
    returns = line_ends if line_end == b"\r\n" else 0
    text: list[str]
    if b"\n " in head or b"\n\t" in head or not head.isascii() or b"\0" in head or head.count(b"\r") != returns:
        text, problem = _repaired_lines(head, line_end)
    else:
        text, problem = head.decode("ascii").split("\r\n" if returns else "\n"), None
        if returns and len(text) != line_ends + 1:
            text, problem = _repaired_lines(head, line_end)
    draft = _Draft()
    draft.problem = _read_start_line(draft, text[0]) or problem
    lines, index = draft.lines, draft.index
    for line in text[1:]:
        name, colon, value = line.partition(":")
        canonical = CANONICAL.get(name)
        if canonical is None or not colon:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                draft.problem = draft.problem or MalformedSip("found a line that is no header", code="malformed-header")
                continue
            canonical = canonical_name(name)
        value = value.strip(" \t")
        if type(line) is Latin1Text:
            value = Latin1Text(value)
        lines.append((canonical, value, name))
        values = index.get(canonical)
        if values is None:
            index[canonical] = [value]
        else:
            values.append(value)
    if len(head) > limits.max_line_bytes and max(map(len, text)) > limits.max_line_bytes:
        draft.problem = draft.problem or MalformedSip(
            f"found a header line above {limits.max_line_bytes} bytes", code="line-too-long", status=513
        )
    return draft


def _repaired_lines(head: bytes, line_end: bytes) -> tuple[list[str], MalformedSip | None]:
    """Return the unfolded, decoded lines that are safe to repeat, and the fault of those left out."""
    problem: MalformedSip | None = None
    folded: list[list[bytes]] = []
    for piece in head.split(line_end):
        if piece[:1] in (b" ", b"\t") and folded:
            folded[-1].append(piece.strip(b" \t"))
        else:
            folded.append([piece])
    lines: list[str] = []
    for pieces in folded:
        raw = pieces[0] if len(pieces) == 1 else b" ".join([pieces[0].rstrip(b" \t"), *pieces[1:]])
        if b"\0" in raw and len(raw) <= MAX_NUL_LINE_BYTES and _quotes_every_nul(raw):
            # Legal, but no header of ours, no database and no webhook could carry it on.
            raw = raw.replace(b"\\\0", b"")
        if b"\r" in raw or b"\n" in raw or b"\0" in raw:
            problem = MalformedSip("found CR, LF or NUL inside a header line", code="control-character")
            if not lines:
                lines.append("")
            continue
        try:
            lines.append(raw.decode())
        except UnicodeDecodeError:
            lines.append(Latin1Text(raw.decode("latin-1")))
    return lines, problem


def _quotes_every_nul(raw: bytes) -> bool:
    """Return whether each NUL is a quoted pair inside a quoted string (RFC 3261 §25.1, RFC 4475 §3.1.1.2)."""
    is_quoted = is_escaped = False
    for octet in raw:
        if is_escaped:
            is_escaped = False
        elif octet == 0:
            return False
        elif octet == 0x22:
            is_quoted = not is_quoted
        elif octet == 0x5C and is_quoted:
            is_escaped = True
    return True


def _read_start_line(draft: _Draft, line: str) -> MalformedSip | None:
    if line[:4].upper() == "SIP/":
        version, _, rest = line.partition(" ")
        status, _, reason = rest.partition(" ")
        # Set before any refusal: whatever is wrong with it, a response is never answered.
        draft.status = -1
        if version.upper() != "SIP/2.0":
            return MalformedSip("found a response of another version", code="unsupported-version")
        if len(status) != 3 or not is_digits(status) or not "100" <= status <= "699":
            return MalformedSip("found a status that is no number from 100 to 699", code="malformed-start-line")
        draft.status, draft.reason = int(status), reason
        return None
    parts = line.split(" ")
    draft.method = parts[0]
    if len(parts) != 3:
        return MalformedSip("found a request line that is not `method URI version`", code="malformed-start-line")
    draft.uri_text, version = parts[1], parts[2]
    if not is_token(draft.method):
        return MalformedSip("found a method that is no token", code="malformed-start-line")
    if version == "SIP/2.0":
        return None
    family, _, number = version.upper().partition("/")
    if family != "SIP" or not number.replace(".", "", 1).isdigit():
        return MalformedSip("found a request line without a SIP version", code="malformed-start-line")
    if number != "2.0":
        return MalformedSip("found a request of another SIP version", code="unsupported-version", status=505)
    return None


def _judge(draft: _Draft, body: bytes, limits: ParserLimits) -> SipMessage:
    """Return the message of a draft whose routing headers are all readable.

    Raises:
        MalformedSip: one is missing, doubled or unreadable; `status` is the verdict.
    """
    if draft.problem is not None:
        raise draft.problem
    index = draft.index
    views: dict[str, Any] = {}
    via_lines = index.get("via")
    if not via_lines:
        raise MalformedSip("found no via header", code="missing-header")
    vias = parse_vias(via_lines)
    if len(vias) > limits.max_vias:
        raise MalformedSip(
            f"found {len(vias)} hops, expected at most {limits.max_vias}", code="too-many-hops", status=None
        )
    views["via"], views["via-top"] = vias, vias[0]
    views["from"] = parse_name_addr(_only(index, "from"))
    views["to"] = parse_name_addr(_only(index, "to"))
    if not _only(index, "call-id"):
        raise MalformedSip("found an empty call-id header", code="malformed-header")
    cseq = views["cseq"] = parse_cseq(_only(index, "cseq"))
    if draft.status:
        _view_lists(views, index, limits, is_strict=200 <= draft.status < 300)
        return SipResponse(draft.status, draft.reason, Headers.from_parsed(draft.lines, index, views), body)
    if cseq.method != draft.method:
        raise MalformedSip("found a CSeq method other than the request's", code="malformed-cseq")
    uri = _request_uri(draft.uri_text, limits)
    forwards = index.get("max-forwards")
    if forwards is not None:
        value = forwards[0]
        if len(forwards) > 1 or not is_digits(value) or len(value) > 32 or (number := int(value)) > 255:
            raise MalformedSip("found Max-Forwards that is not one number up to 255", code="malformed-max-forwards")
        views["max-forwards"] = number
    if index.get("contact") == ["*"] and (draft.method != "REGISTER" or index.get("expires") != ["0"]):
        raise MalformedSip("found contact * outside a REGISTER with Expires 0", code="malformed-contact")
    _view_lists(views, index, limits, is_strict=True)
    return SipRequest.from_parsed(
        draft.method, draft.uri_text, uri, Headers.from_parsed(draft.lines, index, views), body
    )


def _view_lists(views: dict[str, Any], index: dict[str, list[str]], limits: ParserLimits, *, is_strict: bool) -> None:
    for name in ("contact", "record-route", "route"):
        values = index.get(name)
        if values is None:
            continue
        if values == ["*"] and name == "contact":
            views[name] = ()
            continue
        try:
            addresses = parse_name_addrs(values)
        except MalformedSip:
            # A provisional or failure response is worth more than its Contact.
            if is_strict:
                raise
            addresses = ()
        if len(addresses) > limits.max_routes:
            raise MalformedSip(
                f"found {len(addresses)} {name} values, expected at most {limits.max_routes}", code="too-many-addresses"
            )
        views[name] = addresses


def _request_uri(text: str, limits: ParserLimits) -> Uri:
    if len(text) > limits.max_uri_chars:
        found = f"found a Request-URI of {len(text)} characters, expected at most {limits.max_uri_chars}"
        raise MalformedSip(found, code="uri-too-long", status=414)
    uri = parse_uri(text)
    if isinstance(uri, OpaqueUri):
        raise MalformedSip("found a Request-URI of an unknown scheme", code="unsupported-scheme", status=416)
    if isinstance(uri, SipUri) and uri.headers:
        raise MalformedSip("found headers in the Request-URI", code="malformed-uri")
    return uri


def _only(index: dict[str, list[str]], name: str) -> str:
    values = index.get(name)
    if not values:
        raise MalformedSip(f"found no {name} header", code="missing-header")
    if len(values) > 1:
        raise MalformedSip(f"found {len(values)} {name} headers, allowed is one", code="repeated-header")
    return values[0]


def _content_length(values: list[str]) -> int:
    length = -1
    for value in values:
        if not is_digits(value) or len(value) > 10:
            raise MalformedSip("found a Content-Length that is no number", code="malformed-content-length")
        if length not in (-1, int(value)):
            raise MalformedSip("found different Content-Length values", code="malformed-content-length")
        length = int(value)
    return length


def _refusal(draft: _Draft, error: MalformedSip) -> SipParseError:
    """Return the error for a draft: with a view to answer from, where that is possible and allowed."""
    request = None if draft.status or draft.method == "ACK" or error.status is None else _answerable(draft)
    status = error.status if request is not None else None
    return SipParseError(error.message, status=status, request=request, code=error.code)


def _answerable(draft: _Draft) -> SipRequest | None:
    index = draft.index
    lines: list[tuple[str, str, str]] = []
    kept: dict[str, list[str]] = {}
    seen: set[str] = set()
    for line in draft.lines:
        name, value = line[0], line[1]
        if name == "via" or (name in ("from", "to", "call-id", "cseq") and name not in seen):
            if not value:
                return None
            seen.add(name)
            lines.append(line)
            kept.setdefault(name, []).append(value)
    if len(seen) != 5:
        return None
    number, _, method = index["cseq"][0].partition(" ")
    if not is_digits(number) or not is_token(method.strip()):
        return None
    try:
        parse_via(split_list(index["via"][0])[0])
    except MalformedSip:
        return None
    return SipRequest(draft.method, draft.uri_text, Headers.from_parsed(lines, kept, {}))
