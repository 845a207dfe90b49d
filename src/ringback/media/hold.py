"""What the far party hears while an agent is away: a sound under everything else, which goes when it is not needed."""

from __future__ import annotations

import audioop
from functools import lru_cache

import numpy as np

from ringback.media.codecs.l16 import clipped, samples_of, to_native, to_stream
from ringback.media.playback import FRAME_SAMPLES, PcmClip, PcmSource
from ringback.media.tone import tone

COMFORT_HZ = (440.0,)
COMFORT_LEVEL_DBOV = -26
COMFORT_ON_MS = 240
COMFORT_PERIOD_MS = 1_600
_FRAME_BYTES = 2 * FRAME_SAMPLES
_SILENCE = bytes(_FRAME_BYTES)
_RAMP = np.linspace(0.0, 1.0, FRAME_SAMPLES, dtype=np.float32)


@lru_cache(maxsize=1)
def _comfort_pcm() -> bytes:
    return tone(COMFORT_HZ, COMFORT_ON_MS, COMFORT_LEVEL_DBOV) + bytes(16 * (COMFORT_PERIOD_MS - COMFORT_ON_MS))


def comfort_tone() -> PcmClip:
    """Return the built-in hold sound, for ever: a soft short tone now and then that says that the line is alive."""
    return PcmClip(_comfort_pcm(), 0)


class HoldSound:
    """The hold sound of one leg.

    State: silent until `play`. `take` once per slot while `is_on`. It stands still while something else is to be heard
    and never begins or ends abruptly. A source that is exhausted or starved gives silence.
    """

    __slots__ = ("_is_audible", "_source", "played_frames")

    def __init__(self) -> None:
        self.played_frames = 0
        """Slots in which it was heard."""
        self._source: PcmSource | None = None
        self._is_audible = False

    @property
    def is_on(self) -> bool:
        """Return whether `take` has to be called."""
        return self._source is not None or self._is_audible

    def play(self, source: PcmSource | None) -> None:
        """Play this from now on; `None` fades what is heard."""
        self._source = source if source is not None or not self._is_audible else _Fading(self._source)

    def under(self, pcm: bytes, *, is_free: bool) -> bytes:
        """Return a slot's linear audio with the hold sound under it.

        Args:
            pcm: What playbacks gave for the slot, up to 320 bytes in the order of streams.
            is_free: Whether nothing else is to be heard besides.
        """
        held = self.take(is_free=is_free and not pcm)
        if not held or not pcm:
            return to_stream(held) or pcm
        return to_stream(audioop.add(held, to_native(pcm + _SILENCE)[:_FRAME_BYTES], 2))

    def take(self, *, is_free: bool) -> bytes:
        """Return the slot's 320 bytes of linear audio, empty for silence.

        Args:
            is_free: Whether nothing else is to be heard in this slot.
        """
        source = self._source
        is_wanted = is_free and source is not None and not isinstance(source, _Fading)
        if not is_wanted and not self._is_audible:
            self._forget_faded()
            return b""
        pcm = (source.take(FRAME_SAMPLES) or b"") if source is not None else b""
        frame = (to_native(pcm) + _SILENCE)[:_FRAME_BYTES]
        if not is_wanted:
            self._is_audible = False
            self._forget_faded()
            return _shaped(frame, _RAMP[::-1])
        if not self._is_audible:
            self._is_audible = True
            frame = _shaped(frame, _RAMP)
        self.played_frames += 1
        return frame

    def _forget_faded(self) -> None:
        if isinstance(self._source, _Fading):
            self._source = None


class _Fading:
    """A source whose last slot is due."""

    __slots__ = ("_source",)

    def __init__(self, source: PcmSource | None) -> None:
        self._source = source

    def take(self, samples: int) -> bytes | None:
        return self._source.take(samples) if self._source is not None else None


def _shaped(frame: bytes, ramp: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> bytes:
    return to_native(to_stream(clipped(samples_of(frame) * ramp)))
