"""Sound files for `<Play>`, and telling what was heard apart again."""

from __future__ import annotations

import io
import wave
from pathlib import Path

import numpy as np

from ringback.phones import tones
from ringback.phones.tones import Samples
from ringback.testing.answer_server import AppReply

MP3_HZ = 1000
"""Pitch of `tests/functional/sounds/tone-1000hz.mp3`, 0.6 s: `ffmpeg -f lavfi -i sine=frequency=1000:duration=0.6`."""


_GAP_MAX_MS = 800
"""Less than a `<Wait>`: a media worker that gets no processor cuts a tone in two, and goes on with it."""


def wav(samples: Samples, rate_hz: int = 8000, channels: int = 1) -> bytes:
    """Return a 16-bit wav file; more channels hold the same."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(np.repeat(samples.astype("<i2"), channels).tobytes())
    return buffer.getvalue()


def wav_reply(pitch_hz: float, duration_ms: int = 400, rate_hz: int = 8000, channels: int = 1) -> AppReply:
    """Return a tone as an HTTP reply."""
    return AppReply(wav(tones.tone(pitch_hz, duration_ms, rate_hz), rate_hz, channels), 200, "audio/wav")


def mp3_reply() -> AppReply:
    """Return the committed mp3 as an HTTP reply."""
    data = (Path(__file__).parent.parent / "functional" / "sounds" / "tone-1000hz.mp3").read_bytes()
    return AppReply(data, 200, "audio/mpeg")


def heard_tones(samples: Samples, above_dbov: float = -40.0) -> list[tuple[int, int]]:
    """Return pitch (to 10 Hz, 0 for silence) and length (ms, to 20) of each tone and pause in 8 kHz samples.

    Sounds of less than 60 ms are edges between two tones and left out. A tone with a gap of up to 800 ms is one, as
    long as its parts together.
    """
    found: list[list[int]] = []
    for at, level in enumerate(tones.levels_dbov(samples)):
        pitch = 0
        if level > above_dbov:
            pitch = round(tones.pitch_hz(samples[max(at - 1, 0) * 160 : at * 160 + 320]) / 10) * 10
        if found and abs(found[-1][0] - pitch) <= 20:
            found[-1][1] += 20
        else:
            found.append([pitch, 20])
    return _mended([(pitch, ms) for pitch, ms in found if ms >= 60])


def _mended(found: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the tones with those joined that a short gap has cut."""
    whole: list[tuple[int, int]] = []
    for pitch, ms in found:
        if (
            pitch
            and len(whole) >= 2
            and whole[-1][0] == 0
            and whole[-1][1] <= _GAP_MAX_MS
            and abs(whole[-2][0] - pitch) <= 20
        ):
            _, (first, before_ms) = whole.pop(), whole.pop()
            whole.append((first, before_ms + ms))
        else:
            whole.append((pitch, ms))
    return whole
