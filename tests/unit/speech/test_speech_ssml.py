"""SSML in the text of a request: what is accepted, and what is refused with its place."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import InvalidParameter
from ringback.speech.ssml import looks_like_ssml, parse_ssml


@pytest.mark.parametrize("text", ["<speak>hi</speak>", "a <break time='1s'/> b", "x</p>", '<say-as interpret-as="a">'])
def test_tags_look_like_ssml(text: str) -> None:
    assert looks_like_ssml(text)


@pytest.mark.parametrize("text", ["5 < 6 and 7 > 6", "a <3 b", "", "<>", "tom & jerry"])
def test_other_texts_do_not(text: str) -> None:
    assert not looks_like_ssml(text)


def test_a_text_without_a_root_is_read() -> None:
    first, node, last = parse_ssml("a<break time='1s'/>b")
    assert (first, last) == ("a", "b")
    assert not isinstance(node, str)
    assert (node.tag, node.attributes) == ("break", {"time": "1s"})


@pytest.mark.parametrize(
    "text",
    [
        "<p>open",
        "a & b <p/>",
        "</speak><speak>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><p/>",
        "<?php x ?>",
        "<a>" * 17 + "</a>" * 17,
        "<a/>" * 501,
    ],
)
def test_what_is_no_ssml_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="text parameter is invalid"):
        parse_ssml(text)


def test_what_is_just_within_the_bounds_is_read() -> None:
    assert parse_ssml("<a>" * 15 + "</a>" * 15)
    assert len(parse_ssml("<a/>" * 499)) == 499


@given(st.text(max_size=300))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_ssml(text)
    except InvalidParameter:
        pass
