"""Calls whose stream is L16 at 16 kHz: two resamplers per call and four times the bytes."""

from __future__ import annotations

import asyncio

from benchmarks.agents import echo_process
from benchmarks.callers import Load
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.observe import CPU_COLUMNS, cpu_cells, observe
from benchmarks.options import SECOND_NUMBER, Options
from benchmarks.processes import Roles
from ringback.testing.platform import Platform

_CONTENT_TYPE = "audio/x-l16%3Brate%3D16000"
_PASSES = 2
_SETTLE_S = 1.5
_SECONDS_MIN = 2.0
"""Below this a window does not hold the number's tones twice."""


async def run(options: Options) -> Outcome:
    """Hold 100 calls whose tones spell their numbers, and read the numbers in what comes back."""
    outcome = Outcome("stream of L16 at 16 kHz")
    with (
        echo_process() as echo,
        Platform.start(
            workers=options.workers, apps={SECOND_NUMBER: f"{echo.answer_url}?contentType={_CONTENT_TYPE}"}
        ) as platform,
    ):
        roles = Roles.of(platform, echo.pid)
        load = Load((platform.sip_host, platform.sip_port), SECOND_NUMBER, speaks_tones=True)
        await load.start()
        try:
            await load.place(options.base_calls, 25)
            await asyncio.sleep(_SETTLE_S)
            seconds = max(options.seconds, _SECONDS_MIN)
            windows = [await observe(load, roles, seconds) for _ in range(_PASSES)]
            await load.hang_up()
        finally:
            await load.close()
    outcome.is_reliable = all(window.is_reliable for window in windows)
    outcome.figures.append(
        Figure(
            f"CPU per call, media + server, stream of L16 16 kHz, N = {options.base_calls}",
            max(window.per_call for window in windows),
            *(0.25, 0.15, "% of a core"),
            digits=3,
        )
    )
    outcome.faults += [
        f"{window.good_calls} of {window.calls} calls had good audio"
        for window in windows
        if window.good_calls < window.calls
    ]
    outcome.tables.append(
        Table(
            "CPU, per cent of a core per call",
            ("calls / window", "good audio", "generator's lateness p99, ms", *CPU_COLUMNS),
            tuple(
                (
                    f"{window.calls} / {number}",
                    f"{window.good_calls} of {window.calls}",
                    f"{window.window.lateness_p99_ms():.2f}",
                    *cpu_cells(window),
                )
                for number, window in enumerate(windows, 1)
            ),
        )
    )
    return outcome
