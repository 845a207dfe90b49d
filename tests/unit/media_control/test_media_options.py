"""`media.control.options`: our own settings among a customer's extra headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.media.control.options import is_yes, stream_options


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("", {}),
        ("tenant=7,lang=en", {}),
        ("tenant=7,ringback.truth=1", {"truth": "1"}),
        ("ringback.hold=tone; ringback.fallback = http://a.example/x?y=1 ", {"hold": "tone", "fallback": "http://a.example/x?y=1"}),
        ("ringback.hold=tone,ringback.hold=silence", {"hold": "silence"}),
        ("ringback.hold", {"hold": ""}),
        ('{"ringback.truth": true, "ringback.fallback": "http://a.example/a,b", "x": 1}', {"truth": "true", "fallback": "http://a.example/a,b"}),
        ('{"ringback.truth"', {}),
        ('["ringback.truth"]', {}),
    ],
)  # fmt: skip
def test_settings_are_read_from_pairs_and_json(text: str, options: dict[str, str]) -> None:
    assert stream_options(text) == options


@given(st.text())
def test_any_text_is_survived(text: str) -> None:
    stream_options("ringback." + text)
    stream_options("{" + text + "ringback.")


@pytest.mark.parametrize(("value", "means"), [("1", True), ("true", True), ("TRUE", True), ("0", False), ("", False)])
def test_yes(value: str, means: bool) -> None:
    assert is_yes(value) is means
