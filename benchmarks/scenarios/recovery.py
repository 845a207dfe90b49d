"""What a pause of one second leaves behind: media workers stopped, then the agent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from benchmarks.callers import Load, Window, percentile
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.observe import LATENESS_LIMIT_MS
from benchmarks.options import ECHO_NUMBER, Options
from benchmarks.processes import Roles, stopped
from ringback import clock
from ringback.testing.platform import Platform

STOP_S = 1.0
WATCH_S = 6.0
BACK_WITHIN_MS = 5.0
_STEP_NS = 100_000_000
_SETTLE_S = 2.0


async def run(options: Options) -> Outcome:
    """Stop the workers, then the agent, for 1 s under 100 calls, and follow the round trip."""
    outcome = Outcome("recovery from a stall")
    rows = []
    with Platform.start(workers=options.workers) as platform:
        roles = Roles.of(platform)
        load = Load((platform.sip_host, platform.sip_port), ECHO_NUMBER)
        await load.start()
        try:
            await load.place(options.base_calls, 25)
            await asyncio.sleep(_SETTLE_S)
            for name, pids, is_ours in (("all media workers", roles.workers, True), ("the agent", roles.agents, False)):
                base, window, resumed = await _stall(load, pids, options.seconds)
                back_ms = recovery_ms(window, resumed, base)
                tardy = _tardy_calls(load, base)
                if is_ours:
                    outcome.is_reliable = window.lateness_p99_ms() <= LATENESS_LIMIT_MS
                    outcome.figures.append(
                        Figure(
                            f"after a stop of all workers for 1 s the round trip is back, N = {options.base_calls}",
                            *(back_ms / 1000, 2, 1, "s"),
                        )
                    )
                good = load.good_calls(share=1 - 1.5 * STOP_S / (options.seconds + STOP_S + WATCH_S))
                rows.append(
                    (
                        name,
                        f"{percentile(base.round_trips_ns, 50) / 1e6:.1f}",
                        f"{back_ms / 1000:.1f}",
                        *(_p50_ms(window, resumed, at) for at in (0, 2, 5, 10, 20, 50)),
                        str(tardy),
                        f"{good} of {len(load.callers)}",
                    )
                )
            await load.hang_up()
        finally:
            await load.close()
    outcome.remarks.append(
        "Back means: from then on the p50 of each 100 ms is within 5 ms of the base before the stop. A stopped agent "
        "answers everything late at once when it goes on; what it sends then is its own speech and is played, and the "
        "delay is cut out of it while it is paced like real time. That row is no budget."
    )
    columns = (
        *("stopped for 1 s", "base p50, ms", "back after, s"),
        *(f"p50 {at * 100} ms after" for at in (0, 2, 5, 10, 20, 50)),
        *("calls still late after 6 s", "calls with good audio"),
    )
    outcome.tables.append(Table("Round trip after the stop", columns, tuple(rows)))
    return outcome


async def _stall(load: Load, pids: tuple[int, ...], base_s: float) -> tuple[Window, Window, int]:
    """Return the window before the stop, the one from its beginning, and when the processes went on."""
    base = await load.measure(base_s)
    window = load.open_window()
    with stopped(pids):
        await asyncio.sleep(STOP_S)
    resumed = clock.now()
    await asyncio.sleep(WATCH_S)
    await load.close_window()
    return base, window, resumed


def recovery_ms(window: Window, resumed: int, base: Window) -> float:
    """Return the time from `resumed` after which every 100 ms had its p50 near the base; all of it if none had."""
    near = percentile(base.round_trips_ns, 50) + BACK_WITHIN_MS * 1e6
    last_late = -1
    for step in range(int(WATCH_S * 1e9) // _STEP_NS):
        trips = _trips(window, resumed, step)
        if not len(trips) or float(np.median(trips)) > near:
            last_late = step
    return (last_late + 1) * _STEP_NS / 1e6


def _trips(window: Window, resumed: int, step: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    arrivals = np.asarray(window.arrivals_ns, dtype=np.int64)
    first = resumed + step * _STEP_NS
    return np.asarray(window.round_trips_ns, dtype=np.int64)[(arrivals >= first) & (arrivals < first + _STEP_NS)]


def _p50_ms(window: Window, resumed: int, step: int) -> str:
    trips = _trips(window, resumed, step)
    return f"{float(np.median(trips)) / 1e6:.0f}" if len(trips) else "–"


def _tardy_calls(load: Load, base: Window) -> int:
    """Return how many calls end with a round trip that none had before, give or take."""
    limit: Callable[[int], bool] = (percentile(base.round_trips_ns, 99) + BACK_WITHIN_MS * 1e6).__lt__
    return sum(limit(caller.round_trip_ns) for caller in load.callers)
