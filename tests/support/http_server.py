"""A small HTTP server for tests: it answers from a script, records what it was sent, and can misbehave on purpose."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

Writer = asyncio.StreamWriter


@dataclass(frozen=True)
class SeenRequest:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(self.target.partition("?")[2], keep_blank_values=True)

    @property
    def form(self) -> list[tuple[str, str]]:
        return parse_qsl(self.body.decode(), keep_blank_values=True)


Handler = Callable[[SeenRequest, Writer], Awaitable[None]]


@dataclass
class ScriptedServer:
    """Answers by path; `seen` holds every request in order."""

    port: int = 0
    seen: list[SeenRequest] = field(default_factory=list)
    handlers: dict[str, Handler] = field(default_factory=dict)
    connections: int = 0

    def url(self, path: str = "/", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"

    def on(self, path: str, handler: Handler) -> None:
        self.handlers[path] = handler

    def reply(
        self,
        path: str,
        body: bytes | str = b"",
        status: int = 200,
        content_type: str = "application/xml",
        **headers: str,
    ) -> None:
        """Answer `path` with a fixed reply."""
        self.on(path, fixed(body, status, content_type, **headers))

    def replies(self, path: str, *handlers: Handler) -> None:
        """Answer `path` with each handler in turn, the last one for ever."""
        left = list(handlers)

        async def handle(request: SeenRequest, writer: Writer) -> None:
            await (left.pop(0) if len(left) > 1 else left[0])(request, writer)

        self.on(path, handle)


def fixed(body: bytes | str = b"", status: int = 200, content_type: str = "application/xml", **headers: str) -> Handler:
    """Return a handler that answers with a fixed reply; `_` in header names stands for `-`."""
    payload = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {content_type}", f"Content-Length: {len(payload)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]

    async def handle(request: SeenRequest, writer: Writer) -> None:
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        await writer.drain()

    return handle


def raw(data: bytes) -> Handler:
    """Return a handler that writes these bytes and closes."""

    async def handle(request: SeenRequest, writer: Writer) -> None:
        writer.write(data)
        await writer.drain()
        writer.close()

    return handle


async def hang(request: SeenRequest, writer: Writer) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def close(request: SeenRequest, writer: Writer) -> None:
    """Close without an answer."""
    writer.close()


def drip(body: bytes, every_s: float) -> Handler:
    """Return a handler that sends its body one byte at a time."""

    async def handle(request: SeenRequest, writer: Writer) -> None:
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode())
        for index in range(len(body)):
            writer.write(body[index : index + 1])
            await writer.drain()
            await asyncio.sleep(every_s)

    return handle


@asynccontextmanager
async def http_server() -> AsyncIterator[ScriptedServer]:
    """Run a scripted server on a free loopback port; every connection is gone afterwards."""
    script = ScriptedServer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        script.connections += 1
        try:
            while (request := await _read_request(reader)) is not None:
                script.seen.append(request)
                handler = script.handlers.get(request.path) or fixed(b"not found", 404, "text/plain")
                await handler(request, writer)
                if writer.is_closing():
                    break
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client went away, or the test is over.
            pass
        finally:
            tasks.discard(task)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def _read_request(reader: asyncio.StreamReader) -> SeenRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    lines = head.decode("latin-1").split("\r\n")
    method, target, _ = lines[0].split(" ")
    headers = {}
    for line in lines[1:-2]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return SeenRequest(method, target, headers, body)
