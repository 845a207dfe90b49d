import wave

import numpy as np
import pytest

from ringback.phones import tones
from ringback.phones.sound_files import SoundFileUnusable, read_sound, write_wav


def test_written_wav_reads_back_exactly(tmp_path):
    samples = tones.melody(3, 500)
    write_wav(tmp_path / "x.wav", samples)
    assert np.array_equal(read_sound(tmp_path / "x.wav"), samples)


def test_other_rates_and_stereo_become_8_khz_mono(tmp_path):
    tone = tones.tone(1000, 500, rate_hz=44_100)
    with wave.open(str(tmp_path / "s.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        file.writeframes(np.repeat(tone, 2).astype("<i2").tobytes())
    samples = read_sound(tmp_path / "s.wav")
    assert len(samples) == pytest.approx(4000, abs=4)
    assert tones.pitch_hz(samples, 8000) == pytest.approx(1000, abs=2)


def test_missing_broken_and_empty_files_are_refused(tmp_path):
    (tmp_path / "broken.wav").write_bytes(b"RIFFnonsense")
    write_wav(tmp_path / "empty.wav", tones.silence(0))
    for name, says in (
        ("gone.wav", "there is no file"),
        ("broken.wav", "is not a sound"),
        ("empty.wav", "read 0 s from"),
    ):
        with pytest.raises(SoundFileUnusable, match=says):
            read_sound(tmp_path / name)


def test_unwritable_place_is_an_error_of_ours(tmp_path):
    with pytest.raises(SoundFileUnusable, match="cannot write"):
        write_wav(tmp_path / "no" / "x.wav", tones.silence(10))
