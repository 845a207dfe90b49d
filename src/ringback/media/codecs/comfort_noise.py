"""Comfort noise: faint hiss at the level that a silent talker asked for.

Spec: RFC 3389. Only the level byte is used; spectral information is ignored (white noise, band-limited by the leg).
"""

from __future__ import annotations

import numpy as np

from ringback.media.codecs.l16 import clipped

PAYLOAD_TYPE = 13
"""Static payload type of comfort noise at 8000 Hz (RFC 3551 §6)."""
_LOUDEST_DBOV = 30
"""A peer may not make us hiss louder than -30 dBov, whatever it signals."""
_QUIETEST_DBOV = 78
"""Below this the noise is less than one step of the quietest G.711 segment."""

# One second of unit noise; the seed is fixed so that tests repeat bit for bit.
_NOISE = np.random.default_rng(3389).standard_normal(8000).astype(np.float32)
_FULL_SCALE_RMS = 32768.0 / np.sqrt(2.0)


def noise_level(payload: bytes) -> int:
    """Return the noise level of a comfort noise payload, as positive -dBov; the quietest when it is empty."""
    return max(payload[0] & 0x7F, _LOUDEST_DBOV) if payload else 127


class ComfortNoise:
    """An endless noise source for one leg."""

    __slots__ = ("_at",)

    def __init__(self) -> None:
        self._at = 0

    def take(self, count: int, level: int) -> bytes:
        """Return `count` samples of native linear noise, `level` dB below full scale."""
        if level > _QUIETEST_DBOV:
            return bytes(2 * count)
        at = (np.arange(count) + self._at) % len(_NOISE)
        self._at = (self._at + count) % len(_NOISE)
        amplitude = np.float32(_FULL_SCALE_RMS * 10.0 ** (-level / 20.0))
        return clipped(_NOISE[at] * amplitude)
