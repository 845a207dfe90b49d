"""Tones as linear audio: digits for peers without telephone-event, test tones."""

from __future__ import annotations

import numpy as np

from ringback.media.codecs.l16 import clipped, to_stream

RATE_HZ = 8000
_EDGE_SAMPLES = 40
_ROWS_HZ = (697, 770, 852, 941)
_COLUMNS_HZ = (1209, 1336, 1477, 1633)
_KEYPAD = "123A456B789C*0#D"
DIGIT_LEVEL_DBOV = -12


def digit_frequencies(digit: str) -> tuple[int, int]:
    """Return the two frequencies of a digit, `0-9*#A-D` (ITU-T Q.23)."""
    index = _KEYPAD.index(digit.upper())
    return _ROWS_HZ[index // 4], _COLUMNS_HZ[index % 4]


def tone(frequencies_hz: tuple[float, ...], duration_ms: int, level_dbov: float) -> bytes:
    """Return a sum of sines, each at `level_dbov`, with 5 ms edges: 8000 Hz, signed 16-bit little-endian."""
    count = duration_ms * RATE_HZ // 1000
    at = np.arange(count) / RATE_HZ
    amplitude = 32767.0 * 10.0 ** (level_dbov / 20.0)
    wave = np.zeros(count, dtype=np.float32)
    for frequency in frequencies_hz:
        wave += (amplitude * np.sin(2.0 * np.pi * frequency * at)).astype(np.float32)
    edge = min(_EDGE_SAMPLES, count // 2)
    if edge:
        ramp = np.linspace(0.0, 1.0, edge, dtype=np.float32)
        wave[:edge] *= ramp
        wave[count - edge :] *= ramp[::-1]
    return to_stream(clipped(wave))


def digit_tone(digit: str, duration_ms: int) -> bytes:
    """Return the two tones of a digit."""
    return tone(digit_frequencies(digit), duration_ms, DIGIT_LEVEL_DBOV)
