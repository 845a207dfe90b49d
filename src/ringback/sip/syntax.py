"""The lexical ground of SIP: tokens, quoted strings, parameters and comma lists.

Every function is one pass over its text. Expressions match single character classes only, so none can backtrack
(RFC 3261 §25.1 is the grammar; docstrings name each leniency).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ringback.sip.errors import MalformedSip, UnsafeHeader

Params = Mapping[str, str | None]
"""Parameters by lower-case name; `None` for a name without `=`; quoted values keep their quotes (see `unquote`)."""

_TOKEN = re.compile(r"[A-Za-z0-9!%'*+._`~-]+")
_PARAM_VALUE = re.compile(r"[A-Za-z0-9!%'*+._`~\[\]:/@&$=?#()-]+")
_LIST_SPECIAL = re.compile(r'[",<]')
_PARAM_SPECIAL = re.compile(r'[";]')
_QUOTE_SPECIAL = re.compile(r'["\\]')
_HEADER_UNSAFE = re.compile(r"[\r\n\0]")


def is_token(text: str) -> bool:
    """Return whether `text` is a non-empty RFC 3261 token."""
    return _TOKEN.fullmatch(text) is not None


def is_digits(text: str) -> bool:
    """Return whether `text` is a non-empty run of ASCII digits."""
    return text.isdigit() and text.isascii()


def end_of_quoted(text: str, start: int) -> int:
    """Return the index behind the quoted string whose opening quote stands at `start`, or -1 if it never ends."""
    position = start + 1
    closing = text.find('"', position)
    if closing < 0 or "\\" not in text[position:closing]:
        return closing + 1 if closing >= 0 else -1
    while (found := _QUOTE_SPECIAL.search(text, position)) is not None:
        if found.group() == '"':
            return found.end()
        position = found.end() + 1
    return -1


def quote(text: str) -> str:
    """Return `text` as a quoted string, with `"` and backslash escaped."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def unquote(text: str) -> str:
    """Return the content of a quoted string, unescaped; any other text comes back unchanged."""
    if len(text) < 2 or text[0] != '"' or text[-1] != '"':
        return text
    inner = text[1:-1]
    if "\\" not in inner:
        return inner
    pieces: list[str] = []
    position = 0
    while (found := inner.find("\\", position)) >= 0:
        pieces.append(inner[position:found])
        pieces.append(inner[found + 1 : found + 2])
        position = found + 2
    pieces.append(inner[position:])
    return "".join(pieces)


def _split_outside_quotes(text: str) -> list[str]:
    pieces: list[str] = []
    start = position = 0
    while (found := _PARAM_SPECIAL.search(text, position)) is not None:
        if found.group() == '"':
            position = end_of_quoted(text, found.start())
            if position < 0:
                raise MalformedSip("found a quoted parameter without its closing quote", code="unterminated-quote")
            continue
        pieces.append(text[start : found.start()])
        start = position = found.end()
    pieces.append(text[start:])
    return pieces


def parse_params(text: str) -> dict[str, str | None]:
    """Return the parameters of a `;name=value;name` text; the first of a repeated name wins.

    Leniency: empty parameters (`;;`, a trailing `;`), names that are no tokens, and white space round `;` and `=` are
    skipped.

    Raises:
        MalformedSip: a quoted value never ends.
    """
    params: dict[str, str | None] = {}
    for piece in text.split(";") if '"' not in text else _split_outside_quotes(text):
        name, equals, value = piece.partition("=")
        name = name.strip().lower()
        if name not in params and ((name.isalnum() and name.isascii()) or is_token(name)):
            params[name] = value.strip() if equals else None
    return params


def format_params(params: Params) -> str:
    """Return `params` as `;name=value;name` text, empty for none.

    Values that are neither tokens, hosts nor quoted strings are quoted.

    Raises:
        UnsafeHeader: a name is no token, or a value holds CR, LF or NUL.
    """
    if not params:
        return ""
    pieces: list[str] = []
    for name, value in params.items():
        if not is_token(name):
            raise UnsafeHeader(f"found parameter name {name!r}, allowed are token characters", value=name)
        if value is None:
            pieces.append(f";{name}")
        elif _PARAM_VALUE.fullmatch(value) is not None:
            pieces.append(f";{name}={value}")
        else:
            refuse_unsafe(name, value)
            pieces.append(f";{name}={value if is_quoted(value) else quote(value)}")
    return "".join(pieces)


def is_quoted(text: str) -> bool:
    """Return whether `text` is exactly one quoted string."""
    return text.startswith('"') and end_of_quoted(text, 0) == len(text)


def split_list(value: str) -> list[str]:
    """Return the elements of a comma list, stripped; commas in quotes or angle brackets do not split.

    Empty elements stay in the result, so that the caller decides about stray commas.
    """
    if "," not in value:
        return [value.strip()]
    if '"' not in value and "<" not in value:
        return [element.strip() for element in value.split(",")]
    elements: list[str] = []
    start = position = 0
    while (found := _LIST_SPECIAL.search(value, position)) is not None:
        special = found.group()
        if special == ",":
            elements.append(value[start : found.start()].strip())
            start = position = found.end()
            continue
        position = end_of_quoted(value, found.start()) if special == '"' else value.find(">", found.end()) + 1
        if position <= 0:
            break
    elements.append(value[start:].strip())
    return elements


def refuse_unsafe(name: str, value: str) -> None:
    """Return if `value` may stand in a header line.

    Raises:
        UnsafeHeader: the value holds CR, LF, NUL or a lone surrogate.
    """
    if (found := _HEADER_UNSAFE.search(value)) is not None:
        raise UnsafeHeader(
            f"found {found.group()!r} in the value of {name}, allowed is text without CR, LF and NUL",
            header=name,
        )
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise UnsafeHeader(f"found a lone surrogate in the value of {name}", header=name) from error
