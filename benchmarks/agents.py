"""Agents of the scenarios besides the built-in one: the echo application as a further process."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EchoProcess:
    """A running echo application."""

    pid: int
    answer_url: str
    stream_url: str


@contextmanager
def echo_process() -> Iterator[EchoProcess]:
    """Run `ringback.testing.agent` for the time of the block."""
    command = [sys.executable, "-m", "ringback.testing.agent"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield EchoProcess(process.pid, str(told["answer_url"]), str(told["stream_url"]))
        finally:
            process.terminate()
