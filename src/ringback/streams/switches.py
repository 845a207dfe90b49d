"""What an operator may choose where the published sources of the stream protocol contradict each other.

Spec: wire spec section 8; docs/protocol/switches.md names every row and its setting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from ringback.media.control.options import PREFIX
from ringback.media.control.values import PlayFormats
from ringback.webhooks.payloads import StatusScheme

HANDSHAKE_HEADERS_MAX = 24
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\x20-\x7e]{0,512}")
_OURS = ("host", "connection", "upgrade", "origin", "user-agent", "content-length", "transfer-encoding")
_OUR_PREFIXES = ("sec-websocket-", "x-plivo-")


@dataclass(frozen=True, slots=True)
class StreamSwitches:
    """The choices of one node."""

    formats: PlayFormats = PlayFormats.ANY
    has_json_headers: bool = False
    """Whether `extra_headers` is delivered as the text of a JSON object instead of as written."""
    are_headers_sent: bool = False
    """Whether the pairs are headers of the WebSocket upgrade besides."""
    scheme: StatusScheme = StatusScheme.START_STREAM
    has_json_status: bool = False
    """Whether status callbacks are posted as JSON instead of as a form."""


def header_pairs(extra_headers: str) -> Sequence[tuple[str, str]]:
    """Return the pairs of a stream's extra headers: of a JSON object, else what `,` or `;` divide."""
    text = extra_headers.strip()
    if text.startswith("{"):
        try:
            found = msgspec.json.decode(text, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return ()
        return [(name, value if isinstance(value, str) else _json(value)) for name, value in found.items()]
    parts = (part.partition("=") for part in text.replace(";", ",").split(","))
    return [(name.strip(), value.strip()) for name, _, value in parts if name.strip()]


def is_unreadable(extra_headers: str) -> bool:
    """Return whether extra headers begin as a JSON object and are none: then there are no pairs."""
    text = extra_headers.strip()
    return text.startswith("{") and text.removeprefix("{").strip() != "}" and not header_pairs(text)


def delivered(extra_headers: str, *, is_json: bool) -> str:
    """Return the text that stands in the stream's messages: verbatim, or a JSON object (`{}` when there is nothing)."""
    if not is_json:
        return extra_headers
    text = extra_headers.strip()
    pairs = header_pairs(text)
    if text.startswith("{") and (pairs or text.removeprefix("{").strip() == "}"):
        return text
    return _json(dict(pairs))


def handshake_headers(extra_headers: str) -> tuple[tuple[tuple[str, str], ...], tuple[str, ...]]:
    """Return the pairs that can be headers of the upgrade, and what of them cannot, for people.

    Ringback's own settings stay behind, and so does what would spoil the handshake or forge a signature.
    """
    headers: list[tuple[str, str]] = []
    notes: list[str] = []
    for name, value in header_pairs(extra_headers):
        if name.startswith(PREFIX):
            continue
        if name.lower() in _OURS or name.lower().startswith(_OUR_PREFIXES):
            notes.append(f"extra header {name[:40]!r} is Ringback's own in the handshake and was left out")
        elif not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            notes.append(f"extra header {name[:40]!r} cannot be an HTTP header and was left out")
        elif len(headers) == HANDSHAKE_HEADERS_MAX:
            notes.append(f"more than {HANDSHAKE_HEADERS_MAX} extra headers, the rest was left out of the handshake")
            break
        else:
            headers.append((name, value))
    return tuple(headers), tuple(notes)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
