"""Wrappers for values that logs may show in full at DEBUG only: numbers, addresses, tokens, URLs.

Pure. `logs` turns a wrapper into text when it knows the level of the line.
"""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class NumberText:
    """A phone number or SIP user; the mask keeps the last two characters."""

    value: str

    def masked(self) -> str:
        """Return the number with all but its last two characters starred."""
        return "*" * max(len(self.value) - 2, 0) + self.value[-2:] if len(self.value) > 4 else "*" * len(self.value)

    def full(self) -> str:
        """Return the number."""
        return self.value

    def __repr__(self) -> str:
        return self.masked()


@dataclass(frozen=True, slots=True)
class AddressText:
    """A network address of a peer; the mask keeps the first part of it and the port."""

    host: str
    port: int = 0

    def masked(self) -> str:
        """Return the address without its host part."""
        head = self.host.partition(":" if ":" in self.host else ".")[0]
        return f"{head}.*" + (f":{self.port}" if self.port else "")

    def full(self) -> str:
        """Return host and port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host + (f":{self.port}" if self.port else "")

    def __repr__(self) -> str:
        return self.masked()


@dataclass(frozen=True, slots=True)
class TokenText:
    """A secret; never shown at any level."""

    value: str

    def masked(self) -> str:
        """Return stars."""
        return "********"

    def full(self) -> str:
        """Return stars as well: a token helps nobody in a log."""
        return "********"

    def __repr__(self) -> str:
        return self.masked()


@dataclass(frozen=True, slots=True)
class UrlText:
    """A customer's URL; the mask drops user, query and fragment."""

    value: str

    def masked(self) -> str:
        """Return scheme, host, port and path."""
        try:
            parts = urlsplit(self.value)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "unreadable URL"
        shown = f"{parts.scheme}://{host}" + (f":{port}" if port else "") + parts.path
        return shown + ("?…" if parts.query else "")

    def full(self) -> str:
        """Return the URL."""
        return self.value

    def __repr__(self) -> str:
        return self.masked()


WRAPPERS = (NumberText, AddressText, TokenText, UrlText)
"""Every wrapper, for `isinstance`."""
