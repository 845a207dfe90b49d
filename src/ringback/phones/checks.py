"""What a phone measures of the audio that came back. Pure: arrays in, figures out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ringback.machine import MS, Instant
from ringback.phones import tones

RATE_HZ = 8_000
HEARD_DBOV = -50.0
"""Louder than this counts as sound: comfort noise and line hum are below."""
HEARD_MIN_MS = 100
"""So much sound makes `audio came back` true: a click does not."""
_ECHO_LIKENESS = 0.5


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back in one call.

    `first_audio_ms` counts from the answer. `round_trip_ms` is set when what was sent was found again; it includes
    every buffer on the way. `likeness` is 1 for an exact copy. Levels in dBov.
    """

    has_audio: bool
    sound_ms: int
    level_dbov: float
    pitch_hz: float
    first_audio_ms: int | None = None
    round_trip_ms: float | None = None
    likeness: float = 0.0
    sent_level_dbov: float = tones.SILENCE_DBOV


@dataclass(frozen=True, slots=True)
class Take:
    """A run of samples and when the first of them was sent or had arrived."""

    samples: tones.Samples
    start: Instant


def judge(sent: Take | None, received: Take | None, answered: Instant) -> Heard:
    """Return the figures of one call from what was sent and what was received."""
    if received is None or not len(received.samples):
        return Heard(has_audio=False, sound_ms=0, level_dbov=tones.SILENCE_DBOV, pitch_hz=0.0)
    levels = tones.levels_dbov(received.samples, RATE_HZ)
    loud = np.flatnonzero(levels > HEARD_DBOV)
    sound_ms = 20 * len(loud)
    sounding = _where(received.samples, loud)
    first_audio_ms = None
    if len(loud):
        first_audio_ms = int((received.start - answered) // MS) + 20 * int(loud[0])
    round_trip_ms, likeness, sent_level = _round_trip(sent, received)
    return Heard(
        has_audio=sound_ms >= HEARD_MIN_MS,
        sound_ms=sound_ms,
        level_dbov=round(tones.level_dbov(sounding), 1),
        pitch_hz=round(tones.pitch_hz(sounding, RATE_HZ), 1),
        first_audio_ms=first_audio_ms,
        round_trip_ms=round_trip_ms,
        likeness=likeness,
        sent_level_dbov=sent_level,
    )


def _where(samples: tones.Samples, windows: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> tones.Samples:
    size = 20 * RATE_HZ // 1000
    return np.concatenate([samples[at * size : (at + 1) * size] for at in windows] or [samples[:0]])


def _round_trip(sent: Take | None, received: Take) -> tuple[float | None, float, float]:
    """Return the delay in milliseconds, the likeness and the level of what was sent."""
    if sent is None or not np.any(sent.samples):
        return None, 0.0, tones.SILENCE_DBOV
    sent_level = round(tones.level_dbov(sent.samples), 1)
    match = tones.find(sent.samples, received.samples)
    if match.likeness < _ECHO_LIKENESS:
        return None, round(match.likeness, 3), sent_level
    delay_ms = (received.start - sent.start) / MS + match.lag_samples * 1000 / RATE_HZ
    return round(delay_ms, 1), round(match.likeness, 3), sent_level
