"""What is recorded of a room: a media session without a far party, which is in the room and only listens.

It hears everyone, on whatever worker, and stays when any member leaves. Fulfils `recordings.party.RecordedParty`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ringback import ids
from ringback.calls.live import CallTerms, LiveCall
from ringback.ids import CallUuid, CommandId, SessionId
from ringback.media.control.commands import CloseSession, JoinRoom, OpenSession, SessionCommand
from ringback.media.control.events import AnySessionEvent, RecordingEvent, RecordingFinished, SessionClosed
from ringback.media.control.port import MediaPort, WorkerGone
from ringback.signalling.errors import LegOver

_HOST = "127.0.0.1"
"""Its port hears nothing and is spoken to by nobody."""


class RecordingEvents(Protocol):
    """Who follows the recording; `recordings.service.RecordingService` does."""

    def handle(self, call: Any, event: RecordingEvent) -> None:
        """Take an event of a recording."""

    def call_gone(self, call: Any) -> None:
        """End the recordings of a session that is closed."""


class RoomListener:
    """State: `open` once, then recordings may start; `close` ends them. `is_over` tells when it hears no more."""

    def __init__(
        self,
        media: MediaPort,
        events: RecordingEvents,
        call: LiveCall,
        room_id: str,
        side_room_id: str,
        params: Callable[[], dict[str, str]],
    ) -> None:
        """Make one that hears nothing yet.

        Args:
            call: In whose name it is recorded, and beside whose session it listens.
            side_room_id: A second room that it hears too; empty is none.
            params: Returns what a callback in the XML style says besides the file.
        """
        self.session_id = SessionId(ids.new_uuid())
        self.is_over = False
        self.is_done = False
        """Whether the recording that it heard for is over."""
        self.on_bridged: list[Callable[[Any], None]] = []
        self._media = media
        self._events = events
        self._call = call
        self._room_id = room_id
        self._side_room_id = side_room_id
        self._params = params

    @property
    def call_uuid(self) -> CallUuid:
        """Return the call whose document or request asked for it."""
        return self._call.call_uuid

    @property
    def account_id(self) -> str:
        """Return the account of the room."""
        return self._call.account_id

    @property
    def terms(self) -> CallTerms:
        """Return the terms of that call."""
        return self._call.terms

    @property
    def leg(self) -> RoomListener:
        """Return itself: it is its own leg."""
        return self

    async def open(self) -> None:
        """Open the session beside the one of the call, and let it hear the room.

        Raises:
            MediaError: the worker refused or died.
        """
        await self._media.open_session(
            OpenSession(
                command_id=CommandId(ids.new_token()), session_id=self.session_id, local_host=_HOST, media_idle_ms=0
            ),
            self._hear,
            affinity=self._call.leg.session_id,
        )
        await self._media.send(
            JoinRoom(
                command_id=CommandId(ids.new_token()),
                session_id=self.session_id,
                room_id=self._room_id,
                is_muted=True,
                side_room_id=self._side_room_id,
            )
        )

    async def close(self) -> None:
        """Close the session; what is being recorded ends with it."""
        if not self.is_over:
            await self._media.send(CloseSession(command_id=CommandId(ids.new_token()), session_id=self.session_id))

    async def media(self, command: SessionCommand) -> None:
        """Pass a command to the worker.

        Raises:
            LegOver: the session is gone.
        """
        if self.is_over:
            raise LegOver("found no media session, expected an open one")
        await self._media.send(command)

    def note(self, kind: str, **fields: object) -> None:
        """Record a fact in the event log of the call that asked."""
        self._call.note(kind, **fields)

    def webhook_params(self, **extra: str) -> dict[str, str]:
        """Return the parameters of a callback in the XML style."""
        return {**self._params(), **{name: value for name, value in extra.items() if name != "Digits"}}

    def report_recording_end(self, event: RecordingFinished) -> None:
        """Take note that nothing is recorded any more: by itself, as on a full disk, it may end before the room."""
        self.is_done = True

    def _hear(self, event: AnySessionEvent | WorkerGone) -> None:
        if isinstance(event, RecordingEvent):
            self._events.handle(self, event)
        elif isinstance(event, SessionClosed | WorkerGone):
            self.is_over = True
            self._events.call_gone(self)
