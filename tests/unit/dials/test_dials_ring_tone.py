from __future__ import annotations

import io
import wave

import numpy as np

from ringback.dials.ring_tone import ring_tone
from ringback.phones import tones


def test_tone_sounds_for_two_seconds_at_both_pitches_and_pauses_for_four() -> None:
    with wave.open(io.BytesIO(ring_tone())) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8_000)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)
    assert len(samples) == 6 * 8_000
    sound, pause = samples[:16_000], samples[16_000:]
    assert not np.any(pause)
    for pitch_hz in (440, 480):
        assert -26 < tones.goertzel_dbov(sound, pitch_hz) < -20
