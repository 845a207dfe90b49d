"""Calls with noise suppression: what they cost, and that they do not move another call's packets."""

from __future__ import annotations

import asyncio
import gc
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.agents import EchoProcess, echo_process
from benchmarks.callers import Load, percentile
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.frames import FRAME_NS
from benchmarks.observe import LATENESS_LIMIT_MS
from benchmarks.options import ECHO_NUMBER, Options
from benchmarks.processes import CpuReading, CpuUse, Roles
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform

PLAIN = 40
BESIDE = 10
SUPPRESSED_NUMBER = "15557770001"
P99_MORE_MS = 2.0
"""What suppressed calls may add to the p99 of the lateness of other calls' packets; ten times less than a phone's
jitter buffer takes in."""
_PASSES = 2
_SETTLE_S = 2.5
"""Until engines are loaded."""
_NEAR = 10
"""Packets before and behind one of which the earliest is on time."""


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the packets of all plain calls were sent, in milliseconds."""

    p50: float
    p99: float
    most: float
    packets: int


async def run(options: Options) -> Outcome:
    """Hold plain calls beside calls without an engine, then beside as many with each."""
    outcome = Outcome("noise suppression")
    rows: list[tuple[str, ...]] = []
    with echo_process() as echo:
        measured = {engine: await _measure(engine, echo, options, outcome, rows) for engine in ("", "speex", "dtln")}
    alone = measured.pop("")
    for engine, found in measured.items():
        more = max(one.p99 for one in found) - max(one.p99 for one in alone)
        outcome.figures.append(
            Figure(
                f"lateness of {PLAIN} plain calls' packets, p99, more beside {BESIDE} calls with {engine}",
                *(max(more, 0.0), P99_MORE_MS, None, "ms"),
                digits=2,
            )
        )
    columns = (
        *(f"{BESIDE} calls beside them / window", "p50 / p99 / max, ms", "packets", "plain calls with good audio"),
        "generator's lateness p99, ms",
        *("worker, % of a core", "noise process", "engine per call", "frames that passed as they came"),
    )
    title = f"Lateness of the packets of {PLAIN} plain calls, one media worker for all"
    outcome.tables.append(Table(title, columns, tuple(rows)))
    outcome.remarks.append(
        "A packet's lateness is counted by the kernel's time of its arrival, against the earliest packets of its call "
        "just before and behind it (a call's slots are moved now and then, for its agent). All calls have streams both "
        "ways to an echo. Frames that passed as they came include those of the first moments, when an engine is loaded."
    )
    return outcome


async def _measure(
    engine: str, echo: EchoProcess, options: Options, outcome: Outcome, rows: list[tuple[str, ...]]
) -> list[Lateness]:
    attributes = 'noiseCancellation="true" noiseCancellationLevel="85" ' if engine else ""

    def respond(request: AppRequest) -> AppReply:
        return AppReply(
            f'<Response><Stream bidirectional="true" keepCallAlive="true" {attributes}'
            f'contentType="audio/x-mulaw;rate=8000">{echo.stream_url}</Stream></Response>'.encode()
        )

    server = AnswerServer(respond)
    await server.start()
    settings = {"RINGBACK_NOISE__ENGINE": engine} if engine else {}
    found = []
    try:
        with Platform.start(workers=1, apps={SUPPRESSED_NUMBER: server.url + "/"}, settings=settings) as platform:
            roles = Roles.of(platform, echo.pid)
            target = (platform.sip_host, platform.sip_port)
            plain, beside = Load(target, ECHO_NUMBER, notes_arrivals=True), Load(target, SUPPRESSED_NUMBER)
            await plain.start()
            await beside.start()
            try:
                await beside.place(BESIDE, 10)
                await plain.place(PLAIN, 25)
                await asyncio.sleep(_SETTLE_S)
                helpers = _children(roles.workers[0])
                windows = []
                for number in range(1, _PASSES + 1):
                    before = CpuReading.take((*roles.workers, *helpers))
                    # The generator's own collector would stop it for longer than what is measured.
                    gc.collect()
                    gc.disable()
                    window = await plain.measure(options.seconds)
                    gc.enable()
                    use = CpuUse.between(before, CpuReading.take((*roles.workers, *helpers)))
                    outcome.is_reliable = outcome.is_reliable and window.lateness_p99_ms() <= LATENESS_LIMIT_MS
                    good = plain.good_calls()
                    windows.append((number, window, good, use))
                await beside.hang_up()
                await plain.hang_up()
                cost = await asyncio.to_thread(_cost, platform, engine)
                # To reckon takes longer than the generator may be away.
                for number, window, good, use in windows:
                    late = lateness(window.packets_ns)
                    found.append(late)
                    rows.append(
                        (
                            f"{engine or 'plain'} / {number}",
                            f"{late.p50:.2f} / {late.p99:.2f} / {late.most:.2f}",
                            *(str(late.packets), f"{good} of {PLAIN}", f"{window.lateness_p99_ms():.2f}"),
                            f"{use.of(*roles.workers):.1f}",
                            f"{use.of(*helpers):.1f}" if helpers else "–",
                            *cost,
                        )
                    )
            finally:
                await plain.close()
                await beside.close()
    finally:
        await server.close()
    return found


def lateness(arrivals: dict[int, list[tuple[int, int]]]) -> Lateness:
    """Return the lateness of all packets: (sequence number, arrival in nanoseconds) of each call, in order."""
    late: list[float] = []
    for packets in arrivals.values():
        first = packets[0][0]
        # Sequence numbers start anywhere and go round.
        at = np.array([arrived - (number - first) % 65_536 * FRAME_NS for number, arrived in packets], np.int64)
        for index, moment in enumerate(at):
            # Whichever is nearer, before it or behind it: a call whose slots were moved stays there.
            before, behind = at[max(index - _NEAR, 0) : index + 1].min(), at[index : index + _NEAR + 1].min()
            late.append(float(moment - max(before, behind)) / 1e6)
    return Lateness(percentile(late, 50), percentile(late, 99), max(late, default=0.0), len(late))


def _children(pid: int) -> tuple[int, ...]:
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        found += map(int, (task / "children").read_text().split())
    return tuple(found)


def _cost(platform: Platform, engine: str) -> tuple[str, str]:
    """Return the engine's share of a core per call, and the share of frames that it was too late for."""
    if not engine:
        return "–", "–"
    metrics = platform.metrics()

    def total(name: str) -> float:
        return metrics.get(f'ringback_noise_{name}_total{{engine="{engine}"}}', 0.0)

    audio_s = total("audio_seconds") or float("nan")
    return f"{total('cpu_seconds') / audio_s * 100:.2f} %", f"{total('passed_audio_seconds') / audio_s:.2%}"
