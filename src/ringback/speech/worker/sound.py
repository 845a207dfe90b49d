"""Audio of an engine made fit for the telephone: rate, pitch, level, pause, 8000 Hz."""

from __future__ import annotations

import os
import wave
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]
"""Mono, full scale is 1.0."""

RATE_HZ = 8_000
_LEVEL_DBFS = -20.0
_PEAK_DBFS = -1.0
_ACTIVE_DB = -40.0
"""What is quieter than this below the peak is not counted as speech."""
_TRIM_DB = -46.0
_BLOCK = RATE_HZ // 100
_KEPT = RATE_HZ // 50
_FADE = RATE_HZ // 200
_SHORTEST_MS = 100
_WINDOW = RATE_HZ * 30 // 1000
_HOP = _WINDOW // 2
_SEARCH = RATE_HZ * 8 // 1000


def read_wav(path: Path, longest_ms: int) -> tuple[Samples, int]:
    """Return the samples of a 16-bit wav file and their rate; at most `longest_ms` of them."""
    with wave.open(str(path), "rb") as file:
        rate_hz, channels = file.getframerate(), file.getnchannels()
        data = file.readframes(rate_hz * longest_ms // 1000)
    samples = np.frombuffer(data, dtype="<i2").astype(np.float32) / np.float32(32_768)
    return samples[::channels], rate_hz


def fit(
    samples: Samples,
    rate_hz: int,
    *,
    rate: float = 1.0,
    pitch: float = 1.0,
    gain_db: float = 0.0,
    is_muted: bool = False,
    pause_ms: int = 0,
) -> Samples:
    """Return 8000 Hz audio without silence at its ends, at the usual level, followed by the pause.

    Args:
        rate: How much faster it is to be said than it was.
        pitch: How much higher.
    """
    # Played faster it is higher: what pitch changes in time, stretching takes back.
    audio = np.asarray(soxr.resample(samples, rate_hz * pitch, RATE_HZ, quality="HQ"), dtype=np.float32)
    audio = _trimmed(audio)
    audio = _stretched(audio, pitch / rate)
    audio = np.zeros_like(audio) if is_muted else _levelled(audio, gain_db)
    if len(audio) >= 2 * _FADE:
        ramp = np.linspace(0, 1, _FADE, dtype=np.float32)
        audio[:_FADE] *= ramp
        audio[-_FADE:] *= ramp[::-1]
    length = max(len(audio) + RATE_HZ * pause_ms // 1000, RATE_HZ * _SHORTEST_MS // 1000)
    return np.pad(audio, (0, length - len(audio)))


def write_wav(path: Path, audio: Samples) -> None:
    """Write the audio as 16-bit wav; the file is there as a whole or not at all."""
    part = path.with_suffix(f".{os.getpid()}.{id(audio)}.part")
    try:
        with wave.open(str(part), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes((np.clip(audio, -1, 1) * 32_767).astype("<i2").tobytes())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _trimmed(audio: Samples) -> Samples:
    """Return the audio between its first and last sound."""
    peak = float(np.max(np.abs(audio), initial=0.0))
    if peak < 1e-4:
        return audio[:0]
    loud = np.flatnonzero(np.abs(audio) > peak * 10 ** (_TRIM_DB / 20))
    return audio[max(0, int(loud[0]) - _KEPT) : int(loud[-1]) + _KEPT]


def _levelled(audio: Samples, gain_db: float) -> Samples:
    if not len(audio):
        return audio
    blocks = audio[: len(audio) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    powers = np.mean(blocks**2, axis=1) if len(blocks) else np.mean(audio**2, keepdims=True)
    active = powers[powers > powers.max(initial=0.0) * 10 ** (_ACTIVE_DB / 10)]
    rms = float(np.sqrt(np.mean(active))) if len(active) else 0.0
    if rms < 1e-5:
        return audio
    gain = 10 ** ((_LEVEL_DBFS + gain_db) / 20) / rms
    limit = 10 ** (_PEAK_DBFS / 20) / float(np.max(np.abs(audio)))
    return cast("Samples", audio * np.float32(min(gain, limit)))


def _stretched(audio: Samples, factor: float) -> Samples:
    """Return the audio `factor` times as long at the same pitch: windows overlap, each where it fits best (WSOLA)."""
    if abs(factor - 1) < 0.01 or len(audio) < 2 * _WINDOW:
        return audio
    window = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)
    steps = int(len(audio) * factor / _HOP)
    padded = np.pad(audio, (_SEARCH, _WINDOW + 2 * _SEARCH))
    result = np.zeros(steps * _HOP + _WINDOW, dtype=np.float32)
    expected = padded[_SEARCH : _SEARCH + _WINDOW]
    for step in range(steps):
        at = min(int(step * _HOP / factor), len(audio))
        region = padded[at : at + _WINDOW + 2 * _SEARCH]
        shift = int(np.argmax(np.correlate(region, expected, "valid"))) if step else _SEARCH
        start = at + shift
        result[step * _HOP : step * _HOP + _WINDOW] += padded[start : start + _WINDOW] * window
        # What would follow naturally is what the next window should look like.
        expected = padded[start + _HOP : start + _HOP + _WINDOW]
        if len(expected) < _WINDOW:
            expected = np.pad(expected, (0, _WINDOW - len(expected)))
    return result[: int(len(audio) * factor)]
