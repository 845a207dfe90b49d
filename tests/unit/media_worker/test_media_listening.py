"""`media.worker.listening`: what is said is captured while somebody waits for it, and forgotten when the call ends."""

from __future__ import annotations

import asyncio
import math
import os
import wave
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from ringback.ids import CommandId, ListenId, SessionId
from ringback.machine import Instant
from ringback.media.control.commands import Listen, StopListening
from ringback.media.control.events import AnySessionEvent, SpeechCaptured
from ringback.media.control.settings import WorkerSettings
from ringback.media.session import MediaSession
from ringback.media.settings import MediaSettings
from ringback.media.worker.listening import LegListening
from ringback.media.worker.recording_disk import RecordingDisk

SESSION = SessionId("session")
TONE = (8_000 * np.sin(2 * math.pi * 400 * np.arange(160) / 8_000)).astype("<i2").tobytes()


class Ear:
    """One leg that is listened to."""

    def __init__(self, disk: RecordingDisk, settings: WorkerSettings) -> None:
        self.disk = disk
        self.events: list[AnySessionEvent] = []
        self.session = MediaSession(MediaSettings(), session_id=SESSION, now=Instant(0), chance=lambda: 0.5)
        self.listening = LegListening(self.session, disk, settings, self.events.append)

    def begin(self, path: Path) -> None:
        command = Listen(
            command_id=CommandId("c"),
            session_id=SESSION,
            listen_id=ListenId("1"),
            silence_ms=60_000,
            capture_path=str(path),
            capture_max_ms=60_000,
        )
        assert self.listening.start(command) is None

    def speak(self, frames: int) -> None:
        for _ in range(frames):
            assert self.session.tap is not None
            self.session.tap(TONE)

    async def files(self, folder: Path) -> list[str]:
        """Return what is in the folder when the disk has done everything."""
        await asyncio.to_thread(self.disk.close)
        return os.listdir(folder)


@pytest.fixture
async def ear() -> AsyncIterator[Ear]:
    settings = WorkerSettings(recording_free_min_bytes=0)
    disk = RecordingDisk(settings, asyncio.get_running_loop())
    yield Ear(disk, settings)
    await asyncio.to_thread(disk.close)


async def test_what_was_said_until_the_listening_is_stopped_is_a_file(ear: Ear, tmp_path: Path) -> None:
    ear.begin(tmp_path / "said.wav")
    ear.speak(100)
    ear.listening.stop(StopListening(command_id=CommandId("d"), session_id=SESSION, listen_id=ListenId("1")))
    assert await ear.files(tmp_path) == ["said.wav"]
    [captured] = [event for event in ear.events if isinstance(event, SpeechCaptured)]
    assert captured.path == str(tmp_path / "said.wav")
    with wave.open(captured.path) as file:
        assert file.getnframes() // 8 == captured.captured_ms
    assert ear.session.tap is None


async def test_a_call_that_ends_while_somebody_speaks_leaves_no_file(ear: Ear, tmp_path: Path) -> None:
    ear.begin(tmp_path / "said.wav")
    ear.speak(100)
    ear.listening.close()
    assert not await ear.files(tmp_path)
    assert not [event for event in ear.events if isinstance(event, SpeechCaptured)]
    assert ear.session.tap is None
