"""Basic credentials are parsed without raising, and compared whole."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.auth import matches, parse_basic


def header(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_user_and_password(scheme: str) -> None:
    assert parse_basic(header("MA:to:ken").replace("Basic", scheme)) == ("MA", "to:ken")


@pytest.mark.parametrize(
    "text",
    ["", "Basic", "Basic ", "Basic ???", "Bearer abc", "Basic " + "A" * 1025, header("nocolon"), header("a\x00b:c")],
)
def test_other_headers_give_nothing(text: str) -> None:
    assert parse_basic(text) == ("", "")


def test_not_utf8_gives_nothing() -> None:
    assert parse_basic("Basic " + base64.b64encode(b"\xff:\xfe").decode()) == ("", "")


@given(st.text())
def test_any_header_is_parsed(text: str) -> None:
    parse_basic(text)
    parse_basic(f"Basic {text}")


def test_secrets_match_only_when_equal() -> None:
    assert matches("secret", "secret")
    assert not matches("secret", "Secret")
    assert not matches("secret", "secre")
    assert not matches("secret", "")
    assert not matches("\x00", "")
