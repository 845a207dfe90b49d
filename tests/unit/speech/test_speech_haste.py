"""The opening of a hurried text: short, of whole words, and nothing is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.speech.haste import hastened
from ringback.speech.markup import read_speech


@pytest.mark.parametrize(
    ("text", "opening", "rest"),
    [
        ("Your train to Lisbon leaves at five past seven.", "Your train to Lisbon,", "leaves at five past seven."),
        ("Thank you for calling Acme Bank today.", "Thank you for calling,", "Acme Bank today."),
        ("All of our agents are busy at the moment.", "All of our agents,", "are busy at the moment."),
    ],
)
def test_opening_ends_where_a_word_does_not_lean_on_the_next(text: str, opening: str, rest: str) -> None:
    speech = hastened(read_speech([text]))
    assert [passage.text for passage in speech.passages] == [opening, rest]
    assert [passage.pause_ms for passage in speech.passages] == [0, 150]


@pytest.mark.parametrize("text", ["", "Hello.", "Please hold the line for a moment", "x" * 100, "to the in of a " * 6])
def test_short_or_uncuttable_texts_stay(text: str) -> None:
    speech = read_speech([text])
    assert hastened(speech) is speech


@given(st.text(alphabet="abc ,.!tohe", max_size=200))
def test_no_letter_is_lost(text: str) -> None:
    speech = read_speech([text])

    def letters(passages: object) -> str:
        return "".join(letter for passage in passages for letter in passage.text if letter.isalpha())  # type: ignore[attr-defined]

    assert letters(hastened(speech).passages) == letters(speech.passages)
