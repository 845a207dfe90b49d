"""What a noise suppression engine is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ringback.errors import MediaError

Samples = NDArray[np.float32]
"""Samples from -1 to 1."""


class EngineMissing(MediaError):
    """The engine's library is not installed."""

    default_code = "noise-engine-missing"


class NoiseEngine(Protocol):
    """Takes the noise out of one voice.

    State: it follows one voice and its noise; `process` takes every 20 ms in order.
    """

    @property
    def lag(self) -> int:
        """Return how many samples the output is behind the input."""

    def process(self, samples: Samples) -> Samples:
        """Return 20 ms without noise for 20 ms."""


@dataclass(frozen=True, slots=True)
class EngineKind:
    """What is known of an engine before it is had."""

    name: str
    rate_hz: int
    lag_samples: int
    """How late it makes a voice, in samples at 8000 Hz, the filters for its rate included."""
    library: str
    install: str
    """How its library is had."""
