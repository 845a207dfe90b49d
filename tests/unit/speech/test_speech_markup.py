"""SSML to passages: every element, every fault is a note, and no input raises."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.speech.markup import BREAK_MAX_MS, PAUSES_MAX_MS, TEXT_MAX_CHARS, read_speech
from ringback.speech.passage import Gender, Passage
from ringback.speech.ssml import parse_ssml


def passages(ssml: str, **options: str) -> tuple[Passage, ...]:
    return read_speech(parse_ssml(ssml), **options).passages


def texts(ssml: str) -> list[str]:
    return [passage.text for passage in passages(ssml)]


def notes(ssml: str, **options: str) -> tuple[str, ...]:
    return read_speech(parse_ssml(ssml), **options).notes


def test_sentences_are_passages_with_a_pause_and_little_after_the_last() -> None:
    found = passages("This is the first sentence. And this is the second one.")
    assert [(passage.text, passage.pause_ms) for passage in found] == [
        ("This is the first sentence.", 350),
        ("And this is the second one.", 150),
    ]


def test_a_piece_of_a_sentence_is_said_as_one_that_goes_on() -> None:
    found = passages("Your appointment is confirmed for tomorrow at three in the afternoon.")
    assert [(passage.text, passage.pause_ms) for passage in found] == [
        ("Your appointment is confirmed for tomorrow,", 0),
        ("at three in the afternoon.", 150),
    ]


@pytest.mark.parametrize(
    ("element", "pause_ms"),
    [
        ('<break time="1500ms"/>', 1500),
        ('<break time="2.5s"/>', 2500),
        ('<break time="60s"/>', BREAK_MAX_MS),
        ('<break strength="x-strong"/>', 1200),
        ("<break/>", 400),
        ('<break time="soon"/>', 400),
        ('<break strength="huge"/>', 400),
    ],
)
def test_breaks(element: str, pause_ms: int) -> None:
    assert passages(f"one{element}two")[0].pause_ms == pause_ms


def test_a_break_before_anything_is_a_passage_of_its_own() -> None:
    first, second = passages('<break time="1s"/>one')
    assert (first.text, first.pause_ms, second.text) == ("", 1000, "one")


def test_all_pauses_together_are_bounded() -> None:
    found = passages('a<break time="10s"/>' * 60)
    assert sum(passage.pause_ms for passage in found if passage.pause_ms > 1000) == PAUSES_MAX_MS
    assert max(passage.pause_ms for passage in passages('<break time="10s"/>' * 40)) <= BREAK_MAX_MS


def test_prosody_and_emphasis_multiply() -> None:
    (passage,) = passages(
        '<prosody rate="fast" pitch="+10%" volume="-6dB"><prosody rate="80%"><emphasis level="strong">x</emphasis>'
        "</prosody></prosody>"
    )
    assert passage.style.rate == pytest.approx(1.25 * 0.8 * 0.88, abs=0.001)
    assert passage.style.pitch == pytest.approx(1.1)
    assert passage.style.gain_db == -3.0


@pytest.mark.parametrize(
    ("attributes", "name", "value"),
    [
        ('rate="x-slow"', "rate", 0.5),
        ('rate="1000%"', "rate", 2.5),
        ('rate="-90%"', "rate", 0.4),
        ('pitch="+2st"', "pitch", 1.122),
        ('pitch="x-low"', "pitch", 0.7),
        ('volume="x-loud"', "gain_db", 9.0),
        ('volume="+99dB"', "gain_db", 12.0),
        ('volume="silent"', "is_muted", True),
    ],
)
def test_prosody_is_understood_and_bounded(attributes: str, name: str, value: Any) -> None:
    (passage,) = passages(f"<prosody {attributes}>x</prosody>")
    assert getattr(passage.style, name) == value


@pytest.mark.parametrize(
    ("ssml", "text"),
    [
        ('<say-as interpret-as="characters">ab1</say-as>', "A, B, 1"),
        ('<say-as interpret-as="digits">12 34</say-as>', "1, 2, 3, 4"),
        ('<say-as interpret-as="telephone">+14155550123</say-as>', "plus 1 4 1 5, 5 5 5, 0 1 2 3"),
        ('<say-as interpret-as="telephone">415-555-0123</say-as>', "4 1 5, 5 5 5, 0 1 2 3"),
        ('<say-as interpret-as="ordinal">22</say-as>', "22nd"),
        ('<say-as interpret-as="ordinal">112</say-as>', "112th"),
        ('<say-as interpret-as="fraction">2/3</say-as>', "2 over 3"),
        ('<say-as interpret-as="cardinal">12</say-as>', "12"),
        ('<say-as interpret-as="expletive">drat</say-as>', "beep"),
        ('<sub alias="World Wide Web Consortium">W3C</sub>', "World Wide Web Consortium"),
        ("<sub>W3C</sub>", "W3C"),
        ('<w role="amazon:VB">read</w>', "read"),
        ('<phoneme alphabet="ipa" ph="x">pecan</phoneme>', "pecan"),
        ('<phoneme alphabet="ipa" ph="pɪˈkɑːn">pecan</phoneme>', "pecan"),
        ("<speak>inside</speak>", "inside"),
    ],
)
def test_words_are_said_as_they_are_meant(ssml: str, text: str) -> None:
    assert texts(ssml) == [text]


def test_phonemes_are_a_passage_of_their_own_in_english_and_text_elsewhere() -> None:
    word = '<phoneme alphabet="ipa" ph="pɪˈkɑːn">pecan</phoneme>'
    found = passages(f"I like {word}. Do you?")
    assert [(each.text, each.phonemes) for each in found] == [("I like", ""), ("pecan", "pɪkˈɑːn"), ("Do you?", "")]
    assert notes(f"I like {word}.") == ()
    assert [each.phonemes for each in passages(f'<lang xml:lang="de-DE">{word}</lang>')] == [""]
    assert "de-DE" in notes(f'<lang xml:lang="de-DE">{word}</lang>')[0]
    assert "'ʁu'" in notes('<phoneme alphabet="ipa" ph="ʁu">roux</phoneme>')[0]
    assert notes('one <mark name="here"/> two') == ()


def test_paragraphs_and_sentences_end_what_stands_before_them() -> None:
    assert [(passage.text, passage.pause_ms) for passage in passages("<p>One</p><p>Two</p>three<s>four</s>five")] == [
        ("One", 700),
        ("Two", 700),
        ("three", 350),
        ("four", 350),
        ("five", 150),
    ]


def test_an_emphasised_word_stays_in_its_sentence() -> None:
    assert [(passage.text, passage.pause_ms) for passage in passages("a <emphasis>big</emphasis> thing.")] == [
        ("a", 0),
        ("big", 0),
        ("thing.", 150),
    ]


def test_another_language_within_a_text() -> None:
    languages = [passage.style.language for passage in passages('Say <lang xml:lang="fr-FR">bonjour</lang> now')]
    assert languages == ["en-US", "fr-FR", "en-US"]


@pytest.mark.parametrize(
    ("voice", "language", "found"),
    [
        ("", "", ("en-US", Gender.WOMAN)),
        ("MAN", "", ("en-US", Gender.MAN)),
        ("man", "es-ES", ("es-ES", Gender.MAN)),
        ("Polly.Joanna", "", ("en-US", Gender.WOMAN)),
        ("Polly.Matthew-Neural", "", ("en-US", Gender.MAN)),
        ("polly.vicki", "", ("de-DE", Gender.WOMAN)),
        ("Polly.Léa", "", ("fr-FR", Gender.WOMAN)),
        ("Polly.Amy", "en-US", ("en-GB", Gender.WOMAN)),
        ("Polly.Aditi", "", ("en-IN", Gender.WOMAN)),
        ("Polly.Aditi", "hi-IN", ("hi-IN", Gender.WOMAN)),
        ("Polly.Kajal-Neural", "en-IN", ("en-IN", Gender.WOMAN)),
        ("Bob", "fr-FR", ("fr-FR", Gender.WOMAN)),
        ("", "xx-YY", ("xx-YY", Gender.WOMAN)),
        ("", "!!", ("en-US", Gender.WOMAN)),
    ],
)
def test_voices_and_languages(voice: str, language: str, found: tuple[str, Gender]) -> None:
    (passage,) = read_speech(["x"], voice, language).passages
    assert (passage.style.language, passage.style.gender) == found


@pytest.mark.parametrize("language", ["", "hi-IN", "en-IN"])
def test_a_voice_of_two_languages_reads_what_is_written(language: str) -> None:
    speech = read_speech(["नमस्ते"], "Polly.Aditi", language)
    assert (speech.passages[0].style.language, speech.notes) == ("hi-IN", ())
    assert notes("x", voice="Polly.Aditi", language="fr-FR") == (
        "voice Polly.Aditi speaks en-IN; language fr-FR is ignored",
    )


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("I&amp;#39;m here", "I'm here"),
        ("caf&amp;#233; &amp;#x20AC;5", "café €5"),
        ("Tom &amp;amp; Jerry &amp;eacute;t&amp;eacute;", "Tom & Jerry été"),
        ("AT&amp;T &amp; R&amp;D; &amp;#9999999;", "AT&T & R&D; \N{REPLACEMENT CHARACTER}"),
    ],
)
def test_references_that_some_sdks_escape_twice_are_read(written: str, said: str) -> None:
    (passage,) = passages(written)
    assert passage.text == said


def test_what_is_odd_is_noted() -> None:
    assert notes("x", voice="Polly.Amy", language="en-US") == (
        "voice Polly.Amy speaks en-GB; language en-US is ignored",
    )
    assert notes("x", language="!!") == ("language '!!' is no language tag; en-US is used",)
    assert notes('<prosody rate="quick" colour="red">x</prosody>') == (
        "<prosody rate='quick'> is not understood and is ignored",
        "<prosody colour='red'> is not understood and is ignored",
    )
    assert notes('<lang xml:lang="?">x</lang><say-as interpret-as="song">x</say-as>') == (
        "<lang xml:lang='?'> is no language tag and is ignored",
        "<say-as interpret-as='song'> is unknown; its text is said as it is",
    )
    assert len(notes("".join(f"<x{number}/>" for number in range(100)))) == 16


@pytest.mark.parametrize("too_many", [0, 1])
def test_the_text_is_bounded(too_many: int) -> None:
    text = "word " * (TEXT_MAX_CHARS // 5) + "x" * (TEXT_MAX_CHARS % 5 + too_many)
    speech = read_speech([text])
    assert any("longer than" in note for note in speech.notes) is bool(too_many)


@given(st.lists(st.text(max_size=400), max_size=5), st.text(max_size=30), st.text(max_size=30))
def test_no_text_raises_and_every_passage_is_bounded(parts: list[str], voice: str, language: str) -> None:
    speech = read_speech(parts, voice, language)
    assert all(len(passage.text) <= 221 and "\n" not in passage.text for passage in speech.passages)
    assert all(passage.text or passage.pause_ms for passage in speech.passages)
