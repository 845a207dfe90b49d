"""Log lines: one per event, pretty on a terminal and JSON elsewhere, with secrets and private values masked.

Rooms write `_log = get_logger(__name__)` and `_log.info("call answered", call_uuid=..., caller=NumberText(...))`. Lines
of libraries that use the standard `logging` come out in the same form. Only the standard library is used: a logging
library would bring each process its terminal renderers, 9 MB.
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, Literal, TextIO

from ringback.telemetry.redaction import WRAPPERS

LogForm = Literal["auto", "pretty", "json"]
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_QUIET_LIBRARIES = ("uvicorn.access", "uvicorn.error", "aiosqlite", "sqlalchemy.engine", "alembic", "asyncio")
_TEXT_MAX_CHARACTERS = 2_000
_FIELDS = "ringback_fields"
_STANDARD = frozenset({*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"})
"""Attributes that every record has; what `extra=` adds stands beside them."""
_COLOURS = {"debug": "32", "info": "32", "warning": "33", "error": "31", "critical": "31"}
_EVENT_WIDTH = 30


class Logger:
    """Writes events with named fields.

    A level's method takes the event, fixed words without values, and its fields; `exc_info=error` adds a traceback.
    """

    __slots__ = ("_logger",)

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **fields: Any) -> None:
        """Write a line that developers ask for; private values are shown in full."""
        self._write(logging.DEBUG, event, fields)

    def info(self, event: str, **fields: Any) -> None:
        """Write a line about what processes do."""
        self._write(logging.INFO, event, fields)

    def warning(self, event: str, **fields: Any) -> None:
        """Write a line about what an operator may have to look at."""
        self._write(logging.WARNING, event, fields)

    def error(self, event: str, **fields: Any) -> None:
        """Write a line about a promise that was broken."""
        self._write(logging.ERROR, event, fields)

    def exception(self, event: str, **fields: Any) -> None:
        """Write an error with the traceback of the exception that is being handled."""
        self._write(logging.ERROR, event, {"exc_info": True, **fields})

    def _write(self, level: int, event: str, fields: dict[str, Any]) -> None:
        if self._logger.isEnabledFor(level):
            # An event is not a format: without arguments logging leaves a % in it alone.
            self._logger.log(level, event, exc_info=fields.pop("exc_info", None), extra={_FIELDS: fields})


def get_logger(name: str) -> Logger:
    """Return the logger of a module, by its `__name__`."""
    return Logger(name)


def configure_logs(form: LogForm = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all log lines of this process to `stream` (standard error by default) in `form`.

    State: may be called again; the last call wins.
    """
    target = stream or sys.stderr
    is_terminal = target.isatty()
    handler = logging.StreamHandler(target)
    is_pretty = form == "pretty" or (form == "auto" and is_terminal)
    handler.setFormatter(PrettyFormatter(has_colours=is_terminal) if is_pretty else JsonFormatter())
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, LineFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.WARNING))


class LineFormatter(logging.Formatter):
    """Turns a record into harmless fields; its children write them."""

    def line_of(self, record: logging.LogRecord) -> dict[str, Any]:
        """Return the fields of a line: the record's own, then `event`, `level`, `ts` and perhaps `exception`.

        Wrapped values are in full on DEBUG lines and masked on all others.
        """
        fields = getattr(record, _FIELDS, None)
        if fields is None:
            fields = {key: value for key, value in vars(record).items() if key not in _STANDARD}
        line = {key: _harmless(value, in_full=record.levelno <= logging.DEBUG) for key, value in fields.items()}
        line["event"] = escape_controls(record.getMessage())
        line["level"] = record.levelname.lower()
        line["ts"] = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")[:-6] + "Z"
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return line


class JsonFormatter(LineFormatter):
    """One JSON object per line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return json.dumps(self.line_of(record), ensure_ascii=False, default=str)


class PrettyFormatter(LineFormatter):
    """Time, level, event and `key=value`, for people."""

    def __init__(self, *, has_colours: bool) -> None:
        super().__init__()
        self._has_colours = has_colours

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, and below it the traceback if there is one."""
        line = self.line_of(record)
        at, level, event, traceback = line.pop("ts"), line.pop("level"), line.pop("event"), line.pop("exception", "")
        shown = f"\x1b[{_COLOURS.get(level, '0')}m{level:<9}\x1b[0m" if self._has_colours else f"{level:<9}"
        fields = "".join(f" {key}={value if isinstance(value, str) else repr(value)}" for key, value in line.items())
        text = f"{at} [{shown}] {event:<{_EVENT_WIDTH}}{fields}".rstrip()
        return f"{text}\n{traceback}" if traceback else text


def _harmless(value: object, *, in_full: bool) -> object:
    """Return a value as a line may show it: a caller's name must not forge a log line or a terminal command."""
    if isinstance(value, WRAPPERS):
        value = value.full() if in_full else value.masked()
    return escape_controls(value) if isinstance(value, str) else value


def escape_controls(text: str) -> str:
    """Return `text` in one line, control characters as escapes, cut at 2,000 characters."""
    cut = text if len(text) <= _TEXT_MAX_CHARACTERS else text[:_TEXT_MAX_CHARACTERS] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
