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

    from ringback.config.sections import Config

    write_result(dumps(Config.model_json_schema(), indent=2))
    return ExitCode.DONE
