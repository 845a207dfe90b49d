"""`media.worker.recording_disk`: what is on the disk at any time, and a disk that is slow, full or gone."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.media.control.settings import WorkerSettings
from ringback.media.worker import recording_disk
from ringback.media.worker.recording_disk import DiskFault, RecordingDisk

SETTINGS = WorkerSettings(recording_queue_bytes=1_000, recording_queues_bytes=1_500, recording_free_min_bytes=0)


@pytest.fixture
async def disk() -> AsyncIterator[RecordingDisk]:
    made = RecordingDisk(SETTINGS, asyncio.get_running_loop())
    yield made
    await asyncio.to_thread(made.close)


def no_fault(fault: DiskFault) -> None:
    raise AssertionError(fault)


async def closed(disk: RecordingDisk) -> None:
    """Return when all that was handed over is on the disk."""
    await asyncio.to_thread(disk.close)
    disk._thread = None


def audio_of(path: Path) -> tuple[int, bytes]:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8_000, 2)
        return file.getnchannels(), file.readframes(file.getnframes())


async def test_file_is_a_whole_wav_under_a_temporary_name_until_it_is_finished(disk, tmp_path):
    path = tmp_path / "a.wav"
    file = disk.open(str(path), 2, no_fault)
    assert file.write(b"\1\0\2\0" * 50)
    await closed(disk)
    assert not path.exists()
    assert audio_of(Path(f"{path}.part")) == (2, b"\1\0\2\0" * 50)
    assert file.write(b"\3\0\4\0" * 50)
    file.finish()
    file.finish()
    assert not file.write(b"\5\0")
    await closed(disk)
    assert audio_of(path) == (2, b"\1\0\2\0" * 50 + b"\3\0\4\0" * 50)
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.wav"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert file.accepted_bytes == 400


async def test_recording_without_audio_is_an_empty_wav(disk, tmp_path):
    disk.open(str(tmp_path / "a.wav"), 1, no_fault).finish()
    await closed(disk)
    assert audio_of(tmp_path / "a.wav") == (1, b"")


async def test_slow_disk_drops_beyond_the_bound_and_leaves_silence(disk, tmp_path, monkeypatch):
    gate = threading.Event()
    write = os.write
    monkeypatch.setattr(recording_disk.os, "write", lambda *arguments: gate.wait(10) and write(*arguments))
    one = disk.open(str(tmp_path / "one.wav"), 1, no_fault)
    two = disk.open(str(tmp_path / "two.wav"), 1, no_fault)
    assert one.write(b"\1\1" * 500), "just within the bound of one"
    assert not one.write(b"\2\2")
    assert two.write(b"\3\3" * 250), "just within the bound of all"
    assert not two.write(b"\4\4")
    assert (one.dropped_bytes, two.dropped_bytes) == (2, 2)
    gate.set()
    await closed(disk)
    assert one.write(b"\5\5" * 10)
    one.finish()
    two.finish()
    await closed(disk)
    assert audio_of(tmp_path / "one.wav")[1] == b"\1\1" * 500 + b"\0\0" + b"\5\5" * 10
    assert audio_of(tmp_path / "two.wav")[1] == b"\3\3" * 250 + b"\0\0"
    assert one.accepted_bytes == 1_022


@pytest.mark.parametrize(("number", "is_full"), [(28, True), (122, True), (5, False)])
async def test_failing_disk_is_told_once_and_keeps_what_it_has(disk, tmp_path, monkeypatch, number, is_full):
    faults: list[DiskFault] = []
    file = disk.open(str(tmp_path / "a.wav"), 1, faults.append)
    file.write(b"\1\1" * 10)
    await closed(disk)

    def fail(*_arguments):
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(recording_disk.os, "write", fail)
        file.write(b"\2\2" * 10)
        file.write(b"\2\2" * 10)
        await closed(disk)
    await asyncio.sleep(0)
    assert [fault.is_full for fault in faults] == [is_full]
    file.finish()
    await closed(disk)
    assert audio_of(tmp_path / "a.wav") == (1, b"\1\1" * 10)


async def test_too_little_space_ends_it_before_the_disk_is_full(tmp_path):
    disk = RecordingDisk(WorkerSettings(recording_free_min_bytes=1 << 62), asyncio.get_running_loop())
    faults: list[DiskFault] = []
    file = disk.open(str(tmp_path / "a.wav"), 1, faults.append)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recording_disk, "_FREE_MIN_PERCENT", 101)
        file.write(b"\1\1")
        await closed(disk)
    await asyncio.sleep(0)
    assert [fault.is_full for fault in faults] == [True]
    assert "free" in faults[0].detail


async def test_folder_that_is_missing_and_file_that_exists_are_faults(disk, tmp_path):
    faults: list[DiskFault] = []
    disk.open(str(tmp_path / "none" / "a.wav"), 1, faults.append).write(b"\1\1")
    (tmp_path / "b.wav.part").write_bytes(b"someone else's")
    disk.open(str(tmp_path / "b.wav"), 1, faults.append).write(b"\1\1")
    await closed(disk)
    await asyncio.sleep(0)
    assert len(faults) == 2
    assert (tmp_path / "b.wav.part").read_bytes() == b"someone else's"


async def test_a_file_that_nobody_wants_leaves_nothing(disk, tmp_path):
    begun, unbegun = (disk.open(str(tmp_path / name), 1, no_fault) for name in ("a.wav", "b.wav"))
    assert begun.write(b"\1\0" * 100)
    begun.discard()
    unbegun.discard()
    begun.finish()
    assert not begun.write(b"\1\0")
    await closed(disk)
    assert not os.listdir(tmp_path)
