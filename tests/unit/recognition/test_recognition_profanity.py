"""Swear words are masked, and nothing that only looks like one."""

import pytest

from ringback.recognition.profanity import masked


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("what the fuck", "what the f***"),
        ("Shit, that is a FUCKING mess", "S***, that is a F****** mess"),
        ("you bitches are full of bullshit", "you b****** are full of b*******"),
        ("kick his ass", "kick his a**"),
        ("", ""),
    ],
)
def test_swear_words_are_masked_behind_their_first_letter(said: str, shown: str) -> None:
    assert masked(said) == shown


@pytest.mark.parametrize(
    "said",
    ["assess the class", "Dick Cocker of Scunthorpe", "shiitake, a cockatoo", "damnation", "an assistant", "345"],
)
def test_other_words_stay(said: str) -> None:
    assert masked(said) == said
