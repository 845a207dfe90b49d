"""The door of the HTTP listener: how many connections, how large headers, how long a request may take to arrive.

uvicorn alone takes headers of any size and holds silent connections for ever. A reverse proxy may stand in front; the
gate stays.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections import Counter
from dataclasses import dataclass
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@dataclass(frozen=True, slots=True)
class GateSettings:
    """Bounds of the listener."""

    connections_max: int = 4_000
    per_source_max: int = 200
    """Connections of one address; loopback is exempt, because a reverse proxy brings everybody from there."""
    header_max_bytes: int = 16 * 1024
    """Request line and headers together."""
    headers_max: int = 100
    header_deadline_ms: int = 5_000
    """From the connection, or from the first byte of a later request, to the end of the headers."""
    body_deadline_ms: int = 15_000
    """From the end of the headers to the end of the body."""


class Gate:
    """Counts the open connections of one listener."""

    def __init__(self, settings: GateSettings) -> None:
        self.settings = settings
        self.refused = 0
        self._sources: Counter[str] = Counter()

    @property
    def open_connections(self) -> int:
        """Return how many connections are open."""
        return self._sources.total()

    def enter(self, source: str) -> bool:
        """Take a place for a connection; `False` when there is none."""
        is_full = self.open_connections >= self.settings.connections_max
        has_enough = self._sources[source] >= self.settings.per_source_max and not _is_loopback(source)
        if is_full or has_enough:
            self.refused += 1
            return False
        self._sources[source] += 1
        return True

    def leave(self, source: str) -> None:
        """Give a place back."""
        self._sources[source] -= 1
        if self._sources[source] <= 0:
            del self._sources[source]


class GatedProtocol(HttpToolsProtocol):
    """One connection behind the gate; `behind` binds the class to a gate."""

    gate: Gate

    @classmethod
    def behind(cls, gate: Gate) -> type[GatedProtocol]:
        """Return the class of the connections of one listener."""
        return cast("type[GatedProtocol]", type(cls.__name__, (cls,), {"gate": gate}))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._source: str | None = None
        self._is_closed_by_gate = False
        self._is_in_headers = True
        self._header_bytes = 0
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn declares it
        """Take the connection, or close it at once."""
        peer = transport.get_extra_info("peername")
        source = str(peer[0]) if isinstance(peer, tuple) else ""
        if not self.gate.enter(source):
            self._is_closed_by_gate = True
            transport.abort()
            return
        self._source = source
        super().connection_made(transport)
        self._arm(self.gate.settings.header_deadline_ms)

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._disarm()
        if self._source is None:
            return
        self.gate.leave(self._source)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came, unless the headers have grown too large."""
        if self._is_closed_by_gate:
            return
        super().data_received(data)
        if self._is_in_headers:
            self._header_bytes += len(data)
            if self._header_bytes > self.gate.settings.header_max_bytes:
                self._refuse(431, "Request Header Fields Too Large")

    def on_message_begin(self) -> None:
        """Start the clock of a request's headers."""
        super().on_message_begin()
        self._is_in_headers = True
        self._header_bytes = 0
        self._arm(self.gate.settings.header_deadline_ms)

    def on_headers_complete(self) -> None:
        """Serve the request if its headers are within bounds, and start the clock of its body."""
        self._is_in_headers = False
        settings = self.gate.settings
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > settings.header_max_bytes or len(self.headers) > settings.headers_max:
            self._refuse(431, "Request Header Fields Too Large")
            return
        self._arm(settings.body_deadline_ms)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Pass a part of the body on."""
        if not self._is_closed_by_gate:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Stop the clock."""
        self._disarm()
        if not self._is_closed_by_gate:
            super().on_message_complete()

    def _arm(self, deadline_ms: int) -> None:
        self._disarm()
        self._deadline = self.loop.call_later(deadline_ms / 1000, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self._is_in_headers and not self._header_bytes:
            # Nobody asked anything, so nobody waits for an answer.
            self._is_closed_by_gate = True
            self.transport.close()
        else:
            self._refuse(408, "Request Timeout")

    def _refuse(self, status: int, reason: str) -> None:
        if self._is_closed_by_gate:
            return
        self._is_closed_by_gate = True
        self._disarm()
        if not self._is_answered():
            body = f'{{"error":"{reason.lower()}"}}'
            self.transport.write(
                f"HTTP/1.1 {status} {reason}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
                f"connection: close\r\n\r\n{body}".encode()
            )
        self.transport.close()

    def _is_answered(self) -> bool:
        """Return whether bytes of an answer to the current request, or to an earlier one, are on their way."""
        # uvicorn declares `cycle` without saying that it is None before the first request.
        is_started = bool(getattr(self.cycle, "response_started", False))
        return is_started and not (self._is_in_headers and self.cycle.response_complete)


def _is_loopback(source: str) -> bool:
    try:
        return ipaddress.ip_address(source).is_loopback
    except ValueError:
        return False
