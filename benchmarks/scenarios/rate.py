"""New calls per second with the whole flow: answer_url, document, stream, audio, hang-up, hangup_url."""

from __future__ import annotations

import asyncio
import json

from benchmarks.agents import echo_process
from benchmarks.callers import Caller, Load, percentile
from benchmarks.figures import Figure, Outcome, Sense, Table
from benchmarks.observe import LATENESS_LIMIT_MS
from benchmarks.options import SECOND_NUMBER, Options
from benchmarks.processes import CpuReading, CpuUse, Roles
from benchmarks.waiting import until
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform

RATES = (30, 60)
PLACING_S = {30: 10, 60: 5}
HOLD_S = 2.0
_GOOD_SHARE = 0.9
"""A call's first frames precede its stream and its last ones its hang-up: 2 s of frames are not all expected back."""
_CALLBACK_LIMIT_S = 5.0


async def run(options: Options) -> Outcome:
    """Place 30 calls per second for 10 s, then 60 per second for 5 s; each is held for 2 s."""
    outcome = Outcome("new calls per second")
    told: set[str] = set()

    def note(request: AppRequest) -> AppReply:
        told.add(request.params.get("CallUUID", ""))
        return AppReply(b"", content_type="text/plain")

    callbacks = AnswerServer(note)
    await callbacks.start()
    rows = []
    sustained = 0
    try:
        with echo_process() as echo:
            app = {"name": "echo", "answer_url": echo.answer_url, "hangup_url": callbacks.url}
            settings = {
                "RINGBACK_APP": json.dumps([app]),
                "RINGBACK_NUMBER": json.dumps([{"number": SECOND_NUMBER, "app": "echo"}]),
            }
            with Platform.start(workers=options.workers, settings=settings) as platform:
                roles = Roles.of(platform, echo.pid)
                for rate in RATES:
                    told.clear()
                    is_held, row = await _measure(platform, roles, rate, told, outcome)
                    if is_held and (not rows or sustained):
                        sustained = rate
                    rows.append(row)
    finally:
        await callbacks.close()
    outcome.figures.append(
        Figure(
            "new calls per second with the full flow, all answered with good audio and a hangup_url request",
            *(sustained, RATES[0], RATES[1], "calls/s", Sense.AT_LEAST),
            digits=0,
        )
    )
    columns = (
        *("calls/s", "calls", "answered", "good audio", "hangup_url", "set-up p50 / p95 / max, ms"),
        *("server, % of a core", "workers", "agents", "generator", "foreign", "generator's lateness p99, ms"),
    )
    outcome.tables.append(Table("Full flow", columns, tuple(rows)))
    return outcome


async def _measure(
    platform: Platform, roles: Roles, rate: int, told: set[str], outcome: Outcome
) -> tuple[bool, tuple[str, ...]]:
    """Return whether everything went well at this rate, and the row that says what did."""
    load = Load((platform.sip_host, platform.sip_port), SECOND_NUMBER)
    await load.start()
    count = rate * PLACING_S[rate]
    try:
        window = load.open_window()
        before = CpuReading.take(roles.all())
        placed = await load.place(count, rate, hold_s=HOLD_S)
        use = CpuUse.between(before, CpuReading.take(roles.all()))
        await asyncio.sleep(HOLD_S)
        await load.close_window()
        await load.hang_up()
    finally:
        await load.close()
    await until(lambda: len(told) >= count, _CALLBACK_LIMIT_S)
    answered = [caller for caller in placed if caller.answered]
    good = sum(_is_good(caller) for caller in answered)
    setups = [(caller.answered - caller.invited) / 1e6 for caller in answered]
    lateness = window.lateness_p99_ms()
    if rate == RATES[0]:
        outcome.is_reliable = lateness <= LATENESS_LIMIT_MS
    row = (
        *(str(rate), str(count), str(len(answered)), str(good), str(len(told))),
        f"{percentile(setups, 50):.1f} / {percentile(setups, 95):.1f} / {percentile(setups, 100):.1f}",
        f"{use.of(roles.server):.1f}",
        f"{use.of(*roles.workers):.1f}",
        f"{use.of(*roles.agents):.1f}",
        f"{use.of(roles.generator):.1f}",
        f"{use.foreign:.1f}",
        f"{lateness:.2f}",
    )
    return len(answered) == good == len(told) == count, row


def _is_good(caller: Caller) -> bool:
    return not caller.foreign and not caller.was_hung_up and caller.returned >= _GOOD_SHARE * caller.sent > 0
