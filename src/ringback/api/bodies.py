"""Request bodies and queries as plain mappings: JSON or form, whatever the client calls it, within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import parse_qsl

import msgspec
from fastapi import Request

from ringback.api.errors import BodyTooLarge, UnsupportedBody
from ringback.api.services import context_of
from ringback.errors import InvalidParameter

FIELDS_MAX = 200
"""Fields of one form or query."""
_DISCARDED = 4
"""How many times the bound is read and thrown away before the connection is given up."""


async def read_body(request: Request) -> Mapping[str, object]:
    """Return the parameters in the request's body; empty when there is no body.

    Raises:
        BodyTooLarge: more bytes than `ApiSettings.body_max_bytes`.
        UnsupportedBody: a multipart body.
        InvalidParameter: the body is neither a JSON object nor a form.
    """
    data = await _read_bytes(request, context_of(request).services.settings.body_max_bytes)
    return parse_body(data, request.headers.get("content-type", ""))


def parse_body(data: bytes, content_type: str) -> Mapping[str, object]:
    """Return the parameters in a body; raises as `read_body` does."""
    content_type = content_type.partition(";")[0].strip().lower()
    if content_type.startswith("multipart/"):
        raise UnsupportedBody("multipart bodies are not read", hint="send JSON or application/x-www-form-urlencoded")
    if not data.strip():
        return {}
    # curl without -H calls everything a form, so the first character decides as well.
    if content_type == "application/x-www-form-urlencoded" and not data.lstrip().startswith((b"{", b"[")):
        return _read_form(data)
    if content_type.endswith("json") or data.lstrip().startswith((b"{", b"[")):
        return _read_json(data)
    return _read_form(data)


def read_query(request: Request) -> Mapping[str, object]:
    """Return the parameters in the request's query; of a repeated one the last counts.

    Raises:
        InvalidParameter: more than `FIELDS_MAX` fields.
    """
    return _read_form(request.scope["query_string"])


async def _read_bytes(request: Request, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size <= limit:
            parts.append(part)
        elif size > limit * _DISCARDED:
            break
    if size > limit:
        # The rest was read first, because most clients look for an answer only after sending everything.
        raise BodyTooLarge(f"request body has more than {limit} bytes, expected at most {limit}")
    return b"".join(parts)


def _read_json(data: bytes) -> Mapping[str, object]:
    try:
        value = msgspec.json.decode(data.removeprefix(b"\xef\xbb\xbf"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InvalidParameter(f"request body is not JSON: {error}") from None
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidParameter(f"request body is a JSON {_kind(value)}, expected an object")
    return value


def _read_form(data: bytes) -> Mapping[str, object]:
    try:
        return dict(parse_qsl(data.decode("utf-8"), keep_blank_values=True, max_num_fields=FIELDS_MAX, errors="strict"))
    except UnicodeDecodeError:
        raise InvalidParameter("request is not UTF-8") from None
    except ValueError:
        raise InvalidParameter(f"request has too many fields, expected at most {FIELDS_MAX}") from None


def _kind(value: object) -> str:
    match value:
        case list():
            return "array"
        case str():
            return "string"
        case bool():
            return "boolean"
        case _:
            return "number"
