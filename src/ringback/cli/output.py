"""Where words go: results to standard output, everything else to standard error, colour only on a terminal."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO


def write_result(text: str) -> None:
    """Write one result line at once."""
    _write(sys.stdout, text)


def write_json(value: Mapping[str, object] | Sequence[object]) -> None:
    """Write one result as one line of JSON."""
    _write(sys.stdout, json.dumps(value, ensure_ascii=False, default=str))


def write_note(text: str) -> None:
    """Write a line that is not a result: progress, warnings, failures."""
    _write(sys.stderr, text)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text + "\n")
        stream.flush()
    except BrokenPipeError:
        # The reader (`head`, a closed terminal) has seen enough; the command goes on to its end and exit code.
        sys.stdout = sys.stderr = open("/dev/null", "w")  # noqa: SIM115 - lives until the process ends


def printable(text: object) -> str:
    """Return `text` on one line without control characters: values from the wire must not drive the terminal."""
    words = str(text)
    return words if words.isprintable() else "".join(c if c.isprintable() else "·" for c in words)
