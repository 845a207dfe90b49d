"""Lost packets: what is made up for them, against silence and against the last packet once more."""

from __future__ import annotations

import numpy as np
from tests.support.media_leg import Leg, Sender
from tests.support.noisy_speech import voice

from benchmarks.audio.measures import Samples, intelligibility, pesq_of, spectral_distance_db, verdict
from benchmarks.figures import Table
from ringback.media.codecs.g711 import PCMU

_FRAME = 160
_SHARES = (0.01, 0.03, 0.05, 0.10)
_BURST = 3
"""Packets that a burst takes at once."""


def concealment_table() -> Table:
    """Return quality at each share of loss for three ways to fill the gaps."""
    speech = np.concatenate([voice(name) for name in ("slt", "rms", "awb")])
    speech = speech[: len(speech) // _FRAME * _FRAME]
    law = PCMU.encode(np.rint(speech).astype(np.int16).tobytes())
    reference = _linear(law)
    rows = []
    for kind in ("random", "bursts"):
        for share in _SHARES:
            lost = losses(len(law) // _FRAME, share, kind)
            ways = {
                "ours": _received(law, lost),
                "silence": _filled(law, lost, repeats=False),
                "repetition": _filled(law, lost, repeats=True),
            }
            judged = {name: _judged(reference, heard) for name, heard in ways.items()}
            for name, figures in judged.items():
                others = [judged[other] for other in ways if other != name]
                rows.append((kind, f"{share:.0%}", name, *_shown(figures), _verdict(figures, others, name)))
    head = ("loss", "share", "filled with", "PESQ (narrow band)", "STOI", "spectral distance, dB", "better than both")
    return Table("Loss concealment, speech of three voices", head, tuple(rows))


def losses(count: int, share: float, kind: str) -> set[int]:
    """Return which packets are lost, the same every time."""
    random = np.random.default_rng(int(share * 1_000) + (kind == "bursts"))
    if kind == "random":
        return set(np.flatnonzero(random.random(count) < share).tolist())
    starts = np.flatnonzero(random.random(count) < share / _BURST)
    return {int(start) + step for start in starts for step in range(_BURST)}


def _received(law: bytes, lost: set[int]) -> Samples:
    """Return what a leg gives its stream when these packets never come."""
    leg, sender = Leg(), Sender(law)
    for number in range(sender.count()):
        leg.now += 20_000_000
        if number not in lost:
            leg.receive(sender.packet(number))
        leg.tick()
    leg.slots(15)
    return _linear(leg.audio())


def _filled(law: bytes, lost: set[int], *, repeats: bool) -> Samples:
    frames = [law[at : at + _FRAME] for at in range(0, len(law), _FRAME)]
    for number in sorted(lost):
        if number < len(frames):
            frames[number] = frames[number - 1] if repeats and number else PCMU.silence
    return _linear(b"".join(frames))


def _judged(reference: Samples, heard: Samples) -> tuple[float | None, float, float]:
    # The leg's grid begins with its first packet: whole frames of silence may come first.
    lag = min(range(0, 8 * _FRAME, _FRAME), key=lambda at: _difference(reference, heard, at))
    heard = heard[lag : lag + len(reference)]
    reference = reference[: len(heard)]
    return (
        pesq_of(reference, heard),
        intelligibility(reference, heard, 8_000),
        spectral_distance_db(reference, heard),
    )


def _shown(figures: tuple[float | None, float, float]) -> tuple[str, str, str]:
    pesq, stoi, distance = figures
    return "–" if pesq is None else f"{pesq:.2f}", f"{stoi:.3f}", f"{distance:.2f}"


def _verdict(
    figures: tuple[float | None, float, float], others: list[tuple[float | None, float, float]], name: str
) -> str:
    """Return whether our way beats the others by every measure that there is."""
    if name != "ours":
        return ""
    pesq, stoi, distance = figures
    is_best = all(
        (pesq is None or other[0] is None or pesq > other[0]) and stoi > other[1] and distance < other[2]
        for other in others
    )
    return verdict(is_best)


def _difference(reference: Samples, heard: Samples, at: int) -> float:
    length = min(len(reference), len(heard) - at, 80_000)
    return float(np.abs(reference[:length] - heard[at : at + length]).mean())


def _linear(law: bytes) -> Samples:
    return np.frombuffer(PCMU.decode(law), np.int16).astype(np.float64)
