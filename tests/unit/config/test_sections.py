"""What a section accepts, what it says of the rest, and how it is shown."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pytest

from ringback.sections import Field, Problem, SecretStr, Section, json_schema, read


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("expected an even number")
    return value


class Inner(Section):
    """A part."""

    name: Annotated[str, Field(min_length=2)]
    code: Annotated[str, Field(pattern=r"^\d+$")] = "0"


class Outer(Section):
    """The whole."""

    flag: bool = False
    count: Annotated[int, Field(ge=1, le=9)] = 5
    even: Annotated[int, Field(check=_even)] = 2
    limit: Annotated[int, Field(ge=0)] | None = None
    where: Path | None = None
    token: SecretStr = SecretStr("")
    mode: Literal["one", "two", "three"] = "one"
    words: tuple[str, ...] = ()
    codecs: tuple[Literal["a", "b"], ...] = ("a",)
    headers: Mapping[str, str] = MappingProxyType({})
    inner: Inner = Inner(name="default")
    parts: tuple[Inner, ...] = ()

    def check(self) -> None:
        if self.count == 9 and self.flag:
            raise ValueError("nine is not for flags")


def read_outer(raw: Mapping[str, Any]) -> tuple[Outer | None, list[Problem]]:
    problems: list[Problem] = []
    return read(Outer, raw, problems), problems


@pytest.mark.parametrize(
    ("name", "raw", "value"),
    [
        ("flag", "true", True),
        ("flag", "Off", False),
        ("flag", 1, True),
        ("count", "9", 9),
        ("count", 1, 1),
        ("even", "4", 4),
        ("limit", "0", 0),
        ("limit", None, None),
        ("where", "/x/y", Path("/x/y")),
        ("where", Path("z"), Path("z")),
        ("token", "secret", SecretStr("secret")),
        ("mode", "three", "three"),
        ("words", ["a", "b"], ("a", "b")),
        ("codecs", ["b", "a"], ("b", "a")),
        ("headers", {"X-A": "1"}, {"X-A": "1"}),
    ],
)
def test_values_are_taken_as_their_type(name, raw, value):
    section, problems = read_outer({name: raw})
    assert not problems
    assert getattr(section, name) == value


@pytest.mark.parametrize(
    ("raw", "path", "what"),
    [
        ({"flag": "maybe"}, "flag", "'maybe', expected true or false"),
        ({"count": 10}, "count", "10, expected at most 9"),
        ({"count": "0"}, "count", "0, expected at least 1"),
        ({"count": True}, "count", "True, expected a whole number"),
        ({"count": "1.5"}, "count", "'1.5', expected a whole number"),
        ({"even": 3}, "even", "expected an even number"),
        ({"limit": -1}, "limit", "-1, expected at least 0"),
        ({"where": 5}, "where", "expected a text"),
        ({"token": 5}, "token", "expected a text"),
        ({"mode": "four"}, "mode", "'four', expected 'one', 'two' or 'three'"),
        ({"words": "a"}, "words", "expected a list"),
        ({"words": ["a", 5]}, "words.1", "expected a text"),
        ({"codecs": ["a", "c"]}, "codecs.1", "'c', expected 'a' or 'b'"),
        ({"headers": {"a": 5}}, "headers", "expected a table of texts"),
        ({"inner": "x"}, "inner", "expected a table"),
        ({"inner": {}}, "inner.name", "missing"),
        ({"inner": {"name": "x"}}, "inner.name", "expected at least 2 characters"),
        ({"parts": [{"name": "ok"}, {"name": "ok", "code": "z"}]}, "parts.1.code", r"'z', expected the form ^\d+$"),
        ({"colour": 1}, "colour", "unknown setting"),
        ({"count": 9, "flag": True}, "", "nine is not for flags"),
    ],
)
def test_what_cannot_be_used_is_named(raw, path, what):
    section, problems = read_outer(raw)
    assert section is None
    assert [(".".join(problem.path), problem.what) for problem in problems] == [(path, what)]


def test_all_problems_are_named_at_once():
    _, problems = read_outer({"flag": 5, "count": 0, "parts": [{"name": "x"}, {}], "inner": {"nmae": "x"}})
    found = {".".join(problem.path) for problem in problems}
    assert found == {"flag", "count", "parts.0.name", "parts.1.name", "inner.nmae", "inner.name"}


def test_section_is_frozen_and_copied_with_changes():
    section = Outer(count=3)
    with pytest.raises(AttributeError, match="frozen"):
        section.count = 4  # type: ignore[misc]
    assert (section.updated(count=4).count, section.count) == (4, 3)


@pytest.mark.parametrize("values", [{}, {"name": "ok", "other": 1}])
def test_code_must_name_fields_that_exist_and_all_that_have_no_default(values):
    with pytest.raises(TypeError, match="Inner"):
        Inner(**values)


def test_secrets_do_not_show():
    section = Outer(token=SecretStr("hush"), parts=(Inner(name="xy"),))
    assert "hush" not in repr(section)
    plain = section.as_plain()
    assert plain["token"] == "********"
    assert plain["parts"] == [{"name": "xy", "code": "0"}]
    assert Outer().as_plain()["token"] == ""


def test_schema_names_types_bounds_and_defaults():
    schema = json_schema(Outer)
    found = schema["properties"]
    assert found["count"] == {"type": "integer", "minimum": 1, "maximum": 9, "default": 5}
    assert found["mode"] == {"type": "string", "enum": ["one", "two", "three"], "default": "one"}
    assert found["limit"] == {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}], "default": None}
    assert found["codecs"] == {"type": "array", "items": {"type": "string", "enum": ["a", "b"]}, "default": ["a"]}
    assert found["parts"]["items"]["required"] == ["name"]
    assert found["inner"]["description"] == "A part."
    assert found["headers"]["additionalProperties"] == {"type": "string"}
    assert schema["additionalProperties"] is False
