"""L16 as streams carry it: signed 16-bit little-endian mono, contrary to the network order of RFC 3551.

Spec: docs/protocol/stream.md#formats (no document of Plivo's states the byte order; all its clients agree on it).
"""

from __future__ import annotations

import audioop
import sys

import numpy as np
from numpy.typing import NDArray

_NATIVE = sys.byteorder == "little"


def to_native(audio: bytes) -> bytes:
    """Return stream audio in the byte order that `audioop` computes with."""
    return audio if _NATIVE else audioop.byteswap(audio, 2)


def to_stream(pcm: bytes) -> bytes:
    """Return native linear audio in the byte order of streams."""
    return pcm if _NATIVE else audioop.byteswap(pcm, 2)


def samples_of(pcm: bytes) -> NDArray[np.int16]:
    """Return native linear audio as an array that shares the bytes (read-only)."""
    return np.frombuffer(pcm, dtype=np.int16)


_LOWEST = np.float32(-32768)
_HIGHEST = np.float32(32767)


def clipped(values: NDArray[np.float32]) -> bytes:
    """Return computed samples as native linear audio, rounded, limited to 16 bits; overwrites `values`."""
    np.minimum(values, _HIGHEST, out=values)
    np.maximum(values, _LOWEST, out=values)
    return rounded(values)


def rounded(values: NDArray[np.float32]) -> bytes:
    """Return computed samples, known to fit into 16 bits, as native linear audio; overwrites `values`."""
    np.rint(values, out=values)
    return values.astype(np.int16).tobytes()
