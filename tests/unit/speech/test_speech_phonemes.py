"""Pronunciations: what English has is written for every engine, anything else is nobody's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.speech.phonemes import Notation, normalised, written


@pytest.mark.parametrize(
    ("ph", "alphabet", "ipa", "flite", "espeak"),
    [
        ("pɪˈkɑːn", "ipa", "pɪkˈɑːn", "p ih k aa n", "pIk'A:n"),
        ("ˈpi.kæn", "", "pˈikæn", "p iy k ae n", "p'i:kan"),
        ('pI"kA:n', "x-sampa", "pɪkˈɑːn", "p ih k aa n", "pIk'A:n"),
        ("d͡ʒʌd͡ʒ", "ipa", "dʒʌdʒ", "jh ah jh", "dZVdZ"),
        ("təˈmeɪtoʊ", "IPA", "təmˈeɪtoʊ", "t ax m ey t ow", "t@m'eItoU"),
        ("ˈɡʊd ˌbaɪ", "ipa", "gˈʊd bˌaɪ", "g uh d b ay", "g'Ud||b,aI"),
    ],
)
def test_pronunciations_are_written_for_every_engine(ph: str, alphabet: str, ipa: str, flite: str, espeak: str) -> None:
    assert normalised(ph, alphabet) == ipa
    assert [written(ipa, notation) for notation in Notation] == [ipa, flite, espeak]


@pytest.mark.parametrize(
    ("ph", "alphabet"), [("", "ipa"), ("ˈ", "ipa"), ("ʁu", "ipa"), ("pin1 yin1", "x-amazon-pinyin"), ("[[x]]", "ipa")]
)
def test_what_is_no_english_is_nothing(ph: str, alphabet: str) -> None:
    assert normalised(ph, alphabet) == ""


@given(st.text(max_size=120), st.sampled_from(["ipa", "x-sampa", "other"]))
def test_anything_may_be_asked_for(ph: str, alphabet: str) -> None:
    ipa = normalised(ph, alphabet)
    assert "[" not in ipa
    assert "]" not in ipa
    for notation in Notation:
        written(ipa, notation)
