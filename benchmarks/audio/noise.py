"""Noise suppression: distortion, intelligibility, words and processor time, before and after each engine."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from tests.support.greetings import FOLDER, clip
from tests.support.noisy_speech import NOISES, frames, mixed, voice

from benchmarks.audio.codecs import doubled
from benchmarks.audio.measures import Samples, distortion_db, intelligibility, lag_of, pesq_of, word_errors, words_of
from benchmarks.figures import Table
from ringback.media.noise.engine import EngineKind
from ringback.media.noise.engines import KINDS, make_engine
from ringback.media.noise.suppressor import Suppressor

_RATIOS_DB = (0, 5, 10)
_LEVELS = (75, 85, 100)
_VOICES = ("slt", "rms")


def quality_table() -> Table:
    """Return quality over all voices and noises, by the ratio of speech to noise."""
    rows = []
    for ratio in _RATIOS_DB:
        cases = [(voice(name), noise) for name in _VOICES for noise in NOISES]
        noisy = [(speech, mixed(speech, noise, ratio)) for speech, noise in cases]
        rows.append(
            (f"{ratio} dB", "none", "", *_means([_judged(speech, heard.astype(np.float64)) for speech, heard in noisy]))
        )
        for kind in KINDS.values():
            for level in _LEVELS:
                found = [_judged(speech, through(kind, level, heard)) for speech, heard in noisy]
                rows.append((f"{ratio} dB", kind.name, str(level), *_means(found)))
    head = ("speech to noise", "engine", "level", "SI-SDR, dB", "PESQ (narrow band)", "STOI")
    return Table("Quality of suppressed speech: two voices, three noises, 8 kHz", head, tuple(rows))


def wide_table() -> Table:
    """Return the same as a stream of 16 kHz carries it: the leg's audio, suppressed, then doubled."""
    rows = []
    for ratio in _RATIOS_DB:
        for kind in (None, *KINDS.values()):
            found = []
            for name in _VOICES:
                speech = voice(name)
                noisy = mixed(speech, "hiss", ratio)
                heard = noisy.astype(np.float64) if kind is None else through(kind, 85, noisy)
                clean, got = doubled(speech), doubled(heard)
                length = min(len(clean), len(got))
                clean, got = clean[:length], got[:length]
                found.append((distortion_db(clean, got), intelligibility(clean, got, 16_000)))
            distortion, stoi = (float(np.mean(column)) for column in zip(*found, strict=True))
            rows.append((f"{ratio} dB", "none" if kind is None else kind.name, f"{distortion:.1f}", f"{stoi:.3f}"))
    head = ("speech to hiss", "engine at 85", "SI-SDR, dB", "STOI")
    return Table("The same in a stream of 16 kHz", head, tuple(rows))


def words_table() -> Table:
    """Return how many words a small recogniser gets wrong."""
    import pocketsphinx

    recogniser = pocketsphinx.Decoder(samprate=16_000, loglevel="FATAL")
    texts = {
        "human-morning": "good morning miller",
        "human-speaking": "susan speaking",
        "human-acme": "acme dental how can i help you",
        "human-office": "good afternoon thanks for calling baker and sons",
        "human-john": "hello this is john",
    }
    takes = [(clip(FOLDER / f"{name}-{who}.mp3"), text.split()) for name, text in texts.items() for who in _VOICES]
    total = sum(len(text) for _, text in takes)
    rows = []
    for ratio in _RATIOS_DB:
        noisy = [(mixed(speech, "hiss", ratio), text) for speech, text in takes]
        cells = [_rate(sum(_errors(heard.astype(np.float64), text, recogniser) for heard, text in noisy), total)]
        for kind in KINDS.values():
            for level in _LEVELS:
                errors = sum(_errors(through(kind, level, heard), text, recogniser) for heard, text in noisy)
                cells.append(_rate(errors, total))
        rows.append((f"{ratio} dB", *cells))
    engines = tuple(f"{kind.name} {level}" for kind in KINDS.values() for level in _LEVELS)
    return Table(
        "Word error rate of pocketsphinx (free speech, phone band)", ("speech to hiss", "none", *engines), tuple(rows)
    )


def cost_table() -> Table:
    """Return what a stream costs."""
    pcm = mixed(voice("slt"), "hiss", 5)
    rows = []
    for kind in KINDS.values():
        suppressor = Suppressor(kind, make_engine(kind), 85)
        began, count = time.process_time(), 0
        for frame in frames(pcm):
            suppressor.process(frame)
            count += 1
        micros = (time.process_time() - began) / count * 1e6
        rows.append((kind.name, f"{micros:.0f}", f"{micros / 200:.2f} %", f"{suppressor.lag_ms:.0f} ms"))
    return Table("Cost of a stream", ("engine", "µs per 20 ms", "of a core", "lag"), tuple(rows))


def through(kind: EngineKind, level: int, pcm: np.ndarray) -> Samples:  # type: ignore[type-arg]
    """Return audio behind an engine, its lag taken off."""
    suppressor = Suppressor(kind, make_engine(kind), level)
    padded = np.concatenate([pcm, np.zeros(800, np.int16)])
    heard = np.frombuffer(b"".join(suppressor.process(frame) for frame in frames(padded)), np.int16).astype(np.float64)
    lag = lag_of(pcm.astype(np.float64), heard)
    return np.asarray(heard[lag : lag + len(pcm)])


def _judged(speech: Samples, heard: Samples) -> tuple[float, float, float]:
    length = min(len(speech), len(heard))
    speech, heard = speech[:length], heard[:length]
    pesq = pesq_of(speech, heard)
    return distortion_db(speech, heard), float("nan") if pesq is None else pesq, intelligibility(speech, heard, 8_000)


def _means(found: list[tuple[float, float, float]]) -> tuple[str, str, str]:
    distortion, pesq, stoi = (float(np.mean(column)) for column in zip(*found, strict=True))
    return f"{distortion:.1f}", "–" if np.isnan(pesq) else f"{pesq:.2f}", f"{stoi:.3f}"


def _errors(heard: Samples, text: list[str], recogniser: Any) -> int:
    return word_errors(text, words_of(heard, recogniser))


def _rate(errors: int, total: int) -> str:
    return f"{errors / total:.2f}"
