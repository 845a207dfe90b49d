"""Noise suppression: distortion, quality, intelligibility and processor time, before and after each engine."""

from __future__ import annotations

import time
from functools import cache

import numpy as np
from tests.support.noisy_speech import NOISES, frames, mixed, voice

from benchmarks.audio.codecs import doubled
from benchmarks.audio.engines import through
from benchmarks.audio.measures import Samples, distortion_db, intelligibility, lag_of, pesq_of, spectral_distance_db
from benchmarks.figures import Table
from ringback.media.noise.engines import KINDS, make_engine
from ringback.media.noise.suppressor import Suppressor

_RATIOS_DB = (0, 5, 10)
_LEVELS = (75, 85, 100)
_VOICES = ("slt", "rms")
_HEAD = ("speech to noise", "engine", "level", "SI-SDR, dB", "{pesq}", "STOI", "ESTOI", "spectral distance, dB")


def quality_table() -> Table:
    """Return quality over all voices and noises, by the ratio of speech to noise, as a stream of 8 kHz carries it."""
    head = tuple(name.format(pesq="PESQ (narrow band)") for name in _HEAD)
    return Table("Quality of suppressed speech: two voices, three noises, stream of 8 kHz", head, _rows(8_000))


def wide_table() -> Table:
    """Return the same as a stream of 16 kHz carries it: the leg's audio, suppressed, then doubled."""
    head = tuple(name.format(pesq="PESQ (wide band)") for name in _HEAD)
    return Table("The same in a stream of 16 kHz", head, _rows(16_000))


def _rows(rate_hz: int) -> tuple[tuple[str, ...], ...]:
    rows = []
    for ratio in _RATIOS_DB:
        for engine, level in [("", 0), *((name, level) for name in KINDS for level in _LEVELS)]:
            found = [
                _judged(voice(name), _heard(name, noise, ratio, engine, level), rate_hz)
                for name in _VOICES
                for noise in NOISES
            ]
            rows.append((f"{ratio} dB", engine or "none", str(level or ""), *_means(found)))
    return tuple(rows)


@cache
def _heard(name: str, noise: str, ratio_db: int, engine: str, level: int) -> Samples:
    noisy = mixed(voice(name), noise, ratio_db)
    return through(KINDS[engine], level, noisy) if engine else noisy.astype(np.float64)


def cost_table() -> Table:
    """Return what a stream costs an engine that does nothing else; beside calls it is dearer (`make bench`)."""
    pcm = mixed(voice("slt"), "hiss", 5)
    rows = []
    for kind in KINDS.values():
        suppressor = Suppressor(kind, make_engine(kind), 85)
        began, count = time.process_time(), 0
        for frame in frames(pcm):
            suppressor.process(frame)
            count += 1
        micros = (time.process_time() - began) / count * 1e6
        rows.append((kind.name, f"{micros:.0f}", f"{micros / 200:.2f} %", f"{kind.lag_samples / 8:.0f} ms"))
    return Table("Cost of a stream, without pause", ("engine", "µs per 20 ms", "of a core", "lag"), tuple(rows))


def _judged(speech: Samples, heard: Samples, rate_hz: int) -> tuple[float, ...]:
    if rate_hz == 16_000:
        speech, heard = doubled(speech), doubled(heard)
    lag = lag_of(speech, heard, 64)
    heard = heard[lag:]
    length = min(len(speech), len(heard))
    speech, heard = speech[:length], heard[:length]
    pesq = pesq_of(speech, heard, rate_hz)
    return (
        distortion_db(speech, heard),
        float("nan") if pesq is None else pesq,
        intelligibility(speech, heard, rate_hz),
        intelligibility(speech, heard, rate_hz, extended=True),
        spectral_distance_db(speech, heard),
    )


def _means(found: list[tuple[float, ...]]) -> tuple[str, ...]:
    distortion, pesq, stoi, extended, distance = (float(np.mean(column)) for column in zip(*found, strict=True))
    return (
        f"{distortion:.1f}",
        "–" if np.isnan(pesq) else f"{pesq:.2f}",
        f"{stoi:.3f}",
        f"{extended:.3f}",
        f"{distance:.2f}",
    )
