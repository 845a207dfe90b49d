"""Noise suppression of a worker's streams: order, delay, what a late or dead process costs, who gets which engine."""

from __future__ import annotations

import socket
import subprocess
import threading
from dataclasses import dataclass, field

import msgspec
import numpy as np
import pytest

from ringback.ids import SessionId, StreamId
from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.events import AnyEvent, NoiseSuppressionEnded, NoiseSuppressionSet
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import AudioFormat, Encoding, Track
from ringback.media.noise import main as process
from ringback.media.noise.engine import EngineKind, EngineMissing, NoiseEngine
from ringback.media.noise.engines import DTLN, SPEEX
from ringback.media.noise.messages import (
    MESSAGE_MAX_BYTES,
    Asked,
    CleanFrame,
    CleanFrames,
    CloseVoice,
    Frame,
    Frames,
    OpenVoice,
    VoiceFailed,
    decode_answered,
    decode_asked,
    encode,
)
from ringback.media.stream.session import StreamSession, StreamSettings
from ringback.media.worker import noise
from ringback.media.worker.noise import AWAY_MAX, RESTART_SLOTS, WAIT_SLOTS, NoiseRoom, StreamNoise


class Scripted:
    """A noise process that does what the test says."""

    def __init__(self) -> None:
        self.link, self.far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.setblocking(False)
        self.far.setblocking(False)
        self.asked: list[Asked] = []
        self.is_closed = False

    def close(self) -> None:
        self.is_closed = True
        self.link.close()
        self.far.close()

    def read(self) -> list[Frame]:
        """Return the frames that came."""
        frames: list[Frame] = []
        while True:
            try:
                message = decode_asked(self.far.recv(MESSAGE_MAX_BYTES))
            except BlockingIOError:
                return frames
            self.asked.append(message)
            if isinstance(message, Frames):
                frames += message.frames

    def answer(self, frames: list[Frame]) -> None:
        """Give frames back at half their level."""
        self.far.send(encode(CleanFrames([CleanFrame(key, number, 7_000, halved(pcm)) for key, number, pcm in frames])))


def halved(pcm: bytes) -> bytes:
    return (np.frombuffer(pcm, np.int16) // 2).tobytes()


@dataclass
class Room:
    """A worker's room with scripted processes, and what it reported and sent."""

    settings: WorkerSettings = field(default_factory=WorkerSettings)
    processes: list[Scripted] = field(default_factory=list)
    reported: list[AnyEvent] = field(default_factory=list)
    heard: list[tuple[str, int]] = field(default_factory=list)
    flushed: int = 0

    def __post_init__(self) -> None:
        self.room = NoiseRoom(self.settings, self.reported.append, self.start)

    def start(self, engine: str) -> Scripted:
        self.processes.append(Scripted())
        return self.processes[-1]

    def flush(self) -> None:
        self.flushed += 1

    def open(self, name: str = "s", level: int = 85) -> StreamSession:
        settings = StreamSettings(
            stream_id=StreamId(name),
            call_uuid="c",
            account_id="a",
            track=Track.INBOUND,
            bidirectional=False,
            format=AudioFormat(Encoding.MULAW, 8_000),
        )
        stream = StreamSession(settings)
        stream.open(Instant(0), 0)
        self.room.open(SessionId("session"), stream, level, self.flush)
        return stream

    def told(self, kind: type[NoiseSuppressionSet] = NoiseSuppressionSet) -> list[NoiseSuppressionSet]:
        return [event for event in self.reported if isinstance(event, kind)]


def noise_of(stream: StreamSession) -> StreamNoise:
    assert isinstance(stream.noise, StreamNoise)
    return stream.noise


def flat(value: int) -> bytes:
    return np.full(160, value, np.int16).tobytes()


def came(stream: StreamSession) -> list[bytes]:
    """Return the payloads of the media messages that wait, and take them away."""
    texts = [msgspec.json.decode(text) for text in stream.outbox]
    stream.outbox.clear()
    return [text["media"]["payload"] for text in texts if text["event"] == "media"]


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[int]]:
    """Collect the last sample of each frame that a stream gets back."""
    found: dict[str, list[int]] = {}

    def push_clean(self: StreamSession, pcm: bytes) -> None:
        found.setdefault(self.stream_id, []).append(int(np.frombuffer(pcm, np.int16)[-1]))

    monkeypatch.setattr(StreamSession, "push_clean", push_clean)
    return found


def test_frame_comes_back_after_exactly_three_slots(heard: dict[str, list[int]]) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    stream = noise_of(room.open())
    assert stream.lag_ms == 10 + 15
    stream.take(flat(1_000))
    for slot in range(1 + WAIT_SLOTS):
        assert not heard, slot
        room.room.deliver()
        room.processes[0].answer(room.processes[0].read())
    assert heard == {"s": [500]}
    assert (room.flushed, stream.passed_frames, stream.cpu_ns) == (1, 0, 7_000)
    room.room.close()
    assert room.processes[0].is_closed


def test_late_frame_passes_as_it_came_in_its_place(heard: dict[str, list[int]]) -> None:
    """Every fifth frame is late, some by 20 ms, some by 100; nothing moves by it."""
    room = Room(WorkerSettings(noise_engine="speex"))
    stream = noise_of(room.open())
    held: list[Frame] = []
    for number in range(40):
        stream.take(flat(2 * number))
        for _ in range(4):
            room.room.deliver()
            for frame in room.processes[0].read():
                if frame.number % 5:
                    room.processes[0].answer([frame])
                else:
                    held.append(frame)
            if number % 10 == 9:
                # Too late by far, or just so.
                room.processes[0].answer(held)
                held = []
    assert heard["s"] == [number if number % 5 else 2 * number for number in range(40)]
    assert stream.passed_frames == 8
    assert not stream.returned, "what came too late is kept nowhere"
    room.room.close()


def test_no_more_frames_than_allowed_are_with_a_process_that_hangs(heard: dict[str, list[int]]) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    streams = [noise_of(room.open(name)) for name in ("one", "two")]
    for number in range(AWAY_MAX + 1):
        for stream in streams:
            stream.take(flat(number))
        for _ in range(4):
            room.room.deliver()
    with_process = room.processes[0].read()
    assert [sum(frame.key == stream.key for frame in with_process) for stream in streams] == [AWAY_MAX] * 2
    assert [len(frames) for frames in heard.values()] == [AWAY_MAX + 1] * 2
    room.processes[0].answer(with_process)
    room.room.deliver()
    for stream in streams:
        stream.take(flat(8))
    room.room.deliver()
    assert len(room.processes[0].read()) == 2, "it has caught up"
    room.room.close()


def test_full_socket_costs_noise_and_nothing_else(heard: dict[str, list[int]]) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    streams = [noise_of(room.open(str(name))) for name in range(300)]
    for number in range(AWAY_MAX):
        for stream in streams:
            stream.take(flat(number))
        for _ in range(4):
            room.room.deliver()
    assert {tuple(frames) for frames in heard.values()} == {tuple(range(AWAY_MAX))}
    assert not any(stream.away for stream in streams), "the test did not fill the socket"
    for _ in range(20):
        room.processes[0].read()
        room.room.deliver()
    opened = {asked.key for asked in room.processes[0].asked if isinstance(asked, OpenVoice)}
    assert opened == {stream.key for stream in streams}, "no stream was forgotten"
    streams[0].take(flat(1))
    room.room.deliver()
    assert [frame.key for frame in room.processes[0].read()] == [streams[0].key]
    room.room.close()


def test_dead_process_is_replaced_and_streams_go_on_there(heard: dict[str, list[int]]) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    stream = noise_of(room.open(level=75))
    stream.take(flat(10))
    room.room.deliver()
    room.processes[0].far.close()
    for _ in range(WAIT_SLOTS):
        room.room.deliver()
    assert heard["s"] == [10]
    assert room.processes[0].is_closed
    for _ in range(RESTART_SLOTS):
        room.room.deliver()
    assert len(room.processes) == 2
    stream.take(flat(20))
    for _ in range(1 + WAIT_SLOTS):
        room.room.deliver()
        room.processes[1].answer(room.processes[1].read())
    assert room.processes[1].asked[0] == OpenVoice(stream.key, "speex", 75)
    assert heard["s"] == [10, 10]
    assert stream.passed_frames == 1
    room.room.close()


def test_process_that_cannot_be_started_costs_noise_and_is_tried_again(
    heard: dict[str, list[int]],
) -> None:
    faults: list[Exception] = [OSError(24, "Too many open files"), RuntimeError("can't start new thread")]

    def start(engine: str) -> Scripted:
        if faults:
            raise faults.pop()
        return room.start(engine)

    room = Room(WorkerSettings(noise_engine="speex"))
    room.room = NoiseRoom(room.settings, room.reported.append, start)
    stream = room.open()
    noise_of(stream).take(flat(100))
    for _ in range(RESTART_SLOTS):
        room.room.deliver()
    assert heard["s"] == [100]
    assert len(faults) == 0
    for _ in range(RESTART_SLOTS):
        room.room.deliver()
    (process,) = room.processes
    process.read()
    assert process.asked == [OpenVoice(noise_of(stream).key, "speex", 85)]
    room.room.close()


def test_broken_engine_is_told_and_its_audio_passes(heard: dict[str, list[int]]) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    stream = noise_of(room.open())
    room.room.deliver()
    room.processes[0].far.send(encode(VoiceFailed(stream.key, "noise engine failed: broken")))
    for number in range(2):
        stream.take(flat(number))
        for _ in range(4):
            room.room.deliver()
    assert heard["s"] == [0, 1]
    assert [(event.engine, event.detail) for event in room.told()] == [
        ("speex", ""),
        ("", "noise engine failed: broken"),
    ]
    assert not [frame for frame in room.processes[0].read() if frame.number], "nothing more is asked of it"
    room.room.close()


def test_end_of_a_stream_is_reported_with_its_cost_and_nothing_follows(heard: dict[str, list[int]]) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    stream = room.open()
    for _ in range(2):
        noise_of(stream).take(flat(100))
        for _ in range(4):
            room.room.deliver()
            room.processes[0].answer(room.processes[0].read())
    noise_of(stream).take(flat(100))
    noise_of(stream).close()
    noise_of(stream).close()
    for _ in range(5):
        room.room.deliver()
    room.processes[0].read()
    assert heard["s"] == [50, 50]
    (ended,) = [event for event in room.reported if isinstance(event, NoiseSuppressionEnded)]
    assert (ended.engine, ended.frames, ended.passed_frames, ended.cpu_us) == ("speex", 3, 0, 14)
    assert CloseVoice(noise_of(stream).key) in room.processes[0].asked
    assert len(room.room) == 0
    room.room.close()


def test_stream_sends_what_came_back(monkeypatch: pytest.MonkeyPatch) -> None:
    room = Room(WorkerSettings(noise_engine="speex"))
    stream = room.open()
    stream.outbox.clear()
    stream.push_inbound(PCMU.encode(flat(8_000)))
    assert not stream.outbox
    for _ in range(1 + WAIT_SLOTS):
        room.room.deliver()
        room.processes[0].answer(room.processes[0].read())
    assert len(came(stream)) == 1
    room.room.close()


# ── who gets which engine ───────────────────────────────────────────────────────────────────────────────────────────


def test_more_streams_than_allowed_get_the_light_engine_and_are_told() -> None:
    room = Room(WorkerSettings(noise_streams_max=1))
    room.open("one")
    room.open("two")
    first, second = room.told()
    assert (first.engine, second.engine) == ("dtln", "speex")
    assert (first.lag_ms, second.lag_ms) == (46, 25)
    assert "1 streams of this worker use dtln already" in second.detail
    room.room.close()


@pytest.mark.parametrize("wished", ["dtln", "speex"])
def test_without_the_light_engine_no_more_streams_than_allowed_use_the_dear_one(
    monkeypatch: pytest.MonkeyPatch, wished: str
) -> None:
    monkeypatch.setattr(noise, "fault_of", lambda kind: "speex is not installed" if kind is SPEEX else "")
    room = Room(WorkerSettings(noise_streams_max=1, noise_engine=wished))
    room.open("one")
    stream = room.open("two")
    first, second = room.told()
    assert (first.engine, second.engine, stream.noise) == ("dtln", "", None)
    assert "speex is not installed" in second.detail
    assert room.room.dear_streams == 1
    room.room.close()


def test_engine_that_is_missing_gives_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "fault_of", lambda kind: "dtln is not installed" if kind is DTLN else "")
    room = Room()
    room.open()
    (event,) = room.told()
    assert (event.engine, event.detail) == ("speex", "dtln is not installed")
    room.room.close()


# ── the process ─────────────────────────────────────────────────────────────────────────────────────────────────────


class Half:
    """An engine that halves, and breaks on silence."""

    lag = 0

    def process(self, samples: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        if not samples.any():
            raise ValueError("broken")
        return samples * 0.5


def served(monkeypatch: pytest.MonkeyPatch, *asked: Asked) -> list[object]:
    """Return what the process answers before it ends with its worker."""

    def make(kind: EngineKind) -> NoiseEngine:
        if kind is DTLN:
            raise EngineMissing("noise engine dtln is not installed")
        return Half()

    monkeypatch.setattr(process, "make_engine", make)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        for message in asked:
            near.send(encode(message))
        near.shutdown(socket.SHUT_WR)
        process.serve(far)
        near.setblocking(False)
        answers: list[object] = []
        while True:
            try:
                answers.append(decode_answered(near.recv(MESSAGE_MAX_BYTES)))
            except BlockingIOError:
                return answers


def test_process_gives_frames_back_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = served(
        monkeypatch,
        OpenVoice(1, "speex", 100),
        Frames([Frame(1, number, flat(1_000 + number)) for number in range(4)]),
        CloseVoice(1),
        Frames([Frame(1, 4, flat(9))]),
    )
    frames = [frame for answer in answers if isinstance(answer, CleanFrames) for frame in answer.frames]
    assert [frame.number for frame in frames] == [0, 1, 2, 3]
    assert [int(np.frombuffer(frame.pcm, np.int16)[0]) for frame in frames] == [500, 500, 501, 502]
    assert all(frame.cpu_ns >= 0 for frame in frames)


def test_process_tells_of_missing_and_broken_engines_and_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = served(
        monkeypatch,
        OpenVoice(1, "dtln", 85),
        OpenVoice(2, "speex", 100),
        OpenVoice(3, "speex", 100),
        Frames([Frame(2, 0, bytes(320)), Frame(3, 0, flat(100)), Frame(2, 1, flat(100))]),
    )
    failed = [(answer.key, answer.detail) for answer in answers if isinstance(answer, VoiceFailed)]
    assert failed == [
        (1, "noise engine dtln is not installed"),
        (2, "noise engine failed: ValueError('broken')"),
    ]
    done = [frame.key for answer in answers if isinstance(answer, CleanFrames) for frame in answer.frames]
    assert done == [3]


def test_missing_engines_do_not_keep_the_process_from_starting(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def make(kind: EngineKind) -> NoiseEngine:
        made.append(kind.name)
        if kind is DTLN:
            raise EngineMissing("noise engine dtln is not installed")
        return Half()

    monkeypatch.setattr(process, "make_engine", make)
    monkeypatch.setattr(Half, "process", lambda self, samples: samples)
    process.warm("auto")
    process.warm("speex")
    assert made == ["speex", "dtln", "speex"]


class Stuck:
    """A child that ends when it is killed and not before."""

    def __init__(self, *_: object, **__: object) -> None:
        self.killed = threading.Event()
        self.patience_s: list[float | None] = []

    def wait(self, timeout: float | None = None) -> int:
        self.patience_s.append(timeout)
        if timeout is not None and not self.killed.is_set():
            raise subprocess.TimeoutExpired("noise", timeout)
        self.killed.wait(10)
        return -9

    def kill(self) -> None:
        self.killed.set()


@pytest.mark.parametrize("is_let_go", [True, False])
def test_a_process_that_is_stuck_is_killed_when_it_is_let_go_or_its_worker_ends(
    monkeypatch: pytest.MonkeyPatch, is_let_go: bool
) -> None:
    child = Stuck()
    monkeypatch.setattr("ringback.media.worker.noise.subprocess.Popen", lambda *_, **__: child)
    started = noise._Process("speex")
    if is_let_go:
        started.close()
        assert child.killed.wait(5)
    else:
        noise._end_all()
        assert child.killed.is_set()
    assert child.patience_s[0] == noise._CLOSE_S
    started.join()
    assert started not in noise._running
