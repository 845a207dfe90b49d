"""`ringback config schema`: the JSON Schema of the settings file."""

from __future__ import annotations

from ringback.cli.failure import ExitCode
from ringback.cli.output import write_result


def config_schema(*, json: bool = True) -> int:
    """Print the JSON Schema of `ringback.toml`.

    Args:
        json: The schema is JSON in any case.
    """
    from json import dumps

    from ringback.config import Config
    from ringback.sections import json_schema

    write_result(dumps(json_schema(Config), indent=2))
    return ExitCode.DONE
