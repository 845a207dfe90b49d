"""The WebSocket under one audio stream: dials the agent, carries text frames, decides why it ended.

One deadline stands over connect, TLS and upgrade, and a bound over what waits in the transport; what the agent sends is
`agent_listener`'s.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
from collections.abc import Callable
from typing import Protocol

from picows import (
    WSCloseCode,
    WSError,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    ws_connect,
)

from ringback import clock
from ringback.machine import MS, Instant, after_ms
from ringback.media.control.commands import OpenStream
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import Address, StreamEnd
from ringback.media.stream.session import StreamSession
from ringback.media.worker.agent_listener import AgentListener
from ringback.media.worker.close_codes import (
    CLOSE_ABNORMAL,
    CLOSE_GOING_AWAY,
    CLOSE_INTERNAL_ERROR,
    CLOSE_NO_STATUS,
    CLOSE_NORMAL,
)
from ringback.media.worker.connect_faults import describe
from ringback.media.worker.stream_request import handshake_headers, tls_context

_ORDERLY_CODES = frozenset({CLOSE_NORMAL, CLOSE_GOING_AWAY, CLOSE_NO_STATUS})
_ATTEMPT_MIN_MS = 100
"""A shorter attempt is not worth beginning."""
_READ_BUFFER_BYTES = 4_096
"""Several messages of 20 ms; the library doubles it for an agent that sends more at once."""
_NEVER = Instant(0)
_TEXT = WSMsgType.TEXT

_picows_log = logging.getLogger("ringback.picows")
# Every fault of a hostile agent would be a line and a traceback of the library; our own events report them.
_picows_log.setLevel(logging.CRITICAL + 1)


class StreamOwner(Protocol):
    """What a stream client tells its leg; all calls come on the loop."""

    def stream_opened(self, client: StreamClient, connect_ms: int, attempts: int, subprotocol: str) -> None:
        """The agent answered 101; `start` is queued next."""

    def stream_failed(self, client: StreamClient, attempt: int, detail: str) -> None:
        """One connect attempt failed."""

    def stream_dropped(self, client: StreamClient, close_code: int, detail: str) -> None:
        """The open socket was lost and will be dialled again."""

    def stream_ended(self, client: StreamClient, reason: StreamEnd, close_code: int, detail: str) -> None:
        """The stream is over; called exactly once, also after `StreamClient.close`."""

    def stream_released(self, client: StreamClient) -> None:
        """The last socket of the stream is closed; called exactly once, after `stream_ended`."""


class StreamClient:
    """One stream's connection: at most one socket at a time, one task that dials and then waits for its end.

    State: `start` once; `flush` at any time; `close` ends it. `stream_ended` comes once, `stream_released` last.
    """

    __slots__ = (
        "_attempts",
        "_away_ns",
        "_cut_timer",
        "_dialled",
        "_fault",
        "_has_ended",
        "_life_timer",
        "_listener",
        "_loop",
        "_next_ping",
        "_opened",
        "_owner",
        "_reconnects_left",
        "_send_max_bytes",
        "_settings",
        "_task",
        "_transport",
        "_waiting_bytes",
        "close_code",
        "command",
        "outbox",
        "session",
    )

    def __init__(
        self, owner: StreamOwner, command: OpenStream, session: StreamSession, settings: WorkerSettings
    ) -> None:
        self.command = command
        self.session = session
        self.outbox = session.outbox
        self.close_code = 0
        self._owner = owner
        self._settings = settings
        self._loop = asyncio.get_running_loop()
        self._transport: WSTransport | None = None
        self._listener: AgentListener | None = None
        self._waiting_bytes: Callable[[], int] = int
        self._task: asyncio.Task[None] | None = None
        self._life_timer: asyncio.TimerHandle | None = None
        self._cut_timer: asyncio.TimerHandle | None = None
        self._has_ended = False
        self._reconnects_left = command.reconnects
        self._send_max_bytes = settings.stream_send_max_bytes
        self._next_ping = Instant(0)
        self._dialled = Instant(0)
        self._opened = Instant(0)
        self._away_ns = 0
        self._attempts = 0
        self._fault = ""

    @property
    def is_open(self) -> bool:
        """Whether frames can be sent."""
        return self._transport is not None

    def start(self) -> None:
        """Begin to dial."""
        self._task = self._loop.create_task(self._run(), name=f"stream {self.command.stream_id}")
        self._life_timer = self._loop.call_later(self.command.timeout_ms / 1000, self.close, StreamEnd.TIMEOUT)

    def flush(self) -> None:
        """Send the session's outbox while little waits in the transport; the rest stays and is bounded there."""
        transport = self._transport
        if transport is None:
            return
        outbox = self.outbox
        waiting = self._waiting_bytes
        send = transport.send
        while outbox and waiting() <= self._send_max_bytes:
            send(_TEXT, outbox.popleft())

    def check(self, now: Instant) -> None:
        """Ping when due and cut a connection that stays silent; called about once per second."""
        listener = self._listener
        if self._transport is None or listener is None:
            return
        listener.note_activity(now)
        if now >= self._next_ping:
            self._transport.send_ping()
            self._next_ping = after_ms(now, self._settings.stream_ping_ms)
        silent_ms = (now - listener.heard_at) // MS
        if silent_ms >= self._settings.stream_ping_ms + self._settings.stream_pong_timeout_ms:
            listener.detail = "no answer to ping"
            self._transport.disconnect(graceful=False)

    def close(self, reason: StreamEnd, code: int = CLOSE_NORMAL, detail: str = "") -> None:
        """End the stream: `stop`, what waits, the close frame; the socket is cut when the agent does not follow."""
        if self._has_ended:
            return
        transport = self._transport
        if transport is not None:
            self.session.stop(clock.now())
            self.flush()
            self.close_code = code
            self._say_goodbye(transport, code)
        self._end(reason, self.close_code, detail)
        if transport is None and self._task is not None:
            self._task.cancel()

    def fail(self, code: int, detail: str) -> None:
        """Close the connection over something the agent did wrong; it is dialled again like one that dropped."""
        transport, listener = self._transport, self._listener
        if self._has_ended or transport is None or listener is None:
            return
        listener.fault_code, listener.detail = code, detail
        self._say_goodbye(transport, code)

    def connected(self, listener: AgentListener, transport: WSTransport) -> None:
        """Take over an upgraded connection; called by the listener before any frame arrives."""
        if self._has_ended:
            transport.disconnect(graceful=False)
            return
        now = clock.now()
        self._listener = listener
        self._transport = transport
        self._opened = now
        self._waiting_bytes = transport.underlying_transport.get_write_buffer_size
        self._next_ping = after_ms(now, self._settings.stream_ping_ms)
        chosen = transport.response.headers.get("Sec-WebSocket-Protocol", "")
        self._owner.stream_opened(self, (now - self._dialled) // MS, self._attempts, str(chosen)[:128])
        self.session.open(now, clock.wall_ms())
        self.flush()

    def agent_closed(self, transport: WSTransport) -> None:
        """Answer the agent's close frame, or see ours answered; called by the listener."""
        self._hang_up()
        if not transport.is_close_frame_sent:
            transport.send_close(WSCloseCode.OK)
        self._cut_later(transport)
        transport.disconnect()

    def disconnected(self, listener: AgentListener) -> None:
        """Let go of a connection that is gone; called by the listener."""
        if listener is self._listener:
            self._hang_up()

    def _hang_up(self) -> None:
        self._transport = None
        if self._listener is not None:
            self._listener.deafen()

    def _say_goodbye(self, transport: WSTransport, code: int) -> None:
        self._hang_up()
        transport.send_close(code)  # type: ignore[arg-type]  # any 16-bit code is sent as it is
        self._cut_later(transport)

    def _cut_later(self, transport: WSTransport) -> None:
        if self._cut_timer is None:
            self._cut_timer = self._loop.call_later(
                self._settings.stream_close_timeout_ms / 1000, transport.disconnect, False
            )

    def _end(self, reason: StreamEnd, code: int, detail: str) -> None:
        if self._has_ended:
            return
        self._has_ended = True
        if self._life_timer is not None:
            self._life_timer.cancel()
        self._owner.stream_ended(self, reason, code, detail)

    async def _run(self) -> None:
        try:
            await self._live()
        except asyncio.CancelledError:
            if not self._has_ended:
                raise
        except Exception as error:
            self._end(StreamEnd.CONNECTION_LOST, CLOSE_INTERNAL_ERROR, f"stream failed: {error!r}"[:200])
        finally:
            if self._cut_timer is not None:
                self._cut_timer.cancel()
            self._owner.stream_released(self)

    async def _live(self) -> None:
        """Dial, wait for the connection's end, and dial again while drops are forgiven."""
        transport = await self._dial(self.command.connect_attempts)
        if transport is None:
            self._end(StreamEnd.CONNECT_FAILED, 0, self._fault)
        while transport is not None:
            refused = await _wait_end(transport)
            listener = self._listener
            self._listener = None
            if self._has_ended:
                return
            assert listener is not None
            fault_code = listener.fault_code or refused
            self.close_code = fault_code or listener.close_code or CLOSE_ABNORMAL
            detail = listener.detail or ("protocol error" if refused else "connection dropped")
            if not fault_code and listener.close_code in _ORDERLY_CODES:
                self._end(StreamEnd.AGENT_CLOSED, self.close_code, listener.detail)
            elif not self._may_redial():
                self._end(StreamEnd.CONNECTION_LOST, self.close_code, detail)
            else:
                if self._cut_timer is not None:
                    self._cut_timer.cancel()
                    self._cut_timer = None
                self.session.suspend(clock.now())
                self._owner.stream_dropped(self, self.close_code, detail)
                transport = await self._dial(self._reconnects_left, is_again=True)
                self._away_ns += clock.now() - self._dialled
                if transport is None:
                    self._end(StreamEnd.CONNECTION_LOST, self.close_code, f"{detail}, then {self._fault}")
                continue
            return

    def _may_redial(self) -> bool:
        """Return whether a connection that was lost may be dialled again; one that lasted clears the account."""
        if clock.now() - self._opened >= self._settings.stream_settled_ms * MS:
            self._reconnects_left = self.command.reconnects
            self._away_ns = 0
        return self._reconnects_left > 0 and self._away_ns < (self.command.redial_max_ms - _ATTEMPT_MIN_MS) * MS

    async def _dial(self, attempts: int, *, is_again: bool = False) -> WSTransport | None:
        """Return an upgraded connection, or `None` after the last attempt failed or when no more time is allowed."""
        self._dialled = clock.now()
        command, settings = self.command, self._settings
        # An agent that comes back and drops again and again must not make the far party wait longer in all.
        limit_ms = command.redial_max_ms - self._away_ns // MS if is_again else settings.stream_dial_max_ms
        deadline = after_ms(self._dialled, limit_ms)
        addresses = command.addresses
        for attempt in range(1, attempts + 1):
            self._attempts = attempt
            self._reconnects_left -= is_again
            timeout_ms = min(command.connect_timeout_ms, (deadline - clock.now()) // MS)
            try:
                async with asyncio.timeout(timeout_ms / 1000):
                    return await self._connect(addresses[(attempt - 1) % len(addresses)])
            except TimeoutError:
                self._fault = f"no WebSocket within {timeout_ms} ms: the agent does not answer the upgrade"
            except (OSError, WSError, ValueError) as error:
                self._fault = describe(error)
            self._owner.stream_failed(self, attempt, self._fault)
            if attempt == attempts or after_ms(clock.now(), command.connect_gap_ms + _ATTEMPT_MIN_MS) >= deadline:
                break
            await asyncio.sleep(command.connect_gap_ms / 1000)
        return None

    async def _connect(self, address: Address) -> WSTransport:
        family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        # The kernel would grow its buffer to megabytes, in which minutes of audio wait for an agent that stalls.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._settings.stream_kernel_buffer_bytes)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, self._settings.stream_unsent_max_bytes)
        # Finds a peer that is gone without a word, and one that has stopped reading (tcp(7), TCP_USER_TIMEOUT).
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self.command.dead_after_ms)
        listener = AgentListener(self, self._settings)
        is_secure = self.command.url.startswith("wss:")
        try:
            await self._loop.sock_connect(sock, (address.host, address.port))
            transport, _ = await ws_connect(
                lambda: listener,
                self.command.url,
                ssl_context=tls_context(self.command.verify_tls, self._settings.stream_ca_file) if is_secure else None,
                websocket_handshake_timeout=None,
                logger_name=_picows_log,
                enable_auto_ping=False,
                max_frame_size=self._settings.stream_frame_max_bytes,
                read_buffer_init_size=_READ_BUFFER_BYTES,
                extra_headers=handshake_headers(self.command),
                max_redirects=0,
                socket_factory=lambda _: sock,
                # For plain TCP the loop's own transport is a little cheaper (measured 2026-11-22 with
                # benchmarks/worker_load.py); for TLS the library's is.
                use_aiofastnet=is_secure,
            )
        except BaseException:
            # A transport may own the socket by now and must close it itself: the end of the stream makes it do so.
            _shut(sock)
            raise
        if self._listener is not listener:
            # The library reports a connection that closed during the upgrade as if it had succeeded.
            raise ConnectionResetError(errno.ECONNRESET, "closed during the upgrade")
        return transport


async def _wait_end(transport: WSTransport) -> int:
    """Return 0 when the connection is gone, or the close code with which the library refused the agent's frames."""
    try:
        await transport.wait_disconnected()
    except WSProtocolError as error:
        return int(error.code)
    return 0


def _shut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # Never connected: nobody else holds it.
        sock.close()
