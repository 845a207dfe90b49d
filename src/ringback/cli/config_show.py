"""`ringback config show`: every setting, its value and where it came from."""

from __future__ import annotations

from pathlib import Path

from ringback.cli.failure import ExitCode
from ringback.cli.output import printable, write_json, write_result
from ringback.cli.settings import load_settings


def config_show(*, config: Path | None = None, json: bool = False) -> int:
    """Print every setting and its source, secrets masked.

    Args:
        config: The settings file.
        json: Print JSON Lines with name, value and source.
    """
    for name, value, source in load_settings(config).rows():
        if json:
            write_json({"name": name, "value": value, "source": source})
        else:
            write_result(f"{name:<34}{printable(value):<34}{source}")
    return ExitCode.DONE
