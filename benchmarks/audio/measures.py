"""What is said of audio in numbers."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]
_BLOCK = 256


NO = "**no**"


def verdict(is_good: bool) -> str:
    """Return how a table says whether something holds."""
    return "yes" if is_good else NO


def distortion_db(reference: Samples, heard: Samples) -> float:
    """Return the scale-invariant ratio of signal to distortion."""
    share = float(np.dot(heard, reference) / np.dot(reference, reference))
    wanted = share * reference
    return float(10 * np.log10(np.sum(wanted**2) / max(float(np.sum((heard - wanted) ** 2)), 1e-9)))


def spectral_distance_db(reference: Samples, heard: Samples) -> float:
    """Return the log-spectral distance over the blocks in which somebody speaks; smaller is nearer."""
    window = np.hanning(_BLOCK)
    count = min(len(reference), len(heard)) // _BLOCK
    blocks = [part[: count * _BLOCK].reshape(-1, _BLOCK) * window for part in (reference, heard)]
    spoken = blocks[0].std(axis=1) > 0.02 * np.abs(reference).max()
    power = [10 * np.log10(np.abs(np.fft.rfft(part[spoken], axis=1)) ** 2 + 1e3) for part in blocks]
    return float(np.mean(np.sqrt(np.mean((power[0] - power[1]) ** 2, axis=1))))


def intelligibility(reference: Samples, heard: Samples, rate_hz: int, *, extended: bool = False) -> float:
    """Return STOI, 0 to 1, or ESTOI, which notices noise that comes and goes."""
    from pystoi import stoi

    return float(stoi(reference, heard, rate_hz, extended=extended))


def pesq_of(reference: Samples, heard: Samples, rate_hz: int = 8_000) -> float | None:
    """Return PESQ, narrow band at 8 kHz and wide at 16, or `None` where the `pesq` package is not installed."""
    try:
        from pesq import pesq
    except ImportError:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(pesq(rate_hz, reference / 32_768, heard / 32_768, "nb" if rate_hz == 8_000 else "wb"))


def lag_of(reference: Samples, heard: Samples, most: int = 800) -> int:
    """Return by how many samples `heard` is later."""
    length = min(len(heard), 32_000)
    return int(np.argmax(np.correlate(heard[:length], reference[: length - most], "valid")))


def tone(pitch_hz: float, samples: int, rate_hz: int, level: float = 10_000) -> Samples:
    """Return a sine."""
    return np.asarray(level * np.sin(2 * np.pi * pitch_hz * np.arange(samples) / rate_hz))


def level_at_db(heard: Samples, pitch_hz: float, rate_hz: int) -> float:
    """Return the amplitude of a pitch in decibels of one step."""
    window = np.blackman(len(heard))
    turns = np.exp(-2j * np.pi * pitch_hz * np.arange(len(heard)) / rate_hz)
    return float(20 * np.log10(2 * abs(np.sum(heard * window * turns)) / np.sum(window) + 1e-9))


def residue_db(heard: Samples, pitch_hz: float, rate_hz: int) -> float:
    """Return distortion and noise of a sine against it (THD+N), best fit of the sine taken out."""
    at = 2 * np.pi * pitch_hz * np.arange(len(heard)) / rate_hz
    basis = np.stack([np.sin(at), np.cos(at), np.ones(len(heard))], axis=1)
    fit, *_ = np.linalg.lstsq(basis, heard, rcond=None)
    rest = heard - basis @ fit
    return float(20 * np.log10(rest.std() / (basis[:, :2] @ fit[:2]).std()))


def word_errors(said: list[str], heard: list[str]) -> int:
    """Return how many words were left out, put in, or taken for others."""
    row = list(range(len(heard) + 1))
    for number, word in enumerate(said, 1):
        before, row[0] = row[0], number
        for at, other in enumerate(heard, 1):
            before, row[at] = row[at], min(row[at] + 1, row[at - 1] + 1, before + (word != other))
    return row[-1]
