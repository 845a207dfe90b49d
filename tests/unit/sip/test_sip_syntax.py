"""Tokens, quoted strings, parameters and comma lists."""

from __future__ import annotations

import pytest

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.syntax import (
    end_of_quoted,
    format_params,
    is_digits,
    is_quoted,
    is_token,
    parse_params,
    quote,
    refuse_unsafe,
    split_list,
    unquote,
)


def test_tokens() -> None:
    assert all(is_token(text) for text in ("INVITE", "x-y.z", "!%*_+`'~", "0"))
    assert not any(is_token(text) for text in ("", "a b", "a;b", "é", "a\n", '"a"'))


def test_digits_are_ascii_only() -> None:
    assert is_digits("0123")
    assert not any(is_digits(text) for text in ("", "-1", "²", "٣", "1 "))


@pytest.mark.parametrize("text", ["", "plain", 'a "b" c', "back\\slash", '\\"', "ends\\", "é ☎"])
def test_quote_and_unquote_are_inverse(text: str) -> None:
    quoted = quote(text)
    assert is_quoted(quoted)
    assert unquote(quoted) == text


def test_end_of_quoted() -> None:
    assert end_of_quoted('"ab" c', 0) == 4
    assert end_of_quoted('x"a\\"b"y', 1) == 7
    assert end_of_quoted('"ab', 0) == -1
    assert end_of_quoted('"ab\\"', 0) == -1


def test_unquote_leaves_other_text_alone() -> None:
    assert unquote('a"b"') == 'a"b"'
    assert unquote('"') == '"'


def test_params() -> None:
    assert parse_params(';a=1; B = "x;y" ;c;;d=;A=2;b d=3') == {"a": "1", "b": '"x;y"', "c": None, "d": ""}
    assert parse_params("") == {}


def test_params_with_unterminated_quote() -> None:
    with pytest.raises(MalformedSip):
        parse_params(';a="x;y')


def test_format_params_quotes_what_would_break_out() -> None:
    assert format_params({"lr": None, "tag": "a1", "text": 'a;b"c', "q": '"d;e"', "received": "[2001:db8::1]"}) == (
        ';lr;tag=a1;text="a;b\\"c";q="d;e";received=[2001:db8::1]'
    )
    assert format_params({}) == ""


def test_format_params_refuses_names_that_break_out() -> None:
    with pytest.raises(UnsafeHeader):
        format_params({"a;b": "c"})


@pytest.mark.parametrize("value", ["a\r\nVia: x", '"a\n"', "a\0"])
def test_format_params_refuses_values_that_break_out(value: str) -> None:
    with pytest.raises(UnsafeHeader):
        format_params({"a": value})


def test_split_list() -> None:
    assert split_list("a") == ["a"]
    assert split_list(" a , b,,c ") == ["a", "b", "", "c"]
    assert split_list('"a,b" <sip:x,y@z>, <sip:q>') == ['"a,b" <sip:x,y@z>', "<sip:q>"]
    assert split_list('"a\\",b" <x>,c') == ['"a\\",b" <x>', "c"]


def test_split_list_with_unterminated_parts_is_one_element() -> None:
    assert split_list('"a, b') == ['"a, b']
    assert split_list("<a, b") == ["<a, b"]


@pytest.mark.parametrize("value", ["a\rb", "a\nb", "a\0b", "\ud800"])
def test_unsafe_values_are_refused(value: str) -> None:
    with pytest.raises(UnsafeHeader):
        refuse_unsafe("x", value)


def test_safe_values_pass() -> None:
    refuse_unsafe("x", 'a\tb; "c", é')
