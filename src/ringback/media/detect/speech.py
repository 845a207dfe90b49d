"""Speech or silence, by energy: frames that stand out of the line's noise, for long enough to be more than a click.

Measured against the line's own noise, which is learned as it goes: the quietest of late counts as noise.
"""

from __future__ import annotations

import audioop

FRAME_MS = 20

_LEAST_LEVEL = 100
"""Root mean square below which nothing is speech: -50 dBov."""
_ABOVE_NOISE = 3.0
"""Speech is 9.5 dB louder than the noise."""
_NOISE_MAX = 1_500.0
"""-27 dBov: a louder line is one on which somebody speaks all the time."""
_FIRST_FRAMES = 5
_FIRST_NOISE_MAX = 300.0
"""The first 100 ms of a line are taken for its noise, unless they are louder than lines are: -41 dBov."""
_RISE = 1.01
"""Per frame: noise that grows by 10 dB is learned within 2.3 s."""
_RISE_IN_SPEECH = 1.001
_WINDOW = 8
_ONSET_FRAMES = 5
"""100 ms of sound within 160 ms: shorter than any word, longer than a click."""
_RESUMED_FRAMES = 3
"""60 ms of sound in a row break a silence."""


class SpeechDetector:
    """Follows one voice.

    State: `take` every 20 ms frame in order; `is_speaking` from an onset until `silence_ms` of silence were taken.
    """

    __slots__ = (
        "_first_frames",
        "_loud_run",
        "_noise",
        "_quiet_frames",
        "_recent",
        "_silence_frames",
        "is_loud",
        "is_speaking",
    )

    def __init__(self, silence_ms: int) -> None:
        self.is_speaking = False
        self.is_loud = False
        """Whether the newest frame stood out of the noise."""
        self._silence_frames = max(1, silence_ms // FRAME_MS) if silence_ms else 0
        self._noise = _FIRST_NOISE_MAX
        self._first_frames = _FIRST_FRAMES
        self._recent = 0
        self._loud_run = 0
        self._quiet_frames = 0

    @property
    def silence_ms(self) -> int:
        """Return how long nothing was heard."""
        return self._quiet_frames * FRAME_MS

    def take(self, pcm: bytes) -> tuple[bool, bool]:
        """Take 20 ms of native 16-bit audio; returns whether speech begins with it, and whether silence is reached.

        Silence is reached once each time it has lasted, from the start or from the last sound.
        """
        is_loud = self.is_loud = self._is_loud(audioop.rms(pcm, 2))
        self._recent = (self._recent << 1 | is_loud) & ((1 << _WINDOW) - 1)
        self._loud_run = self._loud_run + 1 if is_loud else 0
        begins = not self.is_speaking and self._recent.bit_count() >= _ONSET_FRAMES
        if begins:
            self.is_speaking = True
        if begins or self._loud_run >= _RESUMED_FRAMES:
            self._quiet_frames = 0
        elif not is_loud:
            self._quiet_frames += 1
        is_silent = self._silence_frames > 0 and self._quiet_frames == self._silence_frames and not is_loud
        if is_silent:
            self.is_speaking = False
            self._recent = 0
        return begins, is_silent

    def _is_loud(self, level: int) -> bool:
        if self._first_frames:
            self._first_frames -= 1
            self._noise = min(self._noise, max(level, 1.0))
            return level > _FIRST_NOISE_MAX * _ABOVE_NOISE
        noise = self._noise
        is_loud = level > max(_LEAST_LEVEL, noise * _ABOVE_NOISE)
        if level < noise:
            self._noise = max((noise + level) / 2, 1.0)
        elif noise < _NOISE_MAX:
            self._noise = noise * (_RISE_IN_SPEECH if self.is_speaking else _RISE)
        return is_loud
