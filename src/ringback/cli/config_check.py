"""`ringback config check`: whether the settings can be used."""

from __future__ import annotations

from pathlib import Path

from ringback.cli.failure import ExitCode
from ringback.cli.output import write_json, write_result
from ringback.cli.settings import load_settings


def config_check(*, config: Path | None = None, json: bool = False) -> int:
    """Check the settings; a fault is printed with file and line, and the exit code is 2.

    Args:
        config: The settings file.
        json: Print one JSON object.
    """
    loaded = load_settings(config)
    if json:
        write_json({"ok": True, "file": str(loaded.file or ""), "env": loaded.config.env})
    else:
        write_result(f"settings are good: {loaded.file or 'no file, defaults and environment'}, {loaded.config.env}")
    return ExitCode.DONE
