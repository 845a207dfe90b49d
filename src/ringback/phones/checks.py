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
_PIECE_SAMPLES = RATE_HZ // 2
_SEARCH_SAMPLES = RATE_HZ * 2 // 5
"""A piece is looked for up to 0.4 s away from where the whole fits best."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What came back in one call.

    `first_audio_ms` counts from the answer. The round trip is set when what was sent was found again; it includes every
    buffer on the way; `round_trip_ms` is the median over pieces of half a second, `round_trip_max_ms` the worst piece.
    `likeness` is their mean, 1 for an exact copy. Levels in dBov.
    """

    has_audio: bool
    sound_ms: int
    level_dbov: float
    pitch_hz: float
    first_audio_ms: int | None = None
    round_trip_ms: float | None = None
    round_trip_max_ms: float | None = None
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
    trips, likeness = _round_trips(sent, received) if sent is not None else ([], 0.0)
    return Heard(
        has_audio=sound_ms >= HEARD_MIN_MS,
        sound_ms=sound_ms,
        level_dbov=round(tones.level_dbov(sounding), 1),
        pitch_hz=round(tones.pitch_hz(sounding, RATE_HZ), 1),
        first_audio_ms=first_audio_ms,
        round_trip_ms=round(float(np.median(trips)), 1) if trips else None,
        round_trip_max_ms=round(max(trips), 1) if trips else None,
        likeness=round(likeness, 3),
        sent_level_dbov=round(tones.level_dbov(sent.samples), 1) if sent is not None else tones.SILENCE_DBOV,
    )


def _where(samples: tones.Samples, windows: np.ndarray[tuple[int, ...], np.dtype[np.intp]]) -> tones.Samples:
    size = 20 * RATE_HZ // 1000
    return np.concatenate([samples[at * size : (at + 1) * size] for at in windows] or [samples[:0]])


def _round_trips(sent: Take, received: Take) -> tuple[list[float], float]:
    """Return the delay in milliseconds of every piece that was found again, and the mean likeness of all pieces.

    Pieces, because a buffer on the way may grow during the call: then no single shift fits the whole. Sent audio that
    belongs to the time before the first received sample, or after the last one, cannot come back and is left out.
    """
    offset_ms = (received.start - sent.start) / MS
    whole = tones.find(sent.samples, received.samples)
    first = max(-whole.lag_samples, 0)
    last = min(len(sent.samples), len(received.samples) - whole.lag_samples)
    trips: list[float] = []
    likeness: list[float] = []
    for start in range(first, max(last - _PIECE_SAMPLES // 2, first + 1), _PIECE_SAMPLES):
        piece = sent.samples[start : min(start + _PIECE_SAMPLES, last)]
        if tones.level_dbov(piece) < HEARD_DBOV:
            continue
        begin = max(start + whole.lag_samples - _SEARCH_SAMPLES, 0)
        near = received.samples[begin : start + whole.lag_samples + len(piece) + _SEARCH_SAMPLES]
        match = tones.find(piece, near)
        likeness.append(match.likeness)
        if match.likeness >= _ECHO_LIKENESS:
            trips.append(offset_ms + (begin + match.lag_samples - start) * 1000 / RATE_HZ)
    mean = float(np.mean(likeness)) if likeness else 0.0
    return (trips, mean) if mean >= _ECHO_LIKENESS else ([], mean)
