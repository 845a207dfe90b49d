"""The committed greetings of humans and machines, as a far party's audio, and what the rules make of them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import miniaudio
import numpy as np
from numpy.typing import NDArray

from ringback.media.control.values import Answerer
from ringback.media.detect.answering_machine import MachineRules, RuleDetector, Verdict

FOLDER = Path(__file__).parent.parent / "vectors" / "greetings"
RATE_HZ = 8_000
_FRAME = RATE_HZ // 50
_SEED = 20
Samples = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Case:
    """One answer: what was said, as what it counts, and what the line adds."""

    name: str
    kind: str
    """`human`, `machine`, `machine and beep`, `fax`, `ringing`, `keys`, `silence`."""
    line: str
    pcm: bytes


LINES = {"clear": (1.0, 0.0), "quiet hiss": (1.0, 20.0), "far away": (0.25, 20.0), "noisy": (1.0, 100.0)}
"""How loud the voice is, and the root mean square of the hiss under it."""


def clip(path: Path) -> Samples:
    """Return a committed greeting, 8000 samples a second."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decoded = miniaudio.decode_file(str(path), nchannels=1, sample_rate=RATE_HZ)
    return np.array(decoded.samples, np.float64)


def tone(*pitches_hz: float, ms: int, level: float = 6_000) -> Samples:
    """Return tones at once."""
    times = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    return np.asarray(sum(level * np.sin(2 * np.pi * pitch * times) for pitch in pitches_hz), np.float64)


def rest(ms: int) -> Samples:
    """Return silence."""
    return np.zeros(RATE_HZ * ms // 1000)


def cases() -> Iterator[Case]:
    """Return every case of the set, always the same."""
    noise = np.random.default_rng(_SEED)
    for kind, name, audio in _answers():
        for line, (loudness, hiss) in LINES.items():
            # 0.6 s until somebody speaks, and a far party that waits afterwards.
            whole = np.concatenate([rest(600), audio * loudness, rest(6_000)])
            pcm = np.clip(whole + noise.normal(0.0, 1.0, len(whole)) * hiss, -32_768, 32_767).astype(np.int16)
            yield Case(name, kind, line, pcm.tobytes())


def _answers() -> Iterator[tuple[str, str, Samples]]:
    for path in sorted(FOLDER.glob("*.mp3")):
        kind = path.stem.partition("-")[0]
        audio = clip(path)
        yield kind, path.stem, audio
        if kind == "machine":
            for pitch in (440, 1_000, 1_400):
                yield (
                    "machine and beep",
                    f"{path.stem}-{pitch}",
                    np.concatenate([audio, rest(300), tone(pitch, ms=400)]),
                )
    yield "fax", "calling tone", np.concatenate([tone(1_100, ms=500), rest(3_000), tone(1_100, ms=500)])
    yield "ringing", "north american", np.concatenate([tone(440, 480, ms=2_000), rest(4_000)])
    yield "ringing", "european", np.concatenate([tone(425, ms=1_000, level=8), rest(4_000)])
    keys = [part for low, high in ((770, 1_336), (941, 1_477)) for part in (tone(low, high, ms=200), rest(200))]
    yield "keys", "5 and #", np.concatenate(keys)
    yield "silence", "nobody", rest(100)


def verdicts(pcm: bytes, rules: MachineRules | None = None) -> list[Verdict]:
    """Return every verdict on a far party's audio, in order."""
    detector = RuleDetector(rules or MachineRules())
    step = 2 * _FRAME
    found = (detector.take(pcm[at : at + step]) for at in range(0, len(pcm) - step + 1, step))
    return [verdict for verdict in found if verdict is not None]


def confusion() -> tuple[Counter[tuple[str, Answerer]], dict[str, list[int]]]:
    """Return how often each kind was judged as what, finally, and when the first verdicts fell, in milliseconds."""
    counts: Counter[tuple[str, Answerer]] = Counter()
    times: dict[str, list[int]] = {}
    for case in cases():
        given = verdicts(case.pcm)
        counts[case.kind, given[-1].answerer] += 1
        times.setdefault(case.kind, []).append(given[0].after_ms)
    return counts, times
