"""Noise suppression: what engines gain, how late they are, how much of them is heard."""

from __future__ import annotations

import numpy as np
import pytest
from tests.support.noisy_speech import distortion_db, frames, lag_of, mixed, voice

from ringback.media.noise.engine import EngineKind, EngineMissing
from ringback.media.noise.engines import DTLN, KINDS, SPEEX, fault_of, make_engine
from ringback.media.noise.suppressor import DryPath, Suppressor

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
    assert lag == pytest.approx(kind.lag_samples, abs=2)
    reference = speech[: len(clean) - lag]
    assert distortion_db(reference, clean[lag:]) > distortion_db(speech, noisy.astype(float)) + GAIN_DB[kind.name]


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)
def test_dry_path_is_in_step_with_the_engine(kind: EngineKind) -> None:
    speech = voice("slt")[:32_000]
    dry = DryPath(kind.lag_samples)
    pcm = frames(speech.astype(np.int16))
    waited = np.frombuffer(b"".join(map(dry.process, pcm)), np.int16).astype(np.float64)
    clean = suppressed(kind, 60, speech.astype(np.int16))
    assert lag_of(speech, waited) == kind.lag_samples
    assert lag_of(waited, clean, 80) <= 2


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


def test_library_is_looked_for_without_being_loaded() -> None:
    assert [fault_of(kind) for kind in KINDS.values()] == ["", ""]
    nowhere = EngineKind("other", 8_000, 0, "no_such_library", "pip install other")
    assert fault_of(nowhere) == "noise engine other is not installed (no_such_library): pip install other"
