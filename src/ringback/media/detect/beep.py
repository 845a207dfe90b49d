"""The beep of a voicemail: one clean, steady tone that ends in silence.

Rejected are what else sounds like tones on a line: ringing and keys (two tones), vowels and music (harmonics, a pitch
that moves), modems and faults (a tone that does not end within 4 s).
Spec: reference product.md, machine detection, item 3.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 8_000
FRAME_MS = 20

LOWEST_HZ = 400
HIGHEST_HZ = 2_000
_LONGEST_MS = 4_000
_PURITY_MIN = 0.85
"""Part of the energy within 31 Hz of the peak."""
_PEAK_BINS = 2
_STEADY_HZ = 12.0
_ODD_MAX_FRAMES = 3
"""A tone may fade: so much of something else between it and the silence."""
_WINDOW_FRAMES = 4
"""80 ms: 12.5 Hz a bin, which tells the two tones of ringing (440 and 480 Hz) apart."""
_WINDOW = _WINDOW_FRAMES * RATE_HZ * FRAME_MS // 1000
_HANN = np.hanning(_WINDOW).astype(np.float32)


@dataclass(frozen=True, slots=True)
class Beep:
    """A beep that has just ended."""

    pitch_hz: int
    duration_ms: int


class BeepDetector:
    """Looks for beeps.

    State: `take` every 20 ms frame in order.
    """

    __slots__ = (
        "_frames",
        "_gap_frames",
        "_least_frames",
        "_odd_frames",
        "_pitch",
        "_silent",
        "_threshold",
        "_tone_frames",
    )

    def __init__(self, least_ms: int = 300, gap_ms: int = 50, threshold: int = 256) -> None:
        """Look for tones of at least `least_ms`, followed by `gap_ms` whose root mean square is below `threshold`."""
        self._least_frames = max(1, least_ms // FRAME_MS)
        self._gap_frames = max(1, -(-gap_ms // FRAME_MS))
        self._threshold = float(max(1, threshold))
        self._frames: list[NDArray[np.int16]] = []
        self._pitch = 0.0
        self._tone_frames = 0
        self._silent = 0
        self._odd_frames = 0

    def take(self, pcm: bytes) -> Beep | None:
        """Take 20 ms of native 16-bit audio; returns a beep once it has ended in silence."""
        frame = np.frombuffer(pcm, dtype=np.int16)
        self._frames = [*self._frames[-_WINDOW_FRAMES + 1 :], frame]
        level = float(np.sqrt(np.mean(np.square(frame, dtype=np.float32))))
        if level < self._threshold:
            return self._silence()
        self._silent = 0
        if len(self._frames) < _WINDOW_FRAMES:
            return None
        pitch = self._tone_pitch()
        if pitch and self._tone_frames and abs(pitch - self._pitch) <= _STEADY_HZ:
            self._tone_frames += 1
            self._odd_frames = 0
        elif pitch:
            # The window was filled by the tone alone: that much of it has been heard already.
            self._pitch, self._tone_frames, self._odd_frames = pitch, _WINDOW_FRAMES, 0
        elif self._tone_frames:
            self._odd_frames += 1
            if self._odd_frames > _ODD_MAX_FRAMES:
                self._tone_frames = 0
        return None

    def _silence(self) -> Beep | None:
        self._frames.clear()
        self._silent += 1
        if self._silent < self._gap_frames or not self._tone_frames:
            return None
        frames, self._tone_frames = self._tone_frames, 0
        if not self._least_frames <= frames <= _LONGEST_MS // FRAME_MS:
            return None
        return Beep(round(self._pitch), frames * FRAME_MS)

    def _tone_pitch(self) -> float:
        """Return the pitch of a clean tone in the window, 0 without one."""
        power = np.abs(np.fft.rfft(np.concatenate(self._frames) * _HANN)) ** 2
        power[0] = 0.0
        peak = int(power.argmax())
        total = float(power.sum())
        if total <= 0.0 or peak < _PEAK_BINS + 1 or peak >= len(power) - _PEAK_BINS - 1:
            return 0.0
        if float(power[peak - _PEAK_BINS : peak + _PEAK_BINS + 1].sum()) < _PURITY_MIN * total:
            return 0.0
        left, middle, right = (float(np.log(power[peak + step] + 1e-9)) for step in (-1, 0, 1))
        bow = left - 2 * middle + right
        offset = 0.5 * (left - right) / bow if bow else 0.0
        pitch = (peak + offset) * RATE_HZ / _WINDOW
        return pitch if LOWEST_HZ <= pitch <= HIGHEST_HZ else 0.0
