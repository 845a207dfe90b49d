"""`X-PH-…` headers: from a customer's `sip_headers` to SIP, and back."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from ringback.sip.headers.names import is_header_name

PREFIX: Final = "X-PH-"
RESERVED_PREFIXES: Final = ("ph-", "plivo", "fs-", "sipauth", "zt-", "twilio", "clientregion")
"""Wire spec 6.9: dropped from `sipHeaders`."""
MAXIMUM_HEADERS: Final = 32
MAXIMUM_NAME_CHARACTERS: Final = 64
MAXIMUM_VALUE_CHARACTERS: Final = 1024


def outgoing_headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the `X-PH-<name>` headers for a customer's names and values.

    Dropped: reserved and impossible names, values with line breaks or NUL, what is over the limits. A name that
    carries the prefix already keeps it once.
    """
    made: list[tuple[str, str]] = []
    for name, value in pairs:
        name, value = name.strip(), value.strip()
        if name[: len(PREFIX)].upper() == PREFIX:
            name = name[len(PREFIX) :]
        if _is_usable(name, value) and len(made) < MAXIMUM_HEADERS:
            made.append((PREFIX + name, value))
    return tuple(made)


def incoming_headers(pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return a peer's `X-PH-<name>` headers as `X-PH-` and its spelling of the name; reserved ones are dropped."""
    found: list[tuple[str, str]] = []
    for name, value in pairs:
        if name[: len(PREFIX)].upper() != PREFIX:
            continue
        name = name[len(PREFIX) :]
        if _is_usable(name, value) and len(found) < MAXIMUM_HEADERS:
            found.append((PREFIX + name, value))
    return tuple(found)


def _is_usable(name: str, value: str) -> bool:
    return (
        0 < len(name) <= MAXIMUM_NAME_CHARACTERS
        and is_header_name(name)
        and not name.lower().startswith(RESERVED_PREFIXES)
        and len(value) <= MAXIMUM_VALUE_CHARACTERS
        and not any(character in value for character in "\r\n\0")
    )
