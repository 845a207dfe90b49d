"""A program of ours beside the server, which asks it in lines: started, and killed with all that it started."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import IO

_LOG_MAX_BYTES = 4 * 1024 * 1024


async def start_helper(
    module: str,
    arguments: Sequence[str],
    log_path: Path,
    *,
    line_max_bytes: int,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> asyncio.subprocess.Process:
    """Return a new process that runs `module`, with pipes to it and from it and what it complains of in the log.

    It inherits nothing but the search paths; the end of its input is its order to end.

    Raises:
        OSError: it cannot be started, or its log cannot be opened.
    """
    with _open_log(log_path) as log:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", module, *arguments),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={
                "PATH": os.pathsep.join(os.get_exec_path()),
                "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
                "PYTHONUTF8": "1",
                **environment,
            },
            limit=line_max_bytes,
            # Control-C in a terminal is for the server, which ends this process by its pipe.
            start_new_session=True,
        )


def kill_helper(process: asyncio.subprocess.Process) -> None:
    """End it at once, with its programs; one that is gone already is left alone."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > _LOG_MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")
