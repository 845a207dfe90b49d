"""SSML in the text of a request: parsed with the bounds of a document, refused with the place of the fault."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.parsers import expat

from ringback.errors import InvalidParameter

_DEPTH_MAX = 16
_ELEMENTS_MAX = 500
_ROOT = "speak"
_TAG = re.compile(r"<\s*/?\s*[A-Za-z][\w:-]*(?:\s[^<>]*)?/?\s*>")


@dataclass(slots=True)
class SsmlNode:
    """One element; a `speech.markup.Markup`."""

    tag: str
    attributes: Mapping[str, str]
    content: list[str | SsmlNode] = field(default_factory=list)


def looks_like_ssml(text: str) -> bool:
    """Return whether the text has something that looks like a tag."""
    return _TAG.search(text) is not None


def parse_ssml(text: str) -> Sequence[str | SsmlNode]:
    """Return what stands in the text, with or without `<speak>` around it.

    Raises:
        InvalidParameter: it is not well-formed, nests too deeply, or declares a document type.
    """
    builder = _Builder()
    try:
        builder.parser.Parse(f"<{_ROOT}>{text}</{_ROOT}>", True)
    except expat.ExpatError as error:
        place = f"line {error.lineno}, column {max(0, error.offset - len(_ROOT) - 2 * (error.lineno == 1)) + 1}"
        raise _refused(f"SSML is not well-formed: {expat.ErrorString(error.code)} at {place}") from None
    return builder.root.content


class _Builder:
    def __init__(self) -> None:
        self.root = SsmlNode(_ROOT, {})
        self._open = [SsmlNode("", {})]
        self._elements = 0
        parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.ProcessingInstructionHandler = self._instruction
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        self.parser = parser

    def _doctype(self, name: str, system_id: str | None, public_id: str | None, has_subset: int) -> None:
        raise _refused("document types are not allowed")

    def _instruction(self, target: str, data: str) -> None:
        raise _refused("processing instructions are not allowed")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        if self._elements > _ELEMENTS_MAX:
            raise _refused(f"more than {_ELEMENTS_MAX} SSML elements")
        if len(self._open) > _DEPTH_MAX:
            raise _refused(f"SSML nests deeper than {_DEPTH_MAX}")
        self._open.append(SsmlNode(tag, attributes))

    def _end(self, tag: str) -> None:
        node = self._open.pop()
        self._open[-1].content.append(node)
        self.root = node

    def _text(self, text: str) -> None:
        self._open[-1].content.append(text)


def _refused(what: str) -> InvalidParameter:
    return InvalidParameter(f"text parameter is invalid: {what}", hint="write < as &lt; and & as &amp;", field="text")
