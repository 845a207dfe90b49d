"""Sound files of phones: any wav or mp3 in as 8 kHz mono, wav out."""

from __future__ import annotations

import wave
from pathlib import Path

import miniaudio
import numpy as np

from ringback.errors import MediaError
from ringback.phones.tones import Samples

RATE_HZ = 8_000
LENGTH_MAX_S = 3_600


class SoundFileUnusable(MediaError):
    """A sound file cannot be read or written."""

    default_code = "sound-file-unusable"


def read_sound(path: Path) -> Samples:
    """Return a sound file (wav, mp3, flac, ogg) as 8 kHz mono samples.

    Raises:
        SoundFileUnusable: no such file, an unknown format, nothing in it, or longer than an hour.
    """
    if not path.is_file():
        raise SoundFileUnusable(f"there is no file {path}", hint="name a wav or mp3 file")
    try:
        decoded = miniaudio.decode_file(
            str(path), output_format=miniaudio.SampleFormat.SIGNED16, nchannels=1, sample_rate=RATE_HZ
        )
    except (miniaudio.MiniaudioError, OSError) as error:
        raise SoundFileUnusable(f"{path} is not a sound", hint="expected wav or mp3") from error
    samples = np.frombuffer(decoded.samples, dtype=np.int16)
    if not 0 < len(samples) <= LENGTH_MAX_S * RATE_HZ:
        raise SoundFileUnusable(f"read {len(samples) / RATE_HZ:.0f} s from {path}, expected up to {LENGTH_MAX_S} s")
    return samples


def write_wav(path: Path, samples: Samples) -> None:
    """Write samples as an 8 kHz mono wav file.

    Raises:
        SoundFileUnusable: the file cannot be written.
    """
    try:
        with path.open("wb") as raw, wave.open(raw, "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE_HZ)
            file.writeframes(samples.astype("<i2").tobytes())
    except OSError as error:
        raise SoundFileUnusable(f"cannot write {path}: {error.strerror}") from error
