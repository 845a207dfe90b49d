"""A customer's voice agent for tests of the stream WebSocket: echoes, records, or misbehaves on demand."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from picows import (
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
    ws_create_server,
)


@dataclass
class StreamAgent:
    """What the agent saw, and how it behaves."""

    port: int = 0
    tls: ssl.SSLContext | None = None
    echo: bool = True
    subprotocol: str = ""
    on_connected: Callable[[AgentConnection], None] | None = None
    on_message: Callable[[AgentConnection, dict[str, Any]], None] | None = None
    requests: list[WSUpgradeRequest] = field(default_factory=list)
    connections: list[AgentConnection] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Return the agent's WebSocket URL."""
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/agent?x=1"

    def events(self, name: str) -> list[dict[str, Any]]:
        """Return the messages of one event that arrived so far, over all connections."""
        return [message for one in self.connections for message in one.messages if message.get("event") == name]


class AgentConnection(WSListener):
    """One WebSocket from the platform."""

    def __init__(self, agent: StreamAgent) -> None:
        self.agent = agent
        self.messages: list[dict[str, Any]] = []
        self.close_code: int | None = None
        self.is_gone = False
        self.pings = 0
        self.pongs: list[bytes] = []
        self.binary_frames = 0
        self.echoes = agent.echo
        """Whether this connection sends every frame back; a test may change it."""
        self.transport: WSTransport | None = None

    @property
    def format(self) -> tuple[str, int]:
        """Return encoding and rate that the `start` event announced, µ-law before it."""
        for message in self.messages[:1]:
            if message.get("event") == "start":
                announced = message["start"]["mediaFormat"]
                return announced["encoding"], announced["sampleRate"]
        return "audio/x-mulaw", 8_000

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        self.agent.connections.append(self)
        if self.agent.on_connected is not None:
            self.agent.on_connected(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.CLOSE:
            self.close_code = int(frame.get_close_code())  # type: ignore[call-overload]  # an integer at run time
            transport.send_close(frame.get_close_code())
            transport.disconnect()
            return
        if frame.msg_type is WSMsgType.PING:
            self.pings += 1
            transport.send_pong(frame.get_payload_as_bytes())
            return
        if frame.msg_type is WSMsgType.PONG:
            self.pongs.append(frame.get_payload_as_bytes())
            return
        if frame.msg_type is not WSMsgType.TEXT:
            self.binary_frames += 1
            return
        message = json.loads(frame.get_payload_as_bytes())
        self.messages.append(message)
        if self.echoes and message["event"] == "media":
            self.play(message["media"]["payload"], *self.format)
        if self.agent.on_message is not None:
            self.agent.on_message(self, message)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.is_gone = True

    def play(self, payload: str, content_type: str = "audio/x-mulaw", rate_hz: int = 8_000) -> None:
        """Send one `playAudio`."""
        media = {"contentType": content_type, "sampleRate": rate_hz, "payload": payload}
        self.send({"event": "playAudio", "media": media})

    def send(self, message: dict[str, Any]) -> None:
        """Send one JSON message."""
        self.send_text(json.dumps(message).encode())

    def send_text(self, text: bytes, *, fin: bool = True, rsv1: bool = False) -> None:
        """Send one raw text frame."""
        assert self.transport is not None
        self.transport.send(WSMsgType.TEXT, text, fin, rsv1)

    def send_binary(self, data: bytes) -> None:
        """Send one binary frame."""
        assert self.transport is not None
        self.transport.send(WSMsgType.BINARY, data)

    def ping(self, data: bytes) -> None:
        """Send a ping."""
        assert self.transport is not None
        self.transport.send_ping(data)

    def send_continuation(self, text: bytes, *, fin: bool) -> None:
        """Send one raw continuation frame."""
        assert self.transport is not None
        self.transport.send(WSMsgType.CONTINUATION, text, fin)

    def close(self, code: int = 1000) -> None:
        """Close in an orderly way."""
        assert self.transport is not None
        self.transport.send_close(WSCloseCode(code))

    def cut(self) -> None:
        """Drop the TCP connection without a close frame."""
        assert self.transport is not None
        self.transport.disconnect(graceful=False)


@asynccontextmanager
async def stream_agent(**options: Any) -> AsyncIterator[StreamAgent]:
    """Run an agent on loopback: on `port` if the options name one, else on a free one."""
    agent = StreamAgent(**options)

    def accept(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
        agent.requests.append(request)
        headers = {"Sec-WebSocket-Protocol": agent.subprotocol} if agent.subprotocol else {}
        return WSUpgradeResponseWithListener(
            WSUpgradeResponse.create_101_response(extra_headers=headers), AgentConnection(agent)
        )

    server = await ws_create_server(accept, "127.0.0.1", agent.port, enable_auto_pong=False, ssl=agent.tls)
    agent.port = server.sockets[0].getsockname()[1]
    try:
        yield agent
    finally:
        server.close()
        for connection in agent.connections:
            if connection.transport is not None:
                connection.transport.disconnect(graceful=False)
        await server.wait_closed()


@asynccontextmanager
async def tcp_server(answer: bytes | None) -> AsyncIterator[int]:
    """Run a server that sends `answer` to whatever comes, or never answers (`None`); yields its port."""
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.add(writer)
        try:
            await reader.readuntil(b"\r\n\r\n")
            if answer is not None:
                writer.write(answer)
                await writer.drain()
                writer.close()
            else:
                await reader.read()
        except (asyncio.IncompleteReadError, ConnectionError):
            # The client gave up, as the test wants.
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await server.wait_closed()
