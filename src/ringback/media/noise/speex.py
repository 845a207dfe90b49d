"""The suppressor of Speex, at 8 kHz: a spectral subtraction that costs next to nothing."""

from __future__ import annotations

import numpy as np
from speexdsp_ns import NoiseSuppression

from ringback.media.noise.engine import Samples

_STEP = 80
"""10 ms."""


class SpeexEngine:
    """One stream's suppressor."""

    lag = _STEP

    def __init__(self) -> None:
        self._suppressor = NoiseSuppression.create(_STEP, 8_000)

    def process(self, samples: Samples) -> Samples:
        """Return 160 samples without noise for 160."""
        pcm = np.clip(samples * 32_768.0, -32_768, 32_767).astype(np.int16)
        parts = [
            np.frombuffer(self._suppressor.process(pcm[at : at + _STEP].tobytes()), np.int16)
            for at in range(0, len(pcm), _STEP)
        ]
        return np.concatenate(parts).astype(np.float32) / 32_768.0
