"""Tones as data: made, found and measured, so that "audio arrived" is an exact statement. Pure numpy.

Audio is a one-dimensional array of signed 16-bit samples. Levels are dBov: 0 is a full-scale square wave, -3 a
full-scale sine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.int16]

FULL_SCALE = 32_768.0
SILENCE_DBOV = -100.0
"""The level reported for digital silence."""
_RAMP_MS = 4
_SYMBOL_HZ = tuple(500 + 160 * index for index in range(16))
"""Sixteen tones in the telephone band, 160 Hz apart: two of 40 ms or more do not overlap in a spectrum."""
_MARK_HZ = 3_200
_SYMBOL_MS = 60


def tone(frequency_hz: float, duration_ms: int, rate_hz: int = 8000, level_dbov: float = -15.0) -> Samples:
    """Return one sine wave with soft ends."""
    return chord((frequency_hz,), duration_ms, rate_hz, level_dbov)


def chord(frequencies_hz: Sequence[float], duration_ms: int, rate_hz: int = 8000, level_dbov: float = -15.0) -> Samples:
    """Return several sine waves at once; `level_dbov` is the level of their sum."""
    count = duration_ms * rate_hz // 1000
    time_s = np.arange(count) / rate_hz
    wave = np.zeros(count)
    for frequency_hz in frequencies_hz:
        wave += np.sin(2 * np.pi * frequency_hz * time_s)
    amplitude = FULL_SCALE * 10 ** (level_dbov / 20) * np.sqrt(2 / max(len(frequencies_hz), 1))
    ramp = min(_RAMP_MS * rate_hz // 1000, count // 2)
    envelope = np.ones(count)
    envelope[:ramp] = np.linspace(0, 1, ramp, endpoint=False)
    envelope[count - ramp :] = np.linspace(1, 0, ramp)
    return _as_samples(wave * amplitude * envelope)


def silence(duration_ms: int, rate_hz: int = 8000) -> Samples:
    """Return digital silence."""
    return np.zeros(duration_ms * rate_hz // 1000, dtype=np.int16)


def melody(seed: int, duration_ms: int, rate_hz: int = 8000, level_dbov: float = -15.0) -> Samples:
    """Return tones of 100 ms in an order that `seed` decides and that does not repeat within 2 s.

    Two different seeds do not correlate, and a shifted copy correlates in one place only: made for measuring delay.
    """
    generator = np.random.default_rng(seed)
    notes: list[Samples] = []
    while len(notes) * 100 < duration_ms:
        notes += [tone(_SYMBOL_HZ[index], 100, rate_hz, level_dbov) for index in generator.permutation(len(_SYMBOL_HZ))]
    joined = np.concatenate(notes) if notes else silence(0)
    return joined[: duration_ms * rate_hz // 1000]


def level_dbov(samples: Samples) -> float:
    """Return the level of the whole of `samples`; `SILENCE_DBOV` for silence or nothing."""
    if not len(samples):
        return SILENCE_DBOV
    power = float(np.mean(np.square(samples.astype(np.float64)))) / FULL_SCALE**2
    return max(10 * float(np.log10(power)), SILENCE_DBOV) if power else SILENCE_DBOV


def levels_dbov(samples: Samples, rate_hz: int = 8000, window_ms: int = 20) -> npt.NDArray[np.float64]:
    """Return the level of every window of `window_ms`; a shorter rest is left out."""
    size = window_ms * rate_hz // 1000
    windows = samples[: len(samples) // size * size].reshape(-1, size).astype(np.float64)
    power = np.mean(np.square(windows), axis=1) / FULL_SCALE**2
    result: npt.NDArray[np.float64] = 10 * np.log10(np.maximum(power, 10 ** (SILENCE_DBOV / 10)))
    return result


def pitch_hz(samples: Samples, rate_hz: int = 8000) -> float:
    """Return the strongest frequency, to about 1 Hz for 100 ms or more; 0 for silence or fewer than 64 samples."""
    if len(samples) < 64 or not np.any(samples):
        return 0.0
    wave = samples.astype(np.float64) * np.hanning(len(samples))
    size = max(8192, 1 << (len(wave) - 1).bit_length())
    spectrum = np.abs(np.fft.rfft(wave, size))
    peak = int(np.argmax(spectrum[1:-1])) + 1
    left, middle, right = (float(np.log(value + 1e-12)) for value in spectrum[peak - 1 : peak + 2])
    curve = left - 2 * middle + right
    offset = 0.5 * (left - right) / curve if curve else 0.0
    return (peak + offset) * rate_hz / size


def goertzel_dbov(samples: Samples, frequency_hz: float, rate_hz: int = 8000) -> float:
    """Return the level of one frequency in `samples`; a pure tone reads as its own level."""
    if not len(samples):
        return SILENCE_DBOV
    angle = -2j * np.pi * frequency_hz / rate_hz * np.arange(len(samples))
    amplitude = 2 * abs(np.dot(samples.astype(np.float64), np.exp(angle))) / len(samples) / FULL_SCALE
    return max(20 * float(np.log10(amplitude / np.sqrt(2))), SILENCE_DBOV) if amplitude else SILENCE_DBOV


def purity(samples: Samples, frequency_hz: float, rate_hz: int = 8000) -> float:
    """Return the share of the power that stands at `frequency_hz`, 0 to 1: above 0.9 is a clean tone."""
    whole = level_dbov(samples)
    if whole <= SILENCE_DBOV:
        return 0.0
    return min(float(10 ** ((goertzel_dbov(samples, frequency_hz, rate_hz) - whole) / 10)), 1.0)


@dataclass(frozen=True, slots=True)
class Match:
    """Where a signal was found in another: `lag_samples` after its start, alike by `likeness` (1 is equal in shape)."""

    lag_samples: int
    likeness: float


def find(sent: Samples, received: Samples) -> Match:
    """Return where `sent` best fits into `received`, also when the beginning of `sent` is missing there.

    The lag is that of sample 0 of `sent`, negative if its beginning was lost. `likeness` compares the two over the time
    in which they overlap.
    """
    if not np.any(sent) or not np.any(received):
        return Match(0, 0.0)
    a, b = sent.astype(np.float64), received.astype(np.float64)
    size = 1 << (len(a) + len(b) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    lags = np.concatenate([product[: len(b)], product[size - len(a) + 1 :]])
    best = int(np.argmax(lags))
    lag = best if best < len(b) else best - len(b) - len(a) + 1
    shared_a = a[max(-lag, 0) : len(b) - lag]
    shared_b = b[max(lag, 0) : max(lag, 0) + len(shared_a)]
    scale = float(np.sqrt(np.dot(shared_a, shared_a) * np.dot(shared_b, shared_b)))
    return Match(lag, float(np.dot(shared_a, shared_b)) / scale if scale else 0.0)


def encode_number(number: int, digits: int = 4, rate_hz: int = 8000, level_dbov: float = -12.0) -> Samples:
    """Return `number` as tones: a mark, then one tone of 60 ms for each hexadecimal digit.

    Raises:
        ValueError: `number` does not fit into `digits` hexadecimal digits.
    """
    if not 0 <= number < 16**digits:
        raise ValueError(f"read {number}, expected 0 to {16**digits - 1}")
    symbols = [int(letter, 16) for letter in f"{number:0{digits}x}"]
    parts = [tone(_MARK_HZ, 2 * _SYMBOL_MS, rate_hz, level_dbov)]
    parts += [tone(_SYMBOL_HZ[symbol], _SYMBOL_MS, rate_hz, level_dbov) for symbol in symbols]
    return np.concatenate(parts)


def decode_number(samples: Samples, digits: int = 4, rate_hz: int = 8000) -> int | None:
    """Return the first whole number that `encode_number` put into `samples`, or `None`."""
    step = 10 * rate_hz // 1000
    symbol = _SYMBOL_MS * rate_hz // 1000
    whole = 2 * symbol + digits * symbol
    for start in range(0, len(samples) - whole + step + 1, step):
        if purity(samples[start : start + 2 * symbol - step], _MARK_HZ, rate_hz) < 0.8:
            continue
        # The window with the purest mark is the one that is aligned; the tones follow it.
        near = range(start, min(start + 3 * step, len(samples) - whole + 1), step // 8)
        best = max(near, key=lambda at: goertzel_dbov(samples[at : at + 2 * symbol], _MARK_HZ, rate_hz))
        return _symbols(samples[best + 2 * symbol :], digits, symbol, rate_hz)
    return None


def _symbols(samples: Samples, digits: int, size: int, rate_hz: int) -> int | None:
    number = 0
    margin = size // 6
    for index in range(digits):
        part = samples[index * size + margin : (index + 1) * size - margin]
        levels = [goertzel_dbov(part, frequency_hz, rate_hz) for frequency_hz in _SYMBOL_HZ]
        best = int(np.argmax(levels))
        if purity(part, _SYMBOL_HZ[best], rate_hz) < 0.6:
            return None
        number = number * 16 + best
    return number


def _as_samples(wave: npt.NDArray[np.float64]) -> Samples:
    return np.clip(np.rint(wave), -32_768, 32_767).astype(np.int16)
