"""Audio of engines made fit for the telephone."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.speech.worker.sound import RATE_HZ, Samples, fit, read_wav, write_wav

RATE = 22_050


def tone(hz: float, ms: int, rate_hz: int = RATE, level: float = 0.2) -> Samples:
    """Return a sine."""
    return (level * np.sin(2 * np.pi * hz * np.arange(rate_hz * ms // 1000) / rate_hz)).astype(np.float32)


def silence(ms: int, rate_hz: int = RATE) -> Samples:
    return np.zeros(rate_hz * ms // 1000, dtype=np.float32)


def rms_db(samples: Samples) -> float:
    return float(20 * np.log10(np.sqrt(np.mean(samples**2))))


def pitch_hz(samples: Samples) -> float:
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    return float(np.argmax(spectrum) * RATE_HZ / len(samples))


def seconds(samples: Samples) -> float:
    return len(samples) / RATE_HZ


def test_silence_around_is_cut_and_the_pause_is_added() -> None:
    audio = fit(np.concatenate([silence(500), tone(500, 400), silence(900)]), RATE, pause_ms=300)
    assert seconds(audio) == pytest.approx(0.74, abs=0.01)
    assert not np.any(audio[-2_300:])


@pytest.mark.parametrize("level", [0.01, 0.2, 0.9])
def test_every_voice_is_equally_loud(level: float) -> None:
    assert rms_db(fit(tone(500, 1000, level=level), RATE)[200:-200]) == pytest.approx(-20, abs=0.5)


def test_pauses_within_do_not_make_a_voice_louder() -> None:
    speech = np.concatenate([tone(500, 300), silence(900), tone(500, 300)])
    assert rms_db(fit(speech, RATE)[200:2_000]) == pytest.approx(-20, abs=1)


@pytest.mark.parametrize(("gain_db", "expected"), [(6.0, -14.0), (-12.0, -32.0), (60.0, -4.0)])
def test_volume_is_added_and_never_clips(gain_db: float, expected: float) -> None:
    audio = fit(tone(500, 500), RATE, gain_db=gain_db)
    assert rms_db(audio[200:-200]) == pytest.approx(expected, abs=0.6)
    assert np.max(np.abs(audio)) <= 0.9


@pytest.mark.parametrize("rate", [0.4, 0.75, 1.25, 2.5])
def test_rate_changes_the_time_and_not_the_pitch(rate: float) -> None:
    audio = fit(tone(500, 1_000), RATE, rate=rate)
    assert seconds(audio) == pytest.approx(1 / rate, rel=0.06)
    assert pitch_hz(audio) == pytest.approx(500, rel=0.03)


@pytest.mark.parametrize("pitch", [0.6, 0.85, 1.15, 1.6])
def test_pitch_changes_the_pitch_and_not_the_time(pitch: float) -> None:
    audio = fit(tone(500, 1_000), RATE, pitch=pitch)
    assert seconds(audio) == pytest.approx(1, rel=0.06)
    assert pitch_hz(audio) == pytest.approx(500 * pitch, rel=0.03)


def test_a_muted_text_takes_its_time() -> None:
    audio = fit(tone(500, 600), RATE, is_muted=True)
    assert seconds(audio) == pytest.approx(0.6, abs=0.05)
    assert not np.any(audio)


@pytest.mark.parametrize("samples", [silence(0), silence(2_000), tone(500, 5)])
def test_nothing_to_hear_is_a_short_clip(samples: Samples) -> None:
    assert seconds(fit(samples, RATE)) == pytest.approx(0.1, abs=0.01)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 48_000])
def test_any_sample_rate(rate_hz: int) -> None:
    audio = fit(tone(700, 500, rate_hz), rate_hz)
    assert seconds(audio) == pytest.approx(0.5, abs=0.03)
    assert pitch_hz(audio) == pytest.approx(700, rel=0.02)


def test_a_file_is_written_whole_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    write_wav(path, fit(tone(500, 300), RATE))
    assert [each.name for each in tmp_path.iterdir()] == ["x.wav"]
    samples, rate_hz = read_wav(path, 10_000)
    assert (rate_hz, len(samples)) == (8_000, pytest.approx(2_400, abs=320))
    assert len(read_wav(path, 100)[0]) == 800


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.mkdir()
    with pytest.raises(OSError):
        write_wav(path, tone(500, 100, RATE_HZ))
    assert [each.name for each in tmp_path.iterdir()] == ["x.wav"]


def test_of_a_file_with_two_channels_one_is_read(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    file: Any
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.array([[100, 200]] * 50, dtype="<i2").tobytes())
    samples, _ = read_wav(path, 1_000)
    assert len(samples) == 50
    assert np.allclose(samples * 32_768, 100)
