"""What a command says when it fails: a code, what happened, where, what to do; and the exit code that goes with it."""

from __future__ import annotations

import json
from enum import IntEnum


class ExitCode(IntEnum):
    """How a command ended."""

    DONE = 0
    FAILED = 1
    """An assertion, a check or the outcome of a call."""
    USAGE = 2
    """Wrong usage or settings."""
    UNREACHABLE = 3
    """The server, trunk or agent could not be connected to."""
    REFUSED = 4
    """Authentication, a limit or a policy."""
    INTERRUPTED = 130


FAILURES: dict[str, tuple[str, ExitCode]] = {
    "RB3001": ("the SIP peer did not answer", ExitCode.UNREACHABLE),
    "RB3002": ("the call was refused", ExitCode.FAILED),
    "RB3003": ("the call was refused by policy", ExitCode.REFUSED),
    "RB3004": ("no SIP port to call from", ExitCode.UNREACHABLE),
    "RB4001": ("no audio came back", ExitCode.FAILED),
    "RB4002": ("the sound file cannot be played", ExitCode.USAGE),
    "RB4003": ("the recording cannot be written", ExitCode.USAGE),
    "RB4004": ("the call's media failed", ExitCode.FAILED),
    "RB5001": ("a setting is wrong", ExitCode.USAGE),
    "RB5002": ("wrong usage", ExitCode.USAGE),
    "RB5003": ("the port is in use", ExitCode.USAGE),
    "RB5005": ("the data folder is in use", ExitCode.USAGE),
    "RB5006": ("the server cannot be reached", ExitCode.UNREACHABLE),
    "RB5007": ("the data folder cannot be used", ExitCode.USAGE),
    "RB5008": ("the built-in agent did not start", ExitCode.FAILED),
    "RB5009": ("the server answered something unexpected", ExitCode.FAILED),
    "RB5010": ("the server did not start", ExitCode.FAILED),
    "RB5011": ("this installation cannot run Ringback well", ExitCode.FAILED),
    "RB6001": ("the credentials were refused", ExitCode.REFUSED),
    "RB6002": ("no such call", ExitCode.FAILED),
    "RB6003": ("no such webhook", ExitCode.FAILED),
}
"""Every code a command may print: its meaning and its exit code."""


class Failure(Exception):
    """A command that cannot go on. `code` is a key of `FAILURES`."""

    def __init__(self, code: str, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(code, what, where, fix)
        self.code = code
        self.what = what
        self.where = where
        self.fix = fix

    @property
    def exit_code(self) -> ExitCode:
        """Return the exit code of the process."""
        return FAILURES[self.code][1]

    def __str__(self) -> str:
        """Return `RBnnnn what · where · fix`, empty parts left out."""
        return " · ".join(part for part in (f"{self.code} {self.what}", self.where, self.fix) if part)

    def to_json(self) -> str:
        """Return the failure as one line of JSON."""
        return json.dumps({"error": {"code": self.code, "what": self.what, "where": self.where, "fix": self.fix}})
