"""The nearest local voice."""

from __future__ import annotations

import pytest

from ringback.speech.passage import Gender, Style
from ringback.speech.voices import Engine, LocalVoice, is_language, nearest

JOE = LocalVoice("joe", Engine.PIPER, "en-US", Gender.MAN)
SLT = LocalVoice("slt", Engine.FLITE, "en-US", Gender.WOMAN)
RMS = LocalVoice("rms", Engine.FLITE, "en-US", Gender.MAN)
ESPEAK = tuple(
    LocalVoice(f"{language}-{gender.value}", Engine.ESPEAK, language, gender)
    for language in ("en-US", "en-GB", "de", "fr-fr", "pt", "pt-BR", "cmn")
    for gender in Gender
)
ALL = (JOE, SLT, RMS, *ESPEAK)


def name_of(language: str, gender: Gender, voices: tuple[LocalVoice, ...] = ALL, order: tuple[Engine, ...] = ()) -> str:
    choice = nearest(voices, Style(language, gender), order)
    assert choice is not None
    return choice.voice.name


@pytest.mark.parametrize(
    ("language", "gender", "name"),
    [
        ("en-US", Gender.WOMAN, "slt"),
        ("en-US", Gender.MAN, "joe"),
        ("en-GB", Gender.MAN, "joe"),
        ("de-DE", Gender.WOMAN, "de-woman"),
        ("pt-BR", Gender.MAN, "pt-BR-man"),
        ("pt-PT", Gender.MAN, "pt-man"),
        ("fr-FR", Gender.WOMAN, "fr-fr-woman"),
        ("cmn-CN", Gender.WOMAN, "cmn-woman"),
        ("zh-CN", Gender.WOMAN, "cmn-woman"),
    ],
)
def test_language_then_sound_then_gender(language: str, gender: Gender, name: str) -> None:
    assert name_of(language, gender) == name


@pytest.mark.parametrize(
    ("language", "name"),
    [("en-AU", "en-GB"), ("en-US", "en-US"), ("es-MX", "es-419"), ("es-AR", "es"), ("de-AT", "de")],
)
def test_a_region_without_a_voice_has_the_general_one(language: str, name: str) -> None:
    names = ("en-029", "en-GB", "en-US", "es-419", "es", "de")
    voices = tuple(LocalVoice(each, Engine.ESPEAK, each, Gender.WOMAN) for each in names)
    assert name_of(language, Gender.WOMAN, voices) == name


def test_a_natural_man_stands_in_for_a_woman_before_a_robot_does() -> None:
    assert name_of("en-US", Gender.WOMAN, (JOE, *ESPEAK)) == "joe"


def test_an_order_of_engines_wins() -> None:
    assert name_of("en-US", Gender.MAN, order=(Engine.ESPEAK,)) == "en-US-man"
    assert name_of("en-US", Gender.WOMAN, order=(Engine.PIPER, Engine.FLITE)) == "joe"


def test_an_unknown_language_is_read_by_an_english_voice_and_said_so() -> None:
    choice = nearest(ALL, Style("xx-YY", Gender.MAN))
    assert choice is not None
    assert (choice.voice.name, choice.speaks_language) == ("joe", False)


def test_without_voices_there_is_none() -> None:
    assert nearest((), Style()) is None


@pytest.mark.parametrize(
    ("tag", "is_one"), [("en-US", True), ("arb", True), ("en-GB-WLS", True), ("e", False), ("en_US", False)]
)
def test_language_tags(tag: str, is_one: bool) -> None:
    assert is_language(tag) is is_one
