"""Recording multiparty calls and single participants of them: as documents want it, and as the API asks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import urlsplit

from ringback.accounts.account import Account
from ringback.errors import Conflict, InvalidParameter, MediaError, NotFound, RingbackError
from ringback.ids import RecordingId
from ringback.media.control.values import RecordingChannels
from ringback.multiparty.calls import Multiparty, MultipartyCalls, Seat
from ringback.multiparty.spec import MultipartySpec, Sound
from ringback.multiparty.views import Track
from ringback.recordings.spec import (
    MAX_LENGTH_S,
    CallbackStyle,
    FileFormat,
    RecordedRoom,
    RecordingKind,
    RecordingSpec,
)
from ringback.recordings.views import StartedRecording
from ringback.rooms.recording import RoomRecordings
from ringback.rooms.stage import Stage

_AUDIO_SUFFIXES = (".mp3", ".wav")
_TRACKS = {
    Track.PARTICIPANT: (Track.PARTICIPANT,),
    Track.ALL: (Track.ALL,),
    Track.BOTH: (Track.ALL, Track.PARTICIPANT),
}
_CHANNELS = {Track.PARTICIPANT: RecordingChannels.FAR, Track.ALL: RecordingChannels.STEREO}


def recording_spec(
    file_format: FileFormat, url: str, method: str, *, wants_transcription: bool, transcription_url: str
) -> RecordingSpec:
    """Return a recording whose URL is told of its beginning, pauses and end."""
    return RecordingSpec(
        file_format=file_format,
        max_length_s=MAX_LENGTH_S,
        callback_url=url,
        callback_method=method,
        style=CallbackStyle.EVENTS,
        wants_transcription=wants_transcription,
        transcription_url=transcription_url,
    )


class MultipartyRecorder:
    """Starts, pauses and ends recordings.

    Raises (from every method of the API): `InvalidParameter`, the id is none; `NotFound`, no such live multiparty call,
    or none of these participants, or nothing is recorded; `Conflict`, the media worker refuses.
    """

    def __init__(self, stage: Stage, everyone: MultipartyCalls, recordings: RoomRecordings) -> None:
        self._stage = stage
        self._everyone = everyone
        self._recordings = recordings

    # ── the whole ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def record(self, account: Account, mpc_id: str, spec: RecordingSpec) -> tuple[str, StartedRecording]:
        """Record everyone until it is stopped or the multiparty call is over; return its name and the recording.

        Raises:
            InvalidParameter: it is recorded already.
            Conflict: no room on the disk, or no media worker takes it.
        """
        multiparty = self._everyone.find(account, mpc_id)
        started = await self._record(multiparty, next(iter(multiparty.seats.values())), spec)
        return multiparty.name, started

    async def _record(
        self, multiparty: Multiparty, seat: Seat, spec: RecordingSpec, *, hears_coach: bool = True
    ) -> StartedRecording:
        sound = multiparty.sound_of(_start_sound)
        started = await multiparty.recording.start(seat.call, spec, hears_side=hears_coach)
        self._announce(multiparty, sound)
        return started

    async def stop(self, account: Account, mpc_id: str) -> None:
        """Stop the recording of everyone."""
        multiparty = self._everyone.find(account, mpc_id)
        if not await multiparty.recording.stop():
            raise NotFound("the multiparty call is not recorded")
        self._announce(multiparty, multiparty.sound_of(_stop_sound))

    async def pause(self, account: Account, mpc_id: str, *, is_paused: bool) -> None:
        """Leave out of the recording of everyone what is said, or record again."""
        if not await self._everyone.find(account, mpc_id).recording.pause(is_paused=is_paused):
            raise NotFound("the multiparty call is not recorded")

    async def record_as_wanted(self, seat: Seat) -> None:
        """Record as a participant's document wants it; what is in the way is told in its event log."""
        try:
            hears_coach = seat.participant.spec.records_coach
            started = await self._record(seat.multiparty, seat, _wanted(seat), hears_coach=hears_coach)
            self._note(seat, started)
        except RingbackError as error:
            self._stage.problem(seat.call, seat.multiparty.name, f"not recorded: {error}")

    def _note(self, seat: Seat, started: StartedRecording) -> None:
        if started.note:
            self._stage.problem(seat.call, seat.multiparty.name, started.note)

    async def end(self, multiparty: Multiparty) -> None:
        """End the recording of a multiparty call that is over."""
        await multiparty.recording.stop()

    # ── single participants ────────────────────────────────────────────────────────────────────────────────────────

    async def record_participants(
        self, account: Account, mpc_id: str, who: str, track: Track, spec: RecordingSpec
    ) -> tuple[str, list[StartedRecording]]:
        """Record participants alone until they leave; return the name of the multiparty call and the recordings.

        Raises:
            InvalidParameter: one of them is recorded so already.
            Conflict: no room on the disk, or no media worker takes it.
        """
        multiparty = self._everyone.find(account, mpc_id)
        seats = multiparty.named(who)
        started = []
        for seat in seats:
            for each in _TRACKS[track]:
                started.append(await self._record_track(seat, each, spec))
        return multiparty.name, started

    async def _record_track(self, seat: Seat, track: Track, spec: RecordingSpec) -> StartedRecording:
        if track in seat.tracks:
            raise InvalidParameter(
                f"participant {seat.participant.member_id} is recorded already", hint="stop that first"
            )
        room = RecordedRoom(
            RecordingKind.MULTIPARTY,
            seat.multiparty.name,
            seat.multiparty.mpc_uuid,
            seat.participant.member_id,
        )
        # Taken before the first wait: requests that come together must not record it twice.
        seat.tracks[track] = RecordingId("")
        try:
            started = await self._recordings.record_room(seat.call, replace(spec, channels=_CHANNELS[track]), room)
        except BaseException as error:
            seat.tracks.pop(track, None)
            if isinstance(error, MediaError):
                raise Conflict(f"it cannot be recorded: {error}") from error
            raise
        if track not in seat.tracks:
            # It left, or was stopped, before the recording had begun.
            await self._recordings.stop_one(started.recording_id)
        else:
            seat.tracks[track] = started.recording_id
        return started

    async def stop_participants(self, account: Account, mpc_id: str, who: str, track: Track) -> None:
        """Stop recordings of participants."""
        found = [
            await self._recordings.stop_one(recording_id)
            for seat in self._everyone.find(account, mpc_id).named(who)
            for each in _TRACKS[track]
            if (recording_id := seat.tracks.pop(each, None)) is not None
        ]
        if not any(found):
            raise NotFound("the participant is not recorded")

    async def pause_participants(
        self, account: Account, mpc_id: str, who: str, track: Track, *, is_paused: bool
    ) -> None:
        """Leave out of recordings of participants what happens, or record again."""
        try:
            found = [
                await self._recordings.pause(recording_id, is_paused=is_paused)
                for seat in self._everyone.find(account, mpc_id).named(who)
                for each in _TRACKS[track]
                if (recording_id := seat.tracks.get(each))
            ]
        except MediaError as error:
            raise Conflict(f"the recording cannot be paused: {error}") from error
        if not any(found):
            raise NotFound("the participant is not recorded")

    async def record_track_as_wanted(self, seat: Seat) -> None:
        """Record a participant alone, as its document wants it; what is in the way is told in its event log."""
        try:
            self._note(seat, await self._record_track(seat, Track.PARTICIPANT, _wanted(seat)))
        except RingbackError as error:
            self._stage.problem(seat.call, seat.multiparty.name, f"not recorded: {error}")

    async def end_tracks(self, seat: Seat) -> None:
        """End the recordings of a participant who has left."""
        tracks, seat.tracks = seat.tracks, {}
        for recording_id in tracks.values():
            if recording_id:
                await self._recordings.stop_one(recording_id)

    # ── sounds ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _announce(self, multiparty: Multiparty, sound: Sound) -> None:
        if not sound.url:
            return
        seats = [seat for seat in multiparty.seats.values() if not seat.participant.is_held]
        if urlsplit(sound.url).path.lower().endswith(_AUDIO_SUFFIXES):
            self._stage.spawn(self._play(multiparty, seats, sound.url))
        else:
            self._stage.announce(
                [(seat.call, seat.signals) for seat in seats], multiparty.name, sound.url, sound.method
            )

    async def _play(self, multiparty: Multiparty, seats: Iterable[Seat], url: str) -> None:
        try:
            path = await self._stage.fetch(url)
            self._stage.play([seat.call for seat in seats], path)
        except RingbackError as error:
            for seat in seats:
                self._stage.problem(seat.call, multiparty.name, str(error))


def _wanted(seat: Seat) -> RecordingSpec:
    spec = seat.participant.spec
    return recording_spec(
        FileFormat(spec.record_format),
        spec.recording_url,
        spec.recording_method,
        wants_transcription=spec.wants_transcription,
        transcription_url=spec.transcription_url,
    )


def _start_sound(spec: MultipartySpec) -> Sound:
    return spec.start_recording_sound


def _stop_sound(spec: MultipartySpec) -> Sound:
    return spec.stop_recording_sound
