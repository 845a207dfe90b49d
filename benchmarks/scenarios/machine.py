"""The machine itself: how fast it is now, and what the least program for the same audio takes on it."""

from __future__ import annotations

import asyncio

from benchmarks.calibration import Calibration
from benchmarks.figures import Outcome, Table
from benchmarks.floor import measure_floor
from benchmarks.options import Options


async def run(options: Options) -> Outcome:
    """Measure the speed of the machine and the floor of the CPU budget."""
    outcome = Outcome("the machine")
    speed = await asyncio.to_thread(Calibration.take)
    floor = await asyncio.to_thread(measure_floor, options.base_calls, min(options.seconds, 5.0))
    outcome.remarks.append(
        "The floor is the least Python that does the same input and output, without any rule of a protocol "
        "(`benchmarks/floor.py`). What the product takes above it is the price of what it does; both move with the "
        "speed of the machine."
    )
    outcome.tables.append(
        Table(
            "Speed",
            (
                "100,000 Python steps, ms",
                "one UDP datagram sent and received, µs",
                f"floor at {options.base_calls} calls, % of a core per call",
                "floor's round trip p50 / p99, ms",
            ),
            (
                (
                    f"{speed.loop_ms:.2f}",
                    f"{speed.datagram_us:.1f}",
                    f"{floor.per_call:.3f}",
                    f"{floor.round_trip_p50_ms:.1f} / {floor.round_trip_p99_ms:.1f}",
                ),
            ),
        )
    )
    return outcome
