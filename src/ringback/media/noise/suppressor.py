"""One voice through an engine: rates, delay and level.

A level of 60 to 100 is the share of the engine's output; the rest is the voice as it came, delayed by the engine's lag
so that both are in step. All of it would take more words from a recogniser than noise does (product.md 9.2).
"""

from __future__ import annotations

import numpy as np

from ringback.media.codecs.l16 import samples_of
from ringback.media.codecs.resample import Decimator, Doubler
from ringback.media.noise.engine import EngineKind, NoiseEngine, Samples

LEAST_LEVEL = 60
MOST_LEVEL = 100
LEG_RATE_HZ = 8_000


class Suppressor:
    """Takes the noise out of one leg's audio.

    State: `process` takes every 20 ms in order.
    """

    __slots__ = ("_down", "_dry", "_engine", "_up", "_wet", "lag_ms")

    def __init__(self, kind: EngineKind, engine: NoiseEngine, level: int) -> None:
        self._engine = engine
        self._wet = np.float32(min(max(level, LEAST_LEVEL), MOST_LEVEL) / 100)
        self._up = Doubler() if kind.rate_hz != LEG_RATE_HZ else None
        self._down = Decimator(2) if kind.rate_hz != LEG_RATE_HZ else None
        self._dry = np.zeros(engine.lag, np.float32)
        self.lag_ms = engine.lag * 1000 / kind.rate_hz
        """How late the audio becomes, without the filters for the rate (3 ms); with them `EngineKind.lag_samples`."""

    def process(self, pcm: bytes) -> bytes:
        """Return 20 ms of native 16-bit audio, 8000 Hz, for 20 ms."""
        samples = _unit(pcm if self._up is None else self._up.process(pcm))
        clean = self._engine.process(samples)
        dry = np.concatenate([self._dry, samples])
        self._dry = dry[len(samples) :]
        mixed = _native((self._wet * clean + (np.float32(1) - self._wet) * dry[: len(samples)]).astype(np.float32))
        return mixed if self._down is None else self._down.process(mixed)


class DryPath:
    """One voice as it came, as late as an engine makes it: what is heard when the engine is late.

    State: `process` takes every 20 ms in order.
    """

    __slots__ = ("_past",)

    def __init__(self, lag_samples: int) -> None:
        self._past = bytes(2 * lag_samples)

    def process(self, pcm: bytes) -> bytes:
        """Return as much native 16-bit audio as it takes."""
        line = self._past + pcm
        self._past = line[len(pcm) :]
        return line[: len(pcm)]


def _unit(pcm: bytes) -> Samples:
    return samples_of(pcm).astype(np.float32) / np.float32(32_768.0)


def _native(samples: Samples) -> bytes:
    pcm: bytes = np.clip(np.rint(samples * 32_768.0), -32_768, 32_767).astype(np.int16).tobytes()
    return pcm
