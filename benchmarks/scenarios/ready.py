"""Time from the start of `ringback dev` in an empty folder until `GET /readyz` answers 200."""

from __future__ import annotations

import time

from benchmarks.figures import Figure, Outcome, Table
from benchmarks.options import Options
from ringback.testing.platform import Platform

STARTS = 5


async def run(options: Options) -> Outcome:
    """Start five times after one start that compiles the modules; the worst counts."""
    outcome = Outcome("start")
    times = [_start_s(options.workers) for _ in range(STARTS + 1)]
    outcome.figures.append(Figure("ringback dev ready, worst of 5", max(times[1:]), 2.5, 1.5, "s", digits=2))
    outcome.tables.append(
        Table(
            "Seconds until /readyz answers 200",
            ("first", *(str(number) for number in range(1, STARTS + 1))),
            (tuple(f"{seconds:.2f}" for seconds in times),),
        )
    )
    return outcome


def _start_s(workers: int) -> float:
    began = time.monotonic()
    with Platform.start(workers=workers):
        return time.monotonic() - began
