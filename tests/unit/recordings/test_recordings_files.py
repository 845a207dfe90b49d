"""`recordings.files`: completing, rescuing, encoding, removing."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.ids import RecordingId
from ringback.recordings import files as files_module
from ringback.recordings import mp3
from ringback.recordings.files import FileSettings, NoAudio, RecordingFiles
from ringback.recordings.spec import FileFormat

ACCOUNT = "MADEVDEVDEVDEVDEVDEV"
ID = RecordingId("0f8fad5b-d9cb-469f-a165-70867728950e")


@pytest.fixture
async def files(tmp_path: Path) -> AsyncIterator[RecordingFiles]:
    made = RecordingFiles(tmp_path / "recordings", FileSettings(worker_patience_ms=5_000, free_min_bytes=0))
    assert await made.prepare(ACCOUNT)
    yield made
    await made.close()


def write(path: Path, seconds: float = 1.0, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(8_000)
        file.writeframes(b"\1\2" * int(8_000 * seconds) * channels)
    return path


def wav_of(files: RecordingFiles) -> Path:
    return files.path(ACCOUNT, ID, FileFormat.WAV)


async def test_folders_are_nobody_elses(files):
    assert os.stat(files.folder / ACCOUNT).st_mode & 0o777 == 0o700


async def test_wav_is_waited_for(files):
    task = asyncio.create_task(files.complete(ACCOUNT, ID, FileFormat.WAV))
    await asyncio.sleep(0)
    part = write(wav_of(files).with_suffix(".wav.part"))
    assert not task.done()
    part.rename(wav_of(files))
    done = await task
    assert (done.path, done.file_format, done.duration_ms) == (wav_of(files), FileFormat.WAV, 1_000)
    assert done.size_bytes == 16_044


@pytest.mark.parametrize("channels", [1, 2])
async def test_mp3_takes_the_place_of_the_wav(files, channels):
    write(wav_of(files), 2.0, channels)
    done = await files.complete(ACCOUNT, ID, FileFormat.MP3)
    assert (done.file_format, done.duration_ms) == (FileFormat.MP3, 2_000)
    assert [path.name for path in (files.folder / ACCOUNT).iterdir()] == [f"{ID}.mp3"]
    assert done.path.stat().st_mode & 0o077 == 0
    assert 2 * 4_000 * channels <= done.size_bytes <= 3 * 4_000 * channels


async def test_recording_without_audio_is_an_mp3_all_the_same(files):
    write(wav_of(files), 0)
    done = await files.complete(ACCOUNT, ID, FileFormat.MP3)
    assert (done.file_format, done.duration_ms) == (FileFormat.MP3, 0)
    assert done.size_bytes > 0


async def test_wav_that_cannot_be_encoded_is_kept(files, monkeypatch):
    monkeypatch.setattr(files_module.sys, "executable", "/bin/false")
    write(wav_of(files))
    done = await files.complete(ACCOUNT, ID, FileFormat.MP3)
    assert (done.path, done.file_format) == (wav_of(files), FileFormat.WAV)


async def test_encoder_that_cannot_be_started_costs_the_mp3_alone(files, monkeypatch):
    monkeypatch.setattr(files_module.sys, "executable", "/nonexistent/python")
    write(wav_of(files))
    assert (await files.complete(ACCOUNT, ID, FileFormat.MP3)).file_format is FileFormat.WAV


async def test_encoder_that_hangs_is_ended(tmp_path, monkeypatch):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o700)
    monkeypatch.setattr(files_module.sys, "executable", str(slow))
    files = RecordingFiles(tmp_path / "recordings", FileSettings(encode_max_s=0, free_min_bytes=0))
    await files.prepare(ACCOUNT)
    write(wav_of(files))
    assert (await files.complete(ACCOUNT, ID, FileFormat.MP3)).file_format is FileFormat.WAV
    await files.close()


async def test_encoders_run_a_bounded_number_at_a_time(tmp_path, monkeypatch):
    files = RecordingFiles(tmp_path / "recordings", FileSettings(encoders_max=2, free_min_bytes=0))
    await files.prepare(ACCOUNT)
    most = 0
    create = asyncio.create_subprocess_exec

    async def counted(*arguments, **options):
        nonlocal most
        most = max(most, len(files._running) + 1)
        return await create("/bin/sh", "-c", "sleep 0.05; exit 1", **options)

    monkeypatch.setattr(files_module.asyncio, "create_subprocess_exec", counted)
    ids = [RecordingId(f"r{number}") for number in range(5)]
    for each in ids:
        write(files.path(ACCOUNT, each, FileFormat.WAV))
    await asyncio.gather(*(files.complete(ACCOUNT, each, FileFormat.MP3) for each in ids))
    assert most == 2
    await files.close()


async def test_what_a_killed_worker_left_is_taken_as_far_as_it_goes(files):
    part = write(wav_of(files).with_suffix(".wav.part"), 1.0, channels=2)
    with part.open("r+b") as file:
        # More audio than the header knows of, the last sample torn.
        file.seek(0, os.SEEK_END)
        file.write(b"\5" * 4_003)
    done = await files.complete(ACCOUNT, ID, FileFormat.WAV, is_worker_gone=True)
    assert done.duration_ms == 1_125
    with wave.open(str(done.path)) as file:
        assert file.getnframes() == 9_000


async def test_torn_mp3_of_an_earlier_server_is_made_again_and_a_finished_one_is_used(files):
    write(wav_of(files))
    mp3_path = files.path(ACCOUNT, ID, FileFormat.MP3)
    mp3_path.with_suffix(".mp3.part").write_bytes(b"torn")
    first = await files.complete(ACCOUNT, ID, FileFormat.MP3)
    assert first.size_bytes > 3_000
    again = await files.complete(ACCOUNT, ID, FileFormat.MP3, is_worker_gone=True)
    assert (again.path, again.size_bytes) == (mp3_path, first.size_bytes)


async def test_nothing_on_the_disk_is_no_audio(files):
    with pytest.raises(NoAudio):
        await files.complete(ACCOUNT, ID, FileFormat.MP3, is_worker_gone=True)
    wav_of(files).with_suffix(".wav.part").write_bytes(b"RIFF")
    with pytest.raises(NoAudio):
        await files.complete(ACCOUNT, ID, FileFormat.WAV, is_worker_gone=True)


async def test_full_disk_is_told(tmp_path, monkeypatch):
    files = RecordingFiles(tmp_path / "recordings", FileSettings(free_min_bytes=1_000))
    total = 1_000_000

    def usage(free):
        return lambda _path: files_module.shutil._ntuple_diskusage(total, total - free, free)

    for free, has_room in ((1_000, True), (999, False)):
        monkeypatch.setattr(files_module.shutil, "disk_usage", usage(free))
        assert await files.prepare(ACCOUNT) is has_room
    small = RecordingFiles(tmp_path / "recordings", FileSettings(free_min_bytes=1 << 60))
    for free, has_room in ((total // 20, True), (total // 20 - 1, False)):
        monkeypatch.setattr(files_module.shutil, "disk_usage", usage(free))
        assert await small.prepare(ACCOUNT) is has_room


async def test_removal_takes_every_form_and_may_be_repeated(files):
    for name in (".wav", ".wav.part", ".mp3", ".mp3.part"):
        (files.folder / ACCOUNT / f"{ID}{name}").write_bytes(b"x")
    (files.folder / ACCOUNT / "other.wav").write_bytes(b"x")
    for _ in range(2):
        await files.remove(ACCOUNT, ID)
    assert [path.name for path in (files.folder / ACCOUNT).iterdir()] == ["other.wav"]


async def test_idle_and_old_files_are_told_by_their_last_write(files):
    part = wav_of(files).with_suffix(".wav.part")
    assert await files.is_idle(ACCOUNT, ID, 10_000)
    part.write_bytes(b"x")
    assert not await files.is_idle(ACCOUNT, ID, 10_000)
    assert await files.old_files(10_000) == {}
    os.utime(part, (1, 1))
    assert await files.is_idle(ACCOUNT, ID, 10_000)
    assert await files.old_files(10_000) == {ID: ACCOUNT}


def test_encoder_is_there():
    assert mp3.can_encode()
