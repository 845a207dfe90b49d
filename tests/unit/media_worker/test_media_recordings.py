"""`media.worker.recordings`: what a leg's recordings tell the server, and when."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support.media_leg import Leg, remote

from ringback.ids import CommandId, RecordingId, SessionId
from ringback.machine import Instant
from ringback.media.control.commands import StartRecording, StopRecording
from ringback.media.control.events import (
    PlayFinished,
    PlayStarted,
    RecordingFaulted,
    RecordingFinished,
    RecordingStarted,
)
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RecordingChannels, RecordingEnd, RejectCode
from ringback.media.recorder import RecorderOver
from ringback.media.worker import recordings as module
from ringback.media.worker.recording_disk import DiskFault
from ringback.media.worker.recordings import BEEP_MS, LegRecordings

ID = RecordingId("r1")
PIECE_MS = 500


class FakeFile:
    """Takes everything unless told otherwise."""

    def __init__(self, on_fault: Any) -> None:
        self.on_fault = on_fault
        self.takes = True
        self.accepted_bytes = self.dropped_bytes = 0
        self.is_finished = False

    def write(self, pcm: bytes) -> bool:
        self.accepted_bytes += len(pcm)
        self.dropped_bytes += 0 if self.takes else len(pcm)
        return self.takes

    def finish(self) -> None:
        self.is_finished = True


class Stage:
    """A leg with its recordings and a disk in memory."""

    def __init__(self) -> None:
        self.leg = Leg(command=remote())
        self.files: list[FakeFile] = []
        self.told: list[Any] = []
        self.recordings = LegRecordings(
            self.leg.session,
            self,  # type: ignore[arg-type]  # the disk
            WorkerSettings(recordings_max=2),
            self.told.append,
        )

    def open(self, path: str, channels: int, on_fault: Any) -> FakeFile:
        self.files.append(FakeFile(on_fault))
        return self.files[-1]

    def start(self, recording_id: str = ID, **more: Any) -> Any:
        command = StartRecording(
            command_id=CommandId("c1"),
            session_id=SessionId("s"),
            recording_id=RecordingId(recording_id),
            path=more.pop("path", "/recordings/r1.wav"),
            **more,
        )
        return self.recordings.start(Instant(self.leg.now), command)

    def stop(self, recording_id: str = ID) -> Any:
        command = StopRecording(
            command_id=CommandId("c2"), session_id=SessionId("s"), recording_id=RecordingId(recording_id)
        )
        refusal = self.recordings.stop(Instant(self.leg.now), command)
        self.pass_on()
        return refusal

    def slots(self, count: int) -> None:
        for _ in range(count):
            self.leg.slots(1)
            self.pass_on()

    def pass_on(self) -> None:
        """Do what the leg does with events."""
        self.leg.collect()
        for event in self.leg.events:
            if isinstance(event, RecorderOver):
                self.recordings.over(event)
            elif isinstance(event, PlayStarted | PlayFinished):
                assert self.recordings.took_play(event.play_id, is_over=isinstance(event, PlayFinished))
        self.leg.events.clear()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.told if isinstance(event, kind)]


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    made = Stage()
    monkeypatch.setattr(module.clock, "wall_ms", lambda: 1_000_000)
    monkeypatch.setattr(module.clock, "now", lambda: Instant(made.leg.now + 10**12))
    return made


def test_recording_is_told_from_start_to_finish(stage: Stage) -> None:
    assert stage.start(channels=RecordingChannels.STEREO) is None
    assert len(stage.of(RecordingStarted)) == 1
    stage.slots(60)
    assert stage.stop() is None
    (finished,) = stage.of(RecordingFinished)
    assert (finished.reason, finished.duration_ms, finished.size_bytes) == (RecordingEnd.STOPPED, 1_200, 1_200 * 32)
    assert (finished.start_wall_ms, finished.end_wall_ms, finished.caused_by) == (1_000_000, 1_001_200, "c1")
    assert stage.files[0].is_finished
    assert stage.stop().code is RejectCode.UNKNOWN_RECORDING


def test_recording_begins_behind_its_beep(stage: Stage) -> None:
    stage.start(starts_with_beep=True)
    stage.slots(BEEP_MS // 20)
    assert not stage.of(RecordingStarted)
    stage.slots(1)
    assert len(stage.of(RecordingStarted)) == 1
    stage.slots(50)
    stage.stop()
    assert stage.of(RecordingFinished)[0].duration_ms == pytest.approx(1_000, abs=20)


def test_recording_that_is_stopped_during_its_beep_is_empty(stage: Stage) -> None:
    stage.start(starts_with_beep=True)
    stage.slots(2)
    stage.stop()
    (finished,) = stage.of(RecordingFinished)
    assert (finished.duration_ms, finished.start_wall_ms, finished.end_wall_ms) == (0, 0, 0)
    assert not stage.of(RecordingStarted)


def test_bound_duplicate_and_relative_path_are_refused(stage: Stage) -> None:
    assert stage.start() is None
    assert stage.start().code is RejectCode.DUPLICATE
    assert stage.start("r2", path="r2.wav").code is RejectCode.INVALID
    assert stage.start("r2") is None
    assert stage.start("r3").code is RejectCode.LIMIT


def test_slow_disk_is_told_once_a_second_and_in_total(stage: Stage) -> None:
    stage.start()
    stage.files[0].takes = False
    stage.slots(25)
    assert [event.dropped_ms for event in stage.of(RecordingFaulted)] == [PIECE_MS]
    stage.slots(25)
    assert len(stage.of(RecordingFaulted)) == 1
    stage.slots(50)
    assert [event.dropped_ms for event in stage.of(RecordingFaulted)] == [PIECE_MS, 2 * PIECE_MS]
    stage.files[0].takes = True
    stage.slots(25)
    stage.stop()
    (finished,) = stage.of(RecordingFinished)
    assert (finished.duration_ms, finished.dropped_ms) == (2_500, 2_000)


@pytest.mark.parametrize(("is_full", "reason"), [(True, RecordingEnd.DISK_FULL), (False, RecordingEnd.FAILED)])
def test_failing_disk_ends_the_recording_alone(stage: Stage, is_full: bool, reason: RecordingEnd) -> None:
    stage.start()
    stage.start("r2")
    stage.slots(30)
    stage.files[0].on_fault(DiskFault(is_full, "no space left on device"))
    stage.slots(1)
    (finished,) = stage.of(RecordingFinished)
    assert (finished.reason, finished.detail, finished.duration_ms) == (reason, "no space left on device", 600)
    stage.files[0].on_fault(DiskFault(is_full, "late"))
    stage.slots(20)
    stage.stop("r2")
    assert [event.recording_id for event in stage.of(RecordingFinished)] == [ID, "r2"]


def test_session_that_closes_finishes_its_recordings(stage: Stage) -> None:
    stage.start()
    stage.start("r2", starts_with_beep=True)
    stage.slots(3)
    stage.leg.session.closed(Instant(stage.leg.now), None)  # type: ignore[arg-type]  # the reason is not looked at
    stage.pass_on()
    assert {event.reason for event in stage.of(RecordingFinished)} == {RecordingEnd.CALL_ENDED}
    assert len(stage.of(RecordingFinished)) == 2
    assert all(file.is_finished for file in stage.files)
