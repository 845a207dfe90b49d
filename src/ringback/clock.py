"""Real time: the only module that reads it.

Durations use `now()` (monotonic); wall-clock values only label facts for people, CDRs and webhooks.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from ringback.machine import Instant


def now() -> Instant:
    """Return the monotonic clock in nanoseconds."""
    return Instant(time.monotonic_ns())


def wall_ms() -> int:
    """Return milliseconds since the Unix epoch, UTC."""
    return time.time_ns() // 1_000_000


def wall_ns() -> int:
    """Return nanoseconds since the Unix epoch, UTC: what kernels write on packets."""
    return time.time_ns()


def utc() -> datetime:
    """Return the wall clock as an aware UTC datetime."""
    return datetime.now(UTC)


def process_cpu_ns() -> int:
    """Return the CPU time this process has used, in nanoseconds."""
    return time.process_time_ns()
