"""Durations of call detail records."""

from __future__ import annotations

BILLING_STEP_S = 60
"""Calls and streams are billed per started minute (spec 4.10)."""


def duration_s(start_ms: int | None, end_ms: int | None) -> int:
    """Return the seconds from `start_ms` to `end_ms`, rounded to the nearest, at least 1; 0 when it never started.

    Units: arguments are milliseconds of one clock.
    """
    if start_ms is None or end_ms is None or end_ms <= start_ms:
        return 0
    return max(1, (end_ms - start_ms + 500) // 1000)


def billed_duration_s(seconds: int) -> int:
    """Return `seconds` rounded up to the billing step; 0 stays 0."""
    return -(-seconds // BILLING_STEP_S) * BILLING_STEP_S
