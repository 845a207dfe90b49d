"""`media.worker.files`: decoding ahead, loops, limits, the cache of short files."""

from __future__ import annotations

import asyncio
import itertools
import math
import struct
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.media.control.settings import WorkerSettings
from ringback.media.worker.files import FileKey, FilePlayback, PlayFiles


def write_tone(path: Path, *, seconds: float = 0.5, rate_hz: int = 16_000, channels: int = 1) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        for n in range(int(rate_hz * seconds)):
            file.writeframesraw(struct.pack("<h", int(9_000 * math.sin(2 * math.pi * 500 * n / rate_hz))) * channels)
    return path


async def drain(playback: FilePlayback, limit: int = 100_000) -> bytes:
    """Take everything, yielding to the loop while decoding lags."""
    taken = bytearray()
    while len(taken) < limit:
        piece = playback.take(160)
        if piece is None:
            break
        taken += piece
        await asyncio.sleep(0)
    return bytes(taken)


@pytest.fixture
async def files() -> AsyncIterator[PlayFiles]:
    files = PlayFiles(WorkerSettings(), asyncio.get_running_loop())
    yield files
    files.close()


def crossings(pcm: bytes) -> int:
    samples = struct.unpack(f"<{len(pcm) // 2}h", pcm)
    return sum(before < 0 <= after for before, after in itertools.pairwise(samples))


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (16_000, 1), (44_100, 2)])
async def test_any_rate_becomes_8000_hz_mono(files: PlayFiles, tmp_path: Path, rate_hz: int, channels: int) -> None:
    path = write_tone(tmp_path / "a.wav", rate_hz=rate_hz, channels=channels)
    playback = files.open(str(path), 1, pytest.fail)
    pcm = await drain(playback)
    assert abs(len(pcm) - 8_000) <= 4
    assert 248 <= crossings(pcm) <= 252
    playback.close()
    assert files.open_count == 0


async def test_loops_repeat_and_a_short_file_is_decoded_once(files: PlayFiles, tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav")
    once = await drain(files.open(str(path), 1, pytest.fail))
    assert files.cached_bytes == len(once)
    thrice = await drain(files.open(str(path), 3, pytest.fail))
    assert thrice == once * 3
    endless = files.open(str(path), 0, pytest.fail)
    assert len(await drain(endless, limit=80_000)) >= 80_000
    endless.close()


async def test_a_changed_file_is_decoded_again(files: PlayFiles, tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", seconds=0.5)
    short = await drain(files.open(str(path), 1, pytest.fail))
    write_tone(path, seconds=0.8)
    longer = await drain(files.open(str(path), 1, pytest.fail))
    assert len(longer) > len(short)


async def test_a_long_file_flows_in_chunks_and_is_not_cached(files: PlayFiles, tmp_path: Path) -> None:
    path = write_tone(tmp_path / "long.wav", seconds=70, rate_hz=8_000)
    pcm = await drain(files.open(str(path), 1, pytest.fail), limit=2_000_000)
    assert len(pcm) == 70 * 16_000
    assert files.cached_bytes == 0


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "cannot be read"), (b"", "cannot be decoded"), (b"<html>", "cannot be decoded")],
)
async def test_a_file_that_is_no_audio_fails_once(
    files: PlayFiles, tmp_path: Path, content: bytes | None, expected: str
) -> None:
    path = tmp_path / "a.wav"
    if content is not None:
        path.write_bytes(content)
    failures: list[str] = []
    playback = files.open(str(path), 1, failures.append)
    assert await drain(playback) == b""
    assert len(failures) == 1
    assert expected in failures[0]
    assert files.open_count == 0


async def test_the_limits_of_size_and_length(tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav", seconds=1.0, rate_hz=8_000)
    size = path.stat().st_size
    for settings, fits in [
        (WorkerSettings(play_max_bytes=size), True),
        (WorkerSettings(play_max_bytes=size - 1), False),
        (WorkerSettings(play_max_ms=1_000), True),
        (WorkerSettings(play_max_ms=999), False),
    ]:
        files = PlayFiles(settings, asyncio.get_running_loop())
        failures: list[str] = []
        pcm = await drain(files.open(str(path), 1, failures.append))
        assert (len(pcm) == 16_000, not failures) == (fits, fits)
        files.close()


async def test_the_cache_is_bounded(tmp_path: Path) -> None:
    files = PlayFiles(WorkerSettings(play_cache_bytes=20), asyncio.get_running_loop())
    first, second, third = (FileKey(name, 0, 0) for name in "abc")
    files.keep(first, bytes(10))
    files.keep(second, bytes(10))
    assert files.cached_bytes == 20
    files.keep(third, bytes(1))
    assert (files.cached(first), files.cached_bytes) == (None, 11)
    files.keep(first, bytes(21))
    assert files.cached(first) is None
    files.close()


async def test_closing_ends_every_playback(files: PlayFiles, tmp_path: Path) -> None:
    path = write_tone(tmp_path / "a.wav")
    playbacks = [files.open(str(path), 0, pytest.fail) for _ in range(5)]
    files.close()
    assert files.open_count == 0
    assert all(playback.take(160) is None for playback in playbacks)
