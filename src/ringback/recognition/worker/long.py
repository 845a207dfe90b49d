"""What is said in a whole recording: decoded and recognised piece by piece, so that its length costs time only."""

from __future__ import annotations

from collections.abc import Iterator

import miniaudio
import numpy as np
import numpy.typing as npt
import soxr

from ringback.recognition.messages import TRANSCRIPT_MAX_CHARS
from ringback.recognition.worker.engine import RATE_HZ, Engine

Samples = npt.NDArray[np.float32]
_READ_FRAMES = 8_000
_PIECE = 25 * RATE_HZ
"""Engines hear half a minute at once."""
_LOOKED_AT = 8 * RATE_HZ
"""The end of a piece, in which the quietest moment is where it is cut."""
_MOMENT = RATE_HZ // 5
_SILENT = 60.0
"""Root mean square of a moment in 16-bit samples up to which nobody speaks."""


def transcribed(engine: Engine, path: str) -> tuple[str, float]:
    """Return the text of a wav or mp3 file, all channels together, and the mean confidence of its pieces.

    A text of more than `TRANSCRIPT_MAX_CHARS` ends there.
    """
    texts: list[str] = []
    confidences: list[float] = []
    for piece in _pieces(path):
        if not _is_spoken(piece):
            continue
        heard = engine.recognize(np.clip(piece, -32_768, 32_767).astype("<i2").tobytes(), "en-US", ())
        if heard[0]:
            texts.append(heard[0].strip())
            confidences.append(heard[1])
        if sum(map(len, texts)) > TRANSCRIPT_MAX_CHARS:
            break
    text = " ".join(texts)[:TRANSCRIPT_MAX_CHARS]
    return text, sum(confidences) / len(confidences) if confidences else 0.0


def _pieces(path: str) -> Iterator[Samples]:
    """Give the audio at 16,000 Hz in pieces that end where it is quiet."""
    waiting = np.zeros(0, dtype=np.float32)
    for part in _decoded(path):
        waiting = np.concatenate([waiting, part])
        while len(waiting) >= _PIECE:
            at = _quietest(waiting[:_PIECE])
            yield waiting[:at]
            waiting = waiting[at:]
    if len(waiting):
        yield waiting


def _decoded(path: str) -> Iterator[Samples]:
    rate_hz = miniaudio.get_file_info(path).sample_rate
    resampler = soxr.ResampleStream(rate_hz, RATE_HZ, 1, dtype="float32")
    stream = miniaudio.stream_file(
        path, miniaudio.SampleFormat.SIGNED16, nchannels=1, sample_rate=rate_hz, frames_to_read=_READ_FRAMES
    )
    for part in stream:
        yield resampler.resample_chunk(np.asarray(part, dtype=np.float32))
    yield resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True)


def _quietest(piece: Samples) -> int:
    """Return where a piece is cut: in the middle of the quietest moment near its end."""
    tail = piece[-_LOOKED_AT:]
    moments = tail[: len(tail) // _MOMENT * _MOMENT].reshape(-1, _MOMENT)
    quietest = int(np.argmin(np.mean(moments**2, axis=1)))
    return len(piece) - len(tail) + quietest * _MOMENT + _MOMENT // 2


def _is_spoken(piece: Samples) -> bool:
    """Return whether there is anything to hear: engines make up words for silence."""
    if len(piece) < _MOMENT:
        return False
    moments = piece[: len(piece) // _MOMENT * _MOMENT].reshape(-1, _MOMENT)
    return bool(np.sqrt(np.mean(moments**2, axis=1)).max() > _SILENT)
