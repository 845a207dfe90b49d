"""Starting and ending the recording of a conference."""

from __future__ import annotations

import contextlib

from ringback.conferences.listener import RoomListener
from ringback.conferences.live import Conference, Seat
from ringback.conferences.payloads import RecordingFacts
from ringback.conferences.state import State
from ringback.errors import Conflict, InvalidParameter, MediaError, RingbackError
from ringback.media.control.port import MediaPort
from ringback.recordings.service import RecordingService
from ringback.recordings.spec import MAX_LENGTH_S, CallbackStyle, FileFormat, RecordingSpec
from ringback.recordings.views import StartedRecording


class ConferenceRecorder:
    """Records conferences, each once at a time, by listeners that are in their rooms."""

    def __init__(self, media: MediaPort, recordings: RecordingService) -> None:
        self._media = media
        self._recordings = recordings

    async def record(self, conference: Conference, seat: Seat, spec: RecordingSpec) -> StartedRecording:
        """Record everyone until it is stopped or the conference is over, in the name of a member's call.

        Raises:
            InvalidParameter: the conference is recorded already.
            Conflict: no room on the disk, or no media worker takes it.
        """
        if conference.is_recorded:
            raise InvalidParameter("the conference is recorded already", hint="stop that first")
        listener = RoomListener(
            self._media,
            self._recordings,
            seat.call,
            conference.name,
            conference.conference_uuid,
            seat.member.member_id,
        )
        conference.listener = listener
        try:
            await listener.open()
            started = await self._recordings.record_room(listener, spec, conference.name, conference.conference_uuid)
        except BaseException as error:
            if conference.listener is listener:
                conference.listener = None
            await _close(listener)
            if isinstance(error, MediaError):
                raise Conflict(f"the conference cannot be recorded: {error}") from error
            raise
        conference.recording = RecordingFacts(started.recording_id, started.url)
        if conference.listener is not listener or conference.machine.state is State.ENDED:
            # It was stopped, or everyone left, before it had begun.
            await _close(listener)
        return started

    async def record_as_wanted(self, conference: Conference, seat: Seat) -> None:
        """Record as a member's document wants it, if nobody does yet; what is in the way is told in its event log."""
        if conference.is_recorded:
            return
        wanted = seat.member.spec
        spec = RecordingSpec(
            file_format=FileFormat(wanted.record_format),
            max_length_s=MAX_LENGTH_S,
            callback_url=wanted.callback_url,
            callback_method=wanted.callback_method,
            style=CallbackStyle.XML,
            wants_transcription=wanted.wants_transcription,
            transcription_url=wanted.transcription_url,
            transcription_method=wanted.transcription_method,
        )
        try:
            started = await self.record(conference, seat, spec)
            if started.note:
                seat.call.note("conference", event="problem", name=conference.name, detail=started.note)
        except RingbackError as error:
            seat.call.note("conference", event="problem", name=conference.name, detail=f"not recorded: {error}")

    async def stop(self, conference: Conference) -> bool:
        """End the recording; `False` when there is none."""
        listener, conference.listener = conference.listener, None
        if listener is None:
            return False
        await _close(listener)
        return True


async def _close(listener: RoomListener) -> None:
    with contextlib.suppress(MediaError):
        await listener.close()
