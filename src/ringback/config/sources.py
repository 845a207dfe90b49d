"""Where settings come from, and errors that name the fix.

Precedence: flags > `RINGBACK_*` environment (nested by `__`) > `ringback.toml` > what the environment (`development`,
`production`) implies > defaults. An unknown key is an error. Secrets may stand in files: `token_file`,
`RINGBACK_AUTH__TOKEN_FILE`.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from pydantic import SecretStr, ValidationError

from ringback.config.sections import DEVELOPMENT_ACCOUNT, Config
from ringback.config.tables import Section
from ringback.errors import ConfigError

IMPLIED: Mapping[str, Mapping[str, Any]] = {
    "development": {
        "auth": {"id": DEVELOPMENT_ACCOUNT},
        "sip": {"trust_loopback": True},
        "stream": {"allow_insecure": "loopback"},
        "egress": {"mode": "dev"},
    },
    "production": {},
}
"""What `env` changes about the defaults."""

DEFAULT_FILE = "ringback.toml"
_SHORTHANDS = {"auth_id": ("auth", "id"), "auth_token": ("auth", "token"), "auth_token_file": ("auth", "token_file")}
_PLIVO_ALIASES = {"PLIVO_AUTH_ID": ("auth", "id"), "PLIVO_AUTH_TOKEN": ("auth", "token")}
_NOT_SETTINGS = frozenset({"RINGBACK_URL", "RINGBACK_CONFIG"})
_WEAK_TOKEN_CHARACTERS = 24


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the settings: where it stands, what it is, what to do."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return " · ".join(part for part in (self.what, self.where, self.fix) if part)


class ConfigFaults(ConfigError):
    """The settings cannot be used; `faults` holds all that is wrong, at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)), count=len(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and, for every setting that is not a default, where its value came from."""

    config: Config
    sources: Mapping[str, str]
    file: Path | None

    def rows(self) -> list[tuple[str, str, str]]:
        """Return (dotted name, value, source) of every setting, secrets masked."""
        shown = json.loads(self.config.model_dump_json())
        return [(name, _as_text(value), self.sources.get(name, "default")) for name, value in _leaves(shown, ())]


def load(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    default_env: Literal["development", "production"] = "development",
) -> Loaded:
    """Return the settings gathered from all sources.

    Args:
        file: The TOML file to read; without it `RINGBACK_CONFIG`, else `./ringback.toml` if that exists.
        flags: Nested mapping of what the command line said; it wins.
        environment: Replaces the process environment, for tests.
        default_env: What `env` is when no source says.
    Raises:
        ConfigFaults: something is wrong; all faults are named.
    """
    environment = os.environ if environment is None else environment
    faults: list[Fault] = []
    path, from_file, lines = _read_file(file, environment, faults)
    layers = [
        _Layer("flag", dict(flags or {})),
        _Layer("environment", _from_environment(environment, faults)),
        _Layer(str(path) if path else "file", from_file, lines, path.parent if path else Path()),
    ]
    for layer in layers:
        layer.values = _checked(Config, layer.values, (), layer, faults)
    env = next((layer.values["env"] for layer in layers if "env" in layer.values), default_env)
    if env == "development":
        layers.append(_Layer("PLIVO_* environment", _aliases(environment)))
    layers.append(_Layer(f"default in {env}", {"env": default_env, **IMPLIED.get(str(env), {})}))
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in reversed(layers):
        _merge(merged, layer.values)
        for name, _ in _leaves(layer.values, ()):
            sources[name] = layer.where(name)
    if faults:
        raise ConfigFaults(faults)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigFaults([_fault_of(dict(entry), sources, layers) for entry in error.errors()]) from None
    if config.env == "production" and (refusals := _refused_in_production(config)):
        raise ConfigFaults(refusals)
    return Loaded(config, sources, path)


def server_url_from_environment() -> str:
    """Return `RINGBACK_URL`, the server that client verbs talk to, or nothing."""
    return os.environ.get("RINGBACK_URL", "").rstrip("/")


class _Layer:
    """One source of settings, and where in it each setting stands."""

    def __init__(
        self, name: str, values: Mapping[str, Any], lines: Mapping[str, int] | None = None, folder: Path | None = None
    ) -> None:
        self.name = name
        self.values = dict(values)
        self.lines = lines or {}
        self.folder = folder or Path()

    def where(self, dotted: str) -> str:
        """Return the source of `dotted` for people: the variable, or file and line."""
        if self.name == "environment":
            return "RINGBACK_" + dotted.upper().replace(".", "__")
        line = next((self.lines[name] for name in _shortenings(dotted) if name in self.lines), None)
        return f"{self.name}:{line}" if line else self.name


def _read_file(
    file: Path | None, environment: Mapping[str, str], faults: list[Fault]
) -> tuple[Path | None, dict[str, Any], dict[str, int]]:
    asked = file or (Path(environment["RINGBACK_CONFIG"]) if environment.get("RINGBACK_CONFIG") else None)
    path = asked or Path(DEFAULT_FILE)
    try:
        text = path.read_text(encoding="utf-8")
        return path, tomllib.loads(text), _line_numbers(text)
    except FileNotFoundError:
        if asked:
            faults.append(Fault(str(path), "settings file not found", "check --config and RINGBACK_CONFIG"))
        return None, {}, {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(Fault(str(path), f"settings file unreadable: {error}", "write TOML, UTF-8"))
        return path, {}, {}


def _line_numbers(text: str) -> dict[str, int]:
    """Return the line of every table and key, by dotted name; inline tables count as their own key's line."""
    lines: dict[str, int] = {}
    table: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
            names = header[2].split(".")
            table = tuple(names)
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                table = (*names[:-1], names[-1], str(counts[header[2]]))
            elif names[0] in counts:
                table = (names[0], str(counts[names[0]]), *names[1:])
            lines.setdefault(".".join(table), number)
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            lines.setdefault(".".join((*table, key[1])), number)
    return lines


def _from_environment(environment: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith("RINGBACK_") or name in _NOT_SETTINGS:
            continue
        short = name.removeprefix("RINGBACK_").lower()
        path = _SHORTHANDS.get(short) or tuple(short.split("__"))
        target = values
        for part in path[:-1]:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                faults.append(Fault(name, f"{part} is set both as a whole and in part", "keep one of the variables"))
                inner = {}
            target = inner
        target[path[-1]] = _parsed(path, text, name, faults)
    return values


def _parsed(path: tuple[str, ...], text: str, name: str, faults: list[Fault]) -> object:
    """Return a variable's value: JSON for tables and lists, commas for lists of words, else the text."""
    model: type[Section] | None = Config
    annotation: object = None
    for part in path:
        field = model.model_fields.get(part) if model else None
        annotation = field.annotation if field else None
        model, _ = _section_of(annotation)
    if text.lstrip().startswith(("[", "{")) and (model or get_origin(annotation) in (tuple, dict)):
        try:
            return json.loads(text)
        except ValueError as error:
            faults.append(Fault(name, f"not JSON: {error}", "write a JSON list or object"))
            return []
    if get_origin(annotation) is tuple:
        return [word.strip() for word in text.split(",") if word.strip()]
    return text


def _aliases(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (section, key) in _PLIVO_ALIASES.items():
        if environment.get(name):
            values.setdefault(section, {})[key] = environment[name]
    return values


def _section_of(annotation: object) -> tuple[type[Section] | None, bool]:
    """Return the section class behind an annotation and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    if get_origin(annotation) is tuple:
        return _section_of(get_args(annotation)[0])[0], True
    return None, False


def _checked(
    model: type[Section], raw: Mapping[str, Any], path: tuple[str, ...], layer: _Layer, faults: list[Fault]
) -> dict[str, Any]:
    """Return `raw` with secret files read; notes every key that `model` does not know."""
    values: dict[str, Any] = {}
    for key, value in raw.items():
        here = (*path, key)
        field = model.model_fields.get(key)
        if field is None:
            secret = model.model_fields.get(key.removesuffix("_file"))
            if key.endswith("_file") and secret is not None and secret.annotation is SecretStr:
                where = layer.where(".".join(here))
                values[key.removesuffix("_file")] = _secret(layer.folder / str(value), where, faults)
            else:
                faults.append(_unknown(model, here, value, layer))
            continue
        inner, many = _section_of(field.annotation)
        if inner and many and isinstance(value, list):
            values[key] = [
                _checked(inner, entry, (*here, str(index)), layer, faults) if isinstance(entry, dict) else entry
                for index, entry in enumerate(value)
            ]
        elif inner and not many and isinstance(value, dict):
            values[key] = _checked(inner, value, here, layer, faults)
        else:
            values[key] = value
    return values


def _secret(path: Path, where: str, faults: list[Fault]) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(where, f"secret file unreadable: {error}", "check the path and its permissions"))
        return ""


def _unknown(model: type[Section], path: tuple[str, ...], value: object, layer: _Layer) -> Fault:
    near = difflib.get_close_matches(path[-1], model.model_fields, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]}?" if near else f"known here: {', '.join(model.model_fields)}"
    full = _leaves(value, path)[0][0] if isinstance(value, dict) and value else ".".join(path)
    return Fault(layer.where(full), f"unknown setting {'.'.join(path)}", fix)


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, Mapping):
            into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value


def _leaves(values: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Return (dotted name, value) of every setting; a list of tables is one setting."""
    leaves: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            leaves += _leaves(value, (*path, key))
        else:
            leaves.append((".".join((*path, key)), value))
    return leaves


def _shortenings(dotted: str) -> list[str]:
    parts = dotted.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _fault_of(entry: Mapping[str, Any], sources: Mapping[str, str], layers: list[_Layer]) -> Fault:
    dotted = ".".join(str(part) for part in entry["loc"])
    where = next((sources[name] for name in _shortenings(dotted) if name in sources), "")
    if where.startswith(layers[2].name):
        where = layers[2].where(dotted)
    reason = str(entry["msg"]).removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    return Fault(where, f"{dotted}: {reason}" if dotted else reason, "see `ringback config schema`" if dotted else "")


def _refused_in_production(config: Config) -> list[Fault]:
    """Return what makes a production start unsafe."""
    faults = []
    token = config.auth.token.get_secret_value()
    if config.auth.id == DEVELOPMENT_ACCOUNT:
        faults.append(Fault("auth.id", "the development account in production", "choose an id of your own"))
    if config.auth.id and len(token) < _WEAK_TOKEN_CHARACTERS:
        fix = f"set auth.token or auth.token_file, at least {_WEAK_TOKEN_CHARACTERS} random characters"
        faults.append(Fault("auth.token", f"a token of {len(token)} characters", fix))
    return faults
