"""Ringback's own settings among a stream's extra headers: `ringback.NAME=value`.

The headers are the customer's text and are delivered unchanged; a program that knows nothing of these names is not
disturbed by them. Server and worker read them by this module.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

PREFIX = "ringback."
_YES = frozenset({"1", "true"})


def stream_options(extra_headers: str) -> Mapping[str, str]:
    """Return the settings by their names without prefix: from pairs after `,` or `;`, or from a JSON object.

    In pairs a `,` or `;` within a value ends it; write `%2C` and `%3B` in URLs, or JSON. Of a repeated name the last
    one counts. Text that is neither gives nothing.
    """
    if PREFIX not in extra_headers:
        return {}
    if extra_headers.lstrip().startswith("{"):
        try:
            found = msgspec.json.decode(extra_headers, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return {}
        pairs = [(name, _text(value)) for name, value in found.items()]
    else:
        parts = (pair.partition("=") for pair in extra_headers.replace(";", ",").split(","))
        pairs = [(name.strip(), value.strip()) for name, _, value in parts]
    return {name.removeprefix(PREFIX): value for name, value in pairs if name.startswith(PREFIX)}


def is_yes(value: str) -> bool:
    """Return whether a setting's value means yes: `1` or `true`, in any letter case."""
    return value.lower() in _YES


def _text(value: object) -> str:
    return "true" if value is True else str(value)
