"""Speech, silence and beeps told apart, on tones, noise and what only sounds like a beep."""

from __future__ import annotations

import numpy as np
import pytest

from ringback.ids import CommandId, ListenId, SessionId
from ringback.media.control.commands import Listen
from ringback.media.control.events import BeepHeard, SilenceReached, SpeechProgressed, SpeechStarted
from ringback.media.control.values import BeepRule
from ringback.media.detect.beep import Beep, BeepDetector
from ringback.media.detect.listener import Listener
from ringback.media.detect.speech import SpeechDetector
from ringback.phones.tones import Samples, chord, silence, tone

SESSION = SessionId("s")
LISTEN = ListenId("l")


def frames(*parts: Samples) -> list[bytes]:
    samples = np.concatenate(parts).astype(np.int16)
    return [samples[at : at + 160].tobytes() for at in range(0, len(samples) - 159, 160)]


def noise(duration_ms: int, level: float, seed: int = 1) -> Samples:
    return (np.random.default_rng(seed).standard_normal(8 * duration_ms) * level).astype(np.int16)


def vowel(duration_ms: int, pitch_hz: float = 120.0) -> Samples:
    """Return harmonics under two formants, swelling and falling like a syllable."""
    at = np.arange(8 * duration_ms) / 8000
    sound = np.zeros(len(at))
    for number in range(1, 25):
        hz = number * pitch_hz
        gain = np.exp(-(((hz - 700) / 250) ** 2)) + 0.7 * np.exp(-(((hz - 1200) / 250) ** 2)) + 0.02
        sound += gain * np.sin(2 * np.pi * hz * at + number)
    swell = np.sin(np.pi * np.arange(len(at)) / len(at))
    return np.asarray(sound / np.abs(sound).max() * 9_000 * swell, dtype=np.int16)


# ── speech ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def speech_times(silence_ms: int, *parts: Samples) -> tuple[list[int], list[int]]:
    """Return when speech began and when silence was reached, in ms."""
    detector = SpeechDetector(silence_ms)
    begun, silent = [], []
    for index, frame in enumerate(frames(*parts)):
        begins, is_silent = detector.take(frame)
        begun += [index * 20] if begins else []
        silent += [index * 20] if is_silent else []
    return begun, silent


@pytest.mark.parametrize("level", [0.0, 20.0, 100.0, 300.0])
def test_syllables_begin_and_end_speech_whatever_the_line_hums(level: float) -> None:
    sound = np.concatenate([silence(2000), vowel(600), silence(200), vowel(500), silence(2000)])
    begun, silent = speech_times(800, (sound + noise(len(sound) // 8, level)).astype(np.int16))
    assert len(begun) == 1
    assert 2000 <= begun[0] <= 2350
    assert len(silent) == 2, "before the first word, and after the last one"
    assert 3300 + 500 <= silent[1] <= 3300 + 1100


def test_silence_from_the_start_is_reached_once() -> None:
    assert speech_times(1000, silence(5000)) == ([], [980])


def test_clicks_neither_begin_speech_nor_break_silence() -> None:
    click = tone(1000, 40)
    begun, silent = speech_times(1000, silence(500), click, silence(400), click, silence(2000))
    assert begun == []
    assert silent == [980 + 80]


def test_speech_that_never_pauses_reaches_no_silence() -> None:
    assert speech_times(500, *[vowel(300) for _ in range(20)])[1] == []


# ── beeps ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def beeps(*parts: Samples, **settings: int) -> list[Beep]:
    detector = BeepDetector(**settings)
    return [beep for frame in frames(*parts) if (beep := detector.take(frame)) is not None]


@pytest.mark.parametrize("pitch_hz", [440, 620, 800, 1000, 1400, 1850])
@pytest.mark.parametrize("level", [0.0, 60.0])
def test_voicemail_beeps_are_heard_after_speech_and_noise(pitch_hz: int, level: float) -> None:
    sound = np.concatenate([vowel(700), silence(150), vowel(400), silence(300), tone(pitch_hz, 500), silence(300)])
    (beep,) = beeps((sound + noise(len(sound) // 8, level)).astype(np.int16))
    assert beep.pitch_hz == pytest.approx(pitch_hz, abs=6)
    assert beep.duration_ms == pytest.approx(500, abs=60)


@pytest.mark.parametrize(
    "sound",
    [
        chord([440, 480], 2000),
        chord([350, 440], 2000),
        chord([697, 1209], 400),
        chord([941, 1477], 400),
        vowel(900),
        vowel(900, 210.0),
        noise(900, 3000.0),
        tone(250, 600),
        tone(2500, 600),
        tone(1000, 240),
        tone(1000, 4400),
    ],
    ids=["ringing", "dialling", "key 1", "key #", "vowel", "high vowel", "noise", "low", "high", "short", "endless"],
)  # fmt: skip
def test_other_sounds_are_no_beeps(sound: Samples) -> None:
    assert beeps(silence(300), sound, silence(500)) == []


def test_length_gap_and_level_of_a_beep_can_be_chosen() -> None:
    assert beeps(tone(1000, 200), silence(500), least_ms=160)
    assert not beeps(tone(1000, 400), silence(60), gap_ms=200)
    quiet = tone(1000, 500, level_dbov=-38)
    assert beeps(quiet, silence(500))
    assert not beeps(quiet, silence(500), threshold=2000)


def test_tone_that_goes_over_into_speech_is_no_beep() -> None:
    assert beeps(tone(1000, 500), vowel(600), silence(500)) == []


# ── one listening ───────────────────────────────────────────────────────────────────────────────────────────────────


def listener(**settings: object) -> Listener:
    return Listener(SESSION, Listen(command_id=CommandId("c"), session_id=SESSION, listen_id=LISTEN, **settings))  # type: ignore[arg-type]


def feed(listening: Listener, *parts: Samples) -> bytes:
    captured = b""
    for frame in frames(*parts):
        listening.take(frame)
        captured += bytes(listening.captured)
        listening.captured.clear()
    return captured


def test_utterance_is_captured_from_before_its_onset_to_the_silence_behind_it() -> None:
    listening = listener(silence_ms=500, capture_path="/x.wav", progress_ms=400)
    word = vowel(700)
    captured = feed(listening, silence(1000), word, silence(2000))
    assert listening.is_over
    kinds = [type(event) for event in listening.events]
    assert [kinds[0], kinds[1], kinds[-1]] == [SilenceReached, SpeechStarted, SilenceReached]
    assert kinds.count(SpeechProgressed) == listening.captured_ms // 400
    assert len(captured) == 16 * listening.captured_ms
    assert np.frombuffer(captured, np.int16).max() == word.max()
    assert 300 + 500 + 500 <= listening.captured_ms <= 300 + 700 + 620


def test_long_utterance_is_captured_up_to_its_bound() -> None:
    listening = listener(silence_ms=500, capture_path="/x.wav", capture_max_ms=1000)
    captured = feed(listening, *[vowel(300) for _ in range(10)])
    assert listening.is_over
    assert len(captured) == 16 * 1000


def test_without_a_file_it_goes_on_reporting() -> None:
    listening = listener(silence_ms=400, beep=BeepRule())
    captured = feed(listening, vowel(400), silence(800), tone(1000, 500), silence(800), vowel(400), silence(800))
    assert captured == b""
    assert not listening.is_over
    heard = [type(event) for event in listening.events]
    assert heard.count(SpeechStarted) == 3, "a beep is a sound like any other"
    assert heard.count(SilenceReached) == 3
    assert heard.count(BeepHeard) == 1
