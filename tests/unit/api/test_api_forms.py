"""Parameters are read into types, with bounds that include their ends."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.api.call_parameters import read_cdr_filters, read_make_calls, read_transfer
from ringback.api.call_streams import read_stream
from ringback.api.forms import Form, described_body, described_query, is_web_url, shown
from ringback.errors import InvalidParameter


def refused(read: Callable[[Form], object], **values: object) -> str:
    with pytest.raises(InvalidParameter) as failure:
        read(Form(values))
    return str(failure.value)


def test_text_is_trimmed_and_bounded() -> None:
    assert Form({"a": " x "}).text("a") == "x"
    assert Form({"a": "x" * 5}).text("a", max_chars=5) == "xxxxx"
    assert refused(lambda form: form.text("a", max_chars=4), a="x" * 5) == (
        "a parameter is invalid: 5 characters, expected at most 4"
    )


@pytest.mark.parametrize("values", [{}, {"a": None}, {"a": ""}, {"a": "  "}])
def test_absent_text(values: dict[str, object]) -> None:
    assert Form(values).text("a", default="d") == "d"
    with pytest.raises(InvalidParameter, match=r"^a parameter is missing$"):
        Form(values).text("a", required=True)


def test_sent_and_given_differ_for_null() -> None:
    form = Form({"a": None, "b": ""})
    assert (form.has("a"), form.is_given("a")) == (True, False)
    assert (form.has("b"), form.is_given("b")) == (True, True)
    assert (form.has("c"), form.is_given("c")) == (False, False)


@pytest.mark.parametrize(("value", "expected"), [(1, 1), (10, 10), ("7", 7), (" +7 ", 7), (7.0, 7), ("7.000", 7)])
def test_integers_are_accepted_in_many_spellings(value: object, expected: int) -> None:
    assert Form({"a": value}).integer("a", 5, 1, 10) == expected


@pytest.mark.parametrize("value", [0, 11, "x", "1e1", 7.5, "٣", True, [7], {}, "9" * 400, float("inf"), float("nan")])
def test_other_integers_are_refused(value: object) -> None:
    assert "a parameter is invalid" in refused(lambda form: form.integer("a", 5, 1, 10), a=value)


def test_absent_integer_is_the_default_or_none() -> None:
    assert Form({"a": ""}).integer("a", 5, 1, 10) == 5
    assert Form({}).optional_integer("a", 1, 10) is None
    assert Form({"a": 0}).optional_integer("a", 0, 10) == 0


@pytest.mark.parametrize("value", [True, "true", "True", " TRUE ", 1, "1", "yes", "on"])
def test_true_in_many_spellings(value: object) -> None:
    assert Form({"a": value}).boolean("a") is True


@pytest.mark.parametrize("value", [False, "false", "False", 0, "0", "no", "off"])
def test_false_in_many_spellings(value: object) -> None:
    assert Form({"a": value}).boolean("a", True) is False


def test_absent_boolean_is_the_default() -> None:
    assert Form({"a": None}).boolean("a", True) is True
    assert Form({"a": ""}).boolean("a", True) is True
    assert "'2', expected true or false" in refused(lambda form: form.boolean("a"), a=2)


def test_choice_folds_case() -> None:
    assert Form({"a": "ALEG"}).choice("a", ("aleg", "bleg"), "aleg") == "aleg"
    assert Form({"a": "get"}).method("a") == "GET"
    assert Form({}).method("a") == "POST"
    assert refused(lambda form: form.choice("a", ("x", "y"), "x"), a="z") == (
        "a parameter is invalid: 'z', expected x or y"
    )


@pytest.mark.parametrize(
    "url",
    ["http://h", "HTTPS://h.example/", "http://127.0.0.1:8000/a?b=c&d=e#ct=1", "http://[::1]:80/", "http://user:p@h/"],
)
def test_web_urls(url: str) -> None:
    assert is_web_url(url)
    assert Form({"a": url}).url("a") == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        "h",
        "//h",
        "http:",
        "http://",
        "http:///a",
        "http://:80/",
        "ftp://h",
        "http://h:0",
        "http://h:x",
        "http://a b",
    ],
)
def test_no_web_urls(url: str) -> None:
    assert not is_web_url(url)


def test_errors_show_customers_text_short_and_harmless() -> None:
    assert shown("a\x1b[31m\u202e") == "'a\\x1b[31m\\u202e'"
    assert len(shown("x" * 1000)) == 82


@given(
    st.dictionaries(
        st.sampled_from(
            ["from", "to", "answer_url", "answer_method", "ring_timeout", "time_limit", "sip_headers", "send_digits",
             "service_url", "bidirectional", "audio_track", "content_type", "extra_headers", "stream_timeout",
             "legs", "aleg_url", "limit", "end_time", "end_time__gt", "bill_duration", "from_number", "callback_url"]
        ),
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=40),
            st.sampled_from(["14151234567", "https://h.example/", "wss://h/", "2017-05-22 13:17", "a=b", "0001-01-01"]),
            st.lists(st.integers(), max_size=2), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=2),
        ),
    )
)  # fmt: skip
def test_any_values_are_read_or_refused(values: dict[str, Any]) -> None:
    for read in (read_make_calls, read_stream, read_transfer, read_cdr_filters):
        with contextlib.suppress(InvalidParameter):
            read(Form(values))


def test_description_lists_what_is_read() -> None:
    def read(form: Form) -> None:
        form.text("name", required=True, max_chars=10, about="who")
        form.integer("count", 1, 0, 5)

    body = described_body(read, {"name": "x"})["requestBody"]
    assert body["required"] is True
    assert body["content"]["application/json"]["schema"] == {
        "type": "object",
        "properties": {
            "name": {"type": "string", "maxLength": 10, "description": "who"},
            "count": {"type": "integer", "minimum": 0, "maximum": 5, "default": 1},
        },
        "additionalProperties": True,
        "required": ["name"],
    }
    query = described_query(lambda form: form.boolean("flag"))
    assert query["parameters"] == [
        {"name": "flag", "in": "query", "required": False, "schema": {"type": "boolean", "default": False}}
    ]
