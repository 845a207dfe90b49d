"""More calls than the machine can carry, without and with admission by load: who is refused, what the others hear."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from contextlib import suppress
from dataclasses import dataclass

from benchmarks.callers import Load, percentile
from benchmarks.figures import Figure, Outcome, Sense, Table
from benchmarks.observe import LATENESS_LIMIT_MS
from benchmarks.options import ECHO_NUMBER, Options
from ringback.testing.platform import Platform

OFFERED = 800
PLACED_PER_S = 30.0
_STEP = 100
"""Offered calls between two rows."""
_SETTLE_S = 3.0
_ESTABLISHED_MUST_MS = 40
_GOODPUT_MUST = 95
_GAUGE = re.compile(r"^ringback_media_(tick_late_ratio|worker_busy_ratio)\{[^}]*\} (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class _Step:
    """What was seen while `_STEP` more calls were offered, or afterwards."""

    offered: int
    established: int
    refused: int
    good: int | None
    round_trip_p50_ms: float
    round_trip_p99_ms: float
    late_percent: float
    busy_percent: float
    generator_late_ms: float


async def run(options: Options) -> Outcome:
    """Offer 800 calls at 30 per second that all stay, first without admission by load, then with it."""
    outcome = Outcome("overload")
    for admission in ("off", "on"):
        steps = await _offer(options, admission)
        outcome.tables.append(_table(f"Admission by load {admission}", steps))
        if admission == "on":
            _judge(outcome, steps)
    outcome.remarks.append(
        "Calls are offered until far more than the machine carries have been, and stay; a refused caller does not come "
        "again. Goodput is the share of established calls whose audio was good when all had been offered. Generator "
        "and agent share the machine, so they are late too when nobody is refused."
    )
    return outcome


async def _offer(options: Options, admission: str) -> list[_Step]:
    steps = []
    with Platform.start(workers=options.workers, settings={"RINGBACK_LOAD__ADMISSION": admission}) as platform:
        load = Load((platform.sip_host, platform.sip_port), ECHO_NUMBER)
        await load.start()
        try:
            for offered in range(_STEP, OFFERED + 1, _STEP):
                load.open_window()
                await load.place(_STEP, PLACED_PER_S)
                await load.close_window()
                steps.append(await _observe(platform, load, offered, is_whole=False))
            await asyncio.sleep(_SETTLE_S)
            await load.measure(options.seconds)
            steps.append(await _observe(platform, load, OFFERED, is_whole=True))
            with suppress(TimeoutError):
                # Without admission the far side may be too late even for that; the next platform is a fresh one.
                await load.hang_up()
        finally:
            await load.close()
    return steps


async def _observe(platform: Platform, load: Load, offered: int, *, is_whole: bool) -> _Step:
    text = await asyncio.to_thread(_metrics, platform.url)
    gauges: dict[str, list[float]] = {"tick_late_ratio": [0.0], "worker_busy_ratio": [0.0]}
    for name, value in _GAUGE.findall(text):
        gauges[name].append(float(value))
    trips = load.window.round_trips_ns
    return _Step(
        offered=offered,
        established=sum(bool(caller.answered) and not caller.is_over for caller in load.callers),
        refused=sum(bool(caller.refused_status) for caller in load.callers),
        good=sum(each.is_good() for each in load.evidence()) if is_whole else None,
        round_trip_p50_ms=percentile(trips, 50) / 1e6,
        round_trip_p99_ms=percentile(trips, 99) / 1e6,
        late_percent=100 * max(gauges["tick_late_ratio"]),
        busy_percent=100 * max(gauges["worker_busy_ratio"]),
        generator_late_ms=load.window.lateness_p99_ms(),
    )


def _metrics(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=10) as answer:
        return bytes(answer.read()).decode()


def _judge(outcome: Outcome, steps: list[_Step]) -> None:
    last = steps[-1]
    outcome.is_reliable = last.generator_late_ms <= LATENESS_LIMIT_MS
    outcome.figures += [
        Figure(
            "goodput under overload: established calls with good audio",
            100 * (last.good or 0) / max(last.established, 1),
            *(_GOODPUT_MUST, 100, "%", Sense.AT_LEAST),
        ),
        Figure(
            "round trip of established calls under overload, p99",
            *(last.round_trip_p99_ms, _ESTABLISHED_MUST_MS, 30, "ms"),
        ),
    ]
    if not last.refused:
        outcome.faults.append(f"nobody of {OFFERED} calls was refused: the machine carries more than were offered")


def _table(title: str, steps: list[_Step]) -> Table:
    columns = (
        *("offered so far", "established", "refused", "good audio", "round trip p50 / p99, ms"),
        *("late slots, worst worker", "loop busy, worst worker", "generator's lateness p99, ms"),
    )
    rows = tuple(
        (
            f"{step.offered}{'' if step.good is None else ', afterwards'}",
            str(step.established),
            str(step.refused),
            "" if step.good is None else f"{step.good} of {step.established}",
            f"{step.round_trip_p50_ms:.1f} / {step.round_trip_p99_ms:.1f}",
            f"{step.late_percent:.0f} %",
            f"{step.busy_percent:.0f} %",
            f"{step.generator_late_ms:.2f}",
        )
        for step in steps
    )
    return Table(title, columns, rows)
