"""The noise process of a worker, for real: it serves, is replaced when it is killed, and ends with its worker."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from ringback.ids import SessionId, StreamId
from ringback.media.control.events import AnyEvent
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import AudioFormat, Encoding, Track
from ringback.media.stream.session import StreamSession, StreamSettings
from ringback.media.worker import noise
from ringback.media.worker.noise import NoiseRoom, StreamNoise

pytest.importorskip("speexdsp_ns", reason="the extra ringback[noise] is not installed")
PATIENCE_S = 40
FRAME = np.random.default_rng(1).integers(-3_000, 3_000, 160).astype(np.int16).tobytes()


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch) -> Iterator[NoiseRoom]:
    monkeypatch.setattr(noise, "RESTART_SLOTS", 20)
    reported: list[AnyEvent] = []
    room = NoiseRoom(WorkerSettings(noise_engine="speex"), reported.append)
    yield room
    room.close()


def opened(room: NoiseRoom) -> StreamNoise:
    settings = StreamSettings(
        stream_id=StreamId("s"),
        call_uuid="c",
        account_id="a",
        track=Track.INBOUND,
        bidirectional=False,
        format=AudioFormat(Encoding.MULAW, 8_000),
    )
    stream = StreamSession(settings)
    room.open(SessionId("session"), stream, 85, lambda: None)
    assert isinstance(stream.noise, StreamNoise)
    return stream.noise


def speak(room: NoiseRoom, stream: StreamNoise, is_enough: Callable[[], bool]) -> None:
    """Speak in real time until it is enough."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_enough():
        assert time.monotonic() < deadline
        stream.take(FRAME)
        for _ in range(4):
            time.sleep(0.005)
            room.deliver()


def children() -> set[int]:
    """Return the noise processes of this process."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                if b"ringback.media.noise.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.add(int(pid))
    return found


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_process_serves_is_replaced_when_killed_and_ends_with_its_worker(room: NoiseRoom) -> None:
    stream = opened(room)

    def cleaned() -> int:
        return stream.done_frames - stream.passed_frames

    speak(room, stream, lambda: cleaned() > 10)
    (first,) = children()
    os.kill(first, signal.SIGKILL)
    seen = cleaned()
    speak(room, stream, lambda: cleaned() > seen + 10)
    (second,) = children()
    assert second != first
    assert stream.cpu_ns > 0
    assert stream.given_frames - stream.done_frames <= 1
    os.kill(second, signal.SIGTERM)
    room.close()
    deadline = time.monotonic() + PATIENCE_S
    while not is_gone(second):
        assert time.monotonic() < deadline
        time.sleep(0.01)
