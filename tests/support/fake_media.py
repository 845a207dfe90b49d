"""A media plane in memory: `FakeMediaPort` stands where `media.pool` stands in the server."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from ringback.ids import CommandId, SessionId, WorkerId
from ringback.media.control.commands import CloseSession, OpenSession, SessionCommand, SetRemote
from ringback.media.control.events import (
    AnySessionEvent,
    DigitReceived,
    MediaTimedOut,
    RemoteSet,
    SessionClosed,
    SessionOpened,
)
from ringback.media.control.port import CommandRejected, SessionListener, WorkerGone, WorkerLost
from ringback.media.control.values import Address, RejectCode, SessionEnd

CommandT = TypeVar("CommandT", bound=SessionCommand)


@dataclass
class FakeSession:
    """One open session."""

    command: OpenSession
    listener: SessionListener
    local: Address
    affinity: str
    remote: SetRemote | None = None


class FakeMediaPort:
    """Implements `MediaPort`: opens, sets and closes at once; everything else a test says with `emit`.

    Attributes:
        commands: Every command in the order it came, refused ones included.
        sessions: What is open now.
        failures: What `open_session` and `send` raise for a command type, until removed.
        spare: How many more new calls the workers' load allows.
        closes_itself: Whether `CloseSession` is followed by `SessionClosed`.
    """

    def __init__(self, *, worker_id: str = "media-0", first_port: int = 20_000) -> None:
        self.commands: list[SessionCommand] = []
        self.sessions: dict[SessionId, FakeSession] = {}
        self.failures: dict[type[object], Exception] = {}
        self.spare = 1_000
        self.closes_itself = True
        self._worker_id = WorkerId(worker_id)
        self._next_port = first_port
        self._command_count = 0
        self._gates: dict[type[object], asyncio.Event] = {}

    async def open_session(
        self, command: OpenSession, listener: SessionListener, *, affinity: str = ""
    ) -> SessionOpened:
        """Open a session on the next even port of `command.local_host`."""
        self.commands.append(command)
        await self._pass(OpenSession)
        if command.session_id in self.sessions:
            raise CommandRejected(f"session {command.session_id} is open", reject=RejectCode.DUPLICATE)
        local = Address(command.local_host, self._next_port)
        self._next_port += 2
        self.sessions[command.session_id] = FakeSession(command, listener, local, affinity)
        opened = SessionOpened(session_id=command.session_id, local=local, caused_by=command.command_id)
        self.emit(opened)
        return opened

    async def send(self, command: SessionCommand) -> None:
        """Take a command for an open session."""
        self.commands.append(command)
        await self._pass(type(command))
        session = self.sessions.get(command.session_id)
        if session is None:
            raise CommandRejected(f"no session {command.session_id}", reject=RejectCode.UNKNOWN_SESSION)
        if isinstance(command, SetRemote):
            session.remote = command
            self.emit(RemoteSet(session_id=command.session_id, caused_by=command.command_id))
        elif isinstance(command, CloseSession) and self.closes_itself:
            self.close(command.session_id, command.reason)

    def spare_sessions(self) -> int:
        """Return `spare`."""
        return self.spare

    def worker_of(self, session_id: SessionId) -> WorkerId | None:
        """Return the one worker, for open sessions."""
        return self._worker_id if session_id in self.sessions else None

    def new_command_id(self) -> CommandId:
        """Return `command-1`, `command-2`, ..."""
        self._command_count += 1
        return CommandId(f"command-{self._command_count}")

    def of_type(self, kind: type[CommandT]) -> list[CommandT]:
        """Return the commands of one type, in order."""
        return [command for command in self.commands if isinstance(command, kind)]

    def emit(self, event: AnySessionEvent) -> None:
        """Deliver an event to its session's listener."""
        self.sessions[event.session_id].listener(event)

    def press(self, session_id: SessionId, digit: str) -> None:
        """Report a digit from RTP."""
        self.emit(DigitReceived(session_id=session_id, digit=digit, duration_ms=100))

    def time_out(self, session_id: SessionId) -> None:
        """Report that no RTP came for a minute."""
        self.emit(MediaTimedOut(session_id=session_id, idle_ms=60_000))

    def close(self, session_id: SessionId, reason: SessionEnd = SessionEnd.RELEASED) -> None:
        """Close a session, asked for or not."""
        listener = self.sessions.pop(session_id).listener
        listener(SessionClosed(session_id=session_id, reason=reason))

    def lose_worker(self) -> None:
        """Let the worker die with all its sessions."""
        sessions = list(self.sessions.values())
        self.sessions.clear()
        for session in sessions:
            session.listener(WorkerGone(self._worker_id))

    def hold(self, kind: type[SessionCommand]) -> asyncio.Event:
        """Let commands of one type wait until the returned event is set."""
        gate = self._gates[kind] = asyncio.Event()
        return gate

    def fail(self, kind: type[SessionCommand], error: Exception | None = None) -> None:
        """Let commands of one type raise `error`, by default the loss of the worker."""
        self.failures[kind] = error or WorkerLost("the worker died")

    async def _pass(self, kind: type[object]) -> None:
        gate = self._gates.get(kind)
        if gate is not None:
            await gate.wait()
        failure = self.failures.get(kind)
        if failure is not None:
            raise failure
