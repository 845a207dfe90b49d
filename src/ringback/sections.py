"""Sections of settings: frozen typed classes, read from nested tables with all that is wrong named at once.

    class Http(Section):
        '''Where HTTP listens.'''

        host: str = "127.0.0.1"
        port: Annotated[int, Field(ge=0, le=65535)] = 8080

A setting is a `str`, `bool`, `int`, `Path` or `SecretStr`, a `Literal` of texts, another section, a `tuple[…, ...]` of
these, a `Mapping[str, str]`, or one of them `| None`. Texts count as numbers and truth values, because the environment
knows nothing else. General libraries for this take 9 MB of each server and a tenth of its start.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, dataclass_transform, get_args, get_origin
from typing import get_type_hints as _type_hints

MASK = "********"
_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_SHOWN_MAX_CHARACTERS = 80
_REQUIRED: Any = object()


@dataclass(frozen=True, slots=True)
class Field:
    """Bounds of a setting's value, or of every value of a tuple."""

    ge: int | None = None
    le: int | None = None
    min_length: int | None = None
    pattern: str = ""
    check: Callable[[Any], Any] | None = None
    """Returns the value to keep; raises ValueError with what was expected."""


class SecretStr:
    """A text that shows itself only when asked to."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def get_secret_value(self) -> str:
        """Return the text."""
        return self._value

    def __repr__(self) -> str:
        return f"SecretStr({MASK if self._value else ''!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SecretStr) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)


@dataclass(frozen=True, slots=True)
class Problem:
    """One value that cannot be used."""

    path: tuple[str, ...]
    what: str


@dataclass(frozen=True, slots=True)
class Setting:
    """One field of a section."""

    annotation: Any
    """Its type without bounds."""
    field: Field
    default: Any

    @property
    def is_required(self) -> bool:
        """Return whether it has no default."""
        return self.default is _REQUIRED


@dataclass_transform(kw_only_default=True, frozen_default=True)
class Section:
    """Base of all sections. Made by code its values are taken as they are; `read` checks."""

    def __init__(self, **values: Any) -> None:
        settings = settings_of(type(self))
        if unknown := values.keys() - settings.keys():
            raise TypeError(f"{type(self).__name__} has no {', '.join(sorted(unknown))}")
        for name, setting in settings.items():
            value = values.get(name, setting.default)
            if value is _REQUIRED:
                raise TypeError(f"{type(self).__name__} needs {name}")
            self.__dict__[name] = value

    def check(self) -> None:
        """Check what concerns several values; raises ValueError."""

    def updated(self, **changes: Any) -> Self:
        """Return a copy with some values changed."""
        return type(self)(**{**self.__dict__, **changes})

    def as_plain(self) -> dict[str, Any]:
        """Return the values as JSON knows them, secrets masked."""
        return {name: _plain(value) for name, value in self.__dict__.items()}

    def __setattr__(self, name: str, _value: object) -> None:
        raise AttributeError(f"{type(self).__name__} is frozen: {name} cannot be changed")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__dict__.items())})"


S = TypeVar("S", bound=Section)


_settings: dict[type[Section], Mapping[str, Setting]] = {}


def settings_of(model: type[Section]) -> Mapping[str, Setting]:
    """Return a section's fields by name, in order."""
    if model not in _settings:
        _settings[model] = {
            name: Setting(*_split(annotation), getattr(model, name, _REQUIRED))
            for name, annotation in _type_hints(model, include_extras=True).items()
        }
    return _settings[model]


def section_of(annotation: object) -> tuple[type[Section] | None, bool]:
    """Return the section class behind an annotation and whether it is a tuple of them."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    if get_origin(annotation) is tuple:
        return section_of(get_args(annotation)[0])[0], True
    return None, False


def read(model: type[S], raw: Mapping[str, Any], problems: list[Problem], path: tuple[str, ...] = ()) -> S | None:
    """Return the section that `raw` describes, or `None` when something is wrong; `problems` then says what."""
    count = len(problems)
    settings = settings_of(model)
    values = {}
    for name in raw.keys() - settings.keys():
        problems.append(Problem((*path, name), "unknown setting"))
    for name, setting in settings.items():
        if name in raw:
            values[name] = _read_value(setting.annotation, setting.field, raw[name], problems, (*path, name))
        elif setting.is_required:
            problems.append(Problem((*path, name), "missing"))
    if len(problems) > count:
        return None
    section = model(**values)
    try:
        section.check()
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return None
    return section


def _read_value(annotation: Any, field: Field, raw: Any, problems: list[Problem], path: tuple[str, ...]) -> Any:
    section, is_many = section_of(annotation)
    if section is not None and not is_many:
        if isinstance(raw, Mapping):
            return read(section, raw, problems, path)
        problems.append(Problem(path, "expected a table"))
        return None
    if get_origin(annotation) is tuple:
        if isinstance(raw, list | tuple):
            inner, bounds = _split(get_args(annotation)[0])
            return tuple(_read_value(inner, bounds, each, problems, (*path, str(i))) for i, each in enumerate(raw))
        problems.append(Problem(path, "expected a list"))
        return None
    try:
        value = _converted(annotation, raw)
        _check_bounds(field, value)
        return field.check(value) if field.check is not None else value
    except ValueError as error:
        problems.append(Problem(path, str(error)))
        return None


def _converted(annotation: Any, raw: Any) -> Any:
    """Return `raw` as the annotation wants it; raises ValueError."""
    if get_origin(annotation) in (Union, UnionType):
        (kind,) = (kind for kind in get_args(annotation) if kind is not NoneType)
        return None if raw is None else _converted(_split(kind)[0], raw)
    if get_origin(annotation) is Literal:
        choices = get_args(annotation)
        if raw in choices:
            return raw
        raise ValueError(f"{_shown(raw)}, expected {_joined(choices)}")
    if get_origin(annotation) is Mapping:
        if isinstance(raw, Mapping) and all(isinstance(text, str) for text in (*raw, *raw.values())):
            return dict(raw)
        raise ValueError("expected a table of texts")
    return _SCALARS[annotation](raw)


def _boolean(raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = str(raw).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise ValueError(f"{_shown(raw)}, expected true or false")


def _integer(raw: Any) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and re.fullmatch(r"\s*[+-]?[0-9]{1,18}\s*", raw):
        return int(raw)
    raise ValueError(f"{_shown(raw)}, expected a whole number")


def _text(raw: Any) -> str:
    if isinstance(raw, str):
        return raw
    raise ValueError("expected a text")


def _path(raw: Any) -> Path:
    return raw if isinstance(raw, Path) else Path(_text(raw))


def _secret(raw: Any) -> SecretStr:
    return raw if isinstance(raw, SecretStr) else SecretStr(_text(raw))


_SCALARS: Mapping[Any, Callable[[Any], Any]] = {
    bool: _boolean,
    int: _integer,
    str: _text,
    Path: _path,
    SecretStr: _secret,
}


def _check_bounds(field: Field, value: Any) -> None:
    if isinstance(value, int):
        if field.ge is not None and value < field.ge:
            raise ValueError(f"{value}, expected at least {field.ge}")
        if field.le is not None and value > field.le:
            raise ValueError(f"{value}, expected at most {field.le}")
    if isinstance(value, str):
        if field.min_length is not None and len(value) < field.min_length:
            raise ValueError(f"expected at least {field.min_length} characters")
        if field.pattern and not re.search(field.pattern, value):
            raise ValueError(f"{_shown(value)}, expected the form {field.pattern}")


def _split(annotation: Any) -> tuple[Any, Field]:
    """Return a type and its bounds; those of `Annotated[…] | None` are the inner ones'."""
    if get_origin(annotation) is Annotated:
        kind, *marks = get_args(annotation)
        return kind, next((mark for mark in marks if isinstance(mark, Field)), Field())
    if get_origin(annotation) in (Union, UnionType):
        inner = [_split(kind)[1] for kind in get_args(annotation) if kind is not NoneType]
        return annotation, inner[0]
    return annotation, Field()


def _shown(raw: object) -> str:
    return repr(raw)[:_SHOWN_MAX_CHARACTERS]


def _joined(choices: tuple[Any, ...]) -> str:
    shown = [repr(choice) for choice in choices]
    return " or ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _plain(value: Any) -> Any:
    match value:
        case Section():
            return value.as_plain()
        case SecretStr():
            return MASK if value.get_secret_value() else ""
        case Path():
            return str(value)
        case Mapping():
            return dict(value)
        case tuple():
            return [_plain(each) for each in value]
        case _:
            return value


def json_schema(model: type[Section]) -> dict[str, Any]:
    """Return the JSON Schema of a section."""
    settings = settings_of(model)
    properties = {}
    for name, setting in settings.items():
        properties[name] = _schema_of(setting.annotation, setting.field)
        if not setting.is_required and section_of(setting.annotation)[0] is None:
            properties[name]["default"] = _plain(setting.default)
    schema: dict[str, Any] = {
        "title": model.__name__,
        "description": inspect.getdoc(model) or "",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
    if required := [name for name, setting in settings.items() if setting.is_required]:
        schema["required"] = required
    return schema


def _schema_of(annotation: Any, field: Field) -> dict[str, Any]:
    section, is_many = section_of(annotation)
    if section is not None and not is_many:
        return json_schema(section)
    origin = get_origin(annotation)
    if origin is tuple:
        return {"type": "array", "items": _schema_of(*_split(get_args(annotation)[0]))}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": {"type": "string"}}
    if origin is Literal:
        return {"type": "string", "enum": list(get_args(annotation))}
    if origin in (Union, UnionType):
        (kind,) = (kind for kind in get_args(annotation) if kind is not NoneType)
        return {"anyOf": [_schema_of(*_split(kind)), {"type": "null"}]}
    bounds = {"minimum": field.ge, "maximum": field.le, "minLength": field.min_length, "pattern": field.pattern}
    return {
        "type": _SCHEMA_TYPES[annotation],
        **{name: bound for name, bound in bounds.items() if bound is not None and bound != ""},
    }


_SCHEMA_TYPES = {bool: "boolean", int: "integer", str: "string", Path: "string", SecretStr: "string"}
