"""A recogniser of one's own that hears tones: what it was given is known exactly."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

RATE_HZ = 16_000


class Engine:
    """Says which pitch a piece has, and for how many seconds there is sound."""

    def recognize(self, pcm: bytes, language: str, hints: Sequence[str]) -> tuple[str, float]:
        """Return for instance `700 Hz for 2 s`."""
        samples = np.frombuffer(pcm, dtype="<i2").astype(np.float64)
        spectrum = np.abs(np.fft.rfft(samples))
        pitch_hz = round(float(np.argmax(spectrum)) * RATE_HZ / len(samples) / 10) * 10
        moments = samples[: len(samples) // 160 * 160].reshape(-1, 160)
        seconds = round(float(np.sum(np.sqrt(np.mean(moments**2, axis=1)) > 300)) / 100)
        return f"{pitch_hz} Hz for {seconds} s", 0.5
