"""G.711 against the formulas of the standard, and the change of rate against a perfect one."""

from __future__ import annotations

import numpy as np

from benchmarks.audio.measures import Samples, lag_of, level_at_db, residue_db, tone, verdict
from benchmarks.figures import Table
from ringback.media.codecs.g711 import PCMA, PCMU, Law
from ringback.media.codecs.resample import Decimator, Doubler

_STEP = 160
_RIPPLE_DB = 0.1
_IMAGE_DB = -45
"""µ-law's own noise is 38 dB below a voice."""
_THDN_DB = -70


def mulaw_value(code: int) -> int:
    """Return the 16-bit value of a µ-law code (ITU-T G.711 table 2, values four times as large)."""
    code = ~code & 0xFF
    magnitude = (((code & 0x0F) << 3) + 0x84 << ((code & 0x70) >> 4)) - 0x84
    return -magnitude if code & 0x80 else magnitude


def alaw_value(code: int) -> int:
    """Return the 16-bit value of an A-law code (ITU-T G.711 table 1, values eight times as large)."""
    code ^= 0x55
    exponent, mantissa = (code & 0x70) >> 4, (code & 0x0F) << 4
    magnitude = mantissa + 8 if exponent == 0 else mantissa + 0x108 << exponent - 1
    return magnitude if code & 0x80 else -magnitude


def _mulaw_intervals() -> list[int]:
    """Return the decision values of µ-law, magnitudes in 14 bits (table 2)."""
    bounds = [0, *range(1, 31, 2)]
    for segment in range(1, 8):
        step = 4 << segment - 1
        bounds += range(bounds[-1] + step // 2, bounds[-1] + step // 2 + 16 * step, step)
    return bounds


def _alaw_intervals() -> list[int]:
    """Return the decision values of A-law, magnitudes in 13 bits (table 1)."""
    bounds = list(range(0, 64, 2))
    for segment in range(1, 7):
        start, step = 32 << segment, 2 << segment
        bounds += range(start, start + 16 * step, step)
    return bounds


def g711_table() -> Table:
    """Return how many codes and values differ from the standard."""
    rows = []
    for law, value_of, bounds, shift in (
        (PCMU, mulaw_value, _mulaw_intervals(), 2),
        (PCMA, alaw_value, _alaw_intervals(), 3),
    ):
        values = np.frombuffer(law.decode(bytes(range(256))), np.int16).astype(np.int32)
        wrong = sum(int(values[code]) != value_of(code) for code in range(256))
        wrong_values = _wrongly_encoded(law, values, bounds, shift)
        rows.append((law.name, f"{wrong} of 256", f"{wrong_values} of 65,536", verdict(not wrong + wrong_values)))
    head = ("law", "codes decoded otherwise than the standard", "values encoded otherwise than the standard", "exact")
    return Table("G.711", head, tuple(rows))


def _wrongly_encoded(law: Law, values: np.ndarray, bounds: list[int], shift: int) -> int:  # type: ignore[type-arg]
    """Return how many 16-bit values get a code whose interval does not hold them."""
    every = np.arange(-32_768, 32_768, dtype=np.int32)
    short = every >> shift
    # A-law's negative half is the ones' complement of its positive one; µ-law's is its mirror image.
    size = np.where(short < 0, -short - 1 if law is PCMA else -short, short)
    wanted = np.searchsorted(bounds, size, "right") - 1
    given = values[np.frombuffer(law.encode(every.astype(np.int16).tobytes()), np.uint8)]
    positive = np.sort(np.unique(np.abs(values)))
    is_right = (np.searchsorted(positive, np.abs(given)) == wanted) & ((given == 0) | ((given < 0) == (short < 0)))
    return int(np.count_nonzero(~is_right))


def rates_table() -> Table:
    """Return what the filters between 8 and 16 kHz do to tones."""
    pitches = np.arange(100, 3_401, 100)
    up = [level_at_db(doubled(tone(pitch, 8_000, 8_000)), pitch, 16_000) for pitch in pitches]
    images = [
        level_at_db(doubled(tone(pitch, 8_000, 8_000)), 8_000 - pitch, 16_000) - level
        for pitch, level in zip(pitches, up, strict=True)
    ]
    down = [level_at_db(halved(tone(pitch, 16_000, 16_000)), pitch, 8_000) for pitch in pitches]
    aliases = [
        level_at_db(halved(tone(8_000 - pitch, 16_000, 16_000)), pitch, 8_000) - level
        for pitch, level in zip(pitches, down, strict=True)
        if 8_000 - pitch >= 4_600
    ]
    noise = np.random.default_rng(0).normal(0, 3_000, 16_000)
    rows = (
        _rate_row(
            "8 → 16 kHz",
            up,
            max(images),
            residue_db(doubled(tone(1_000, 8_000, 8_000))[1_000:], 1_000, 16_000),
            _delay(np.repeat(noise[:8_000], 2), doubled(noise[:8_000]), 16_000),
        ),
        _rate_row(
            "16 → 8 kHz",
            down,
            max(aliases),
            residue_db(halved(tone(1_000, 16_000, 16_000))[1_000:], 1_000, 8_000),
            _delay(noise[::2], halved(noise), 8_000),
        ),
    )
    head = (
        *("filter", "ripple, 0.1 to 3.4 kHz", "worst image or alias", "THD+N at 1 kHz", "delay"),
        f"within {_RIPPLE_DB} dB, {_IMAGE_DB} dB, {_THDN_DB} dB",
    )
    return Table("Change of rate", head, rows)


def doubled(samples: Samples) -> Samples:
    """Return samples through the filter that doubles the rate, 20 ms at a time."""
    double = Doubler()
    return _through(double.process, samples, _STEP)


def halved(samples: Samples) -> Samples:
    """Return samples through the filter that halves the rate, 20 ms at a time."""
    return _through(Decimator(2).process, samples, 2 * _STEP)


def _through(process, samples: Samples, step: int) -> Samples:  # type: ignore[no-untyped-def]
    pcm = np.rint(samples).astype(np.int16)
    return np.concatenate(
        [np.frombuffer(process(pcm[at : at + step].tobytes()), np.int16) for at in range(0, len(pcm), step)]
    ).astype(np.float64)


def _rate_row(name: str, levels: list[float], image_db: float, thdn_db: float, delay: str) -> tuple[str, ...]:
    ripple_db = max(levels) - min(levels)
    is_good = ripple_db <= _RIPPLE_DB and image_db <= _IMAGE_DB and thdn_db <= _THDN_DB
    return (name, f"{ripple_db:.2f} dB", f"{image_db:.1f} dB", f"{thdn_db:.1f} dB", delay, verdict(is_good))


def _delay(reference: Samples, heard: Samples, rate_hz: int) -> str:
    return f"{lag_of(reference, heard, 200) * 1000 / rate_hz:.1f} ms"
