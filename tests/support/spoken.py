"""Speech that a phone heard, told by what the synthesiser wrote: that needs no recogniser."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.tones import Samples, levels_dbov
from ringback.testing.platform import Platform

_WORDS = Path(__file__).parents[1] / "vectors" / "speech"
_CERTAIN = 0.8
_LOOKED_AT = 3_200
"""Samples of a part of a clip: a phone on a busy machine may lose a frame of the whole."""
_PARTS = 3
_AUDIBLE_DBOV = -45.0


def words(name: str) -> Samples:
    """Return committed words as a phone plays them."""
    with wave.open(str(_WORDS / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)


def spoken_ms(samples: Samples) -> int:
    """Return for how long there is something to hear."""
    return 20 * int(np.sum(levels_dbov(samples) > _AUDIBLE_DBOV))


def clips(platform: Platform) -> dict[Path, Samples]:
    """Return everything that the platform has synthesised so far."""
    found = {}
    for path in sorted((platform.folder / "speech").glob("*.wav")):
        with wave.open(str(path), "rb") as file:
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (8_000, 1, 2)
            found[path] = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    return found


def heard_clips(platform: Platform, call: PhoneCall, certain: float = _CERTAIN) -> list[Path]:
    """Return which clips the phone has heard."""
    heard = call.heard_samples()
    return [path for path, clip in clips(platform).items() if spoken_ms(clip) and hears(clip, heard, certain)]


def hears(clip: Samples, heard: Samples, certain: float = _CERTAIN) -> bool:
    """Return whether one of the loudest parts of a clip is somewhere in what was heard.

    Args:
        certain: Likeness from which it is; what sounds besides makes it less, and other words have less than 0.2.
    """
    starts = range(0, max(len(clip) - _LOOKED_AT, 0) + 1, _LOOKED_AT)
    parts = sorted((clip[at : at + _LOOKED_AT] for at in starts), key=_energy, reverse=True)[:_PARTS]
    return any(len(heard) >= len(part) and tones.find(part, heard).likeness > certain for part in parts)


def _energy(samples: Samples) -> float:
    return float(np.sum(samples.astype(np.float64) ** 2))
