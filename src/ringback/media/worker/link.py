"""The worker's Unix socket: who may drive the worker, one answer per command, events as fast as the server reads."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import cast

from ringback import clock
from ringback.errors import ConfigError
from ringback.ids import CommandId, Epoch, Incarnation, SessionId
from ringback.machine import Instant
from ringback.media.control.commands import (
    PROTOCOL_MAJOR,
    AckEvents,
    AnyCommand,
    Attach,
    Drain,
    Ping,
    Shutdown,
)
from ringback.media.control.events import (
    Accepted,
    AnyEvent,
    Attached,
    Draining,
    Pong,
    Rejected,
    SessionsListed,
    SessionStats,
)
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RejectCode
from ringback.media.control.wire import FrameReader, MalformedFrame, Unreadable, decode_command, encode
from ringback.media.worker.engine import Engine
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_CONNECTIONS_MAX = 8
_SNAPSHOT_PAGE = 100
"""Sessions per frame: even with five streams each they stay far below the frame's limit."""
_PEER_CREDENTIALS = struct.Struct("3i")


class ControlServer:
    """Listens for servers and obeys the one that attached with the highest epoch.

    State: at most one connection drives; a new `Attach` with the same or a higher epoch replaces it. Without a
    driver, events stay in the engine's ledger.
    """

    def __init__(self, engine: Engine, settings: WorkerSettings, incarnation: Incarnation) -> None:
        self.detached_since: Instant | None = clock.now()
        self.was_attached = False
        """Whether any server has driven the worker yet."""
        self.shutdown_asked = asyncio.Event()
        self.on_change: Callable[[], None] = lambda: None
        self._engine = engine
        self._settings = settings
        self._incarnation = incarnation
        self._loop = asyncio.get_running_loop()
        self._epoch = Epoch(-1)
        self._driver: _Connection | None = None
        self._connections: set[_Connection] = set()
        self._answers: OrderedDict[CommandId, bytes] = OrderedDict()
        self._session_stats: dict[SessionId, SessionStats] = {}
        self._server: asyncio.AbstractServer | None = None
        self._path: Path | None = None
        self._flush_is_due = False

    async def listen(self, path: Path) -> None:
        """Bind `path` with mode 0600 and accept connections.

        Raises:
            ConfigError: the folder is missing or the name is taken.
        """
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        mask = os.umask(0o177)
        try:
            # The kernel takes at most 107 bytes of path; a descriptor of the folder stands in for any length.
            folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
            try:
                sock.bind(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
        except OSError as error:
            sock.close()
            raise ConfigError(f"cannot listen on {path}: {error.strerror}") from error
        finally:
            os.umask(mask)
        self._path = path
        self._server = await self._loop.create_unix_server(lambda: _Connection(self), sock=sock)

    async def close(self) -> None:
        """Cut every connection and remove the socket."""
        if self._server is not None:
            self._server.close()
        for connection in tuple(self._connections):
            connection.cut()
        if self._path is not None:
            _remove(self._path)

    @property
    def is_drained(self) -> bool:
        """Whether everything reported was acknowledged, or nobody is there to do so."""
        return self._driver is None or len(self._engine.ledger) == 0

    def news(self) -> None:
        """Send new events soon, many in one write."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def send_statistics(self, event: AnyEvent) -> None:
        """Send the worker's figures and its sessions' latest, now or never: newer ones follow within a second.

        They leave together: one write per session would wake the server as often as there are calls.
        """
        if self._driver is not None and self._driver.is_writable:
            self._driver.write(b"".join(map(encode, (*self._session_stats.values(), event))))
        self._session_stats.clear()

    def admit(self, connection: _Connection, transport: asyncio.Transport) -> bool:
        """Return whether a fresh connection may stay: same user, and not one too many."""
        if len(self._connections) >= _CONNECTIONS_MAX or _peer_uid(transport) != os.geteuid():
            return False
        self._connections.add(connection)
        return True

    def watch(self, transport: asyncio.Transport) -> None:
        """Take commands at once; called by an admitted connection."""
        self._engine.watch(transport.get_extra_info("socket").fileno())

    def forget(self, connection: _Connection) -> None:
        """Let go of a closed connection."""
        self._connections.discard(connection)
        if connection is self._driver:
            self._driver = None
            self._engine.on_stats = None
            self.detached_since = clock.now()
            _log.warning("server gone", sessions=self._engine.session_count)
            self.on_change()

    def handle(self, connection: _Connection, command: AnyCommand | Unreadable) -> None:
        """Answer one command, exactly once."""
        if isinstance(command, Unreadable):
            connection.write(
                encode(Rejected(caused_by=command.command_id, code=RejectCode.INVALID, found=command.detail))
            )
        elif isinstance(command, Attach):
            self._attach(connection, command)
        elif connection is not self._driver:
            connection.write(
                encode(
                    Rejected(
                        caused_by=command.command_id,
                        code=RejectCode.INVALID,
                        found=type(command).__name__,
                        allowed="Attach first",
                    )
                )
            )
        elif isinstance(command, Ping):
            connection.write(encode(Pong(caused_by=command.command_id)))
        elif isinstance(command, AckEvents):
            self._engine.ledger.acknowledge(command.up_to_seq)
            connection.write(encode(Accepted(caused_by=command.command_id)))
            self.on_change()
        else:
            self._answer(connection, command)

    def _answer(self, connection: _Connection, command: AnyCommand) -> None:
        answer = self._answers.get(command.command_id)
        if answer is None:
            answer = encode(self._carry_out(command))
            self._answers[command.command_id] = answer
            if len(self._answers) > self._settings.remembered_commands_max:
                self._answers.popitem(last=False)
        connection.write(answer)

    def _carry_out(self, command: AnyCommand) -> AnyEvent:
        if isinstance(command, Drain):
            if not self._engine.is_draining:
                self._engine.is_draining = True
                self._engine.report(Draining(caused_by=command.command_id))
            self.on_change()
        elif isinstance(command, Shutdown):
            self.shutdown_asked.set()
        elif isinstance(command, Attach | AckEvents | Ping):
            raise AssertionError("answered elsewhere")
        else:
            refusal = self._engine.execute(command)
            if refusal is not None:
                return Rejected(
                    caused_by=command.command_id, code=refusal.code, found=refusal.found, allowed=refusal.allowed
                )
        return Accepted(caused_by=command.command_id)

    def _attach(self, connection: _Connection, command: Attach) -> None:
        refusal: Rejected | None = None
        if command.major != PROTOCOL_MAJOR:
            refusal = Rejected(
                caused_by=command.command_id,
                code=RejectCode.INVALID,
                found=f"protocol {command.major}.{command.minor}",
                allowed=f"protocol {PROTOCOL_MAJOR}",
            )
        elif command.epoch < self._epoch:
            refusal = Rejected(
                caused_by=command.command_id,
                code=RejectCode.STALE_EPOCH,
                found=f"epoch {command.epoch}",
                allowed=f"{self._epoch} or higher",
            )
        if refusal is not None:
            connection.write(encode(refusal))
            connection.finish()
            return
        former = self._driver
        self._driver = connection
        if former is not None and former is not connection:
            former.cut()
        self._epoch = command.epoch
        self.detached_since = None
        self.was_attached = True
        self._engine.on_stats = self._keep_session_stats
        self._send_snapshot(connection, command)
        self._engine.ledger.rewind()
        self.news()
        _log.info("server attached", epoch=command.epoch, sessions=self._engine.session_count)
        self.on_change()

    def _send_snapshot(self, connection: _Connection, command: Attach) -> None:
        sessions = self._engine.snapshot()
        pages = [tuple(sessions[at : at + _SNAPSHOT_PAGE]) for at in range(0, len(sessions), _SNAPSHOT_PAGE)] or [()]
        connection.write(
            encode(
                Attached(
                    caused_by=command.command_id,
                    incarnation=self._incarnation,
                    epoch=command.epoch,
                    pid=os.getpid(),
                    first_seq=self._engine.ledger.first_seq,
                    sessions=pages[0],
                    more=len(pages) > 1,
                )
            )
        )
        for number, page in enumerate(pages[1:], start=2):
            connection.write(encode(SessionsListed(sessions=page, more=number < len(pages))))

    def _keep_session_stats(self, event: SessionStats) -> None:
        self._session_stats[event.session_id] = event

    def _flush(self) -> None:
        self._flush_is_due = False
        driver = self._driver
        if driver is None:
            return
        ledger = self._engine.ledger
        while driver.is_writable:
            frames = ledger.take_unsent()
            if not frames:
                break
            driver.write(b"".join(frames))


class _Connection(asyncio.Protocol):
    """One accepted connection."""

    def __init__(self, server: ControlServer) -> None:
        self._server = server
        self._reader = FrameReader()
        self._transport: asyncio.Transport | None = None
        self._is_paused = False

    @property
    def is_writable(self) -> bool:
        """Whether little enough waits to be sent."""
        return self._transport is not None and not self._is_paused and not self._transport.is_closing()

    def write(self, frames: bytes) -> None:
        """Send; the answers of one server's commands are bounded by the commands it may have in flight."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frames)

    def finish(self) -> None:
        """Close after what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Admit or refuse; called by the loop."""
        # uvloop's transports do not derive from asyncio's.
        accepted = cast(asyncio.Transport, transport)
        if not self._server.admit(self, accepted):
            accepted.abort()
            return
        self._transport = accepted
        self._server.watch(accepted)
        accepted.set_write_buffer_limits(high=self._server._settings.link_high_water_bytes)

    def data_received(self, data: bytes) -> None:
        """Handle every complete command; called by the loop."""
        if self._transport is None:
            return
        try:
            payloads = self._reader.feed(data)
        except MalformedFrame as error:
            _log.warning("server connection broken", reason=str(error))
            self.cut()
            return
        for payload in payloads:
            self._server.handle(self, decode_command(payload))

    def pause_writing(self) -> None:
        """Stop taking events from the ledger; called by the loop."""
        self._is_paused = True

    def resume_writing(self) -> None:
        """Take events from the ledger again; called by the loop."""
        self._is_paused = False
        self._server.news()

    def connection_lost(self, exc: Exception | None) -> None:
        """Report the end; called by the loop."""
        if self._transport is not None:
            self._transport = None
            self._server.forget(self)


def _peer_uid(transport: asyncio.Transport) -> int:
    sock = transport.get_extra_info("socket")
    try:
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER_CREDENTIALS.size)
    except OSError:
        return -1
    uid: int = _PEER_CREDENTIALS.unpack(raw)[1]
    return uid


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
