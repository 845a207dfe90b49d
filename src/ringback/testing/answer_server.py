"""A small HTTP server for answer URLs and callbacks: what a customer's web application is to Ringback.

Its replies are decided by one function, so that a test can be slow, wrong or hostile in one line. Bounded: a request of
more than 1 MiB is refused with 413.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import parse_qsl, urlsplit

import httptools

REQUEST_MAX_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class AppRequest:
    """What Ringback asked."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names in lower case; the last of several wins."""
    body: bytes

    @property
    def path(self) -> str:
        """Return the path without its query."""
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        """Return the parameters of the query."""
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def params(self) -> dict[str, str]:
        """Return the parameters of query and form together."""
        return self.query | dict(parse_qsl(self.body.decode("utf-8", "replace"), keep_blank_values=True))


@dataclass(frozen=True, slots=True)
class AppReply:
    """What the application answers."""

    body: bytes = b""
    status: int = 200
    content_type: str = "application/xml"
    headers: tuple[tuple[str, str], ...] = ()
    delay_ms: int = 0
    hang_up: bool = False
    """Close the connection without an answer."""


Respond = Callable[[AppRequest], AppReply | Awaitable[AppReply]]


@dataclass(slots=True)
class AnswerServer:
    """Serves one application at `url` between `start` and `close`."""

    respond: Respond
    host: str = "127.0.0.1"
    port: int = 0
    _server: asyncio.Server | None = None
    _connections: set[_Connection] = field(default_factory=set)

    @property
    def url(self) -> str:
        """Return `http://host:port`."""
        return f"http://{self.host}:{self.port}"

    async def start(self) -> None:
        """Listen; with port 0 `port` holds the chosen one afterwards."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port, backlog=1024)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Stop listening and drop every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self._connections):
            connection.abort()
        await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    """One connection; requests on it are answered one after the other."""

    def __init__(self, server: AnswerServer) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._target = b""
        self._headers: dict[str, str] = {}
        self._body = bytearray()
        self._answering: asyncio.Task[None] | None = None
        self._waiting: list[tuple[AppRequest, bool]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A check of the class would fail on uvloop, whose transports derive from nothing of asyncio.
        self._transport = cast("asyncio.Transport", transport)
        self._server._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server._connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(b"400 Bad Request")

    def on_message_begin(self) -> None:
        self._target, self._headers, self._body = b"", {}, bytearray()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body
        if len(self._body) > REQUEST_MAX_BYTES:
            self._refuse(b"413 Content Too Large")

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("latin-1")
        request = AppRequest(method, self._target.decode("latin-1"), self._headers, bytes(self._body))
        self._waiting.append((request, self._parser.should_keep_alive()))
        if self._answering is None:
            self._answering = asyncio.get_running_loop().create_task(self._answer_all())

    def _refuse(self, status: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            self._transport.close()

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                request, keep_alive = self._waiting.pop(0)
                answer = self._server.respond(request)
                reply = answer if isinstance(answer, AppReply) else await answer
                if reply.delay_ms:
                    await asyncio.sleep(reply.delay_ms / 1000)
                self._send(reply, keep_alive)
        finally:
            self._answering = None

    def _send(self, reply: AppReply, keep_alive: bool) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        if reply.hang_up:
            self._transport.abort()
            return
        lines = [
            f"HTTP/1.1 {reply.status} Reply",
            f"Content-Length: {len(reply.body)}",
            *([f"Content-Type: {reply.content_type}"] if reply.content_type else []),
            *(f"{name}: {value}" for name, value in reply.headers),
            f"Connection: {'keep-alive' if keep_alive else 'close'}",
        ]
        self._transport.write("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + reply.body)
        if not keep_alive:
            self._transport.close()
