"""The media workers of a platform, as its operator sees them: by metrics and process table."""

from __future__ import annotations

import psutil

from ringback.testing.platform import Platform


def by_worker(platform: Platform, gauge: str) -> dict[str, float]:
    """Return a gauge of the media workers by the worker's id."""
    rows = platform.metrics().items()
    return {name.split('"')[1]: value for name, value in rows if name.startswith(f"ringback_{gauge}{{")}


def pids_by_worker(platform: Platform) -> dict[str, int]:
    """Return the process of each media worker by the worker's id."""
    commands = {pid: psutil.Process(pid).cmdline() for pid in platform.worker_pids()}
    return {command[command.index("--worker-id") + 1]: pid for pid, command in commands.items()}
