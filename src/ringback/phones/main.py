"""One scripted call from its first packet to its report: what `ringback call` runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

from ringback import clock
from ringback.errors import RingbackError
from ringback.machine import MS
from ringback.phones.call import CallEnd, PhoneCall
from ringback.phones.checks import Heard
from ringback.phones.phone import Phone, PhoneSettings
from ringback.phones.platform_api import PlatformApi, PlatformRefused
from ringback.phones.script import CallScript, Do, Met, ScriptedCall
from ringback.phones.timeline import KNOWN_TO_THE_PHONE, Line, Timeline, line_of_event
from ringback.phones.tones import Samples

_LATE_SHARE = 0.01
_PRINT_GAP_S = 0.05
_POLL_WAIT_MS = 500
_LAST_FACTS_MS = 1_000
"""How long facts are collected after the call: the hang-up callback and the record come last."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """A call to make and judge."""

    uri: str
    caller: str
    samples: Samples
    script: CallScript
    api: PlatformApi | None = None
    """Where the platform's own facts are read; without it the timeline holds the phone's."""


@dataclass(frozen=True, slots=True)
class CallReport:
    """What became of the call and what was heard."""

    uri: str
    call_uuid: str
    was_answered: bool
    end: CallEnd
    codec: str
    talk_ms: int
    heard: Heard
    heard_samples: Samples
    digits_heard: str
    received_packets: int
    lost_packets: int
    jitter_ms: float
    is_reliable: bool
    """Whether this phone itself sent in time: 1 of 100 packets may be 5 ms late."""

    def to_dict(self) -> dict[str, object]:
        """Return the report for JSON, without the samples."""
        values = asdict(replace(self, heard_samples=self.heard_samples[:0]))
        del values["heard_samples"]
        return values


async def run_call(
    request: CallRequest, on_line: Callable[[Line], None], interrupted: asyncio.Event | None = None
) -> CallReport:
    """Place the call, follow its script, and return the report; every line of the timeline goes to `on_line` in order.

    Args:
        interrupted: Set it to hang up early; set it again to give up at once.
    Raises:
        RingbackError: no port to call from, or `request.uri` is unusable.
    """
    timeline = Timeline()
    phone = Phone(PhoneSettings(user=request.caller), timeline.add)
    await phone.start()
    printing = asyncio.ensure_future(_print_due(timeline, on_line))
    following: asyncio.Future[None] | None = None
    try:
        call = await phone.call(request.uri)
        if request.api is not None:
            following = asyncio.ensure_future(_follow(call, request.api, timeline))
        await _play_script(call, request, interrupted or asyncio.Event())
        if following is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(following), (_LAST_FACTS_MS + _POLL_WAIT_MS) / 1000)
        return _report(phone, call, request)
    finally:
        for task in (following, printing):
            if task is not None:
                task.cancel()
                await asyncio.wait([task])
        for line in timeline.rest():
            on_line(line)
        await phone.close()


async def _play_script(call: PhoneCall, request: CallRequest, interrupted: asyncio.Event) -> None:
    """Join script and phone until the script has finished."""
    script = ScriptedCall(request.script, clock.now())
    met: asyncio.Queue[Met] = asyncio.Queue()
    watchers = [
        asyncio.ensure_future(_report_answer(call, met)),
        asyncio.ensure_future(_report_end(call, met)),
        asyncio.ensure_future(_report_interrupts(interrupted, met)),
    ]
    try:
        while True:
            while (output := script.poll_output()) is not None:
                match output:
                    case Do.PLAY:
                        call.play(request.samples)
                    case Do.SEND_DIGITS:
                        call.send_digits(request.script.digits)
                    case Do.HANG_UP:
                        call.hang_up()
                    case Do.FINISH:
                        return
            deadline = script.poll_timeout()
            wait_s = None if deadline is None else max(deadline - clock.now(), 0) / 1e9
            try:
                event = await asyncio.wait_for(met.get(), wait_s)
            except TimeoutError:
                script.handle_timeout(clock.now())
            else:
                script.handle_input(clock.now(), event)
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)


async def _report_answer(call: PhoneCall, met: asyncio.Queue[Met]) -> None:
    with contextlib.suppress(RingbackError):
        await call.until_answered(timeout_s=86_400)
        met.put_nowait(Met.ANSWERED)


async def _report_end(call: PhoneCall, met: asyncio.Queue[Met]) -> None:
    await call.until_ended(timeout_s=86_400)
    met.put_nowait(Met.ENDED)


async def _report_interrupts(interrupted: asyncio.Event, met: asyncio.Queue[Met]) -> None:
    while True:
        await interrupted.wait()
        interrupted.clear()
        met.put_nowait(Met.INTERRUPTED)


async def _print_due(timeline: Timeline, on_line: Callable[[Line], None]) -> None:
    while True:
        await asyncio.sleep(_PRINT_GAP_S)
        for line in timeline.due(clock.wall_ms()):
            on_line(line)


async def _follow(call: PhoneCall, api: PlatformApi, timeline: Timeline) -> None:
    """Add the platform's facts to the timeline until the call is over and no more come."""
    await call.until_identified()
    after, over_at, patience_ms = 0, None, _LAST_FACTS_MS
    while call.call_uuid:
        if call.is_over:
            over_at = over_at or clock.now()
            if (clock.now() - over_at) // MS > patience_ms:
                return
        try:
            events = await asyncio.to_thread(api.events, call.call_uuid, after, _POLL_WAIT_MS)
        except PlatformRefused as error:
            # 404 is a call that reached no account: the platform refused it before it became one.
            if error.status != 404:
                timeline.add(Line(clock.wall_ms(), "note", f"the platform's own facts are missing: {error}"))
            return
        except RingbackError as error:
            timeline.add(Line(clock.wall_ms(), "note", f"the platform's own facts are missing: {error}"))
            return
        for event in events:
            after = max(after, int(event.get("id") or event.get("event_id") or 0))
            if event.get("kind") not in KNOWN_TO_THE_PHONE:
                timeline.add(line_of_event(event))
            if event.get("kind") == "call" and event.get("fields", {}).get("state") == "ended":
                patience_ms = 0


def _report(phone: Phone, call: PhoneCall, request: CallRequest) -> CallReport:
    totals = call.totals
    talked_ns = (call.ended_at or clock.now()) - call.answered_at if call.answered_at is not None else 0
    pacer = phone.pacer
    return CallReport(
        uri=request.uri,
        call_uuid=call.call_uuid,
        was_answered=call.answered_at is not None,
        end=call.end or CallEnd("nobody"),
        codec=call.codec,
        talk_ms=int(talked_ns // MS),
        heard=call.heard(),
        heard_samples=call.heard_samples(),
        digits_heard=call.digits,
        received_packets=totals.received_packets if totals else 0,
        lost_packets=totals.lost_packets if totals else 0,
        jitter_ms=totals.jitter_us / 1000 if totals else 0.0,
        is_reliable=pacer.late_ticks <= max(pacer.ticks * _LATE_SHARE, 1),
    )
