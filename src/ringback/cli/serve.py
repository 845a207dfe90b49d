"""Runs the server in this process, with failures at its start in the command line's form."""

from __future__ import annotations

import gc
import signal
from typing import TYPE_CHECKING

from ringback.cli.failure import ExitCode, Failure

if TYPE_CHECKING:
    from ringback.config.sections import Config


def exit_on_sigterm() -> None:
    """Let SIGTERM end a start as Ctrl-C does, so that what was started is ended too; the server replaces this."""
    signal.signal(signal.SIGTERM, _exit)


def _exit(_number: int, _frame: object) -> None:
    raise SystemExit(ExitCode.DONE)


def preload() -> None:
    """Import the server, the longest part of a start, so that `serve` begins at once."""
    # Nothing of what is imported becomes garbage; looking for it would take a tenth of the time.
    gc.disable()
    import ringback.server.main  # noqa: F401 - the import is the purpose

    gc.enable()


def serve(config: Config) -> int:
    """Return the server's exit code when it has stopped.

    Raises:
        Failure: RB5003 or RB5001 when the settings do not fit this machine, RB5010 when something else did not start.
    """
    from ringback.errors import ConfigError, RingbackError

    preload()
    from ringback.server.main import main

    try:
        return main(config)
    except ConfigError as error:
        code = "RB5003" if "bind" in error.code else "RB5001"
        raise Failure(code, error.message, fix=error.hint or "see `ringback config show`") from None
    except RingbackError as error:
        raise Failure("RB5010", error.message, fix=error.hint) from None
