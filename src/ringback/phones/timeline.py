"""The life of one call as lines of text, from facts of the phone and of the platform's event log. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Mapping
from dataclasses import dataclass, field

_LABEL_WIDTH = 13
_TEXT_MAX_CHARACTERS = 160
_QUIET_KEYS = frozenset(
    {"raw", "params", "headers", "body", "signed", "at_ms", "wall_ms", "call_uuid", "leg_id", "stream_id", "event_id"}
)


@dataclass(frozen=True, slots=True, order=True)
class Line:
    """One line of a timeline; `wall_ms` orders lines of phone and platform, which share this machine's clock."""

    wall_ms: int
    label: str
    text: str

    def shown(self, start_ms: int) -> str:
        """Return the line with its time since `start_ms` in seconds."""
        seconds = max(self.wall_ms - start_ms, 0) / 1000
        return f"  {seconds:06.3f}  {self.label:<{_LABEL_WIDTH}}{self.text}".rstrip()


@dataclass(slots=True)
class Timeline:
    """Puts lines that arrive late into order: each is held back for `hold_ms`, then given out, oldest first."""

    hold_ms: int = 200
    _waiting: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Take a line."""
        bisect.insort(self._waiting, line)

    def due(self, wall_ms: int) -> list[Line]:
        """Return the lines that need not wait longer."""
        count = sum(line.wall_ms <= wall_ms - self.hold_ms for line in self._waiting)
        given, self._waiting = self._waiting[:count], self._waiting[count:]
        return given

    def rest(self) -> list[Line]:
        """Return all lines that still wait."""
        given, self._waiting = self._waiting, []
        return given


KNOWN_TO_THE_PHONE = frozenset({"sip", "leg", "media", "digit", "quality"})
"""Kinds of facts that a phone tells better itself, from its own side."""


def line_of_event(event: Mapping[str, object]) -> Line:
    """Return the line of one fact of the platform's event log; unknown kinds are shown too."""
    fields = event.get("fields")
    values: Mapping[str, object] = fields if isinstance(fields, Mapping) else {}
    kind = str(event.get("kind", "fact"))
    label, text = _describe(kind, values)
    wall_ms = event.get("wall_ms")
    return Line(wall_ms if isinstance(wall_ms, int) else 0, _printable(label), _printable(text))


def _describe(kind: str, values: Mapping[str, object]) -> tuple[str, str]:
    if kind == "sip":
        arrow = "←" if str(values.get("direction", "")).lower() in ("in", "inbound", "received") else "→"
        return "sip", f"{arrow} {values.get('summary', '')}  {values.get('transport', '')} {values.get('peer', '')}"
    if kind == "webhook":
        label = str(values.get("target") or values.get("kind") or "webhook")
        took = _milliseconds(values)
        outcome = values.get("status") or values.get("outcome") or ""
        return label, f"{values.get('method', '')} {values.get('url', '')}  {outcome}{took}"
    if kind == "element":
        name, phase = values.get("name", "?"), values.get("phase", "")
        line = f"  line {values['line']}" if values.get("line") else ""
        attributes = values.get("attributes")
        shown = (
            " ".join(f"{key}={value}" for key, value in attributes.items()) if isinstance(attributes, Mapping) else ""
        )
        return "xml", f"<{name}> {phase}{line}  {shown}"
    if kind == "digit":
        return "digit", str(values.get("digit", ""))
    for key in ("event", "state", "name"):
        if values.get(key):
            rest = _pairs({name: value for name, value in values.items() if name != key})
            return kind, f"{values[key]}  {rest}"
    return kind, _pairs(values)


def _milliseconds(values: Mapping[str, object]) -> str:
    for key in ("total_ms", "elapsed_ms", "duration_ms"):
        if isinstance(values.get(key), (int, float)):
            return f"  {values[key]:.0f} ms"
    return ""


def _pairs(values: Mapping[str, object]) -> str:
    simple = (
        f"{key}={value}"
        for key, value in values.items()
        if key not in _QUIET_KEYS and isinstance(value, (str, int, float)) and value not in ("", 0)
    )
    return " ".join(simple)


def _printable(text: str) -> str:
    """Return one line of bounded length without control characters: values come from the wire."""
    flat = "".join(c if c.isprintable() else "·" for c in text).strip()
    return flat if len(flat) <= _TEXT_MAX_CHARACTERS else flat[: _TEXT_MAX_CHARACTERS - 1] + "…"
