"""The tone that a caller hears while somebody is being rung, as a wav file. Pure.

Spec: ITU-T E.180 supplement 2, North America: 440 and 480 Hz, 2 s on, 4 s off.
"""

from __future__ import annotations

from array import array
from math import pi, sin
from struct import pack
from sys import byteorder

_RATE_HZ = 8_000
_PITCHES_HZ = (440, 480)
_ON_S = 2
_OFF_S = 4
_PEAK = 3_000
"""Of each pitch: about -19 dBov in all, as exchanges send it."""


def ring_tone() -> bytes:
    """Return one period of the tone: 16 bit, 8 kHz, mono."""
    steps = [2 * pi * pitch / _RATE_HZ for pitch in _PITCHES_HZ]
    samples = array("h", (int(_PEAK * sum(sin(step * at) for step in steps)) for at in range(_RATE_HZ * _ON_S)))
    samples.extend([0] * (_RATE_HZ * _OFF_S))
    if byteorder == "big":
        samples.byteswap()
    audio = samples.tobytes()
    form = pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE_HZ, 2 * _RATE_HZ, 2, 16)
    body = b"WAVE" + form + pack("<4sI", b"data", len(audio)) + audio
    return pack("<4sI", b"RIFF", len(body)) + body
