"""Grammars of expected phrases, and what is made of the words that were found."""

from __future__ import annotations

import pytest

from ringback.recognition.grammar import closest_hint, digits_of, grammar_of, read_hypothesis, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Technical Support!", "technical support"),
        ("24 hours", "two four hours"),
        ("I'd like", "i'd like"),
        ("  ", ""),
        ("<script>|*", "script"),
    ],
)
def test_phrases_are_read_as_words(text: str, words: str) -> None:
    assert words_of(text) == words


@pytest.mark.parametrize(
    ("words", "digits"), [("three four five", "345"), ("oh 7 zero", "070"), ("four you", ""), ("", "")]
)
def test_digits_are_read_from_words(words: str, digits: str) -> None:
    assert digits_of(words) == digits


def test_grammar_holds_phrases_digits_and_other_words() -> None:
    grammar = grammar_of(["sales", "strange wrdd", "please"], lambda word: word != "wrdd")
    first = next(line for line in grammar.splitlines() if line.startswith("public"))
    said = first.removeprefix("public <said> = ").rstrip(";").split(" | ")
    assert said[:3] == ["sales", "please", "<digits>"]
    assert "hello" in said
    assert said.count("please") == 1
    assert "wrdd" not in grammar


@pytest.mark.parametrize(
    ("words", "text", "confidence"),
    [
        ("technical support", "Technical Support", 0.9),
        ("technical", "Technical Support", 0.5),
        ("check", "", 0.0),
        ("three four", "34", 0.7),
        ("hello", "", 0.0),
        ("", "", 0.0),
    ],
)
def test_hypothesis_means_a_hint_digits_or_nothing(words: str, text: str, confidence: float) -> None:
    hints = ["Technical Support", "check balance", "check orders"]
    assert read_hypothesis(words, hints) == (text, confidence)


@pytest.mark.parametrize(
    ("said", "meant"),
    [("Technical support.", "tech support"), ("I want sales, please", "sales"), ("What a nice day", ""), ("", "")],
)
def test_transcript_is_taken_for_the_hint_it_is_like(said: str, meant: str) -> None:
    assert closest_hint(said, ["sales", "tech support"]) == meant
