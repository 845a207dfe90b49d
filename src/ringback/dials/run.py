"""One dial while it lasts: carries out what its machine asks, and tells it what happens to the calls.

It follows the caller and every party as `calls.live.CallWatcher`, and is the `calls.live.CallBridge` of the two that
are joined. Media commands go one after the other; everything else is started beside the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol, assert_never

from ringback import clock, ids
from ringback.billing.cdr import billed_duration_s
from ringback.calls.hangup import Code, Hangup, HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.service import NotDialled
from ringback.calls.state import STATUS
from ringback.calls.views import MakeCall
from ringback.dials import machine
from ringback.dials.callbacks import PartyFacts, action_params, event_params
from ringback.dials.machine import DialMachine, Output, Ringing
from ringback.dials.spec import DialOutcome, DialSpec
from ringback.dials.state import DialState, PartyState
from ringback.errors import RingbackError
from ringback.ids import CallUuid, CommandId, PlayId
from ringback.machine import SECOND
from ringback.media.control.commands import JoinRoom, LeaveRoom
from ringback.numbers.trunks import GatewayCredentials
from ringback.signalling.jobs import JobQueue
from ringback.telemetry.logs import get_logger
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.payloads import NO_RATE, answer_params, base_params
from ringback.webhooks.store import OutboundCallback

_log = get_logger(__name__)


class Prompt(Protocol):
    """Sounds that play to one call beside its document."""

    async def stop(self) -> None:
        """End them; return when nothing plays any more."""


class PromptStarter(Protocol):
    """Plays the document at a URL (Play, Speak and Wait only) to a call; `callflow.flows.CallFlows` has one."""

    def __call__(self, call: LiveCall, url: str, *, repeats: bool, on_end: Callable[[], None]) -> Prompt:
        """Start and return at once; `on_end` is called when it is over by itself, or cannot be had."""


class LegDialler(Protocol):
    """Dials a leg for a call; `calls.service.CallService.dial_leg`."""

    async def __call__(
        self,
        parent: LiveCall,
        request: MakeCall,
        credentials: tuple[GatewayCredentials, ...] = (),
        unwanted: asyncio.Event | None = None,
    ) -> LiveCall:
        """Return the new call, or raise `NotDialled`."""


@dataclass(frozen=True, slots=True)
class DialTools:
    """What every dial of the node uses."""

    dial_leg: LegDialler
    start_prompt: PromptStarter
    send: Callable[[OutboundCallback], Awaitable[None]]
    """Makes a callback durable."""
    ring_tone_path: Callable[[], Awaitable[str]]


@dataclass
class Party:
    """One destination: its call once it is dialled, or why it never was."""

    call: LiveCall | None = None
    call_uuid: str = ""
    end: Hangup | None = None
    doom: tuple[int, HangupSource] | None = None
    """How it is to be ended when it is dialled at last."""
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    """Set with `doom`: one that still waits for its trunk is not dialled."""
    prompt: Prompt | None = None


class DialRun:
    """One dial of one call.

    State: `start` once; `on_end` is called once the document may go on, never after `stop` or the end of the call;
    `on_done` when every party is gone.
    """

    def __init__(
        self,
        tools: DialTools,
        a_leg: LiveCall,
        spec: DialSpec,
        on_end: Callable[[DialOutcome, CallUuid], None],
        on_done: Callable[[DialRun], None],
    ) -> None:
        self.a_leg = a_leg
        self._tools = tools
        self._spec = spec
        self._on_end = on_end
        self._on_done = on_done
        self._dial_id = ids.new_uuid()
        self._room_id = f"dial-{self._dial_id}"
        self._machine = DialMachine(spec)
        self._parties = [Party() for _ in spec.destinations]
        self._media = JobQueue(self._failed)
        self._in_room: set[CallUuid] = set()
        self._music: Prompt | None = None
        self._tone: PlayId | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._reports = 0
        self._is_draining = False
        self._done = asyncio.Event()

    def start(self) -> None:
        """Ring everybody and return at once."""
        self.a_leg.watchers.append(self)
        # What becomes of the parties is told before the end of the call.
        self.a_leg.farewells.append(self.wait_done)
        self._machine.start(clock.now())
        self._drain()

    async def stop(self) -> None:
        """End everything for a document that is replaced; return when the caller's audio is its own again."""
        self._tell(machine.DocumentGone())
        self._media.put(self._free_caller)
        await self._media_idle()

    async def wait_done(self) -> None:
        """Return when every party is gone and reported."""
        await self._done.wait()
        # The tasks that store what was reported last begin before this goes on.
        await asyncio.sleep(0)

    # ── what the calls report ──────────────────────────────────────────────────────────────────────────────────────

    def call_rang(self, call: LiveCall, *, has_early_media: bool) -> None:
        """Take the ringing of a party."""
        if (party := self._party_of(call)) is not None:
            self._tell(machine.PartyRang(party, has_early_media))

    def call_answered(self, call: LiveCall) -> None:
        """Take the answer of a party."""
        if (party := self._party_of(call)) is not None:
            self._tell(machine.PartyAnswered(party))

    def digit_pressed(self, call: LiveCall, digit: str) -> None:
        """Take a key of the caller or of a party."""
        party = self._party_of(call)
        if party is not None or call is self.a_leg:
            self._tell(machine.KeyPressed(digit, party))

    def call_ended(self, call: LiveCall) -> None:
        """Take the end of the caller or of a party."""
        assert call.ending is not None  # watchers are told when it is set
        if call is self.a_leg:
            source = call.ending.source
            # Whoever called whom before: seen from the parties, the call that dials them is the caller.
            self._tell(machine.CallerGone(HangupSource.CALLER if source is HangupSource.CALLEE else source))
        elif (party := self._party_of(call)) is not None:
            self._tell(machine.PartyEnded(party, call.ending))

    # ── what the bridge is asked ───────────────────────────────────────────────────────────────────────────────────

    def partner_of(self, call: LiveCall) -> LiveCall | None:
        """Return the call at the other end of the bridge."""
        if self._machine.state is not DialState.JOINED or self._machine.winner is None:
            return None
        b_leg = self._parties[self._machine.winner].call
        if call is self.a_leg:
            return b_leg
        return self.a_leg if call is b_leg else None

    def detach(self, call: LiveCall) -> Awaitable[None]:
        """Take `call` out of the bridge; the document of the other end goes on."""
        party = self._party_of(call)
        self._tell(machine.DocumentGone() if party is None else machine.PartyDetached(party))
        return self._media_idle()

    # ── the machine ────────────────────────────────────────────────────────────────────────────────────────────────

    def _party_of(self, call: LiveCall) -> int | None:
        return next((index for index, party in enumerate(self._parties) if party.call is call), None)

    def _tell(self, event: machine.Input) -> None:
        self._machine.handle_input(clock.now(), event)
        self._drain()

    def _drain(self) -> None:
        # Calls report from inside what they are asked: the outermost call carries everything out, in order.
        if self._is_draining:
            return
        self._is_draining = True
        try:
            while (output := self._machine.poll_output()) is not None:
                try:
                    self._carry_out(output)
                except Exception as error:
                    # A fault of ours costs this step: calls report from here, and their ends must be stored.
                    self._failed(error)
        finally:
            self._is_draining = False
        self._arm()
        if self._machine.is_finished and not self._done.is_set():
            self._done.set()
            self._unwatch(self.a_leg)
            if not self.a_leg.is_over:
                self.a_leg.farewells.remove(self.wait_done)
            self._on_done(self)

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._machine.poll_timeout()
        if deadline is not None:
            delay_s = max(0, deadline - clock.now()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        self._machine.handle_timeout(clock.now())
        self._drain()

    def _carry_out(self, output: Output) -> None:
        match output:
            case machine.Dial(party):
                self.a_leg.spawn(self._dial(party))
            case machine.Drop(party, code, source):
                self._drop(party, code, source)
            case machine.StartRinging(kind):
                self._media.put(partial(self._start_ringing, kind))
            case machine.StopRinging():
                self._media.put(self._stop_ringing)
            case machine.Ask(party):
                self._ask(party)
            case machine.StopAsking(party):
                self._media.put(partial(self._stop_asking, party))
            case machine.Listen(party):
                self._media.put(partial(self._join, party))
            case machine.Join(party):
                self._bridge(party)
            case machine.Part(party):
                self._media.put(partial(self._part, party))
            case machine.Report(action, party, digits, is_by_caller):
                facts = self._facts(party)
                params = event_params(action, self.a_leg.call_uuid, facts, digits, is_by_caller=is_by_caller)
                self.a_leg.note("dial", event=action.value, party=facts.call_uuid, digits=digits)
                self._send_event(params)
            case machine.Finish(outcome):
                self._finish(outcome)
            case _:
                assert_never(output)

    # ── parties ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def _dial(self, index: int) -> None:
        party, terms = self._parties[index], self.a_leg.terms
        wanted = self._spec.destinations[index]
        caller_id = wanted.caller_id or self._spec.caller_id
        request = MakeCall(
            from_number=caller_id or terms.from_number,
            to=wanted.address,
            answer_url="",
            caller_name=wanted.caller_name or self._spec.caller_name or ("" if caller_id else terms.caller_name),
            send_digits=wanted.send_digits,
            send_on_preanswer=wanted.send_on_preanswer,
            ring_timeout_s=self._spec.timeout_s,
            sip_headers=wanted.sip_headers,
            parent_call_uuid=self.a_leg.call_uuid,
        )
        credentials = (GatewayCredentials(wanted.username, wanted.password),) if wanted.username else ()
        try:
            call = await self._tools.dial_leg(self.a_leg, request, credentials, party.unwanted)
        except NotDialled as error:
            party.call_uuid, party.end = error.call_uuid, error.reason
            self._tell(machine.PartyEnded(index, error.reason))
            return
        except Exception as error:
            party.end = Hangup(Code.INTERNAL_ERROR, HangupSource.ERROR, "NETWORK_OUT_OF_ORDER", "failed", repr(error))
            self._tell(machine.PartyEnded(index, party.end))
            raise
        party.call, party.call_uuid = call, call.call_uuid
        self.a_leg.note("dial", event="dialled", party=call.call_uuid, to=wanted.address)
        call.watchers.append(self)
        if party.doom is not None:
            call.spawn(call.end(*party.doom))

    def _drop(self, index: int, code: int, source: HangupSource) -> None:
        party = self._parties[index]
        if party.call is not None:
            party.call.spawn(party.call.end(code, source))
        else:
            party.doom = (code, source)
            party.unwanted.set()

    def _ask(self, index: int) -> None:
        party = self._parties[index]
        if party.call is not None:
            over = machine.SoundEnded(index)
            party.prompt = self._tools.start_prompt(
                party.call, self._spec.confirm_sound_url, repeats=False, on_end=lambda: self._tell(over)
            )

    async def _stop_asking(self, index: int) -> None:
        prompt, self._parties[index].prompt = self._parties[index].prompt, None
        if prompt is not None:
            await prompt.stop()

    def _facts(self, index: int) -> PartyFacts:
        party, wanted = self._parties[index], self._spec.destinations[index]
        end = party.call.ending if party.call is not None else party.end
        seconds = party.call.call_seconds if party.call is not None and end is not None else 0
        told = party.call.hangup_params() if party.call is not None and party.call.ended_wall_ms is not None else {}
        return PartyFacts(
            call_uuid=party.call_uuid,
            from_number=wanted.caller_id or self._spec.caller_id or self.a_leg.terms.from_number,
            to_number=wanted.address,
            position=index + 1,
            bill_rate=self.a_leg.facts.bill_rate,
            duration_s=seconds,
            bill_duration_s=billed_duration_s(seconds),
            cause=end.cause if end else "",
            cause_name=end.name if end else "",
            cause_code=int(end.code) if end else 0,
            source=end.source.value if end else "",
            times={name: told[name] for name in ("StartTime", "AnswerTime", "EndTime") if name in told},
            total_cost=told.get("TotalCost", NO_RATE),
        )

    # ── audio, one command after the other ─────────────────────────────────────────────────────────────────────────

    async def _start_ringing(self, kind: Ringing) -> None:
        if self.a_leg.is_over:
            return
        if kind is Ringing.DOCUMENT:
            self._music = self._tools.start_prompt(
                self.a_leg, self._spec.music, repeats=True, on_end=lambda: self._tell(machine.MusicEnded())
            )
        elif self._tone is None:
            self._tone = await self.a_leg.play(await self._tools.ring_tone_path(), 0)

    async def _stop_ringing(self) -> None:
        music, self._music = self._music, None
        tone, self._tone = self._tone, None
        if music is not None:
            await music.stop()
        if tone is not None:
            await self.a_leg.stop_play(tone)

    def _bridge(self, index: int) -> None:
        b_leg = self._parties[index].call
        assert b_leg is not None  # a party that answered has a call
        self.a_leg.bridge = b_leg.bridge = self
        self._media.put(partial(self._join, index))
        for call, partner in ((self.a_leg, b_leg), (b_leg, self.a_leg)):
            for tell in tuple(call.on_bridged):
                tell(partner)

    async def _join(self, index: int) -> None:
        b_leg = self._parties[index].call
        assert b_leg is not None  # a party that rings has a call
        for call in (self.a_leg, b_leg):
            if call.call_uuid in self._in_room or call.is_over:
                continue
            join = JoinRoom(
                command_id=CommandId(ids.new_token()),
                session_id=call.leg.session_id,
                room_id=self._room_id,
                relays_digits=True,
            )
            try:
                await call.leg.media(join)
            except RingbackError as error:
                # Without audio the party is of no use; its end tells the document.
                self._drop(index, Code.INTERNAL_ERROR, HangupSource.ERROR)
                self.a_leg.note("dial", event="not joined", detail=str(error))
                return
            self._in_room.add(call.call_uuid)

    async def _part(self, index: int) -> None:
        b_leg = self._parties[index].call
        for call in (self.a_leg, b_leg):
            if call is None:
                continue
            if call.call_uuid in self._in_room:
                self._in_room.discard(call.call_uuid)
                await self._leave(call)
            if call.bridge is self:
                call.bridge = None
            if call is b_leg and self._machine.parties[index] is PartyState.DETACHED:
                self._unwatch(call)

    async def _free_caller(self) -> None:
        """Let the caller out of the room, where it may have heard the early media of a party that never answered."""
        if self.a_leg.call_uuid in self._in_room:
            self._in_room.discard(self.a_leg.call_uuid)
            await self._leave(self.a_leg)

    async def _leave(self, call: LiveCall) -> None:
        if call.is_over:
            return
        leave = LeaveRoom(command_id=CommandId(ids.new_token()), session_id=call.leg.session_id, room_id=self._room_id)
        try:
            await call.leg.media(leave)
        except RingbackError as error:
            call.note("dial", event="not parted", detail=str(error))

    def _failed(self, error: BaseException) -> None:
        self.a_leg.note("dial", event="problem", detail=str(error) or repr(error))
        if not isinstance(error, RingbackError):
            _log.error("step of a dial failed", call_uuid=self.a_leg.call_uuid, exc_info=error)

    def _media_idle(self) -> Awaitable[None]:
        """Return what returns when every media command asked for so far has been carried out."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def mark() -> None:
            if not done.done():
                done.set_result(None)

        self._media.put(mark)
        return done

    # ── the end ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _finish(self, outcome: DialOutcome) -> None:
        winner = self._parties[outcome.winner].call_uuid if outcome.winner is not None else ""
        params = action_params(outcome, self.a_leg.call_uuid, winner)
        self.a_leg.note("dial", event="ended", status=outcome.status.value, cause=outcome.cause, party=winner)
        is_orphaned = self.a_leg.ended_at is not None
        if self._spec.action_url and (is_orphaned or not self._spec.is_redirecting):
            base = answer_params(self.a_leg.facts, STATUS[self.a_leg.state], params)
            self._send(CallbackKind.ACTION, self._spec.action_url, self._spec.action_method, base)
        if not is_orphaned:

            async def report() -> None:
                self._on_end(outcome, CallUuid(winner))

            # Behind what frees the caller's audio.
            self._media.put(self._free_caller)
            self._media.put(report)

    def _send_event(self, params: dict[str, str]) -> None:
        if self._spec.callback_url:
            base = base_params(self.a_leg.facts, STATUS[self.a_leg.state], params["Event"])
            self._send(CallbackKind.DIAL, self._spec.callback_url, self._spec.callback_method, base | params)

    def _send(self, kind: CallbackKind, url: str, method: str, params: dict[str, str]) -> None:
        self._reports += 1
        callback = OutboundCallback(
            kind=kind.value,
            account_id=self.a_leg.account_id,
            call_uuid=self.a_leg.call_uuid,
            url=url,
            method=method,
            params=params,
            event_id=f"{self._dial_id}:{self._reports}",
        )
        self.a_leg.store(partial(self._tools.send, callback))

    def _unwatch(self, call: LiveCall) -> None:
        if self in call.watchers:
            call.watchers.remove(self)
