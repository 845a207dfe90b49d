"""Change of sample rate in 20 ms steps with a fixed, short delay.

Half-band and integer-factor FIR filters in numpy: every input of a whole number of periods gives exactly its share of
output samples, 1.5 ms late. Measured 2026-11-22: 6 to 9 µs per 20 ms frame.

Deviation from the plan: soxr's streaming resampler was measured first. Above its quickest setting it holds audio back
and gives it out in lumps of 60 to 110 ms (LQ: 0, 0, 0, 940 samples ...), and the quickest setting does not filter
aliases. soxr is used where audio is complete at once (`resample_clip`).
"""

from __future__ import annotations

import audioop

import numpy as np
import soxr
from numpy.typing import NDArray

from ringback.media.codecs.l16 import clipped, rounded, samples_of

_TAPS_PER_PHASE = 24
_KAISER_BETA = 5.65
"""60 dB of stop band: pass band to 3.4 kHz, stop band from 4.6 kHz at 16 kHz."""


def _low_pass(factor: int) -> NDArray[np.float32]:
    """Return a linear-phase low-pass of unit gain at 1/`factor` of the half rate, `24 * factor - 1` taps."""
    half = _TAPS_PER_PHASE * factor // 2
    at = np.arange(-half + 1, half, dtype=np.float64)
    taps = np.sinc(at / factor) * np.kaiser(2 * half - 1, _KAISER_BETA)
    unit: NDArray[np.float32] = (taps / taps.sum()).astype(np.float32)
    return unit


_HALF_BAND = _low_pass(2)
_ODD_TAPS = np.ascontiguousarray(_HALF_BAND[0::2])
"""The taps on whole output periods of the finer rate; in a half-band filter the others are zero but the middle one."""
_MIDDLE_TAP = np.float32(_HALF_BAND[len(_HALF_BAND) // 2])
_UP_TAPS = np.ascontiguousarray(_ODD_TAPS * np.float32(2.0))
_HISTORY = len(_ODD_TAPS) - 1


_FRAME_SAMPLES = 160
_SAFE_PEAK = 14_000
"""Up to this level no filter here overshoots 16 bits (the sum of its taps' magnitudes is below 2.3)."""


class _DelayLine:
    """The end of the past followed by new samples, as one array; a frame of the usual size needs no new array.

    State: the array handed out is valid until the next call.
    """

    __slots__ = ("_array", "_past", "_peak", "_size", "is_loud")

    def __init__(self, past: int, size: int) -> None:
        self._past = past
        self._size = size
        self._array = np.zeros(past + size, dtype=np.float32)
        self._peak = 0
        self.is_loud = False
        """Whether the array holds a sample so high that the filter may overshoot."""

    def reset(self) -> None:
        """Forget the past."""
        self._array[:] = 0.0
        self._peak = 0

    def extend(self, pcm: bytes) -> NDArray[np.float32]:
        """Return the past and the samples of `pcm`, which are the past of the next call."""
        past, size, array = self._past, self._size, self._array
        peak = audioop.max(pcm, 2)
        self.is_loud = peak > _SAFE_PEAK or self._peak > _SAFE_PEAK
        if len(pcm) == 2 * size:
            self._peak = peak
            array[:past] = array[size:]
            array[past:] = samples_of(pcm)
            return array
        # A chunk shorter than the filter leaves older samples in it: their peak counts on.
        self._peak = max(peak, self._peak) if len(pcm) < 2 * past else peak
        line = np.concatenate((array[size:], samples_of(pcm)), dtype=np.float32)
        array[size:] = line[len(line) - past :]
        return line


class Doubler:
    """Streaming 8 → 16 kHz: each sample becomes two, 1.5 ms later.

    State: remembers the last samples; `reset` forgets them.
    """

    __slots__ = ("_line",)

    def __init__(self) -> None:
        self._line = _DelayLine(_HISTORY, _FRAME_SAMPLES)

    def reset(self) -> None:
        """Start again as after silence."""
        self._line.reset()

    def process(self, pcm: bytes) -> bytes:
        """Return twice as many samples of native linear audio."""
        if not pcm:
            return b""
        count = len(pcm) // 2
        line = self._line.extend(pcm)
        out = np.empty(2 * count, dtype=np.float32)
        out[0::2] = np.correlate(line, _UP_TAPS, "valid")
        # With an even number of taps the middle of the window lies between two samples: the untouched ones.
        out[1::2] = line[_HISTORY // 2 + 1 : _HISTORY // 2 + 1 + count]
        return clipped(out) if self._line.is_loud else rounded(out)


class Decimator:
    """Streaming n·8 → 8 kHz: `factor` samples become one, about 1.5 ms later.

    State: remembers the last samples; `reset` forgets them. Input is a whole number of `factor` samples.
    """

    __slots__ = ("_factor", "_line", "_taps")

    def __init__(self, factor: int) -> None:
        self._factor = factor
        self._taps = _low_pass(factor)
        self._line = _DelayLine(len(self._taps) - 1, factor * _FRAME_SAMPLES)

    def reset(self) -> None:
        """Start again as after silence."""
        self._line.reset()

    def process(self, pcm: bytes) -> bytes:
        """Return one of `factor` samples of native linear audio."""
        if not pcm:
            return b""
        line = self._line.extend(pcm)
        if self._factor == 2:
            # Half-band: every second tap is zero, so the two phases of the input are filtered apart.
            out = np.correlate(line[0::2], _ODD_TAPS, "valid")
            middle = line[1::2][_HISTORY // 2 : _HISTORY // 2 + len(out)]
            out += middle * _MIDDLE_TAP
        else:
            out = np.ascontiguousarray(np.correlate(line, self._taps, "valid")[:: self._factor])
        return clipped(out) if self._line.is_loud else rounded(out)


def resample_clip(pcm: bytes, rate_hz: int, target_hz: int) -> bytes:
    """Return a complete piece of native linear audio at another rate."""
    if rate_hz == target_hz or not pcm:
        return pcm
    resampled: NDArray[np.float32] = soxr.resample(samples_of(pcm).astype(np.float32), rate_hz, target_hz)
    return clipped(resampled)
