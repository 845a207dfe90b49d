"""Every multiparty call of the node: who is in it, what its participants hear, what their URLs are told.

The rules are `multiparty.machine`; this shell carries out what it says. Fulfils `callflow.port.FlowMultiparty` and
`api.ports.MultipartyPort`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import assert_never

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.service import CallService
from ringback.errors import InvalidParameter, LimitReached, NotFound, RingbackError
from ringback.ids import AccountId, CallUuid, CommandId
from ringback.media.control.commands import JoinRoom, LeaveRoom, SessionCommand, SetMember
from ringback.media.control.events import RoomEvent, SpeakingChanged
from ringback.media.control.port import MediaPort
from ringback.media.control.values import PlayLane
from ringback.multiparty import store
from ringback.multiparty.additions import Addition, Additions
from ringback.multiparty.calls import NAME_PREFIX, Multiparty, MultipartyCalls, Seat, StatusUrl, split_id
from ringback.multiparty.confirmation import Confirmation
from ringback.multiparty.departure import Departure
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.journal import Facts, Journal
from ringback.multiparty.machine import (
    Announce,
    Close,
    Exit,
    JoinAudio,
    MultipartyMachine,
    Output,
    PartAudio,
    Participant,
    Record,
    RecordTrack,
    Release,
    Report,
    SetAudio,
    SetSound,
    Tell,
)
from ringback.multiparty.payloads import exit_params, status_params
from ringback.multiparty.recorder import MultipartyRecorder
from ringback.multiparty.spec import NAME_MAX_CHARS, RINGING, EventGroup, MultipartySpec, Role
from ringback.multiparty.state import Cause, State
from ringback.multiparty.views import AddedCall, AddParticipant, MultipartyFilters, MultipartyView
from ringback.recordings.spec import RecordedRoom, RecordingKind
from ringback.rooms.ports import FetchAudio, PromptStarter
from ringback.rooms.recording import RoomRecording, RoomRecordings
from ringback.rooms.stage import LoopedFile, Stage
from ringback.speech.passage import Speech
from ringback.storage.database import Database
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback

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
        media: MediaPort,
        recordings: RoomRecordings,
        fetch_audio: FetchAudio,
        ring_tone: Callable[[], Awaitable[str]],
        maximum: int = 1_000,
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        """Make a service without multiparty calls.

        Args:
            ring_tone: Returns the path of a ring-back tone.
            maximum: Multiparty calls that may be live at once.
        """
        self._database = database
        self._calls = calls
        self._media = media
        self._recordings = recordings
        self._ring_tone = ring_tone
        self._maximum = maximum
        self._all = MultipartyCalls()
        self._seats: dict[CallUuid, Seat] = {}
        self._asked: dict[CallUuid, tuple[Confirmation, Addition]] = {}
        self._last_member = 0
        self._stage = Stage("multiparty", fetch_audio)
        self._journal = Journal(database, self._all, wake_outbox)
        self._additions = Additions(calls, self._all, invitations, self._journal, self._stage, self._carry_out)
        self.recorder = MultipartyRecorder(self._stage, self._all, recordings)

    def play_documents_by(self, starter: PromptStarter) -> None:
        """Set who plays documents of sounds."""
        self._stage.start_prompts = starter

    async def end_orphans(self) -> int:
        """End in storage what an earlier server left live; return how many multiparty calls that were."""
        now_wall_ms = clock.wall_ms()
        return await self._database.write(lambda session: store.end_orphans(session, now_wall_ms))

    @property
    def is_idle(self) -> bool:
        """Return whether nothing of what was begun goes on."""
        return self._stage.is_idle

    @property
    def live_count(self) -> int:
        """Return how many multiparty calls have participants."""
        return len(self._all.live)

    # ── call flow ──────────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, call_uuid: CallUuid, spec: MultipartySpec, on_left: Callable[[Departure], None]) -> str:
        """Take an answered call into the multiparty call of that name and return its member id.

        `on_left` is called once when it is out, whatever the reason, also when the call is over. A call that the API
        adds may be asked for a key first: then the id is empty.

        Raises:
            NotFound: the call is over, or in a multiparty call already, or not wanted any more.
            LimitReached: the multiparty call, or the node, has all it may have.
        """
        call = self._calls.find(call_uuid)
        if call is None or call.is_over or call_uuid in self._seats or call_uuid in self._asked:
            raise NotFound("the call is over or in a multiparty call already")
        addition = self._additions.find(call_uuid)
        if addition is None or addition.name != spec.name:
            return self._admit(call, spec, on_left)
        refusal = self._additions.refusal(addition, call_uuid)
        if refusal is not None:
            detail, code = refusal
            call.spawn(call.end(code, HangupSource.PLATFORM, detail=detail))
            raise NotFound(detail)
        if not addition.wanted.confirm_key:
            return self._admit(call, spec, on_left)
        confirmation = Confirmation(
            self._stage,
            call,
            addition.wanted.confirm_key,
            addition.wanted.confirm_sound,
            partial(self._confirmed, addition, call, spec, on_left),
            partial(self._not_confirmed, call),
        )
        self._asked[call_uuid] = confirmation, addition
        return ""

    def _confirmed(
        self, addition: Addition, call: LiveCall, spec: MultipartySpec, on_left: Callable[[Departure], None]
    ) -> None:
        self._asked.pop(call.call_uuid, None)
        refusal = self._additions.refusal(addition, call.call_uuid)
        try:
            if refusal is not None:
                raise NotFound(refusal[0])
            self._admit(call, spec, on_left)
        except RingbackError as error:
            code = refusal[1] if refusal is not None else Code.MULTIPARTY_ENDED
            call.spawn(call.end(code, HangupSource.PLATFORM, detail=str(error)))

    def _not_confirmed(self, call: LiveCall) -> None:
        self._asked.pop(call.call_uuid, None)
        call.spawn(call.end(Code.CONFIRM_FAILED, HangupSource.PLATFORM, detail="the key was not pressed"))

    def _admit(self, call: LiveCall, spec: MultipartySpec, on_left: Callable[[Departure], None]) -> str:
        key = (call.terms.account.auth_id, spec.name)
        multiparty = self._all.live.get(key)
        if multiparty is None:
            if len(self._all.live) >= self._maximum:
                raise LimitReached(f"{self._maximum} multiparty calls are live")
            multiparty = self._all.live[key] = self._opened(key[0], spec)
        elif not multiparty.machine.has_room_for(spec):
            raise LimitReached(f"it has {len(multiparty.seats)} participants, at most {spec.participants_max}")
        self._last_member += 1
        member_id = str(self._last_member)
        participant = Participant(
            member_id, call.call_uuid, spec, clock.wall_ms(), spec.is_muted, spec.is_held, spec.is_coach
        )
        self._seats[call.call_uuid] = multiparty.seats[member_id] = Seat(participant, call, multiparty, on_left)
        call.watchers.append(self)
        call.on_room_event = self._room_event
        call.note("multiparty", event="entered", name=spec.name, member_id=member_id, role=spec.role.value)
        multiparty.machine.enter(participant)
        self._carry_out(multiparty)
        self._additions.entered(participant)
        return member_id

    def _opened(self, account_id: AccountId, spec: MultipartySpec) -> Multiparty:
        mpc_uuid, machine = ids.new_uuid(), MultipartyMachine()
        recording = RoomRecording(
            self._media,
            self._recordings,
            RecordedRoom(RecordingKind.MULTIPARTY, spec.name, mpc_uuid),
            is_over=lambda: machine.state is State.ENDED,
            side_room_id=_side_room(mpc_uuid),
        )
        multiparty = Multiparty(
            account_id,
            spec.name,
            mpc_uuid,
            clock.wall_ms(),
            spec.stays_alone,
            StatusUrl.of(spec),
            machine,
            recording,
        )
        multiparty.time_limit = asyncio.get_running_loop().call_later(
            spec.duration_max_s, self._close, multiparty, Cause.DURATION
        )
        return multiparty

    def leave(self, call_uuid: CallUuid, why: Exit = Exit.REPLACED) -> None:
        """Take a call out of its multiparty call; does nothing when it is in none."""
        asked = self._asked.pop(call_uuid, None)
        if asked is not None:
            confirmation, addition = asked
            confirmation.close()
            # Another request may have taken the call over.
            self._additions.gone(call_uuid, addition)
        seat = self._seats.get(call_uuid)
        if seat is not None:
            seat.multiparty.machine.leave(seat.participant.member_id, why)
            self._carry_out(seat.multiparty)

    # ── REST ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def page(
        self, account: Account, filters: MultipartyFilters, limit: int, offset: int
    ) -> tuple[Sequence[MultipartyView], int]:
        """Return one page of multiparty calls, live ones first, newest first, and how many match in all."""
        kept = [view for view in self._all.views(account) if filters.has(view)]
        page = kept[offset : offset + limit]
        stored, total = await self._database.read(
            lambda session: store.list_ended(
                session,
                account.auth_id,
                filters,
                [view.mpc_uuid for view in kept],
                limit - len(page),
                max(0, offset - len(kept)),
            )
        )
        return [*page, *stored], len(kept) + total

    async def view(self, account: Account, mpc_id: str) -> MultipartyView:
        """Return a live multiparty call as it is now, or by its UUID an ended one.

        Raises:
            InvalidParameter: the id is none.
            NotFound: the account has none of this id.
        """
        kind, key = split_id(mpc_id)
        found = self._all.view(account, mpc_id)
        if found is None and kind != NAME_PREFIX:
            found = await self._database.read(lambda session: store.find_ended(session, account.auth_id, key))
        if found is None:
            raise NotFound("multiparty call not found")
        return found

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
        bound = multiparty.mpc_uuid if multiparty is not None and kind != NAME_PREFIX else ""
        return await self._additions.begin(account, spec.name, multiparty, bound, replace(wanted, spec=spec))

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
        path = await self._stage.fetch(url)
        multiparty = self._all.find(account, mpc_id)
        seats = multiparty.named(who)
        self._stage.play([seat.call for seat in seats], path)
        return multiparty.name, [seat.participant.member_id for seat in seats]

    async def speak(self, account: Account, mpc_id: str, who: str, speech: Speech) -> tuple[str, list[str]]:
        """Say something to participants, over what they hear; return the name and their ids.

        Raises:
            NotFound: no such live multiparty call, or none of these participants is in it.
            LimitReached: too much waits to be said to one of them.
        """
        multiparty = self._all.find(account, mpc_id)
        seats = multiparty.named(who)
        self._stage.speak([seat.call for seat in seats], speech, account.main_auth_id)
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

    def _room_event(self, call: LiveCall, event: RoomEvent) -> None:
        seat = self._seats.get(call.call_uuid)
        if seat is not None and isinstance(event, SpeakingChanged) and event.room_id == seat.multiparty.mpc_uuid:
            seat.multiparty.machine.speak(seat.participant.member_id, is_speaking=event.is_speaking)
            self._carry_out(seat.multiparty)

    def _failed(self, seat: Seat) -> None:
        """Let go of a participant whose audio could not be joined, unless it is somewhere else by now."""
        if self._seats.get(seat.call.call_uuid) is seat:
            self.leave(seat.call.call_uuid, Exit.FAILED)

    def _close(self, multiparty: Multiparty, cause: Cause) -> None:
        multiparty.machine.close(cause)
        self._carry_out(multiparty)

    # ── what is done ───────────────────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, multiparty: Multiparty) -> None:
        facts = Facts()
        is_over = False
        while (output := multiparty.machine.poll_output()) is not None:
            self._do(multiparty, output, facts)
            is_over = is_over or isinstance(output, Close)
        self._journal.write(multiparty, facts)
        if is_over:
            self._additions.multiparty_over(multiparty)

    def _do(self, multiparty: Multiparty, output: Output, facts: Facts) -> None:
        match output:
            case JoinAudio(participant):
                seat = multiparty.seats[participant.member_id]
                self._command(seat, _join(seat), partial(self._failed, seat))
            case PartAudio(participant):
                seat = multiparty.seats[participant.member_id]
                self._command(seat, _part(seat))
            case SetAudio(participant):
                seat = multiparty.seats[participant.member_id]
                self._command(seat, _set(seat))
            case SetSound(participant):
                self._set_sound(multiparty.seats[participant.member_id])
            case Announce(sound, participants):
                seats = [multiparty.seats[each.member_id] for each in participants]
                self._stage.announce(
                    [(seat.call, seat.signals) for seat in seats], multiparty.name, sound.url, sound.method
                )
            case Record(participant):
                self._stage.spawn(self.recorder.record_as_wanted(multiparty.seats[participant.member_id]))
            case RecordTrack(participant):
                self._stage.spawn(self.recorder.record_track_as_wanted(multiparty.seats[participant.member_id]))
            case Tell(participant, report, digit):
                self._tell(multiparty, participant, report, digit, facts)
            case Release(participant, why):
                self._release(multiparty, multiparty.seats.pop(participant.member_id), why, facts)
            case Close(cause):
                if multiparty.time_limit is not None:
                    multiparty.time_limit.cancel()
                multiparty.cause = cause
                multiparty.ended_wall_ms = multiparty.ended_wall_ms or clock.wall_ms()
                self._stage.spawn(self.recorder.end(multiparty))
                self._all.end(multiparty)
            case _:
                assert_never(output)

    def _release(self, multiparty: Multiparty, seat: Seat, why: Exit, facts: Facts) -> None:
        call, participant, spec = seat.call, seat.participant, seat.participant.spec
        now_wall_ms = clock.wall_ms()
        del self._seats[call.call_uuid]
        self._stage.stop(seat.signals)
        self._stage.spawn(self.recorder.end_tracks(seat))
        call.watchers.remove(self)
        call.on_room_event = None
        view = seat.view(now_wall_ms, why.value)
        multiparty.gone.append(view)
        facts.left(call, view)
        call.note(
            "multiparty", event="left", name=multiparty.name, member_id=participant.member_id, reason=why.name.lower()
        )
        params = exit_params(multiparty.name, multiparty.mpc_uuid, participant, now_wall_ms)
        if spec.exit_url and why not in _ENDS:
            # The document asks where the reply is wanted; where nobody waits for it, the outbox tells.
            facts.tell(
                call,
                self._callback(
                    multiparty,
                    call,
                    CallbackKind.ACTION,
                    spec.exit_url,
                    spec.exit_method,
                    call.webhook_params(**params),
                ),
            )
        seat.on_left(Departure(params, *_ENDS.get(why, (Code.MULTIPARTY_ENDED, HangupSource.ERROR))))

    def _tell(self, multiparty: Multiparty, participant: Participant, report: Report, digit: str, facts: Facts) -> None:
        now_wall_ms = clock.wall_ms()
        if report is Report.STARTED:
            multiparty.started_wall_ms = now_wall_ms
        elif report is Report.ENDED:
            multiparty.ended_wall_ms = now_wall_ms
        seat = multiparty.seats.get(participant.member_id)
        call = seat.call if seat is not None else self._calls.find(participant.call_uuid)
        if call is None:
            return
        if seat is not None:
            facts.note(seat)
        if report.group is not EventGroup.SPEAK:
            call.note("multiparty", event=report.title, name=multiparty.name, member_id=participant.member_id)
        status = multiparty.status_of(participant.spec)
        if not status.wants(report.group):
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
        facts.tell(call, self._callback(multiparty, call, CallbackKind.MULTIPARTY, status.url, status.method, params))

    @staticmethod
    def _callback(
        multiparty: Multiparty, call: LiveCall, kind: CallbackKind, url: str, method: str, params: dict[str, str]
    ) -> OutboundCallback:
        multiparty.reports += 1
        return OutboundCallback(
            kind=kind.value,
            account_id=call.account_id,
            call_uuid=call.call_uuid,
            url=url,
            method=method,
            params=params,
            event_id=f"{multiparty.mpc_uuid}:{multiparty.reports}",
        )

    # ── audio ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, seat: Seat, command: SessionCommand, on_refused: Callable[[], None] | None = None) -> None:
        self._stage.command(seat.call, seat.multiparty.name, command, on_refused)

    def _set_sound(self, seat: Seat) -> None:
        if seat.music is not None:
            self._stage.stop([seat.music])
            seat.music = None
        sound, name = seat.participant.sound, seat.multiparty.name
        if sound == RINGING:
            seat.music = LoopedFile(self._stage, seat.call, name, self._ring_tone)
        elif sound.url:
            started = self._stage.begin([seat.call], sound.url, repeats=True, method=sound.method)
            seat.music = started[0] if started else None

    async def close(self) -> None:
        """Stop what sounds; returns when nothing of ours runs."""
        self._additions.close()
        await self._stage.close()


def _side_room(mpc_uuid: str) -> str:
    return f"{mpc_uuid}-coaching"


def _join(seat: Seat) -> SessionCommand:
    participant, multiparty = seat.participant, seat.multiparty
    audio = participant.audio
    return JoinRoom(
        command_id=CommandId(ids.new_token()),
        session_id=seat.call.leg.session_id,
        room_id=multiparty.mpc_uuid,
        is_muted=audio.is_muted,
        is_deaf=audio.is_deaf,
        relays_digits=participant.spec.relays_digits,
        reports_speech=multiparty.status_of(participant.spec).wants(EventGroup.SPEAK),
        side_room_id=_side_room(multiparty.mpc_uuid) if audio.has_side else "",
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
