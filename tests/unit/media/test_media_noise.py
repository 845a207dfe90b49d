"""Noise suppression: what engines gain, how late they are, how much of them is heard, how a worker shares them out."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from tests.support.noisy_speech import distortion_db, frames, lag_of, mixed, voice

from ringback.ids import StreamId
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import AudioFormat, Encoding, Track
from ringback.media.noise import engines
from ringback.media.noise.engine import EngineKind, EngineMissing, NoiseEngine
from ringback.media.noise.engines import DTLN, KINDS, SPEEX, make_engine
from ringback.media.noise.suppressor import Suppressor
from ringback.media.stream.session import StreamSession, StreamSettings
from ringback.media.worker import noise
from ringback.media.worker.noise import WAITING_MAX, NoiseRoom

pytest.importorskip("onnxruntime", reason="the extra ringback[noise] is not installed")
pytest.importorskip("speexdsp_ns", reason="the extra ringback[noise] is not installed")
GAIN_DB = {SPEEX.name: 3.0, DTLN.name: 6.0}
"""What an engine gains at least at 5 dB of hiss and level 85."""


def suppressed(kind: EngineKind, level: int, pcm: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """Return the audio behind an engine."""
    suppressor = Suppressor(kind, make_engine(kind), level)
    return np.frombuffer(b"".join(suppressor.process(frame) for frame in frames(pcm)), np.int16).astype(np.float64)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_engine_takes_noise_and_leaves_speech_in_step(kind: EngineKind) -> None:
    speech = voice("slt")
    noisy = mixed(speech, "hiss", 5)
    clean = suppressed(kind, 85, noisy)
    lag = lag_of(speech, clean)
    told = Suppressor(kind, make_engine(kind), 85).lag_ms + (3 if kind.rate_hz != 8_000 else 0)
    assert lag == pytest.approx(told * 8, abs=8)
    reference = speech[: len(clean) - lag]
    assert distortion_db(reference, clean[lag:]) > distortion_db(speech, noisy.astype(float)) + GAIN_DB[kind.name]


@pytest.mark.parametrize(("level", "residue_db"), [(60, -8.0), (75, -12.0), (85, -16.5)])
def test_level_is_the_share_of_the_engine(level: int, residue_db: float) -> None:
    class Deaf:
        lag = 80

        def process(self, samples: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            return np.zeros_like(samples)

    suppressor = Suppressor(SPEEX, Deaf(), level)
    tone = (8_000 * np.sin(np.arange(8_000) * 0.3)).astype(np.int16)
    out = np.frombuffer(b"".join(suppressor.process(frame) for frame in frames(tone)), np.int16).astype(np.float64)
    assert 20 * np.log10(out[200:].std() / tone.std()) == pytest.approx(residue_db, abs=0.1)
    assert not out[:80].any(), "the dry voice waits for the engine's"


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_silence_stays_silent_and_loud_does_not_wrap(kind: EngineKind) -> None:
    quiet = suppressed(kind, 100, np.zeros(8_000, np.int16))
    assert np.abs(quiet).max() < 8
    square = np.where(np.arange(8_000) // 20 % 2, 32_767, -32_768).astype(np.int16)
    loud = suppressed(kind, 60, square)
    assert len(loud) == 8_000


def test_missing_library_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ringback.media.noise.dtln", None)
    with pytest.raises(EngineMissing, match=r"dtln is not installed.*ringback\[noise\]"):
        make_engine(DTLN)


# ── a worker's streams ──────────────────────────────────────────────────────────────────────────────────────────────


class Late:
    """An engine that waits until it may go on, and counts."""

    lag = 0
    gate = threading.Event()

    def process(self, samples: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
        assert self.gate.wait(10)
        return samples * 0.5


def stream_of() -> StreamSession:
    settings = StreamSettings(
        stream_id=StreamId("s"),
        call_uuid="c",
        account_id="a",
        track=Track.INBOUND,
        bidirectional=False,
        format=AudioFormat(Encoding.MULAW, 8_000),
    )
    return StreamSession(settings)


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> type[Late]:
    """Let `dtln` be an engine that waits."""
    Late.gate = threading.Event()

    def make(kind: EngineKind) -> NoiseEngine:
        return Late() if kind is DTLN else engines.make_engine(kind)

    monkeypatch.setattr(noise, "make_engine", make)
    return Late


def until_done(room: NoiseRoom, count: int) -> None:
    """Wait for the thread to have done so many frames."""
    deadline = time.monotonic() + 10
    while len(room._done) < count:
        assert time.monotonic() < deadline
        threading.Event().wait(0.002)


def test_frames_come_back_in_order_and_those_behind_a_slow_thread_pass(late: type[Late]) -> None:
    room, stream, flushed = NoiseRoom(WorkerSettings()), stream_of(), []
    outcome = room.open(stream, 85, lambda: flushed.append(1))
    assert (outcome.engine, outcome.detail) == ("dtln", "")
    came: list[int] = []
    assert isinstance(stream.noise, noise.StreamNoise)
    stream.noise.on_clean = lambda pcm: came.append(int(np.frombuffer(pcm, np.int16)[0]))
    for number in range(WAITING_MAX + 3):
        frame = np.full(160, 1_000 * (number % 20) + 100, np.int16).tobytes()
        assert stream.noise.take(frame) is None
    room.deliver()
    assert came == []
    late.gate.set()
    until_done(room, WAITING_MAX + 3)
    room.deliver()
    assert len(came) == WAITING_MAX + 3
    assert stream.noise.passed_frames == 3
    assert stream.noise.waiting == 0
    assert came[-1] == 1_000 * ((WAITING_MAX + 2) % 20) + 100, "what passed comes behind what was suppressed"
    stream.noise.close()
    assert len(room) == 0
    room.close()


def test_stream_sends_what_came_back_and_nothing_after_its_end(late: type[Late]) -> None:
    late.gate.set()
    room, stream, flushed = NoiseRoom(WorkerSettings()), stream_of(), []
    room.open(stream, 85, lambda: flushed.append(1))
    stream.open(0, 0)  # type: ignore[arg-type]  # any instant will do
    stream.outbox.clear()
    for _ in range(2):
        stream.push_inbound(PCMU.encode(np.full(160, 8_000, np.int16).tobytes()))
    until_done(room, 2)
    room.deliver()
    assert (len(stream.outbox), len(flushed)) == (2, 2)
    stream.push_inbound(PCMU.silence)
    assert stream.noise is not None
    stream.noise.close()
    until_done(room, 1)
    room.deliver()
    assert len(stream.outbox) == 2
    room.close()


def test_more_streams_than_allowed_get_the_cheap_engine_and_are_told(late: type[Late]) -> None:
    room = NoiseRoom(WorkerSettings(noise_streams_max=1))
    first = room.open(stream_of(), 85, lambda: None)
    second = room.open(stream_of(), 85, lambda: None)
    assert (first.engine, second.engine) == ("dtln", "speex")
    assert "1 streams of this worker use dtln already" in second.detail
    late.gate.set()
    room.close()


@pytest.mark.parametrize("wished", ["dtln", "speex"])
def test_without_the_cheap_engine_no_more_streams_than_allowed_use_the_dear_one(
    late: type[Late], monkeypatch: pytest.MonkeyPatch, wished: str
) -> None:
    def make(kind: EngineKind) -> NoiseEngine:
        if kind is SPEEX:
            raise EngineMissing("noise engine speex is not installed")
        return Late()

    monkeypatch.setattr(noise, "make_engine", make)
    room = NoiseRoom(WorkerSettings(noise_streams_max=1, noise_engine=wished))
    assert room.open(stream_of(), 85, lambda: None).engine == "dtln"
    second = room.open(stream_of(), 85, lambda: None)
    assert (second.engine, room.dear_streams) == ("", 1)
    assert second.detail
    late.gate.set()
    room.close()


def test_engine_that_is_missing_gives_way_and_without_any_the_noise_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*names: str) -> None:
        def make(kind: EngineKind) -> NoiseEngine:
            if kind.name in names:
                raise EngineMissing(f"noise engine {kind.name} is not installed")
            return engines.make_engine(kind)

        monkeypatch.setattr(noise, "make_engine", make)

    without("dtln")
    outcome = NoiseRoom(WorkerSettings()).open(stream_of(), 85, lambda: None)
    assert (outcome.engine, outcome.detail) == ("speex", "noise engine dtln is not installed")
    without("dtln", "speex")
    stream = stream_of()
    outcome = NoiseRoom(WorkerSettings()).open(stream, 85, lambda: None)
    assert outcome.engine == ""
    assert "not installed" in outcome.detail
    assert stream.noise is None


def test_engine_that_fails_lets_the_audio_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken:
        lag = 0

        def process(self, samples: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
            raise ValueError("broken")

    monkeypatch.setattr(noise, "make_engine", lambda kind: Broken())
    room, stream = NoiseRoom(WorkerSettings(noise_engine="speex")), stream_of()
    room.open(stream, 85, lambda: None)
    assert isinstance(stream.noise, noise.StreamNoise)
    frame = np.full(160, 77, np.int16).tobytes()
    assert [stream.noise.take(frame) for _ in range(2)] == [frame, frame]
    assert stream.noise.passed_frames == 2
