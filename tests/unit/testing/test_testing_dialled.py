"""What a virtual caller's assertions accept, and what they say when they do not."""

from __future__ import annotations

import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ringback.phones.call import CallEnd
from ringback.phones.checks import Heard
from ringback.phones.main import CallReport
from ringback.phones.tones import Samples, melody, silence
from ringback.testing.dialled import DialledCall

SPOKEN = melody(seed=3, duration_ms=800)


def call(samples: Samples = SPOKEN, *, was_answered: bool = True, **heard: Any) -> DialledCall:
    figures = {
        "has_audio": True,
        "sound_ms": 800,
        "level_dbov": -15.0,
        "pitch_hz": 440.0,
        "first_audio_ms": 300,
        **heard,
    }
    report = CallReport(
        uri="sip:1@192.0.2.1",
        call_uuid="c1",
        was_answered=was_answered,
        end=CallEnd("us") if was_answered else CallEnd("them", 486, "Busy Here"),
        codec="PCMU",
        talk_ms=2_000,
        heard=Heard(**figures),
        heard_samples=samples,
        digits_heard="12",
        received_packets=100,
        lost_packets=0,
        jitter_ms=0.1,
        is_reliable=True,
    )
    return DialledCall(report, ("  00.000  sip  INVITE", "  00.010  sip  486"))


def test_what_was_heard_passes() -> None:
    heard = call(np.concatenate([silence(500), SPOKEN, silence(500)]), likeness=0.97)
    heard.assert_answered()
    heard.assert_heard(within_ms=300, at_least_ms=800)
    heard.assert_heard_sound(SPOKEN)
    heard.assert_heard_itself()
    assert (heard.first_audio_ms, heard.digits) == (300, "12")


def test_a_sound_of_which_20_ms_were_lost_is_still_that_sound() -> None:
    long = melody(seed=5, duration_ms=3_000)
    call(np.concatenate([long[:10_000], long[10_160:17_000], long[17_160:]])).assert_heard_sound(long, likeness=0.9)


def test_a_failure_names_the_call_and_shows_its_timeline() -> None:
    with pytest.raises(AssertionError) as failure:
        call(was_answered=False).assert_heard()
    assert str(failure.value).splitlines() == [
        "the call was not answered: 486 Busy Here",
        "call c1",
        "  00.000  sip  INVITE",
        "  00.010  sip  486",
    ]


@pytest.mark.parametrize(
    ("heard", "options", "says"),
    [
        ({"sound_ms": 40}, {}, "heard 40 ms of sound in 2000 ms, expected 100 ms"),
        ({}, {"at_least_ms": 801}, "heard 800 ms of sound in 2000 ms, expected 801 ms"),
        ({}, {"within_ms": 299}, "the first sound came 300 ms after the answer, expected within 299 ms"),
    ],
)
def test_too_little_and_too_late_are_told(heard: dict[str, Any], options: dict[str, int], says: str) -> None:
    with pytest.raises(AssertionError, match=says):
        call(**heard).assert_heard(**options)


def test_another_sound_is_told_with_its_likeness(tmp_path: Path) -> None:
    heard = call(melody(seed=4, duration_ms=2_000))
    with pytest.raises(AssertionError, match=r"heard the sound with a likeness of 0\.\d\d, expected 0\.60"):
        heard.assert_heard_sound(SPOKEN)
    with pytest.raises(AssertionError, match=r"heard itself with a likeness of 0\.00"):
        heard.assert_heard_itself()
    with pytest.raises(AssertionError, match=r"heard .*/wanted\.wav with a likeness of 0\.00"):
        call(silence(0)).assert_heard_sound(saved(tmp_path / "wanted.wav"))


def saved(path: Path) -> Path:
    call().save(path)
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getnframes()) == (8_000, 1, len(SPOKEN))
    return path
