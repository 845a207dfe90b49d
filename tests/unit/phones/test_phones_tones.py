import audioop

import numpy as np
import pytest

from ringback.phones import tones


def through_mulaw(samples: tones.Samples) -> tones.Samples:
    return np.frombuffer(audioop.ulaw2lin(audioop.lin2ulaw(samples.tobytes(), 2), 2), dtype=np.int16)


@pytest.mark.parametrize("rate_hz", [8000, 16000])
@pytest.mark.parametrize("frequency_hz", [300, 440.5, 1004, 3300])
def test_pitch_of_a_tone_is_found_to_one_hertz(rate_hz, frequency_hz):
    assert tones.pitch_hz(tones.tone(frequency_hz, 200, rate_hz), rate_hz) == pytest.approx(frequency_hz, abs=1)


@pytest.mark.parametrize("level", [-3.1, -15, -40])
def test_level_of_a_tone_is_what_was_asked(level):
    assert tones.level_dbov(tones.tone(1000, 1000, level_dbov=level)) == pytest.approx(level, abs=0.2)
    assert tones.goertzel_dbov(tones.tone(1000, 1000, level_dbov=level), 1000) == pytest.approx(level, abs=0.3)


def test_wrong_byte_order_or_rate_is_seen():
    tone = tones.tone(1000, 200)
    swapped = tone.byteswap()
    assert tones.purity(tone, 1000) > 0.95
    assert tones.purity(swapped, 1000) < 0.7
    assert tones.pitch_hz(tone, 16000) == pytest.approx(2000, abs=2)


def test_silence_has_no_pitch_and_the_floor_level():
    assert tones.pitch_hz(tones.silence(100)) == 0
    assert tones.level_dbov(tones.silence(100)) == tones.SILENCE_DBOV
    assert tones.level_dbov(tones.silence(0)) == tones.SILENCE_DBOV
    assert tones.goertzel_dbov(tones.silence(0), 1000) == tones.SILENCE_DBOV
    assert tones.purity(tones.silence(100), 1000) == 0
    assert tones.pitch_hz(tones.tone(1000, 5)) == 0


def test_levels_show_where_the_sound_is():
    audio = np.concatenate([tones.silence(100), tones.tone(1000, 100), tones.silence(110)])
    levels = tones.levels_dbov(audio)
    assert len(levels) == 15
    assert [index for index, level in enumerate(levels) if level > -30] == [5, 6, 7, 8, 9]


@pytest.mark.parametrize("lag", [0, 1, 160, 777])
def test_delay_is_found_to_the_sample_through_mulaw(lag):
    sent = tones.melody(7, 1500)
    received = np.concatenate([np.zeros(lag, dtype=np.int16), through_mulaw(sent), tones.silence(300)])
    match = tones.find(sent, received)
    assert match.lag_samples == lag
    assert match.likeness > 0.95


def test_delay_is_found_when_the_beginning_is_lost():
    sent = tones.melody(7, 3000)
    match = tones.find(sent, sent[2000:])
    assert match.lag_samples == -2000
    assert match.likeness > 0.99


def test_another_melody_is_not_taken_for_ours():
    assert tones.find(tones.melody(1, 2000), tones.melody(2, 2000)).likeness < 0.5
    assert tones.find(tones.melody(1, 2000), tones.silence(2000)).likeness == 0


def test_melody_has_the_asked_length():
    assert len(tones.melody(1, 1234)) == 1234 * 8
    assert len(tones.melody(1, 0)) == 0


@pytest.mark.parametrize("number", [0, 1, 0x1234, 0xFFFF, 0xA5A5])
@pytest.mark.parametrize("shift", [0, 37, 1601])
def test_number_survives_mulaw_and_any_shift(number, shift):
    audio = np.concatenate(
        [np.zeros(shift, dtype=np.int16), through_mulaw(tones.encode_number(number)), tones.silence(50)]
    )
    assert tones.decode_number(audio) == number


def test_no_number_is_read_from_anything_else():
    noise = np.random.default_rng(3).integers(-3000, 3000, 16000).astype(np.int16)
    assert tones.decode_number(noise) is None
    assert tones.decode_number(tones.silence(1000)) is None
    assert tones.decode_number(tones.encode_number(5)[:-2000]) is None


def test_number_must_fit():
    with pytest.raises(ValueError, match="expected 0 to 65535"):
        tones.encode_number(65536)


def test_loud_sums_are_clipped_not_wrapped():
    loud = tones.chord((500, 1000, 1500), 100, level_dbov=0)
    assert tones.purity(loud, 500) > 0.2
    assert loud.max() == 32767
