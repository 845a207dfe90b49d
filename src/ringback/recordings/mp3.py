"""Turns a wav of ours into an mp3; run as a process of its own, so that neither calls nor requests wait for it.

    python -m ringback.recordings.mp3 SOURCE.wav TARGET.mp3

The encoder is LAME, which `lameenc` brings as a library of its own under the LGPL.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import wave

KBIT_PER_CHANNEL = 32
_QUALITY = 5
"""LAME's middle: 1,500 times as fast as time in mono (measured 2026-11-22)."""
_PIECE_FRAMES = 8_000 * 60
_LEAST_FRAMES = 160
_NICENESS = 10


def can_encode() -> bool:
    """Return whether the encoder is installed."""
    return importlib.util.find_spec("lameenc") is not None


def encode(source: str, target: str) -> None:
    """Write the mp3 of a 16-bit wav, complete on the disk when this returns."""
    import lameenc

    with wave.open(source) as audio, open(target, "wb") as file:
        encoder = lameenc.Encoder()
        encoder.set_bit_rate(KBIT_PER_CHANNEL * audio.getnchannels())
        encoder.set_in_sample_rate(audio.getframerate())
        encoder.set_channels(audio.getnchannels())
        encoder.set_quality(_QUALITY)
        encoder.silence()
        # A recording that was ended before it began: the encoder wants at least something.
        pcm = audio.readframes(_PIECE_FRAMES) or bytes(2 * audio.getnchannels() * _LEAST_FRAMES)
        while pcm:
            file.write(encoder.encode(pcm))
            pcm = audio.readframes(_PIECE_FRAMES)
        file.write(encoder.flush())
        file.flush()
        os.fsync(file.fileno())


def main() -> int:
    """Encode what the command line names, without taking time from anyone."""
    os.nice(_NICENESS)
    os.umask(0o077)
    encode(sys.argv[1], sys.argv[2])
    return 0


if __name__ == "__main__":
    sys.exit(main())
