"""An ordinary customer application with a voice agent: an answer URL that opens a stream, a WebSocket that echoes.

It knows Ringback by the public wire only. `ringback dev` starts it as a process behind 15550001000 (and its `menu`
behind 15550002000), tests and benchmarks use it too, so its echo is built from bytes and never parses a `media`
message. `python -m ringback.testing.agent` runs it.

Paths of the answer URL: `/answer`, with `contentType=` to choose the stream's format and `agent=` to choose what the
WebSocket does, one of `BEHAVIOURS`.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape, quoteattr

import picows
import uvloop

from ringback import clock
from ringback.machine import after_ms
from ringback.testing import menu
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest

DEFAULT_CONTENT_TYPE = "audio/x-mulaw;rate=8000"
_PAYLOAD = b'"payload":"'
_TEXT = picows.WSMsgType.TEXT
_MESSAGE_MAX_BYTES = 16 * 1_048_576
_REMEMBERED = 1_000


class EchoListener(picows.WSListener):
    """Returns every audio payload as `playAudio` in the stream's own format."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent
        self._prefix = _play_audio_prefix("audio/x-mulaw", 8000)
        self._parts = bytearray()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Count the stream."""
        self._agent.open_streams += 1

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Forget the stream."""
        self._agent.open_streams -= 1

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Take one frame from Ringback."""
        if frame.msg_type is _TEXT and frame.fin:
            self._take(transport, frame.get_payload_as_bytes())
        elif frame.msg_type in (_TEXT, picows.WSMsgType.CONTINUATION):
            self._parts += frame.get_payload_as_memoryview()
            if frame.fin:
                message, self._parts = bytes(self._parts), bytearray()
                self._take(transport, message)
        elif frame.msg_type is picows.WSMsgType.CLOSE:
            transport.send_close(picows.WSCloseCode.OK)
            transport.disconnect()

    def _take(self, transport: picows.WSTransport, message: bytes) -> None:
        start = message.find(_PAYLOAD)
        if start >= 0:
            start += len(_PAYLOAD)
            transport.send(_TEXT, self._prefix + message[start : message.index(b'"', start)] + b'"}}')
            return
        event = json.loads(message)
        if event.get("event") == "start":
            media_format = event["start"]["mediaFormat"]
            self._prefix = _play_audio_prefix(media_format["encoding"], media_format["sampleRate"])
            self.on_start(transport)
        elif event.get("event") == "media":
            payload = event["media"]["payload"].encode()
            transport.send(_TEXT, self._prefix + payload + b'"}}')
        self._agent.events.append(event)

    def on_start(self, transport: picows.WSTransport) -> None:
        """Hook for agents that do more than echo."""


class ClosingListener(EchoListener):
    """Closes as soon as the stream has started."""

    def on_start(self, transport: picows.WSTransport) -> None:
        """Close in an orderly way."""
        transport.send_close(picows.WSCloseCode.OK)
        transport.disconnect()


class DroppingListener(EchoListener):
    """Cuts the connection as soon as the stream has started."""

    def on_start(self, transport: picows.WSTransport) -> None:
        """Cut without a close handshake."""
        transport.disconnect(graceful=False)


class SilentListener(EchoListener):
    """Listens and never says a word."""

    def _take(self, transport: picows.WSTransport, message: bytes) -> None:
        if _PAYLOAD not in message:
            self._agent.events.append(json.loads(message))


class FaultyListener(EchoListener):
    """Sends what no agent should, then echoes."""

    def on_start(self, transport: picows.WSTransport) -> None:
        """Send broken JSON, broken Base64, an odd length, an unknown event, a binary frame and a JSON list."""
        for text in (
            b'{"event":"playAudio"',
            self._prefix + b'@@@@"}}',
            b'{"event":"playAudio","media":{"contentType":"audio/x-l16","sampleRate":8000,"payload":"AAAA"}}',
            b'{"event":"noSuchEvent"}',
            b"[1,2,3]",
            b'{"event":"playAudio","media":{"contentType":"audio/ogg","sampleRate":44100,"payload":"AAAA"}}',
        ):
            transport.send(_TEXT, text)
        transport.send(picows.WSMsgType.BINARY, b"\x00\x01")


BEHAVIOURS: dict[str, Callable[[Agent], EchoListener]] = {
    "echo": EchoListener,
    "close": ClosingListener,
    "drop": DroppingListener,
    "silent": SilentListener,
    "faulty": FaultyListener,
}
"""What the WebSocket at `/<name>` does. `/refuse` answers 403 and `/answer200` 200, without an upgrade."""


def _play_audio_prefix(encoding: str, rate_hz: int) -> bytes:
    media = f'"contentType":"{encoding}","sampleRate":{rate_hz}'
    return b'{"event":"playAudio","media":{' + media.encode() + b',"payload":"'


class Agent:
    """The application: HTTP and WebSocket servers of one process.

    State: serves between `start` and `close`. `requests` and `events` hold the last 1,000 of each.
    """

    def __init__(self, http: tuple[str, int] = ("127.0.0.1", 0), ws: tuple[str, int] = ("127.0.0.1", 0)) -> None:
        self.requests: deque[AppRequest] = deque(maxlen=_REMEMBERED)
        self.events: deque[dict[str, object]] = deque(maxlen=_REMEMBERED)
        self.open_streams = 0
        self._http = AnswerServer(self._respond, *http)
        self._ws_host, self._ws_port = ws
        self._ws: asyncio.Server | None = None

    @property
    def answer_url(self) -> str:
        """Return the URL to configure on an application."""
        return f"{self._http.url}/answer"

    @property
    def menu_url(self) -> str:
        """Return the URL of the application that is a menu."""
        return self._http.url + menu.PATH

    def stream_url(self, behaviour: str = "echo") -> str:
        """Return the WebSocket URL of a behaviour."""
        return f"ws://{self._ws_host}:{self._ws_port}/{behaviour}"

    async def start(self) -> None:
        """Listen on both ports."""
        self._ws = await picows.ws_create_server(
            self._route,
            self._ws_host,
            self._ws_port,
            max_frame_size=_MESSAGE_MAX_BYTES,
            backlog=1024,
            # The library doubles it when more arrives at once.
            read_buffer_init_size=4_096,
        )
        self._ws_port = int(self._ws.sockets[0].getsockname()[1])
        await self._http.start()

    async def close(self) -> None:
        """Stop listening; open streams end with the process or by their peer."""
        await self._http.close()
        if self._ws is not None:
            self._ws.close()

    def _route(
        self, request: picows.WSUpgradeRequest
    ) -> picows.WSListener | picows.WSUpgradeResponseWithListener | None:
        name = urlsplit(request.path.decode("latin-1")).path.strip("/")
        if name == "refuse":
            refusal = picows.WSUpgradeResponse.create_error_response(403, b"no stream here")
            return picows.WSUpgradeResponseWithListener(refusal, None)
        if name == "answer200":
            return picows.WSUpgradeResponseWithListener(picows.WSUpgradeResponse.create_ok_response(b"hello"), None)
        behaviour = BEHAVIOURS.get(name)
        return behaviour(self) if behaviour else None

    def _respond(self, request: AppRequest) -> AppReply:
        self.requests.append(request)
        if request.path.startswith(menu.PATH):
            echo = stream_document(self.stream_url())
            document = menu.menu_document(request.path, request.params, self._http.url, echo)
            return AppReply(document) if document is not None else AppReply(b"", 404, "text/plain")
        if request.path != "/answer":
            return AppReply(b"", 200 if request.path == "/callback" else 404, "text/plain")
        query = parse_qs(urlsplit(request.target).query)
        content_type = query.get("contentType", [DEFAULT_CONTENT_TYPE])[0]
        return AppReply(stream_document(self.stream_url(query.get("agent", ["echo"])[0]), content_type))


def stream_document(url: str, content_type: str = DEFAULT_CONTENT_TYPE) -> bytes:
    """Return the XML that opens a bidirectional stream and keeps the call while it lasts."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n<Response>\n'
        f'  <Stream bidirectional="true" keepCallAlive="true" contentType={quoteattr(content_type)}>'
        f"{escape(url)}</Stream>\n</Response>\n"
    ).encode()


async def _serve(http: tuple[str, int], ws: tuple[str, int], detached_limit_s: int) -> None:
    # Read before anybody is told that the agent runs: a parent may be gone a moment later.
    parent = os.getppid()
    agent = Agent(http, ws)
    await agent.start()
    urls = {"answer_url": agent.answer_url, "menu_url": agent.menu_url, "stream_url": agent.stream_url()}
    sys.stdout.write(json.dumps(urls) + "\n")
    sys.stdout.flush()
    done = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, done.set)
    gc.collect()
    gc.freeze()
    await _wait_for_the_end(done, parent, detached_limit_s)
    await agent.close()


async def _wait_for_the_end(done: asyncio.Event, parent: int, detached_limit_s: int) -> None:
    """Return when asked to end, or when the parent has been gone for the detached limit."""
    deadline = None
    while not done.is_set():
        try:
            await asyncio.wait_for(done.wait(), 1)
        except TimeoutError:
            if os.getppid() == parent:
                continue
            deadline = deadline or after_ms(clock.now(), detached_limit_s * 1000)
            if clock.now() >= deadline:
                return


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main() -> int:
    """Run the agent until SIGTERM; its first line of output names its URLs."""
    parser = argparse.ArgumentParser(prog="python -m ringback.testing.agent", description="A voice agent that echoes.")
    parser.add_argument("--http", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    parser.add_argument("--ws", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    parser.add_argument("--detached-limit", type=int, default=300, metavar="SECONDS", help="life without a parent")
    options = parser.parse_args()
    uvloop.run(_serve(options.http, options.ws, options.detached_limit))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
