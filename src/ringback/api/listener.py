"""The HTTP listener: uvicorn inside our own loop, without signal handlers, with the port known before it serves."""

from __future__ import annotations

import asyncio
import socket

import uvicorn
from starlette.types import ASGIApp

from ringback.api.gate import Gate, GatedProtocol, GateSettings
from ringback.errors import ConfigError

_BACKLOG = 512
_KEEP_ALIVE_S = 30
_SHUTDOWN_S = 2


class HttpListener:
    """One listening socket and the server behind it.

    State: the port is bound when the object exists; it serves between `start` and `close`.
    """

    def __init__(self, app: ASGIApp, host: str, port: int, settings: GateSettings | None = None) -> None:
        """Bind the port; 0 takes a free one.

        Raises:
            ConfigError: the address cannot be bound.
        """
        self.gate = Gate(settings or GateSettings())
        self._socket = _bound(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=GatedProtocol.behind(self.gate),
            ws="none",
            lifespan="on",
            log_config=None,
            access_log=False,
            server_header=False,
            backlog=_BACKLOG,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_SHUTDOWN_S,
        )
        self._server = uvicorn.Server(config)
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Return when requests are served."""
        # `_serve` is what `serve` wraps in signal handlers; those belong to the composition root.
        self._task = asyncio.create_task(self._server._serve(sockets=[self._socket]), name="http-listener")
        while not self._server.started:
            if self._task.done():
                await self._task
                raise ConfigError("the HTTP server did not start")
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """Stop accepting, let requests end within two seconds, release the port."""
        if self._task is None:
            self._socket.close()
            return
        self._server.should_exit = True
        await self._task
        self._task = None


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol left at 0 asyncio does not switch Nagle's algorithm off, and every answer waits 40 ms for an
    # acknowledgement between its headers and its body.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"HTTP cannot listen on {host} port {port}: {error.strerror or error}",
            hint="stop the other program or choose another port with --http",
        ) from error
    listener.setblocking(False)
    return listener
