"""Every multiparty call of the node: who is in it, what its participants hear, what their URLs are told.

The rules are `multiparty.machine`; this shell carries out what it says. Fulfils `callflow.port.FlowMultiparty` and
`api.ports.MultipartyPort`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import replace
from typing import Any, assert_never

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.playbacks import ApiPlay
from ringback.calls.service import CallService
from ringback.calls.spoken import SpokenClips
from ringback.conferences.service import BEEP_FILE
from ringback.errors import EgressError, InvalidParameter, LimitReached, NotFound, RingbackError
from ringback.ids import CallUuid, CommandId
from ringback.media.control.commands import JoinRoom, LeaveRoom, SessionCommand, SetMember
from ringback.media.control.values import PlayLane
from ringback.multiparty.calls import NAME_PREFIX, Multiparty, MultipartyCalls, Seat, split_id
from ringback.multiparty.departure import Departure
from ringback.multiparty.document import document_of
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.machine import (
    Announce,
    Close,
    Exit,
    JoinAudio,
    Output,
    PartAudio,
    Participant,
    Release,
    Report,
    SetAudio,
    SetSound,
    Tell,
)
from ringback.multiparty.payloads import exit_params, status_params
from ringback.multiparty.ports import Prompt, PromptStarter
from ringback.multiparty.spec import BEEPS, NAME_MAX_CHARS, MultipartySpec, Role, Sound
from ringback.multiparty.state import Cause
from ringback.multiparty.views import AddedCall, AddParticipant, MultipartyFilters, MultipartyView
from ringback.signalling.errors import LegOver
from ringback.speech.passage import Speech
from ringback.storage.database import Database
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

FetchAudio = Callable[[str], Awaitable[str]]
"""Returns the path of a local copy of the file at a URL, or raises `errors.EgressError`."""

_SIGNALS_KEPT = 3
_ENDS = {
    Exit.KICKED: (Code.KICKED, HangupSource.API),
    Exit.ENDED: (Code.MULTIPARTY_ENDED, HangupSource.PLATFORM),
}


class MultipartyService:
    """All multiparty calls of the node."""

    def __init__(
        self,
        database: Database,
        calls: CallService,
        invitations: Invitations,
        *,
        fetch_audio: FetchAudio,
        maximum: int = 1_000,
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        self.start_prompts: PromptStarter | None = None
        self._database = database
        self._calls = calls
        self._invitations = invitations
        self._fetch_audio = fetch_audio
        self._maximum = maximum
        self._wake_outbox = wake_outbox
        self._all = MultipartyCalls()
        self._seats: dict[CallUuid, Seat] = {}
        self._last_member = 0
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def live_count(self) -> int:
        """Return how many multiparty calls have participants."""
        return len(self._all.live)

    # ── call flow ──────────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, call_uuid: CallUuid, spec: MultipartySpec, on_left: Callable[[Departure], None]) -> str:
        """Take an answered call into the multiparty call of that name and return its member id.

        `on_left` is called once when it is out, whatever the reason, also when the call is over.

        Raises:
            NotFound: the call is over, or in a multiparty call already.
            LimitReached: the multiparty call, or the node, has all it may have.
        """
        call = self._calls.find(call_uuid)
        if call is None or call.is_over or call_uuid in self._seats:
            raise NotFound("the call is over or in a multiparty call already")
        key = (call.terms.account.auth_id, spec.name)
        multiparty = self._all.live.get(key)
        if multiparty is None:
            if len(self._all.live) >= self._maximum:
                raise LimitReached(f"{self._maximum} multiparty calls are live")
            multiparty = self._all.live[key] = Multiparty(
                *key, ids.new_uuid(), clock.wall_ms(), spec.stays_alone, spec.status_url, spec.status_method
            )
            multiparty.time_limit = asyncio.get_running_loop().call_later(
                spec.duration_max_s, self._close, multiparty, Cause.DURATION
            )
        elif not multiparty.machine.has_room_for(spec):
            raise LimitReached(f"it has {len(multiparty.seats)} participants, at most {spec.participants_max}")
        self._last_member += 1
        member_id = str(self._last_member)
        participant = Participant(
            member_id, call.call_uuid, spec, clock.wall_ms(), spec.is_muted, spec.is_held, spec.is_coach
        )
        self._seats[call.call_uuid] = multiparty.seats[member_id] = Seat(participant, call, multiparty, on_left)
        call.watchers.append(self)
        call.note("multiparty", event="entered", name=spec.name, member_id=member_id, role=spec.role.value)
        multiparty.machine.enter(participant)
        self._carry_out(multiparty)
        return member_id

    def leave(self, call_uuid: CallUuid, why: Exit = Exit.REPLACED) -> None:
        """Take a call out of its multiparty call; does nothing when it is in none."""
        seat = self._seats.get(call_uuid)
        if seat is not None:
            seat.multiparty.machine.leave(seat.participant.member_id, why)
            self._carry_out(seat.multiparty)

    # ── REST ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def page(
        self, account: Account, filters: MultipartyFilters, limit: int, offset: int
    ) -> tuple[Sequence[MultipartyView], int]:
        """Return one page of multiparty calls, newest first, and how many match in all."""
        found = [view for view in self._all.views(account) if filters.has(view)]
        return found[offset : offset + limit], len(found)

    def view(self, account: Account, mpc_id: str) -> MultipartyView:
        """Return a multiparty call as it is now; raises as `MultipartyCalls.view` does."""
        return self._all.view(account, mpc_id)

    def start(self, account: Account, mpc_id: str) -> str:
        """Let the participants hear each other, whoever has entered; return its name.

        Raises:
            NotFound: no such live multiparty call.
        """
        multiparty = self._all.find(account, mpc_id)
        multiparty.machine.start(multiparty.machine.participants[0])
        self._carry_out(multiparty)
        return multiparty.name

    def stop(self, account: Account, mpc_id: str) -> None:
        """End a multiparty call; its participants go on with their exit URLs, others' calls end.

        Raises:
            NotFound: no such live multiparty call.
        """
        self._close(self._all.find(account, mpc_id), Cause.API)

    async def add(self, account: Account, mpc_id: str, wanted: AddParticipant) -> Sequence[AddedCall]:
        """Make calls of which the first to be answered becomes a participant, or make a participant of a live call.

        A name that has no multiparty call gets one with its first participant.

        Raises:
            NotFound: no live multiparty call has this UUID, or no answered call the call's.
            InvalidParameter: the name is none, or a destination cannot be reached.
            LimitReached: no more participants or calls are possible now.
        """
        kind, key = split_id(mpc_id)
        multiparty = self._all.live.get((account.auth_id, key)) if kind == NAME_PREFIX else None
        if kind != NAME_PREFIX:
            multiparty = self._all.find(account, mpc_id)
        elif len(key) > NAME_MAX_CHARS or not key.isprintable():
            raise InvalidParameter(f"a name has at most {NAME_MAX_CHARS} printable characters", field="mpc_id")
        spec = replace(wanted.spec, name=multiparty.name if multiparty is not None else key)
        if multiparty is not None and not multiparty.machine.has_room_for(spec):
            raise LimitReached(f"it has {len(multiparty.seats)} participants, at most {spec.participants_max}")
        if wanted.call_uuid:
            return await self._add_call(account, wanted.call_uuid, spec)
        group: list[CallUuid] = []
        winner: list[CallUuid] = []

        def taken(call_uuid: CallUuid) -> None:
            winner.append(call_uuid)
            self._spawn(self._give_up(account, [each for each in group if each != call_uuid]))

        url = self._invitations.add(document_of(spec), taken)
        try:
            made = await self._calls.make_calls(
                account, [replace(call, answer_url=url, answer_method="POST") for call in wanted.calls]
            )
        except BaseException:
            self._invitations.withdraw(url)
            raise
        group += made.request_uuids
        if winner:
            # One was answered before all were made.
            self._spawn(self._give_up(account, [each for each in group if each not in winner]))
        return [
            AddedCall(call.to, call.from_number, call_uuid)
            for call, call_uuid in zip(wanted.calls, made.request_uuids, strict=True)
        ]

    async def _add_call(self, account: Account, call_uuid: CallUuid, spec: MultipartySpec) -> Sequence[AddedCall]:
        call = self._calls.find_of(account, call_uuid)
        if call is None or not call.is_answered:
            raise NotFound("no answered call of this call_uuid")
        url = self._invitations.add(document_of(spec), lambda _: None)
        await call.transfer(url, "POST")
        return [AddedCall(call.terms.to_number, call.terms.from_number, call_uuid)]

    async def _give_up(self, account: Account, others: Sequence[CallUuid]) -> None:
        for call_uuid in others:
            await self._calls.hangup_call(account, call_uuid)

    def set(
        self,
        account: Account,
        mpc_id: str,
        who: str,
        *,
        is_muted: bool | None = None,
        is_held: bool | None = None,
        is_coach: bool | None = None,
    ) -> str:
        """Mute, hold, or let coach; `None` leaves as it is. Return the name of the multiparty call.

        Raises:
            NotFound: no such live multiparty call, or none of these participants is in it.
            InvalidParameter: one of them cannot coach, because it is no supervisor.
        """
        multiparty = self._all.find(account, mpc_id)
        participants = [seat.participant for seat in multiparty.named(who)]
        if is_coach is not None and any(each.spec.role is not Role.SUPERVISOR for each in participants):
            raise InvalidParameter("coach_mode parameter is invalid: only supervisors coach", field="coach_mode")
        multiparty.machine.set(participants, is_muted=is_muted, is_held=is_held, is_coach=is_coach)
        self._carry_out(multiparty)
        return multiparty.name

    def kick(self, account: Account, mpc_id: str, who: str) -> None:
        """Send participants out.

        Raises:
            NotFound: no such live multiparty call, or none of these participants is in it.
        """
        for seat in self._all.find(account, mpc_id).named(who):
            self.leave(seat.call.call_uuid, Exit.KICKED)

    async def play(self, account: Account, mpc_id: str, who: str, url: str) -> tuple[str, list[str]]:
        """Play a file to participants, over what they hear; return the name and their ids.

        Raises:
            NotFound: no such live multiparty call, or none of these participants is in it.
            InvalidParameter: the file cannot be had.
        """
        self._all.find(account, mpc_id).named(who)
        try:
            path = await self._fetch_audio(url)
        except EgressError as error:
            raise InvalidParameter(f"url parameter is invalid: {error}", field="url") from error
        multiparty = self._all.find(account, mpc_id)
        seats = multiparty.named(who)
        for seat in seats:
            seat.call.playbacks.add(PlayLane.PLAY, ApiPlay(_File(path)))
        return multiparty.name, [seat.participant.member_id for seat in seats]

    async def speak(self, account: Account, mpc_id: str, who: str, speech: Speech) -> tuple[str, list[str]]:
        """Say something to participants, over what they hear; return the name and their ids.

        Raises:
            NotFound: no such live multiparty call, or none of these participants is in it.
            LimitReached: too much waits to be said to one of them.
        """
        multiparty = self._all.find(account, mpc_id)
        seats = multiparty.named(who)
        for seat in seats:
            clips = SpokenClips(seat.call.keeper.speech, speech, seat.call.note, account.main_auth_id)
            seat.call.playbacks.add(PlayLane.SPEAK, ApiPlay(clips))
        return multiparty.name, [seat.participant.member_id for seat in seats]

    async def stop_sounds(self, account: Account, mpc_id: str, who: str, lane: PlayLane) -> None:
        """Stop what the API plays or says to participants.

        Raises:
            NotFound: no such live multiparty call, or none of these participants is in it.
        """
        for seat in self._all.find(account, mpc_id).named(who):
            await seat.call.playbacks.clear(lane)

    # ── what happens ───────────────────────────────────────────────────────────────────────────────────────────────

    def call_rang(self, call: LiveCall, *, has_early_media: bool) -> None:
        """Note nothing; calls become participants when they are answered."""

    def call_answered(self, call: LiveCall) -> None:
        """Note nothing; calls become participants when they are answered."""

    def digit_pressed(self, call: LiveCall, digit: str) -> None:
        """Take a key of a participant's call."""
        seat = self._seats.get(call.call_uuid)
        if seat is not None:
            seat.multiparty.machine.press(seat.participant.member_id, digit)
            self._carry_out(seat.multiparty)

    def call_ended(self, call: LiveCall) -> None:
        """Take a call that is gone out of its multiparty call."""
        self.leave(call.call_uuid, Exit.HUNG_UP)

    def _close(self, multiparty: Multiparty, cause: Cause) -> None:
        multiparty.machine.close(cause)
        self._carry_out(multiparty)

    # ── what is done ───────────────────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, multiparty: Multiparty) -> None:
        while (output := multiparty.machine.poll_output()) is not None:
            self._do(multiparty, output)

    def _do(self, multiparty: Multiparty, output: Output) -> None:
        match output:
            case JoinAudio(participant):
                self._command(multiparty.seats[participant.member_id], _join)
            case PartAudio(participant):
                self._command(multiparty.seats[participant.member_id], _part)
            case SetAudio(participant):
                self._command(multiparty.seats[participant.member_id], _set)
            case SetSound(participant):
                self._set_sound(multiparty.seats[participant.member_id])
            case Announce(sound, participants):
                self._announce([multiparty.seats[each.member_id] for each in participants], sound)
            case Tell(participant, report, digit):
                self._tell(multiparty, participant, report, digit)
            case Release(participant, why):
                self._release(multiparty, multiparty.seats.pop(participant.member_id), why)
            case Close(cause):
                if multiparty.time_limit is not None:
                    multiparty.time_limit.cancel()
                multiparty.cause = cause
                multiparty.ended_wall_ms = multiparty.ended_wall_ms or clock.wall_ms()
                self._all.end(multiparty)
            case _:
                assert_never(output)

    def _release(self, multiparty: Multiparty, seat: Seat, why: Exit) -> None:
        call, participant, spec = seat.call, seat.participant, seat.participant.spec
        now_wall_ms = clock.wall_ms()
        del self._seats[call.call_uuid]
        for prompt in seat.signals:
            self._spawn(prompt.stop())
        call.watchers.remove(self)
        multiparty.gone.append(seat.view(now_wall_ms, why.value))
        call.note("multiparty", event="left", name=multiparty.name, member_id=participant.member_id, reason=why.value)
        params = exit_params(multiparty.name, multiparty.mpc_uuid, participant, now_wall_ms)
        if spec.exit_url and why not in _ENDS:
            # The document asks where the reply is wanted; where nobody waits for it, the outbox tells.
            self._send(
                multiparty, call, CallbackKind.ACTION, spec.exit_url, spec.exit_method, call.webhook_params(**params)
            )
        seat.on_left(Departure(params, *_ENDS.get(why, (Code.MULTIPARTY_ENDED, HangupSource.ERROR))))

    def _tell(self, multiparty: Multiparty, participant: Participant, report: Report, digit: str) -> None:
        now_wall_ms = clock.wall_ms()
        if report is Report.STARTED:
            multiparty.started_wall_ms = now_wall_ms
        elif report is Report.ENDED:
            multiparty.ended_wall_ms = now_wall_ms
        call = self._calls.find(participant.call_uuid)
        if call is None:
            return
        call.note("multiparty", event=report.title, name=multiparty.name, member_id=participant.member_id)
        spec = participant.spec
        url, method = (
            (spec.status_url, spec.status_method)
            if spec.status_url
            else (multiparty.status_url, multiparty.status_method)
        )
        if not url or report.group not in spec.event_groups:
            return
        params = status_params(
            report,
            multiparty.name,
            multiparty.mpc_uuid,
            participant,
            now_wall_ms,
            duration_s=multiparty.duration_s(now_wall_ms),
            digit=digit,
        )
        self._send(multiparty, call, CallbackKind.MULTIPARTY, url, method, params)

    def _send(
        self, multiparty: Multiparty, call: LiveCall, kind: CallbackKind, url: str, method: str, params: dict[str, str]
    ) -> None:
        multiparty.reports += 1
        message = OutboundCallback(
            kind=kind.value,
            account_id=call.account_id,
            call_uuid=call.call_uuid,
            url=url,
            method=method,
            params=params,
            event_id=f"{multiparty.mpc_uuid}:{multiparty.reports}",
        )

        async def written() -> None:
            await self._database.write(lambda session: enqueue(session, message))
            self._wake_outbox()

        call.store(written)

    # ── audio ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, seat: Seat, make: Callable[[Seat], SessionCommand]) -> None:
        command = make(seat)

        async def sent() -> None:
            try:
                await seat.call.leg.media(command)
            except LegOver:
                # The session has left every room with its end.
                return
            except RingbackError as error:
                seat.call.note("multiparty", event="problem", name=seat.multiparty.name, detail=str(error))
                if isinstance(command, JoinRoom):
                    self.leave(seat.call.call_uuid, Exit.FAILED)

        self._spawn(sent())

    def _set_sound(self, seat: Seat) -> None:
        if seat.music is not None:
            self._spawn(seat.music.stop())
            seat.music = None
        if seat.participant.sound.url:
            started = self._prompt([seat], seat.participant.sound, repeats=True)
            seat.music = started[0] if started else None

    def _announce(self, seats: Sequence[Seat], sound: Sound) -> None:
        if sound.url in BEEPS:
            self._spawn(self._beep(seats, BEEPS.index(sound.url) + 1))
            return
        for seat, prompt in zip(seats, self._prompt(seats, sound, repeats=False), strict=False):
            seat.signals = [*seat.signals[-_SIGNALS_KEPT:], prompt]

    async def _beep(self, seats: Sequence[Seat], loops: int) -> None:
        for seat in seats:
            try:
                await seat.call.play(BEEP_FILE, loops)
            except RingbackError as error:
                seat.call.note("multiparty", event="problem", name=seat.multiparty.name, detail=str(error))

    def _prompt(self, seats: Sequence[Seat], sound: Sound, *, repeats: bool) -> Sequence[Prompt]:
        if self.start_prompts is None:
            return ()
        return self.start_prompts([seat.call for seat in seats], sound.url, repeats=repeats, method=sound.method)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name="multiparty")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """Stop what sounds; returns when nothing of ours runs."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _join(seat: Seat) -> SessionCommand:
    audio, mpc_uuid = seat.participant.audio, seat.multiparty.mpc_uuid
    return JoinRoom(
        command_id=CommandId(ids.new_token()),
        session_id=seat.call.leg.session_id,
        room_id=mpc_uuid,
        is_muted=audio.is_muted,
        is_deaf=audio.is_deaf,
        relays_digits=seat.participant.spec.relays_digits,
        side_room_id=f"{mpc_uuid}-coaching" if audio.has_side else "",
        is_side_muted=audio.is_side_muted,
    )


def _part(seat: Seat) -> SessionCommand:
    return LeaveRoom(
        command_id=CommandId(ids.new_token()),
        session_id=seat.call.leg.session_id,
        room_id=seat.multiparty.mpc_uuid,
    )


def _set(seat: Seat) -> SessionCommand:
    audio = seat.participant.audio
    return SetMember(
        command_id=CommandId(ids.new_token()),
        session_id=seat.call.leg.session_id,
        room_id=seat.multiparty.mpc_uuid,
        is_muted=audio.is_muted,
        is_deaf=audio.is_deaf,
        is_side_muted=audio.is_side_muted,
    )


class _File:
    """One file as clips."""

    count = 1

    def __init__(self, path: str) -> None:
        self._path = path

    async def clip(self, index: int) -> str:
        """Return its path."""
        return self._path
