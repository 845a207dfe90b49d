"""Wav files as agents send them inside `playAudio`: the header is read, the samples are handed on.

Bounds are checked before anything is read; sizes that a streaming writer left at 0 or at their maximum mean "the rest".
"""

from __future__ import annotations

import audioop
import struct

import numpy as np

from ringback.media.codecs.convert import AGENT_RATES_HZ, L16_8K, ULAW_8K, canonical, clip_to_leg_pcm
from ringback.media.codecs.g711 import PCMA
from ringback.media.codecs.l16 import samples_of, to_native, to_stream
from ringback.media.control.values import AudioFormat, Encoding

_FORMAT = struct.Struct("<HHIIHH")
_PCM, _ALAW, _ULAW, _EXTENSIBLE = 1, 6, 7, 0xFFFE
_RATE_MIN_HZ, _RATE_MAX_HZ = 4000, 48_000
_CHUNKS_MAX = 64


def is_wav(audio: bytes) -> bool:
    """Return whether audio starts with a RIFF/WAVE header."""
    return audio[:4] == b"RIFF" and audio[8:12] == b"WAVE"


def read_wav(audio: bytes) -> tuple[bytes, AudioFormat] | None:
    """Return mono samples with their format, or `None` when the file is broken or of a kind that is not played.

    Played: 8 and 16 bit PCM, µ-law, A-law; one or two channels (mixed); 4 to 48 kHz. A rate that playout cannot take
    piece by piece is resampled here as a whole.
    """
    if not is_wav(audio):
        return None
    at, header = 12, b""
    for _ in range(_CHUNKS_MAX):
        if at + 8 > len(audio):
            return None
        name, size = audio[at : at + 4], int.from_bytes(audio[at + 4 : at + 8], "little")
        at += 8
        if name == b"data":
            if size in (0, 0xFFFFFFFF):
                size = len(audio) - at
            return _samples(header, audio[at : at + size])
        if name == b"fmt ":
            header = audio[at : at + size]
        at += size + (size & 1)
    return None


def _samples(header: bytes, audio: bytes) -> tuple[bytes, AudioFormat] | None:
    if len(header) < _FORMAT.size:
        return None
    kind, channels, rate_hz, _, _, bits = _FORMAT.unpack_from(header)
    if kind == _EXTENSIBLE and len(header) >= 26:
        kind = int.from_bytes(header[24:26], "little")
    if channels not in (1, 2) or not _RATE_MIN_HZ <= rate_hz <= _RATE_MAX_HZ:
        return None
    if (kind, bits, channels, rate_hz) == (_ULAW, 8, 1, 8000):
        return audio, ULAW_8K
    pcm = _to_pcm(kind, bits, audio)
    if pcm is None:
        return None
    if channels == 2:
        pairs = samples_of(pcm[: len(pcm) & ~3]).reshape(-1, 2)
        pcm = (pairs.sum(axis=1, dtype=np.int32) // 2).astype(np.int16).tobytes()
    if rate_hz in AGENT_RATES_HZ:
        return to_stream(pcm), canonical(AudioFormat(Encoding.L16, rate_hz))
    return clip_to_leg_pcm(to_stream(pcm), AudioFormat(Encoding.L16, rate_hz)), L16_8K


def _to_pcm(kind: int, bits: int, audio: bytes) -> bytes | None:
    """Return native linear audio."""
    if kind == _PCM and bits == 16:
        return to_native(audio[: len(audio) & ~1])
    if kind == _PCM and bits == 8:
        return audioop.lin2lin(audioop.bias(audio, 1, -128), 1, 2)
    if kind == _ULAW and bits == 8:
        return audioop.ulaw2lin(audio, 2)
    if kind == _ALAW and bits == 8:
        return PCMA.decode(audio)
    return None
