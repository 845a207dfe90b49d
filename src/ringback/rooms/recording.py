"""The recording of a room, of which there is one at a time: starting, pausing, ending."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Protocol

from ringback.calls.live import LiveCall
from ringback.errors import Conflict, InvalidParameter, MediaError
from ringback.ids import RecordingId
from ringback.media.control.port import MediaPort
from ringback.recordings.party import RecordedParty
from ringback.recordings.spec import RecordedRoom, RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.rooms.facts import RecordingFacts, Status
from ringback.rooms.listener import RecordingEvents, RoomListener


class RoomRecordings(RecordingEvents, Protocol):
    """What keeps the recordings; `recordings.service.RecordingService` does."""

    async def record_room(self, party: RecordedParty, spec: RecordingSpec, room: RecordedRoom) -> StartedRecording:
        """Record what the listener of a room hears, or the call of one who is in it."""

    async def pause(self, recording_id: RecordingId, *, is_paused: bool) -> bool:
        """Leave out what happens, or record again; `False` when the recording does not run."""

    async def stop_one(self, recording_id: RecordingId) -> bool:
        """Stop a recording; `False` when it does not run."""


class RoomRecording:
    """Records one room, once at a time, by a listener that is in it.

    State: usable as long as the room; the owner calls `stop` when the room is over.
    """

    def __init__(
        self,
        media: MediaPort,
        recordings: RoomRecordings,
        room: RecordedRoom,
        *,
        is_over: Callable[[], bool],
        side_room_id: str = "",
    ) -> None:
        """Make one that records nothing yet.

        Args:
            room: What is recorded; its `uuid` is also the name of its media room.
            is_over: Whether nobody is left: what begins then ends at once.
        """
        self.last: RecordingFacts | None = None
        """The last one, for callbacks."""
        self._media = media
        self._recordings = recordings
        self._room = room
        self._is_over = is_over
        self._side_room_id = side_room_id
        self._listener: RoomListener | None = None
        self._recording_id = RecordingId("")
        self._is_paused = False

    @property
    def status(self) -> Status:
        """Return whether it runs; one whose worker died, or that is over by itself, does not."""
        if self._listener is None or self._listener.is_over or self._listener.is_done:
            return Status.NONE
        return Status.PAUSED if self._is_paused else Status.RUNNING

    async def start(
        self,
        call: LiveCall,
        spec: RecordingSpec,
        params: Callable[[], dict[str, str]] = dict,
        *,
        is_paused: bool = False,
        hears_side: bool = True,
    ) -> StartedRecording:
        """Record everyone until it is stopped or the room is over, in the name of one call.

        Args:
            hears_side: Whether what is said in the side room is recorded too.

        Raises:
            InvalidParameter: the room is recorded already.
            Conflict: no room on the disk, or no media worker takes it.
        """
        if self.status is not Status.NONE:
            raise InvalidParameter("it is recorded already", hint="stop that first")
        idle = self._listener
        side_room_id = self._side_room_id if hears_side else ""
        listener = RoomListener(self._media, self._recordings, call, self._room.uuid, side_room_id, params)
        self._listener, self._recording_id, self._is_paused = listener, RecordingId(""), is_paused
        try:
            if idle is not None:
                await _close(idle)
            await listener.open()
            started = await self._recordings.record_room(listener, spec, self._room)
        except BaseException as error:
            if self._listener is listener:
                self._listener = None
            await _close(listener)
            if isinstance(error, MediaError):
                raise Conflict(f"it cannot be recorded: {error}") from error
            raise
        self.last = RecordingFacts(started.recording_id, started.url)
        if self._listener is not listener or self._is_over():
            # It was stopped, or everyone left, before it had begun.
            await _close(listener)
        else:
            self._recording_id = started.recording_id
            if self._is_paused:
                await self._recordings.pause(started.recording_id, is_paused=True)
        return started

    async def pause(self, *, is_paused: bool) -> bool:
        """Leave out what happens, or record again; `False` when nothing is recorded.

        Raises:
            Conflict: the media worker refuses.
        """
        if self.status is Status.NONE:
            return False
        # One that is just beginning is paused once it has begun.
        self._is_paused = is_paused
        if not self._recording_id:
            return True
        try:
            return await self._recordings.pause(self._recording_id, is_paused=is_paused)
        except MediaError as error:
            raise Conflict(f"the recording cannot be paused: {error}") from error

    async def stop(self) -> bool:
        """End the recording; `False` when there is none."""
        listener, self._listener = self._listener, None
        if listener is None or listener.is_over:
            return False
        # Judged before the close, which ends the recording too.
        was_running = not listener.is_done
        await _close(listener)
        return was_running


async def _close(listener: RoomListener) -> None:
    with contextlib.suppress(MediaError):
        await listener.close()
