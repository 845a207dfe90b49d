"""Calls held at once: CPU, round trip, set-up and memory while every call carries µ-law both ways."""

from __future__ import annotations

import asyncio

from benchmarks.callers import Load, percentile
from benchmarks.figures import Figure, Outcome, Sense, Table
from benchmarks.observe import CPU_COLUMNS, Observation, cpu_cells, observe
from benchmarks.options import ECHO_NUMBER, Options
from benchmarks.processes import Roles, resident_mb
from ringback.testing.platform import Platform

PLACED_PER_S = 20.0
PASSES = 2
_SETTLE_S = 2.0
_CPU_FROM_CALLS = 100
"""With fewer calls the fixed cost of a process is not spread far enough to be a cost per call."""
_HELD_MUST = 500


async def run(options: Options) -> Outcome:
    """Hold 25, 100, 300 and 500 calls (by default) and measure two windows at each."""
    outcome = Outcome("calls held at once")
    # What the machine carries is asked here, not when it refuses: that is the scenario `overload`.
    with Platform.start(workers=options.workers, settings={"RINGBACK_LOAD__ADMISSION": "off"}) as platform:
        roles = Roles.of(platform)
        await asyncio.sleep(1.0)
        idle = {pid: resident_mb(pid) for pid in (roles.server, *roles.workers)}
        load = Load((platform.sip_host, platform.sip_port), ECHO_NUMBER)
        await load.start()
        observations: dict[int, list[Observation]] = {}
        setups: dict[int, list[float]] = {}
        memory: dict[int, dict[int, float]] = {}
        try:
            for calls in options.calls:
                placed = await load.place(calls - len(load.callers), PLACED_PER_S)
                setups[calls] = [(caller.answered - caller.invited) / 1e6 for caller in placed if caller.answered]
                _note_unanswered(outcome, calls, len(placed), len(setups[calls]))
                await asyncio.sleep(_SETTLE_S)
                observations[calls] = [await observe(load, roles, options.seconds) for _ in range(PASSES)]
                memory[calls] = {pid: resident_mb(pid) for pid in idle}
            await load.hang_up()
        finally:
            await load.close()
    _judge(outcome, observations, setups)
    _judge_memory(outcome, roles, idle, memory)
    outcome.tables += [
        _load_table(observations, setups),
        _cpu_table(observations),
        _memory_table(roles, idle, memory),
    ]
    return outcome


def _note_unanswered(outcome: Outcome, calls: int, placed: int, answered: int) -> None:
    if answered < placed:
        outcome.faults.append(f"at {calls} calls {placed - answered} of {placed} new calls were not answered")


def _judge(outcome: Outcome, observations: dict[int, list[Observation]], setups: dict[int, list[float]]) -> None:
    """Add the figures; of two windows the worse one counts."""
    every = [observation for windows in observations.values() for observation in windows]
    loaded = [observation for observation in every if observation.calls >= _CPU_FROM_CALLS]
    held = [calls for calls, windows in observations.items() if all(w.good_calls == calls for w in windows)]
    all_setups = [setup for times in setups.values() for setup in times]
    outcome.is_reliable = all(observation.is_reliable for observation in every)
    outcome.figures += [
        Figure(
            "CPU per call, media + server, PCMU and µ-law stream both ways, N ≥ 100, worst",
            max((observation.per_call for observation in loaded), default=None),
            *(0.15, 0.10, "% of a core"),
            digits=3,
        ),
        Figure(
            "calls held with every call's audio good",
            max(held, default=0) if max(observations) >= _HELD_MUST or not held else None,
            *(_HELD_MUST, 800, "calls", Sense.AT_LEAST),
            digits=0,
        ),
        Figure(
            "round trip caller → agent → caller, p50, worst N",
            max(observation.round_trip_ms(50) for observation in every),
            *(20, 15, "ms"),
        ),
        Figure(
            "round trip caller → agent → caller, p99, worst N",
            max(observation.round_trip_ms(99) for observation in every),
            *(30, 25, "ms"),
        ),
        Figure("call set-up at 20 calls/s, INVITE → 200, p95", percentile(all_setups, 95), 60, 20, "ms"),
    ]
    for windows in observations.values():
        for observation in windows:
            if observation.good_calls < observation.calls:
                outcome.faults.append(
                    f"at {observation.calls} calls {observation.good_calls} had good audio, "
                    f"the worst had {observation.worst_share:.1%} of its frames back"
                )


def _judge_memory(outcome: Outcome, roles: Roles, idle: dict[int, float], memory: dict[int, dict[int, float]]) -> None:
    most = max(memory)
    per_call_kb = (sum(memory[most].values()) - sum(idle.values())) * 1000 / most
    outcome.figures += [
        Figure("memory of the idle server", idle[roles.server], 80, 40, "MB"),
        Figure("memory of an idle worker, largest", max(idle[pid] for pid in roles.workers), 60, 30, "MB"),
        Figure(f"memory per call, server + workers, at N = {most}", per_call_kb, 100, 50, "kB", digits=0),
    ]


def _load_table(observations: dict[int, list[Observation]], setups: dict[int, list[float]]) -> Table:
    rows = []
    for calls, windows in observations.items():
        for number, observation in enumerate(windows, 1):
            rows.append(
                (
                    f"{calls} / {number}",
                    f"{observation.good_calls} of {calls}",
                    f"{observation.worst_share:.1%}",
                    f"{observation.round_trip_ms(50):.1f} / {observation.round_trip_ms(99):.1f}"
                    f" / {observation.round_trip_ms(100):.1f}",
                    f"{percentile(setups[calls], 50):.1f} / {percentile(setups[calls], 95):.1f}" if number == 1 else "",
                    f"{observation.window.lateness_p99_ms():.2f}",
                )
            )
    columns = (
        "calls / window",
        "good audio",
        "worst call's frames back",
        "round trip p50 / p99 / max, ms",
        "set-up of the added calls p50 / p95, ms",
        "generator's lateness p99, ms",
    )
    return Table("Audio, round trip, set-up", columns, tuple(rows))


def _cpu_table(observations: dict[int, list[Observation]]) -> Table:
    rows = [
        (f"{calls} / {number}", *cpu_cells(observation))
        for calls, windows in observations.items()
        for number, observation in enumerate(windows, 1)
    ]
    return Table("CPU, per cent of a core per call", ("calls / window", *CPU_COLUMNS), tuple(rows))


def _memory_table(roles: Roles, idle: dict[int, float], memory: dict[int, dict[int, float]]) -> Table:
    rows = []
    for calls, now in {0: idle, **memory}.items():
        grown_kb = (sum(now.values()) - sum(idle.values())) * 1000
        rows.append(
            (
                str(calls),
                f"{now[roles.server]:.1f}",
                " + ".join(f"{now[pid]:.1f}" for pid in roles.workers),
                f"{grown_kb / calls:.0f}" if calls else "",
            )
        )
    return Table("Resident memory", ("calls", "server, MB", "workers, MB", "kB per call"), tuple(rows))
