import numpy as np
import pytest

from ringback.machine import MS, Instant
from ringback.phones import tones
from ringback.phones.checks import Take, judge


def at(ms: float) -> Instant:
    return Instant(int(ms * MS))


def after_silence(ms: int, samples: tones.Samples) -> tones.Samples:
    return np.concatenate([tones.silence(ms), samples])


def test_echo_is_recognised_with_its_delay_and_level():
    sent = tones.melody(5, 2000, level_dbov=-15)
    heard = judge(Take(sent, at(100)), Take(after_silence(40, sent), at(120)), answered=at(90))
    assert heard.has_audio
    assert heard.round_trip_ms == 60
    assert heard.likeness == pytest.approx(1, abs=0.01)
    assert heard.first_audio_ms == 70
    assert heard.sound_ms >= 1960
    assert heard.level_dbov == pytest.approx(heard.sent_level_dbov, abs=0.3)


def test_echo_whose_beginning_was_lost_keeps_its_delay():
    sent = tones.melody(5, 2000)
    heard = judge(Take(sent, at(0)), Take(sent[4000:], at(525)), answered=at(0))
    assert heard.round_trip_ms == 25


def test_growing_delay_is_measured_piece_by_piece():
    sent = tones.melody(5, 4000)
    received = np.concatenate([tones.silence(20), sent[:16_000], tones.silence(40), sent[16_000:]])
    heard = judge(Take(sent, at(0)), Take(received, at(0)), answered=at(0))
    assert heard.likeness > 0.95
    assert heard.round_trip_ms in (20, 40, 60)
    assert heard.round_trip_max_ms == 60


def test_other_audio_is_audio_but_no_echo():
    heard = judge(Take(tones.melody(5, 1000), at(0)), Take(tones.tone(440, 1000), at(0)), answered=at(0))
    assert heard.has_audio
    assert heard.round_trip_ms is None
    assert heard.pitch_hz == pytest.approx(440, abs=1)


def test_sound_of_exactly_100_ms_counts_and_a_click_does_not():
    def received(ms: int) -> Take:
        return Take(np.concatenate([tones.silence(200), np.full(ms * 8, 3000, dtype=np.int16)]), at(0))

    assert judge(None, received(100), at(0)).has_audio
    assert not judge(None, received(80), at(0)).has_audio


def test_line_noise_is_not_audio():
    noise = np.random.default_rng(1).integers(-20, 20, 16000).astype(np.int16)
    heard = judge(None, Take(noise, at(0)), at(0))
    assert not heard.has_audio
    assert heard.first_audio_ms is None


@pytest.mark.parametrize("received", [None, Take(tones.silence(0), Instant(0)), Take(tones.silence(2000), Instant(0))])
def test_nothing_and_silence_are_not_audio(received):
    heard = judge(Take(tones.melody(1, 500), at(0)), received, at(0))
    assert not heard.has_audio
    assert heard.round_trip_ms is None
