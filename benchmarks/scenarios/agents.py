"""Agents that fail: each comes to its configured outcome, and the other calls on the worker do not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from benchmarks.callers import Load, percentile
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.hostile_agent import hostile_agent
from benchmarks.observe import LATENESS_LIMIT_MS
from benchmarks.options import ECHO_NUMBER, Options
from ringback import clock
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform

BYSTANDERS = 40
WINDOW_S = 5.0
SETTLE_S = 2.0
"""What the start of an agent's process adds to everyone's delay is gone then."""
FEWER_MAX = 2
"""How many bystanders fewer than alone may have good audio beside a failing agent."""
P99_MORE_MS = 10.0
"""What a failing agent may add to the p99 of everyone else's round trip."""
POLL_S = 0.1
FAULT_POLL_S = 0.5
"""Reading the event log costs the server and this process more than looking at a dict."""
_STREAM_TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of failure, what is configured for it, and within what time it must come."""

    kind: str
    means: str
    outcome: str
    """`fallback`, `next`, or `fault:REASON`."""
    within_s: float
    attributes: str = ""
    headers: str = ""


FALLBACK = "ringback.reconnects=0,ringback.fallback={url}/fallback/{kind}"
CASES = (
    Case("never-upgrades", "never connects: takes the request, says nothing", "fallback", 13, headers=FALLBACK),
    Case(
        "silent",
        f"connects and is silent; streamTimeout={_STREAM_TIMEOUT_S}",
        "next",
        _STREAM_TIMEOUT_S + 1,
        attributes=f'streamTimeout="{_STREAM_TIMEOUT_S}" ',
    ),
    Case("closes", "closes after 3 s", "next", 4),
    Case("stops-reading", "stops reading, dead_after_ms=4000", "fallback", 10, headers=FALLBACK),
    Case("audio-flood", "sends audio at 10 times real time", "fault:buffer_overflow", 12),
    Case("garbage", "garbage in text frames as fast as TCP takes it", "fault:invalid JSON", 3),
    Case("bytes", "bytes that are no frames as fast as TCP takes them", "fallback", 3, headers=FALLBACK),
    Case("tiny", "a million messages of 2 bytes", "fault:no event", 3),
)
HALF_OPEN = Case(
    "half-open", "half-open: TCP acknowledges, nobody is there; pings every 30 s", "fallback", 95, headers=FALLBACK
)
"""Runs beside all the others: it takes a minute and a half."""


class Application:
    """The customer: documents, and when each was asked for."""

    def __init__(self) -> None:
        self.ports: dict[str, int] = {}
        self.asked: dict[str, int] = {}
        self.server = AnswerServer(self._respond)

    def _respond(self, request: AppRequest) -> AppReply:
        _, what, *rest = request.path.split("/")
        kind = rest[0] if rest else ""
        self.asked.setdefault(f"{what}/{kind}", clock.now())
        if what == "answer":
            return AppReply(self._document(next(case for case in (*CASES, HALF_OPEN) if case.kind == kind)).encode())
        return AppReply(b'<Response><Wait length="120"/></Response>')

    def _document(self, case: Case) -> str:
        headers = case.headers.format(url=self.server.url, kind=case.kind)
        return (
            f'<Response><Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000" '
            f'{case.attributes}extraHeaders="{headers}">ws://127.0.0.1:{self.ports[case.kind]}/</Stream>'
            f"<Redirect>{self.server.url}/next/{case.kind}</Redirect></Response>"
        )


async def run(options: Options) -> Outcome:
    """Measure bystanders alone, then beside each failing agent."""
    outcome = Outcome("agents that fail")
    rows: list[tuple[str, ...]] = []
    application = Application()
    await application.server.start()
    numbers = {case.kind: f"1555666{index:04}" for index, case in enumerate((*CASES, HALF_OPEN))}
    apps = {number: f"{application.server.url}/answer/{kind}" for kind, number in numbers.items()}
    try:
        with Platform.start(workers=1, apps=apps) as platform, ExitStack() as agents:
            phone = Phone(PhoneSettings(user="15557770000"))
            await phone.start()
            load = Load((platform.sip_host, platform.sip_port), ECHO_NUMBER)
            await load.start()
            try:
                await load.place(BYSTANDERS, 25)
                await asyncio.sleep(1)
                application.ports["half-open"] = agents.enter_context(hostile_agent("silent"))
                slow = asyncio.create_task(_outcome_s(platform, phone, application, HALF_OPEN, numbers["half-open"]))
                await asyncio.sleep(1)
                worst_ms, fewer = 0.0, 0
                for case in CASES:
                    with hostile_agent(case.kind) as port:
                        application.ports[case.kind] = port
                        await asyncio.sleep(SETTLE_S)
                        alone_ms = await _p99_ms(load, outcome)
                        good_alone = load.good_calls()
                        reached = asyncio.create_task(
                            _outcome_s(platform, phone, application, case, numbers[case.kind])
                        )
                        p99_ms = await _p99_ms(load, outcome)
                        worst_ms = max(worst_ms, p99_ms - alone_ms)
                        good_beside = load.good_calls()
                        fewer = max(fewer, good_alone - good_beside)
                        good = f"{good_alone} / {good_beside} of {len(load.callers)}"
                        _note(outcome, rows, case, await reached, f"{alone_ms:.1f}", f"{p99_ms:.1f}", good)
                _note(outcome, rows, HALF_OPEN, await slow, "", "", "")
                outcome.figures.append(
                    Figure(
                        f"bystanders of {BYSTANDERS} with good audio beside any of them, fewer than alone",
                        *(fewer, FEWER_MAX, None, "calls"),
                        digits=0,
                    )
                )
                outcome.figures.append(
                    Figure(
                        f"p99 of {BYSTANDERS} bystanders' round trips beside any of them, more than alone",
                        *(worst_ms, P99_MORE_MS, None, "ms"),
                    )
                )
            finally:
                await load.hang_up()
                await load.close()
                await phone.hang_up_all()
                await phone.close()
    finally:
        await application.server.close()
    columns = (
        *("agent", "configured outcome", "reached after, s"),
        *("bystanders' p99 alone, ms", "beside it, ms", "good audio alone / beside it"),
    )
    outcome.tables.append(Table("One media worker for all", columns, tuple(rows)))
    outcome.remarks.append("Time counts from the answer of the call. Each agent runs in a process of its own.")
    return outcome


def _note(outcome: Outcome, rows: list[tuple[str, ...]], case: Case, took_s: float | None, *bystanders: str) -> None:
    if took_s is None or took_s > case.within_s:
        outcome.faults.append(f"{case.means}: {case.outcome} not within {case.within_s:g} s")
    rows.append((case.means, case.outcome, "never" if took_s is None else f"{took_s:.1f}", *bystanders))


async def _p99_ms(load: Load, outcome: Outcome) -> float:
    window = await load.measure(WINDOW_S)
    outcome.is_reliable = outcome.is_reliable and window.lateness_p99_ms() <= LATENESS_LIMIT_MS
    return percentile(window.round_trips_ns, 99) / 1e6


async def _outcome_s(
    platform: Platform, phone: Phone, application: Application, case: Case, number: str
) -> float | None:
    """Return the time from the answer to the outcome, `None` when it did not come."""
    call = await phone.call(platform.uri(number))
    await call.until_answered()
    began = call.answered_at or clock.now()
    name, _, reason = case.outcome.partition(":")

    def asked() -> int | None:
        return application.asked.get(f"{name}/{case.kind}")

    async def faulted() -> int | None:
        rows: list[dict[str, Any]] = await asyncio.to_thread(platform.api.events, call.call_uuid)
        found = any(row["fields"].get("reason") == reason for row in rows if row["kind"] == "stream")
        return clock.now() if found else None

    deadline = began + int((case.within_s + 5) * 1e9)
    find: Callable[[], Any] = faulted if name == "fault" else asked
    at: int | None = None
    while at is None and clock.now() < deadline:
        await asyncio.sleep(FAULT_POLL_S if name == "fault" else POLL_S)
        found = find()
        at = await found if asyncio.iscoroutine(found) else found
    if name == "fault":
        # The flood goes on beside the bystanders for the rest of their window.
        await asyncio.sleep(max(0.0, WINDOW_S - (clock.now() - began) / 1e9))
    call.hang_up()
    await call.until_ended()
    return None if at is None else (at - began) / 1e9
