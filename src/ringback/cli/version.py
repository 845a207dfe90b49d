"""`ringback version`: what is installed."""

from __future__ import annotations

import platform

from ringback import __version__
from ringback.cli.failure import ExitCode
from ringback.cli.output import write_json, write_result


def version(*, json: bool = False) -> int:
    """Print versions.

    Args:
        json: Print one JSON object.
    """
    facts = {"ringback": __version__, "python": platform.python_version(), "platform": platform.platform()}
    if json:
        write_json(facts)
    else:
        for name, value in facts.items():
            write_result(f"{name:<10}{value}")
    return ExitCode.DONE
