"""The server's end of one worker's socket: commands with a deadline, events in order, acknowledgement after commit."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import cast

from ringback.ids import CommandId, Epoch, Incarnation, WorkerId, new_token
from ringback.media.control.commands import AckEvents, AnyCommand, Attach, Ping
from ringback.media.control.events import (
    Accepted,
    AnyEvent,
    Attached,
    Event,
    EventsLost,
    Pong,
    Rejected,
    SessionsListed,
    SessionSnapshot,
)
from ringback.media.control.port import CommandRejected, WorkerLost
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import RejectCode
from ringback.media.control.wire import FrameReader, MalformedFrame, Unreadable, decode_event, encode
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_COMMANDS_IN_FLIGHT_MAX = 10_000
_ACK_DELAY_S = 0.05
"""Events of this long share one commit and one acknowledgement."""


class CommandTimedOut(WorkerLost):
    """The worker lives but did not answer in time; the command may have been carried out."""

    default_code = "command-timed-out"


class WorkerLink(asyncio.Protocol):
    """One connection to one worker.

    State: `connect` once, then `send`; `on_event` sees every event but answers, in order and without repeats;
    `on_lost` is called exactly once when the connection ends, also after `close`.
    Args of the constructor:
        commit: awaited before events are acknowledged; when it raises, they stay unacknowledged and are tried again.
    """

    def __init__(
        self,
        worker_id: WorkerId,
        epoch: Epoch,
        settings: PoolSettings,
        *,
        on_event: Callable[[AnyEvent], None],
        on_lost: Callable[[], None],
        commit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self.worker_id = worker_id
        self.incarnation = Incarnation("")
        self.pid = 0
        self._epoch = epoch
        self._settings = settings
        self._on_event = on_event
        self._on_lost = on_lost
        self._commit = commit
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._answers: dict[CommandId, asyncio.Future[Event]] = {}
        self._snapshot: list[SessionSnapshot] = []
        self._snapshot_done: asyncio.Future[None] = self._loop.create_future()
        self._last_seq = 0
        self._acknowledged_seq = 0
        self._has_news = asyncio.Event()
        self._acknowledger: asyncio.Task[None] | None = None
        self._ping_sent = False
        self._is_lost = False

    @property
    def is_open(self) -> bool:
        """Whether commands can be sent."""
        return self._transport is not None and not self._is_lost

    @property
    def last_seq(self) -> int:
        """The number of the newest state event that was handed to `on_event`."""
        return self._last_seq

    async def connect(
        self, socket_path: Path, *, last_seq: int = 0, timeout_ms: int = 0
    ) -> tuple[SessionSnapshot, ...]:
        """Connect and attach; returns the worker's sessions.

        Args:
            last_seq: State events of this incarnation up to here were already handled over an earlier connection.
            timeout_ms: How long it may take to answer; 0 is the command time-out.
        Raises:
            OSError: nobody listens.
            CommandRejected: another server with a higher epoch drives the worker, or its protocol is another.
            WorkerLost: no complete answer in time.
        """
        self._last_seq = self._acknowledged_seq = last_seq
        await _create_connection(self._loop, self, socket_path)
        timeout_ms = timeout_ms or self._settings.command_timeout_ms
        answer = await self._request(Attach(command_id=CommandId(new_token()), epoch=self._epoch), timeout_ms)
        if not isinstance(answer, Attached):
            raise WorkerLost(f"worker {self.worker_id} answered {type(answer).__name__}, expected Attached")
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                await self._snapshot_done
        except TimeoutError as error:
            raise CommandTimedOut(f"worker {self.worker_id} did not finish its snapshot") from error
        self._acknowledger = asyncio.create_task(self._acknowledge_events(), name=f"acknowledge {self.worker_id}")
        return tuple(self._snapshot)

    async def send(self, command: AnyCommand) -> None:
        """Return when the worker accepted `command`.

        Raises:
            CommandRejected: the worker refused; nothing changed.
            CommandTimedOut: no answer within the command time-out.
            WorkerLost: the connection ended first.
        """
        await self._request(command, self._settings.command_timeout_ms)

    def post(self, command: AnyCommand) -> None:
        """Send without waiting for the answer; does nothing on a lost connection."""
        if self._transport is not None and not self._is_lost:
            self._transport.write(encode(command))

    def ping(self) -> bool:
        """Send a `Ping`; returns whether the one before was answered."""
        was_answered = not self._ping_sent
        self._ping_sent = True
        self.post(Ping(command_id=CommandId(f"ping-{self.worker_id}")))
        return was_answered

    def close(self) -> None:
        """Cut the connection; the worker goes on."""
        if self._transport is not None:
            self._transport.abort()

    async def _request(self, command: AnyCommand, timeout_ms: int) -> Event:
        if self._transport is None or self._is_lost:
            raise WorkerLost(f"worker {self.worker_id} is not connected")
        if len(self._answers) >= _COMMANDS_IN_FLIGHT_MAX:
            raise CommandRejected(
                f"{len(self._answers)} commands wait for worker {self.worker_id}", reject=RejectCode.LIMIT
            )
        answer: asyncio.Future[Event] = self._loop.create_future()
        self._answers[command.command_id] = answer
        self._transport.write(encode(command))
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                event = await answer
        except TimeoutError as error:
            raise CommandTimedOut(
                f"worker {self.worker_id} did not answer {type(command).__name__} within {timeout_ms} ms"
            ) from error
        finally:
            self._answers.pop(command.command_id, None)
        if isinstance(event, Rejected):
            raise CommandRejected(
                f"worker {self.worker_id} refused {type(command).__name__}: {event.code.value}, "
                f"found {event.found or 'nothing'}, allowed {event.allowed or 'nothing'}",
                reject=event.code,
            )
        return event

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport; called by the loop."""
        # uvloop's transports do not derive from asyncio's.
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Handle every complete frame; called by the loop."""
        try:
            payloads = self._reader.feed(data)
        except MalformedFrame as error:
            _log.error("worker link broken", worker_id=self.worker_id, reason=str(error))
            self.close()
            return
        for payload in payloads:
            event = decode_event(payload)
            if isinstance(event, Unreadable):
                # A newer worker may report what this server does not know yet.
                _log.warning("unknown worker event", worker_id=self.worker_id, reason=event.detail)
            else:
                self._handle(event)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what waits and report the loss once; called by the loop."""
        if self._is_lost:
            return
        self._is_lost = True
        if self._acknowledger is not None:
            self._acknowledger.cancel()
        lost = WorkerLost(f"worker {self.worker_id} closed the connection")
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(lost)
        if not self._snapshot_done.done():
            self._snapshot_done.set_exception(lost)
            self._snapshot_done.exception()  # Read here, because no one may be waiting for it.
        self._on_lost()

    def _handle(self, event: AnyEvent) -> None:
        if isinstance(event, Accepted | Rejected | Attached):
            if isinstance(event, Attached):
                self._begin(event)
            answer = self._answers.get(event.caused_by)
            if answer is not None and not answer.done():
                answer.set_result(event)
        elif isinstance(event, Pong):
            self._ping_sent = False
        elif isinstance(event, SessionsListed):
            self._list(event.sessions, event.more)
        elif event.seq == 0:
            if isinstance(event, EventsLost):
                _log.error(
                    "worker events lost", worker_id=self.worker_id, first_seq=event.first_seq, last_seq=event.last_seq
                )
            self._on_event(event)
        elif event.seq > self._last_seq:
            self._on_event(event)
            self._last_seq = event.seq
            self._has_news.set()

    def _begin(self, event: Attached) -> None:
        self.incarnation = event.incarnation
        self.pid = event.pid
        self._list(event.sessions, event.more)

    def _list(self, sessions: tuple[SessionSnapshot, ...], more: bool) -> None:
        self._snapshot.extend(sessions)
        if not more and not self._snapshot_done.done():
            self._snapshot_done.set_result(None)

    async def _acknowledge_events(self) -> None:
        while True:
            await self._has_news.wait()
            await asyncio.sleep(_ACK_DELAY_S)
            self._has_news.clear()
            seq = self._last_seq
            if seq <= self._acknowledged_seq:
                continue
            try:
                if self._commit is not None:
                    await self._commit()
            except asyncio.CancelledError:
                raise
            except Exception as error:
                # The worker keeps the events; the next round commits them.
                _log.warning("events of a worker not stored yet", worker_id=self.worker_id, reason=repr(error))
                self._has_news.set()
                await asyncio.sleep(1)
                continue
            self._acknowledged_seq = seq
            self.post(AckEvents(command_id=CommandId(f"ack-{self.worker_id}-{seq}"), up_to_seq=seq))


async def _create_connection(loop: asyncio.AbstractEventLoop, link: WorkerLink, path: Path) -> None:
    # The kernel takes at most 107 bytes of path; a descriptor of the folder stands in for any length.
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        await loop.create_unix_connection(lambda: link, f"/proc/self/fd/{folder}/{path.name}")
    finally:
        os.close(folder)
