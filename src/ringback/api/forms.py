"""Parameters turned into types, with one message for each way to be wrong, and their OpenAPI description for free.

A resource reads its parameters with one function that takes a `Form`. `described` runs the same function on an example
and notes what it asks for, so that the document cannot differ from the validation.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn
from urllib.parse import urlsplit

from ringback.errors import InvalidParameter

URL_MAX_CHARS = 2_048
TEXT_MAX_CHARS = 4_096
METHODS = ("GET", "POST")
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off", ""})
_CONTROL = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_INTEGER = re.compile(r"[+-]?[0-9]{1,15}(?:\.0+)?")

Schema = Mapping[str, Any]


class Form:
    """The parameters of one request; unknown ones are ignored, `null` counts as absent."""

    def __init__(self, values: Mapping[str, object]) -> None:
        self._values = values
        self.schemas: dict[str, Schema] = {}
        """What was asked for, by name: OpenAPI schemas."""
        self.required: list[str] = []

    def has(self, name: str) -> bool:
        """Return whether the parameter was sent, `null` and empty included."""
        return name in self._values

    def is_given(self, name: str) -> bool:
        """Return whether the parameter was sent with a value other than `null`."""
        return self._values.get(name) is not None

    def text(
        self, name: str, *, required: bool = False, default: str = "", max_chars: int = TEXT_MAX_CHARS, about: str = ""
    ) -> str:
        """Return a trimmed text without control characters.

        Raises:
            InvalidParameter: it is missing though required, too long, or no text.
        """
        self._note(name, {"type": "string", "maxLength": max_chars}, required, about)
        value = self._plain(name)
        if not value:
            if required:
                raise InvalidParameter(f"{name} parameter is missing", field=name)
            return default
        if len(value) > max_chars:
            invalid(name, f"{len(value)} characters, expected at most {max_chars}")
        if _CONTROL.search(value):
            invalid(name, "it has control characters")
        return value

    def verbatim(self, name: str, *, about: str = "") -> str:
        """Return a text as it was sent, spaces around it included.

        Raises:
            InvalidParameter: it is no text, or has characters that no message may carry.
        """
        self._note(name, {"type": "string"}, False, about)
        value = self._values.get(name)
        text = value if isinstance(value, str) else self._plain(name)
        if _CONTROL.search(text):
            invalid(name, "it has control characters")
        return text

    def url(self, name: str, *, required: bool = False, about: str = "") -> str:
        """Return an absolute `http:` or `https:` URL.

        Raises:
            InvalidParameter: it is missing though required, or no such URL; the text contains `valid url`, which
                clients look for (specification 4.2).
        """
        value = self.text(name, required=required, max_chars=URL_MAX_CHARS, about=about)
        self._note(name, {"type": "string", "format": "uri", "maxLength": URL_MAX_CHARS}, required, about)
        if value and not is_web_url(value):
            invalid(name, f"{shown(value)} is not a valid url, expected http:// or https:// and a host")
        return value

    def method(self, name: str, default: str = "POST") -> str:
        """Return `GET` or `POST`, whatever the letter case it was sent in."""
        return self.choice(name, METHODS, default, fold=str.upper)

    def choice(
        self,
        name: str,
        choices: Sequence[str],
        default: str,
        *,
        about: str = "",
        fold: Callable[[str], str] = str.lower,
    ) -> str:
        """Return one of `choices`; letter case does not matter."""
        value = fold(self.text(name, default=default, about=about))
        self._note(name, {"type": "string", "enum": list(choices), "default": default}, False, about)
        if value not in choices and value != default:
            invalid(name, f"{shown(value)}, expected {' or '.join(choices)}")
        return value

    def integer(self, name: str, default: int, lowest: int, highest: int, *, about: str = "") -> int:
        """Return a whole number between two bounds; texts such as `"120"` are accepted.

        Raises:
            InvalidParameter: it is none, or out of bounds.
        """
        found = self.optional_integer(name, lowest, highest, about=about)
        self._note(name, {"type": "integer", "minimum": lowest, "maximum": highest, "default": default}, False, about)
        return default if found is None else found

    def optional_integer(self, name: str, lowest: int, highest: int, *, about: str = "") -> int | None:
        """Return a whole number between two bounds, or `None` when it was not sent.

        Raises:
            InvalidParameter: it is none, or out of bounds.
        """
        self._note(name, {"type": "integer", "minimum": lowest, "maximum": highest}, False, about)
        text = self._plain(name)
        if not text:
            return None
        if not _INTEGER.fullmatch(text):
            invalid(name, f"{shown(text)}, expected a whole number")
        value = int(text.partition(".")[0])
        if not lowest <= value <= highest:
            invalid(name, f"{value}, expected {lowest} to {highest}")
        return value

    def boolean(self, name: str, default: bool = False, *, about: str = "") -> bool:
        """Return a truth value; `true`, `"true"`, `"True"`, 1 and their opposites are accepted."""
        self._note(name, {"type": "boolean", "default": default}, False, about)
        value = self._values.get(name)
        if value is None:
            return default
        if isinstance(value, bool):
            return value
        text = self._plain(name).lower()
        if text in _TRUE:
            return True
        if text not in _FALSE:
            invalid(name, f"{shown(text)}, expected true or false")
        return default if text == "" else False

    def raw(self, name: str, schema: Schema, about: str = "", *, required: bool = False) -> object:
        """Return the value as it was sent, for parameters with a shape of their own."""
        self._note(name, schema, required, about)
        return self._values.get(name)

    def _plain(self, name: str) -> str:
        """Return the value as trimmed text; numbers are accepted as texts, because clients send them so."""
        value = self._values.get(name)
        if value is None:
            return ""
        if isinstance(value, str):
            return value.strip()
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | float):
            return str(value)
        raise InvalidParameter(f"{name} parameter is invalid: expected a text", field=name)

    def _note(self, name: str, schema: Schema, required: bool, about: str) -> None:
        self.schemas[name] = {**schema, "description": about} if about else schema
        if required and name not in self.required:
            self.required.append(name)


def invalid(name: str, what: str) -> NoReturn:
    """Raise the error of a parameter with a wrong value."""
    raise InvalidParameter(f"{name} parameter is invalid: {what}", field=name)


def shown(text: str) -> str:
    """Return a customer's text as it may stand in an error: short, and without control characters."""
    return ascii(text[:80])


def is_web_url(text: str) -> bool:
    """Return whether `text` is an absolute `http:` or `https:` URL with a host."""
    try:
        parts = urlsplit(text)
        return (
            parts.scheme.lower() in ("http", "https") and bool(parts.hostname) and parts.port != 0 and " " not in text
        )
    except ValueError:
        return False


def described_body(read: Callable[[Form], object], example: Mapping[str, object]) -> dict[str, Any]:
    """Return the OpenAPI request body that `read` accepts; `example` must be a valid one."""
    form = Form(example)
    read(form)
    schema: dict[str, Any] = {"type": "object", "properties": dict(form.schemas), "additionalProperties": True}
    if form.required:
        schema["required"] = form.required
    content = {"schema": schema, "example": dict(example)}
    return {
        "requestBody": {
            "required": bool(form.required),
            "content": {"application/json": content, "application/x-www-form-urlencoded": content},
        }
    }


def described_query(read: Callable[[Form], object], example: Mapping[str, object] | None = None) -> dict[str, Any]:
    """Return the OpenAPI query parameters that `read` accepts; `example` has those that must be sent."""
    form = Form(example or {})
    read(form)
    return {
        "parameters": [
            {"name": name, "in": "query", "required": name in form.required, "schema": dict(schema)}
            for name, schema in form.schemas.items()
        ]
    }
