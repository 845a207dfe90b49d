"""Log lines: one per event, pretty on a terminal and JSON elsewhere, with secrets and private values masked.

Rooms write `log = structlog.get_logger("room")` and `log.info("call answered", call_uuid=..., caller=NumberText(...))`.
Lines of libraries that use the standard `logging` come out in the same form.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from ringback.telemetry.redaction import WRAPPERS

LogForm = Literal["auto", "pretty", "json"]
_LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}
_QUIET_LIBRARIES = ("uvicorn.access", "uvicorn.error", "aiosqlite", "sqlalchemy.engine", "alembic", "asyncio")
_TEXT_MAX_CHARACTERS = 2_000


def configure_logs(form: LogForm = "auto", level: str = "info", stream: TextIO | None = None) -> None:
    """Send all log lines of this process to `stream` (standard error by default) in `form`.

    State: may be called again; the last call wins.
    """
    target = stream or sys.stderr
    pretty = form == "pretty" or (form == "auto" and target.isatty())
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="ts"),
        _mask,
        structlog.processors.format_exc_info,
        _escape,
    ]
    final: list[Processor] = (
        [structlog.dev.ConsoleRenderer(colors=target.isatty(), timestamp_key="ts")]
        if pretty
        else [structlog.processors.JSONRenderer(ensure_ascii=False, default=str)]
    )
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(target)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
            # What `extra=` says of a line stands on its record; without the adder it would be lost.
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
        )
    )
    root = logging.getLogger()
    for old in list(root.handlers):
        if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter):
            root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    for name in _QUIET_LIBRARIES:
        logging.getLogger(name).setLevel(max(_LEVELS[level], logging.WARNING))


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Replace wrapped values by text: in full on DEBUG lines, masked on all others."""
    in_full = event.get("level") == "debug"
    for key, value in event.items():
        if isinstance(value, WRAPPERS):
            event[key] = value.full() if in_full else value.masked()
    return event


def _escape(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Escape control characters and cut long texts: a caller's name must not forge a log line or a terminal command."""
    for key, value in event.items():
        if isinstance(value, str) and key != "exception":
            event[key] = escape_controls(value)
    return event


def escape_controls(text: str) -> str:
    """Return `text` in one line, control characters as escapes, cut at 2,000 characters."""
    cut = text if len(text) <= _TEXT_MAX_CHARACTERS else text[:_TEXT_MAX_CHARACTERS] + "…"
    if cut.isprintable():
        return cut
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in cut)
