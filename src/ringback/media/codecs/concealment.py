"""Packet loss concealment: a lost stretch sounds like its past, then fades away.

The last pitch period is found by normalised correlation and repeated; after 20 ms the level falls linearly to nothing
at 100 ms; the first 5 ms of good audio are cross-faded with what would have come next.

Spec: in the manner of ITU-T G.711 Appendix I, without its 3.75 ms delay: instead of overlapping the end of the past
with the first period, the step between both is spread over the first quarter period.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ringback.media.codecs.l16 import clipped, samples_of

HISTORY_SAMPLES = 320
"""Past audio that `Concealer.begin` wants; with less it gives silence."""

_LAG_MIN = 40
_LAG_MAX = 160
_MATCH = 160
_HOLD_SAMPLES = 160
_FADE_END_SAMPLES = 800
CROSSFADE_SAMPLES = 40
_FADE_IN = np.linspace(0.0, 1.0, CROSSFADE_SAMPLES, dtype=np.float32)


def _pitch_lag(past: NDArray[np.float32]) -> int:
    """Return the lag in samples, 40 to 160, at which the past resembles its own last 20 ms most."""
    template = past[-_MATCH:]
    region = past[-_MATCH - _LAG_MAX : -_LAG_MIN]
    products = np.correlate(region, template, "valid")
    squares = np.concatenate(([0.0], np.cumsum(np.square(region, dtype=np.float64))))
    energies = squares[_MATCH:] - squares[:-_MATCH]
    return _LAG_MAX - int(np.argmax(products / np.sqrt(energies + 1.0)))


class Concealer:
    """Makes up the audio of lost packets on one leg.

    State: `begin` with the past, `make` as often as audio is missing, `recover` once with the first good audio.
    """

    __slots__ = ("_made", "_period", "is_active")

    def __init__(self) -> None:
        self.is_active = False
        """Whether made-up audio was the last to be given out."""
        self._period: NDArray[np.float32] = np.zeros(_LAG_MIN, dtype=np.float32)
        self._made = 0

    def begin(self, past: bytes) -> None:
        """Learn the pitch of the past (native linear audio, 40 ms or more) that ends where the loss begins."""
        self.is_active = True
        self._made = 0
        samples = samples_of(past).astype(np.float32)
        if len(samples) < HISTORY_SAMPLES:
            self._made = _FADE_END_SAMPLES
            return
        samples = samples[-HISTORY_SAMPLES:]
        lag = _pitch_lag(samples)
        period = samples[-lag:].copy()
        quarter = max(lag // 4, 1)
        period[:quarter] += (samples[-1] - samples[-lag - 1]) * np.linspace(1.0, 0.0, quarter, dtype=np.float32)
        self._period = period

    def make(self, count: int) -> bytes:
        """Return the next `count` samples of made-up native linear audio."""
        if self._made >= _FADE_END_SAMPLES:
            return bytes(2 * count)
        return clipped(self._continue(count))

    def recover(self, pcm: bytes) -> bytes:
        """Return good audio with its first 5 ms cross-faded from the made-up audio."""
        self.is_active = False
        count = min(CROSSFADE_SAMPLES, len(pcm) // 2)
        fade_in = _FADE_IN[:count]
        head = samples_of(pcm)[:count] * fade_in
        if self._made < _FADE_END_SAMPLES:
            head += self._continue(count) * (np.float32(1.0) - fade_in)
        return clipped(head.astype(np.float32)) + pcm[2 * count :]

    def _continue(self, count: int) -> NDArray[np.float32]:
        at = np.arange(self._made, self._made + count)
        self._made += count
        gain = np.clip((_FADE_END_SAMPLES - at) / (_FADE_END_SAMPLES - _HOLD_SAMPLES), 0.0, 1.0).astype(np.float32)
        made: NDArray[np.float32] = self._period[at % len(self._period)] * gain
        return made


def shortened(pcm: bytes, drop_samples: int) -> bytes:
    """Return native linear audio without its first `drop_samples`, entered by a 5 ms cross-fade from its old start.

    Shape: `drop_samples` fewer samples; the audio must be longer than the drop plus 5 ms, else it is only cut.
    """
    samples = samples_of(pcm)
    rest = samples[drop_samples:]
    if len(rest) < CROSSFADE_SAMPLES:
        return rest.tobytes()
    old_start = samples[:CROSSFADE_SAMPLES].astype(np.float32) * (np.float32(1.0) - _FADE_IN)
    head = rest[:CROSSFADE_SAMPLES] * _FADE_IN + old_start
    return clipped(head) + rest[CROSSFADE_SAMPLES:].tobytes()


def ramp_down(level: int, count: int) -> bytes:
    """Return `count` samples that lead from `level` to silence within 2 ms, so that an abrupt end makes no click."""
    steps = min(16, count)
    ramp = np.zeros(count, dtype=np.float32)
    ramp[:steps] = level * np.linspace(1.0, 0.0, steps + 1, dtype=np.float32)[1:]
    return clipped(ramp)
