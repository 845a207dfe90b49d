"""Speech in noise, and how much of it is left: the committed voices, noises made the same way every time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.support.greetings import FOLDER, clip

Samples = NDArray[np.float64]
FRAME = 160
NOISES = ("hiss", "rumble", "babble")


def voice(name: str) -> Samples:
    """Return everything that a human says with one voice, one after the other, peaks at -6 dBov."""
    parts = [clip(path) for path in sorted(FOLDER.glob(f"human-*-{name}.mp3"))]
    joined = np.concatenate([part for clip_ in parts for part in (clip_, np.zeros(2_400))])
    return np.asarray(joined / np.abs(joined).max() * 16_384)


def noise(kind: str, length: int) -> Samples:
    """Return a noise of a root mean square of 1."""
    random = np.random.default_rng(NOISES.index(kind))
    if kind == "babble":
        talkers = [np.resize(np.roll(voice(name), 4_000 * at), length) for at, name in enumerate(("rms", "awb", "kal"))]
        sound = np.sum([talker[::-1] for talker in talkers], axis=0)
    else:
        white = random.normal(0.0, 1.0, length + 64)
        taps = np.ones(32) / 32 if kind == "rumble" else np.array([0.5, 0.3, 0.2])
        sound = np.convolve(white, taps, "same")[:length]
    return np.asarray(sound / np.sqrt(np.mean(sound**2)))


def mixed(speech: Samples, kind: str, ratio_db: float) -> NDArray[np.int16]:
    """Return speech with noise `ratio_db` below it."""
    level = np.sqrt(np.mean(speech**2)) / 10 ** (ratio_db / 20)
    return np.clip(speech + noise(kind, len(speech)) * level, -32_768, 32_767).astype(np.int16)


def frames(samples: NDArray[np.int16]) -> list[bytes]:
    """Return whole frames of 20 ms."""
    return [samples[at : at + FRAME].tobytes() for at in range(0, len(samples) - FRAME + 1, FRAME)]


def distortion_db(reference: Samples, heard: Samples) -> float:
    """Return the scale-invariant ratio of signal to distortion."""
    share = np.dot(heard, reference) / np.dot(reference, reference)
    wanted = share * reference
    return float(10 * np.log10(np.sum(wanted**2) / np.sum((heard - wanted) ** 2)))


def lag_of(reference: Samples, heard: Samples, most: int = 800) -> int:
    """Return by how many samples `heard` is later."""
    products = np.correlate(heard[: 8_000 * 4], reference[: 8_000 * 4 - most], "valid")
    return int(np.argmax(products))
