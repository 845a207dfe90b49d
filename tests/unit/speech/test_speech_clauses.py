"""Cutting a text where a speaker breathes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.speech.clauses import FIRST_MAX_CHARS, PIECE_MAX_CHARS, split

LONG = "Thank you very much for calling us today, we are glad to hear from you, and an agent will be with you shortly."


def test_the_first_piece_is_short_where_there_is_a_place_to_breathe() -> None:
    first, second = split(LONG, is_start=True)
    assert first.text == "Thank you very much for calling us today,"
    assert len(first.text) <= FIRST_MAX_CHARS
    assert (first.pause_ms, second.pause_ms) == (150, 350)


def test_a_first_clause_without_a_comma_is_cut_where_another_begins() -> None:
    pieces = split("Please hold while I connect you to an agent who can help you with that.", is_start=True)
    assert [(piece.text, piece.pause_ms) for piece in pieces] == [
        ("Please hold while I connect you to an agent", 0),
        ("who can help you with that.", 350),
    ]


def test_a_long_clause_is_cut_at_a_phrase_if_nowhere_else() -> None:
    text = "Your appointment is confirmed for tomorrow at three in the afternoon."
    assert [piece.text for piece in split(text, is_start=True)] == [
        "Your appointment is confirmed for tomorrow",
        "at three in the afternoon.",
    ]
    shorter = "Your train leaves at one past five from track two."
    assert [piece.text for piece in split(shorter, is_start=True)] == [shorter]


def test_a_short_beginning_is_no_piece_of_its_own() -> None:
    text = "Hold on and have your membership number ready by then."
    assert [piece.text for piece in split(text, is_start=True)] == [text]


def test_the_second_piece_is_ready_before_the_first_is_over() -> None:
    text = ", ".join(["this is one of the clauses of it"] * 8) + "."
    sizes = [len(piece.text) for piece in split(text, is_start=True)]
    assert sizes[0] <= 48
    assert sizes[1] <= 110


def test_later_sentences_stay_whole() -> None:
    assert [piece.text for piece in split(LONG, is_start=False)] == [LONG]


def test_short_sentences_join_but_the_first_does_not_wait_for_them() -> None:
    assert [piece.text for piece in split("Hello. Yes. No. This is a longer sentence now.", is_start=True)] == [
        "Hello.",
        "Yes. No. This is a longer sentence now.",
    ]


@pytest.mark.parametrize("text", ["Mr. Smith of Acme Inc. is here.", "It costs 3.50 today.", "At 5 p.m. we close."])
def test_abbreviations_and_numbers_do_not_end_a_sentence(text: str) -> None:
    assert [piece.text for piece in split(text, is_start=True)] == [text]


def test_other_scripts_have_ends_of_sentences_too() -> None:
    assert len(split("これはとても長い最初の文章ですよ。" * 3, is_start=True)) >= 2


def test_a_word_without_end_is_cut() -> None:
    assert [len(piece.text) for piece in split("x" * 500, is_start=True)] == [220, 220, 60]


@given(st.text(max_size=2_000), st.booleans())
def test_nothing_is_lost_and_every_piece_is_bounded(text: str, is_start: bool) -> None:
    pieces = split(text, is_start=is_start)
    assert all(0 < len(piece.text) <= PIECE_MAX_CHARS for piece in pieces)
    assert "".join("".join(piece.text for piece in pieces).split()) == "".join(text.split())
