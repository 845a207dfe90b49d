"""`media.hold`: a sound under everything else, without clicks."""

from __future__ import annotations

import numpy as np
from tests.support.media_leg import Leg, measured, samples, sine_pcm, sine_ulaw

from ringback.ids import PlayId
from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.hold import COMFORT_HZ, COMFORT_ON_MS, COMFORT_PERIOD_MS, HoldSound, comfort_tone
from ringback.media.playback import PcmClip

HELD_HZ = 600.0


def held() -> PcmClip:
    return PcmClip(sine_pcm(HELD_HZ, 1_000), 0)


def heard(audio: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return samples(PCMU.decode(audio))


def steepest(wave: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    return float(np.abs(np.diff(wave)).max())


def test_it_is_heard_until_it_is_taken_away_and_nothing_clicks() -> None:
    leg = Leg()
    quiet = leg.slots(5)
    leg.session.hold(held())
    sounding = leg.slots(50)
    leg.session.hold(None)
    after = leg.slots(5)
    assert set(quiet) == {0xFF}
    amplitude, purity = measured(heard(sounding[160:]), HELD_HZ, 8000)
    assert 9_000 < amplitude < 11_000
    assert purity > 30
    # A sine of this level moves by 4,700 from sample to sample.
    assert steepest(heard(quiet + sounding + after)) < 5_200
    assert set(after[2 * 160 :]) == {0xFF}


def test_agent_audio_and_playbacks_come_first() -> None:
    leg = Leg()
    leg.session.hold(held())
    leg.slots(10)
    leg.play(sine_ulaw(1_000, 400))
    spoken = leg.slots(20)
    amplitude, purity = measured(heard(spoken[160:]), 1_000, 8000)
    assert purity > 30
    assert 9_000 < amplitude < 11_000
    back = leg.slots(10)
    assert measured(heard(back[320:]), HELD_HZ, 8000)[1] > 30
    leg.session.start_play(Instant(leg.now), PlayId("p"), PcmClip(sine_pcm(1_500, 200)))
    played = leg.slots(10)
    assert measured(heard(played[160:]), 1_500, 8000)[1] > 30


def test_the_built_in_sound_is_a_soft_tone_now_and_then() -> None:
    leg = Leg()
    leg.session.hold(comfort_tone())
    audio = heard(leg.slots(2 * COMFORT_PERIOD_MS // 20))
    amplitude, purity = measured(audio[400 : 8 * (COMFORT_ON_MS - 50)], COMFORT_HZ[0], 8000)
    assert 1_300 < amplitude < 2_000
    assert purity > 25
    pause = audio[8 * (COMFORT_ON_MS + 20) : 8 * (COMFORT_PERIOD_MS - 20)]
    assert float(np.abs(pause).max()) < 10
    again = audio[8 * COMFORT_PERIOD_MS + 400 : 8 * (COMFORT_PERIOD_MS + COMFORT_ON_MS - 50)]
    assert measured(again, COMFORT_HZ[0], 8000)[1] > 25


def test_it_is_off_when_it_has_faded() -> None:
    sound = HoldSound()
    assert not sound.is_on
    sound.play(None)
    assert not sound.is_on
    sound.play(held())
    assert sound.is_on
    assert sound.take(is_free=False) == b""
    assert len(sound.take(is_free=True)) == 320
    sound.play(None)
    sound.play(None)
    assert sound.is_on
    assert len(sound.take(is_free=True)) == 320
    assert not sound.is_on
    assert sound.played_frames == 1


def test_a_source_that_ends_or_starves_gives_silence() -> None:
    sound = HoldSound()
    sound.play(PcmClip(sine_pcm(HELD_HZ, 30), 1))
    assert np.any(np.frombuffer(sound.take(is_free=True), dtype=np.int16))
    sound.take(is_free=True)
    assert sound.take(is_free=True) == bytes(320)
    sound.play(None)
    assert sound.take(is_free=True) == bytes(320)
    assert not sound.is_on


def test_a_hold_that_ends_before_its_first_slot_is_not_heard() -> None:
    leg = Leg()
    leg.session.hold(held())
    leg.session.hold(None)
    assert set(leg.slots(5)) == {0xFF}
