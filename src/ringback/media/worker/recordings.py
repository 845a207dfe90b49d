"""The recordings of one leg: a `Recorder` that hears it, a file that a thread writes, and the beep before it."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

from ringback import clock
from ringback.ids import CommandId, PlayId, RecordingId
from ringback.machine import MS, Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.commands import PauseRecording, ResumeRecording, StartRecording, StopRecording
from ringback.media.control.events import (
    AnySessionEvent,
    RecordingFaulted,
    RecordingFinished,
    RecordingStarted,
)
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RecordingChannels, RecordingEnd, RejectCode
from ringback.media.playback import PcmClip
from ringback.media.recorder import Recorder, RecorderOver, RecorderSettings
from ringback.media.session import MediaSession
from ringback.media.tone import tone
from ringback.media.worker.recording_disk import DiskFault, RecordingDisk, RecordingFile
from ringback.media.worker.refusal import Refusal

BEEP_HZ = 1_000
BEEP_MS = 300
_BEEP_DBOV = -15
_BEEP_PREFIX = "beep-"
_BYTES_PER_MS = 16
_FAULT_INTERVAL_NS = 1_000 * MS


class _Recording:
    """One recording and its file."""

    __slots__ = (
        "caused_by",
        "channels",
        "fault",
        "faulted_at",
        "file",
        "paused_at",
        "paused_ns",
        "recorder",
        "reported_bytes",
        "start_wall_ms",
    )

    def __init__(self, recorder: Recorder, file: RecordingFile, channels: int, caused_by: CommandId) -> None:
        self.recorder = recorder
        self.file = file
        self.channels = channels
        self.caused_by = caused_by
        self.start_wall_ms = 0
        self.fault = ""
        self.faulted_at = Instant(0)
        self.reported_bytes = 0
        self.paused_at: Instant | None = None
        self.paused_ns = 0

    def pause(self, now: Instant) -> None:
        """Leave out what happens from now on."""
        if self.paused_at is None:
            self.paused_at = now
            self.recorder.pause()

    def resume(self, now: Instant) -> None:
        """Record again."""
        if self.paused_at is not None:
            self.paused_ns += now - self.paused_at
            self.paused_at = None
            self.recorder.resume()

    @property
    def end_wall_ms(self) -> int:
        """Return when the newest frame was recorded, 0 before the first."""
        return self.start_wall_ms + self.recorder.duration_ms + self.paused_ns // MS if self.start_wall_ms else 0

    def ms_of(self, size_bytes: int) -> int:
        """Return how long so much audio lasts."""
        return size_bytes // (_BYTES_PER_MS * self.channels)


class LegRecordings:
    """What is recorded of one leg.

    State: every recording that was started is reported finished exactly once, at the latest when the session closes.
    """

    __slots__ = ("_disk", "_recordings", "_report", "_session", "_settings")

    def __init__(
        self,
        session: MediaSession,
        disk: RecordingDisk,
        settings: WorkerSettings,
        report: Callable[[AnySessionEvent], None],
    ) -> None:
        self._session = session
        self._disk = disk
        self._settings = settings
        self._report = report
        self._recordings: dict[RecordingId, _Recording] = {}

    def start(self, now: Instant, command: StartRecording) -> Refusal | None:
        """Begin a recording, behind a beep if that is wanted."""
        recording_id = command.recording_id
        if recording_id in self._recordings:
            return Refusal(RejectCode.DUPLICATE, found=f"recording {recording_id}")
        if len(self._recordings) >= self._settings.recordings_max:
            return Refusal(
                RejectCode.LIMIT,
                found=f"{len(self._recordings)} recordings",
                allowed=str(self._settings.recordings_max),
            )
        if not os.path.isabs(command.path):
            return Refusal(RejectCode.INVALID, found="a relative path", allowed="an absolute one")
        channels = 2 if command.channels is RecordingChannels.STEREO else 1
        file = self._disk.open(command.path, channels, partial(self._disk_failed, recording_id))
        settings = RecorderSettings(
            recording_id=recording_id,
            channels=command.channels,
            max_ms=command.max_ms,
            silence_ms=command.silence_timeout_ms,
            finish_digits=command.finish_digits,
        )
        recorder = Recorder(settings, PCMU, partial(self._write, recording_id))
        self._recordings[recording_id] = _Recording(recorder, file, channels, command.command_id)
        self._session.attach_recorder(recorder)
        beep = PcmClip(tone((BEEP_HZ,), BEEP_MS, _BEEP_DBOV))
        if not command.starts_with_beep or not self._session.start_play(now, _beep_id(recording_id), beep):
            self._begin(recording_id)
        return None

    def stop(self, now: Instant, command: StopRecording) -> Refusal | None:
        """End a recording."""
        recording = self._recordings.get(command.recording_id)
        if recording is None:
            return Refusal(RejectCode.UNKNOWN_RECORDING, found=f"recording {command.recording_id}")
        self._session.stop_play(now, _beep_id(command.recording_id))
        recording.recorder.finish(RecordingEnd.STOPPED)
        return None

    def pause(self, now: Instant, command: PauseRecording | ResumeRecording) -> Refusal | None:
        """Leave out what happens, or record again."""
        recording = self._recordings.get(command.recording_id)
        if recording is None:
            return Refusal(RejectCode.UNKNOWN_RECORDING, found=f"recording {command.recording_id}")
        if isinstance(command, PauseRecording):
            recording.pause(now)
        else:
            recording.resume(now)
        return None

    def took_play(self, play_id: PlayId, *, is_over: bool) -> bool:
        """Return whether a playback is a beep of ours, of which nobody else hears; its end begins the recording."""
        if not play_id.startswith(_BEEP_PREFIX):
            return False
        if is_over:
            self._begin(RecordingId(play_id.removeprefix(_BEEP_PREFIX)))
        return True

    def over(self, over: RecorderOver) -> None:
        """Close the file of a recorder that has ended, and report it."""
        recording = self._recordings.pop(over.recording_id, None)
        if recording is None:
            return
        file, duration_ms = recording.file, recording.recorder.duration_ms
        file.finish()
        self._report(
            RecordingFinished(
                session_id=self._session.session_id,
                recording_id=over.recording_id,
                caused_by=recording.caused_by,
                reason=over.reason,
                duration_ms=duration_ms,
                start_wall_ms=recording.start_wall_ms,
                end_wall_ms=recording.end_wall_ms,
                digit=over.digit,
                size_bytes=file.accepted_bytes,
                dropped_ms=recording.ms_of(file.dropped_bytes),
                detail=recording.fault,
            )
        )

    def _begin(self, recording_id: RecordingId) -> None:
        recording = self._recordings.get(recording_id)
        if recording is None or recording.start_wall_ms or recording.recorder.is_over:
            return
        recording.start_wall_ms = clock.wall_ms()
        recording.recorder.start()
        self._report(
            RecordingStarted(
                session_id=self._session.session_id, recording_id=recording_id, caused_by=recording.caused_by
            )
        )

    def _write(self, recording_id: RecordingId, pcm: bytes) -> None:
        recording = self._recordings[recording_id]
        if recording.file.write(pcm):
            return
        now = clock.now()
        if now - recording.faulted_at >= _FAULT_INTERVAL_NS:
            recording.faulted_at = now
            dropped = recording.file.dropped_bytes - recording.reported_bytes
            recording.reported_bytes = recording.file.dropped_bytes
            self._report(
                RecordingFaulted(
                    session_id=self._session.session_id,
                    recording_id=recording_id,
                    dropped_ms=recording.ms_of(dropped),
                )
            )

    def _disk_failed(self, recording_id: RecordingId, fault: DiskFault) -> None:
        recording = self._recordings.get(recording_id)
        if recording is not None:
            recording.fault = fault.detail
            recording.recorder.finish(RecordingEnd.DISK_FULL if fault.is_full else RecordingEnd.FAILED)


def _beep_id(recording_id: RecordingId) -> PlayId:
    return PlayId(_BEEP_PREFIX + recording_id)
