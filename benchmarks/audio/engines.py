"""Audio through an engine as a stream has it."""

from __future__ import annotations

import numpy as np
from tests.support.noisy_speech import frames

from benchmarks.audio.measures import Samples
from ringback.media.noise.engine import EngineKind
from ringback.media.noise.engines import make_engine
from ringback.media.noise.suppressor import Suppressor


def through(kind: EngineKind, level: int, pcm: np.ndarray) -> Samples:  # type: ignore[type-arg]
    """Return audio behind an engine, its lag taken off."""
    suppressor = Suppressor(kind, make_engine(kind), level)
    padded = np.concatenate([pcm, np.zeros(800, np.int16)])
    heard = np.frombuffer(b"".join(suppressor.process(frame) for frame in frames(padded)), np.int16).astype(np.float64)
    return np.asarray(heard[kind.lag_samples : kind.lag_samples + len(pcm)])
