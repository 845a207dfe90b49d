"""From the bytes a customer's URL returned to a tree of nodes, with every bound counted while parsing.

No tree is built from text that exceeds a bound, and nothing in a document makes us read, fetch or expand anything:
document types, entity declarations and processing instructions are refused at their first sign.
Spec: wire spec 6.1; reference reliability.md 5.2 and section 4.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from xml.parsers import expat

from ringback.errors import DocumentError

ROOT = "Response"
_ENCODINGS = frozenset({"utf-8", "utf8", "us-ascii", "ascii", "iso-8859-1", "latin-1"})
_BYTE_ORDER_MARKS_16 = (b"\xff\xfe", b"\xfe\xff")
_AMPERSAND = re.compile(rb"&(?!(?:amp|lt|gt|quot|apos|#[0-9]{1,7}|#x[0-9A-Fa-f]{1,6});)")


class InvalidDocument(DocumentError):
    """A document that cannot be run: not well-formed, not a `<Response>`, out of bounds, or with an illegal value."""

    default_code = "invalid-document"

    def __init__(self, message: str, line: int = 0, *, hint: str = "") -> None:
        super().__init__(f"line {line}: {message}" if line else message, hint=hint, line=line)
        self.line = line


@dataclass(frozen=True, slots=True)
class DocumentLimits:
    """Bounds of a document (reference: reliability.md section 4)."""

    body_max_bytes: int = 131_072
    depth_max: int = 16
    elements_max: int = 1_000
    attributes_max: int = 64
    """`<MultiPartyCall>` alone knows 45."""
    text_max_chars: int = 16_384
    """Text directly inside one element."""


@dataclass(frozen=True, slots=True)
class Node:
    """One element of the XML, with its mixed content in order."""

    tag: str
    attributes: Mapping[str, str]
    content: tuple[str | Node, ...]
    line: int

    @property
    def text(self) -> str:
        """Return the text directly inside, trimmed."""
        return "".join(part for part in self.content if isinstance(part, str)).strip()

    @property
    def children(self) -> tuple[Node, ...]:
        """Return the elements directly inside."""
        return tuple(part for part in self.content if isinstance(part, Node))


DEFAULT_LIMITS = DocumentLimits()


def parse_document(body: bytes, limits: DocumentLimits = DEFAULT_LIMITS) -> Node:
    """Return the root of the document, a `<Response>`.

    Any content type is parsed: applications send XML as `text/html` too (wire spec 5.1). White space before the XML
    declaration, a byte order mark, and a missing declaration are accepted.

    Raises:
        InvalidDocument: with the line and, where we can tell, what to do.
    """
    if len(body) > limits.body_max_bytes:
        raise InvalidDocument(f"document has {len(body)} bytes, expected at most {limits.body_max_bytes}")
    stripped = body.lstrip()
    if not stripped:
        raise InvalidDocument("document is empty", hint="return a <Response> element")
    if body.startswith(_BYTE_ORDER_MARKS_16) or b"\x00" in body[:4]:
        raise InvalidDocument("document is not UTF-8", hint="encode it as UTF-8")
    skipped_lines = body[: len(body) - len(stripped)].count(b"\n")
    builder = _Builder(limits, skipped_lines)
    try:
        builder.parser.Parse(stripped, True)
    except expat.ExpatError as error:
        raise _explained(error, stripped, builder) from None
    except LookupError:
        raise InvalidDocument("document has an unknown encoding", 1, hint="encode it as UTF-8") from None
    except InvalidDocument as error:
        raise error if error.hint or not _what_it_looks_like(stripped) else _foreign(error, stripped) from None
    return builder.root()


class _Open:
    """An element whose end tag has not come."""

    __slots__ = ("attributes", "content", "line", "tag", "text_chars")

    def __init__(self, tag: str, attributes: Mapping[str, str], line: int) -> None:
        self.tag = tag
        self.attributes = attributes
        self.line = line
        self.content: list[str | Node] = []
        self.text_chars = 0


class _Builder:
    """Handlers of the parser; they count before they keep."""

    def __init__(self, limits: DocumentLimits, skipped_lines: int) -> None:
        self.open: list[_Open] = []
        self._limits = limits
        self._skipped_lines = skipped_lines
        self._elements = 0
        self._root: Node | None = None
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self._declaration
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self.parser = parser

    @property
    def line(self) -> int:
        """Return where the parser stands, in lines of the body as it was sent."""
        return self.parser.CurrentLineNumber + self._skipped_lines

    def root(self) -> Node:
        """Return the finished document."""
        if self._root is None:
            raise InvalidDocument("document is empty", hint="return a <Response> element")
        return self._root

    def shifted(self, line: int) -> int:
        """Return a line of the parser as a line of the body."""
        return line + self._skipped_lines

    def _declaration(self, version: str, encoding: str | None, standalone: int) -> None:
        if encoding is not None and encoding.lower() not in _ENCODINGS:
            raise InvalidDocument(f"encoding {encoding[:40]!r} is not supported", self.line, hint="encode it as UTF-8")

    def _doctype(self, name: str, system_id: str | None, public_id: str | None, has_subset: int) -> None:
        if name.lower() == "html":
            raise InvalidDocument("document is HTML, not XML", self.line, hint="it looks like an HTML page")
        # Entities can be declared in a document type only, so none is ever known, let alone expanded or fetched.
        raise InvalidDocument("document type declarations are not allowed", self.line, hint="remove <!DOCTYPE …>")

    def _instruction(self, target: str, data: str) -> None:
        raise InvalidDocument(f"processing instruction <?{target[:40]}?> is not allowed", self.line, hint="remove it")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if not self.open and tag != ROOT:
            raise InvalidDocument(f"root element is <{tag[:40]}>, expected <{ROOT}>", self.line)
        if self._elements > self._limits.elements_max:
            raise InvalidDocument(f"more than {self._limits.elements_max} elements", self.line)
        if len(self.open) >= self._limits.depth_max:
            raise InvalidDocument(f"elements nest deeper than {self._limits.depth_max}", self.line)
        if len(attributes) > self._limits.attributes_max:
            message = f"<{tag[:40]}> has {len(attributes)} attributes, expected at most {self._limits.attributes_max}"
            raise InvalidDocument(message, self.line)
        self.open.append(_Open(tag, attributes, self.line))

    def _text(self, text: str) -> None:
        inside = self.open[-1]
        inside.text_chars += len(text)
        if inside.text_chars > self._limits.text_max_chars:
            message = f"<{inside.tag[:40]}> holds more than {self._limits.text_max_chars} characters"
            raise InvalidDocument(message, self.line)
        inside.content.append(text)

    def _end(self, tag: str) -> None:
        done = self.open.pop()
        node = Node(done.tag, done.attributes, tuple(done.content), done.line)
        if self.open:
            self.open[-1].content.append(node)
        else:
            self._root = node


def _explained(error: expat.ExpatError, body: bytes, builder: _Builder) -> InvalidDocument:
    line = builder.shifted(error.lineno)
    message = f"not well-formed: {expat.ErrorString(error.code)}"
    found = _what_it_looks_like(body)
    if found:
        return InvalidDocument(message, line, hint=found)
    lines = body.split(b"\n")
    text = lines[error.lineno - 1] if 0 < error.lineno <= len(lines) else b""
    match = _AMPERSAND.search(text)
    if match is not None and match.start() <= error.offset + 1:
        return InvalidDocument(f"not well-formed: bare & in the text: {_shown(text, match.start())}", line, hint=_AMP)
    if error.code == expat.errors.codes[expat.errors.XML_ERROR_TAG_MISMATCH] and builder.open:
        inside = builder.open[-1]
        message = f"not well-formed: the end tag here does not close <{inside.tag[:40]}> of line {inside.line}"
        return InvalidDocument(message, line)
    if error.code == expat.errors.codes[expat.errors.XML_ERROR_NO_ELEMENTS] and builder.open:
        inside = builder.open[-1]
        message = f"not well-formed: the document ends inside <{inside.tag[:40]}> of line {inside.line}"
        return InvalidDocument(message, line)
    return InvalidDocument(message, line, hint=f"near {_shown(text, error.offset)}" if text.strip() else "")


_AMP = "write & as &amp; inside XML"


def _shown(line: bytes, offset: int) -> str:
    return repr(line[max(0, offset - 20) : offset + 20].decode("utf-8", "replace"))


def _foreign(error: InvalidDocument, body: bytes) -> InvalidDocument:
    return InvalidDocument(
        error.message.removeprefix(f"line {error.line}: "), error.line, hint=_what_it_looks_like(body)
    )


def _what_it_looks_like(body: bytes) -> str:
    start = body[:200].lstrip(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "it looks like an HTML page; is the URL behind a login or a tunnel's warning page?"
    if start.startswith((b"{", b"[", b'"')):
        return "it looks like JSON; answer with XML"
    if not start.startswith(b"<"):
        return "it does not start with <"
    return ""
