"""Every live conference of the node: who is in it, what its members' calls and URLs are told.

The rules are `conferences.machine`; this shell carries out what it says. Fulfils `callflow.port.FlowConferences` and
`api.ports.ConferencesPort`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import assert_never

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.service import CallService
from ringback.conferences.live import Conference, OnLeft, Seat
from ringback.conferences.machine import (
    Announce,
    Close,
    ConferenceMachine,
    Exit,
    JoinAudio,
    Member,
    Output,
    PartAudio,
    PauseRecording,
    Release,
    Report,
    SetAudio,
    StartRecording,
    StartWaiting,
    StopWaiting,
    Tell,
)
from ringback.conferences.payloads import action_params, callback_params
from ringback.conferences.spec import ConferenceSpec
from ringback.conferences.state import State
from ringback.conferences.views import ConferenceView
from ringback.errors import LimitReached, NotFound, RingbackError
from ringback.ids import AccountId, CallUuid, CommandId
from ringback.media.control.commands import JoinRoom, LeaveRoom, SessionCommand, SetMember
from ringback.media.control.events import FloorChanged, RoomEvent
from ringback.media.control.port import MediaPort
from ringback.media.control.values import PlayLane
from ringback.recordings.spec import MAX_LENGTH_S, CallbackStyle, FileFormat, RecordedRoom, RecordingKind, RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.rooms.facts import Status
from ringback.rooms.ports import FetchAudio, PromptStarter
from ringback.rooms.recording import RoomRecording, RoomRecordings
from ringback.rooms.stage import Stage
from ringback.speech.passage import Speech
from ringback.storage.database import Database
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue


class ConferenceService:
    """All conferences of the node."""

    def __init__(
        self,
        database: Database,
        calls: CallService,
        *,
        media: MediaPort,
        recordings: RoomRecordings,
        fetch_audio: FetchAudio,
        maximum: int = 1_000,
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._calls = calls
        self._media = media
        self._recordings = recordings
        self._stage = Stage("conference", fetch_audio)
        self._maximum = maximum
        self._wake_outbox = wake_outbox
        self._live: dict[tuple[AccountId, str], Conference] = {}
        self._seats: dict[CallUuid, Seat] = {}
        self._last_member = 0

    def play_documents_by(self, starter: PromptStarter) -> None:
        """Set who plays documents of sounds."""
        self._stage.start_prompts = starter

    @property
    def is_idle(self) -> bool:
        """Return whether nothing of what was begun goes on."""
        return self._stage.is_idle

    @property
    def live_count(self) -> int:
        """Return how many conferences have members."""
        return len(self._live)

    @property
    def member_count(self) -> int:
        """Return how many calls are in conferences."""
        return len(self._seats)

    # ── call flow ──────────────────────────────────────────────────────────────────────────────────────────────────

    def enter(self, call_uuid: CallUuid, spec: ConferenceSpec, on_left: OnLeft) -> str:
        """Take an answered call into the conference of that name and return its member id.

        `on_left` is called once when it is out, whatever the reason, also when the call is over.

        Raises:
            NotFound: the call is over, or in a conference already.
            LimitReached: the conference, or the node, has all it may have.
        """
        call = self._calls.find(call_uuid)
        if call is None or call.is_over or call_uuid in self._seats:
            raise NotFound("the call is over or in a conference already")
        key = (call.terms.account.auth_id, spec.name)
        conference = self._live.get(key)
        if conference is None:
            if len(self._live) >= self._maximum:
                raise LimitReached(f"{self._maximum} conferences are live")
            conference = self._live[key] = self._opened(*key)
            conference.time_limit = asyncio.get_running_loop().call_later(
                spec.time_limit_s, self._time_is_up, conference
            )
        elif not conference.machine.has_room_for(spec):
            raise LimitReached(f"conference has {len(conference.seats)} members, at most {spec.members_max}")
        self._last_member += 1
        member = Member(str(self._last_member), call.call_uuid, spec, clock.now(), spec.is_muted)
        seat = Seat(member, call, conference, on_left)
        self._seats[call.call_uuid] = conference.seats[member.member_id] = seat
        call.watchers.append(self)
        call.on_room_event = self._room_event
        call.note("conference", event="entered", name=spec.name, member_id=member.member_id)
        conference.machine.enter(member)
        self._carry_out(conference)
        if spec.send_digits:
            call.spawn(call.send_digits(spec.send_digits))
        return member.member_id

    def _opened(self, account_id: AccountId, name: str) -> Conference:
        conference_uuid, machine = ids.new_uuid(), ConferenceMachine()
        recording = RoomRecording(
            self._media,
            self._recordings,
            RecordedRoom(RecordingKind.CONFERENCE, name, conference_uuid),
            is_over=lambda: machine.state is State.ENDED,
        )
        return Conference(account_id, name, conference_uuid, clock.now(), machine, recording)

    def leave(self, call_uuid: CallUuid, why: Exit = Exit.REPLACED) -> None:
        """Take a call out of its conference; does nothing when it is in none."""
        seat = self._seats.get(call_uuid)
        if seat is not None:
            seat.conference.machine.leave(seat.member.member_id, why)
            self._carry_out(seat.conference)

    # ── REST ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def names(self, account: Account) -> list[str]:
        """Return the names of the account's live conferences, oldest first."""
        return [name for account_id, name in self._live if account_id == account.auth_id]

    def view(self, account: Account, name: str) -> ConferenceView | None:
        """Return a live conference as it is now, or `None`."""
        conference = self._live.get((account.auth_id, name))
        if conference is None:
            return None
        return conference.view(clock.now())

    async def hang_up(self, account: Account, name: str) -> None:
        """End the calls of everyone in a conference.

        Raises:
            NotFound: no such conference.
        """
        await self._hang_up(list(self._find(account, name).seats.values()))

    async def hang_up_all(self, account: Account) -> int:
        """End the calls of everyone in the account's conferences; return how many conferences that were."""
        mine = [conference for (account_id, _), conference in self._live.items() if account_id == account.auth_id]
        await self._hang_up([seat for conference in mine for seat in conference.seats.values()])
        return len(mine)

    async def hang_up_members(self, account: Account, name: str, members: str) -> list[str]:
        """End members' calls; return their ids."""
        seats = self._named(account, name, members)
        await self._hang_up(seats)
        return _ids(seats)

    def kick(self, account: Account, name: str, members: str) -> list[str]:
        """Send members out, to go on with their documents; return their ids."""
        seats = self._named(account, name, members)
        for seat in seats:
            self.leave(seat.call.call_uuid, Exit.KICKED)
        return _ids(seats)

    def set_audio(
        self, account: Account, name: str, members: str, *, is_muted: bool | None = None, is_deaf: bool | None = None
    ) -> list[str]:
        """Mute or deafen members, or undo it; return their ids."""
        seats = self._named(account, name, members)
        conference = self._find(account, name)
        conference.machine.set_audio([seat.member for seat in seats], is_muted=is_muted, is_deaf=is_deaf)
        self._carry_out(conference)
        return _ids(seats)

    async def play(self, account: Account, name: str, members: str, url: str) -> list[str]:
        """Play a file to members, over what they hear; return their ids.

        Raises:
            NotFound: no such conference, or none of these members is in it.
            InvalidParameter: the file cannot be had.
        """
        self._named(account, name, members)
        path = await self._stage.fetch(url)
        seats = self._named(account, name, members)
        self._stage.play([seat.call for seat in seats], path)
        return _ids(seats)

    async def stop_play(self, account: Account, name: str, members: str) -> list[str]:
        """Stop what the API plays to members; return their ids."""
        return await self._clear(account, name, members, PlayLane.PLAY)

    async def speak(self, account: Account, name: str, members: str, speech: Speech) -> list[str]:
        """Say something to members, over what they hear; return their ids.

        Raises:
            NotFound: no such conference, or none of these members is in it.
            LimitReached: too much waits to be said to one of them.
        """
        seats = self._named(account, name, members)
        self._stage.speak([seat.call for seat in seats], speech, account.main_auth_id)
        return _ids(seats)

    async def stop_speech(self, account: Account, name: str, members: str) -> list[str]:
        """Stop what the API says to members; return their ids."""
        return await self._clear(account, name, members, PlayLane.SPEAK)

    async def _clear(self, account: Account, name: str, members: str, lane: PlayLane) -> list[str]:
        seats = self._named(account, name, members)
        for seat in seats:
            await seat.call.playbacks.clear(lane)
        return _ids(seats)

    async def record(self, account: Account, name: str, spec: RecordingSpec) -> StartedRecording:
        """Record everyone in a conference until it is stopped or the conference is over.

        Raises:
            NotFound: no such conference.
            InvalidParameter: it is recorded already.
            Conflict: no room on the disk, or no media worker takes it.
        """
        conference = self._find(account, name)
        seat = next(iter(conference.seats.values()))
        conference.machine.record_all()
        return await conference.recording.start(seat.call, spec, partial(_record_params, seat))

    async def stop_record(self, account: Account, name: str) -> None:
        """Stop the recording of a conference.

        Raises:
            NotFound: no such conference, or it is not recorded.
        """
        conference = self._find(account, name)
        if not await conference.recording.stop():
            raise NotFound("the conference is not recorded")

    def _find(self, account: Account, name: str) -> Conference:
        conference = self._live.get((account.auth_id, name))
        if conference is None:
            raise NotFound("conference not found")
        return conference

    def _named(self, account: Account, name: str, members: str) -> list[Seat]:
        return self._find(account, name).named(members)

    async def _hang_up(self, seats: Sequence[Seat]) -> None:
        await asyncio.gather(*(seat.call.end(Code.NORMAL, HangupSource.API) for seat in seats))

    # ── what happens ───────────────────────────────────────────────────────────────────────────────────────────────

    def call_rang(self, call: LiveCall, *, has_early_media: bool) -> None:
        """Note nothing; calls enter conferences when they are answered."""

    def call_answered(self, call: LiveCall) -> None:
        """Note nothing; calls enter conferences when they are answered."""

    def digit_pressed(self, call: LiveCall, digit: str) -> None:
        """Take a key of a member's call."""
        seat = self._seats.get(call.call_uuid)
        if seat is not None:
            seat.conference.machine.press(seat.member.member_id, digit)
            self._carry_out(seat.conference)

    def call_ended(self, call: LiveCall) -> None:
        """Take a call that is gone out of its conference."""
        self.leave(call.call_uuid, Exit.HUNG_UP)

    def _room_event(self, call: LiveCall, event: RoomEvent) -> None:
        seat = self._seats.get(call.call_uuid)
        if seat is not None and isinstance(event, FloorChanged):
            seat.conference.machine.take_floor(seat.member.member_id)
            self._carry_out(seat.conference)

    def _time_is_up(self, conference: Conference) -> None:
        conference.time_limit = None
        conference.machine.close(Exit.TIME_LIMIT)
        self._carry_out(conference)

    # ── what is done ───────────────────────────────────────────────────────────────────────────────────────────────

    def _carry_out(self, conference: Conference) -> None:
        while (output := conference.machine.poll_output()) is not None:
            self._do(conference, output)

    def _do(self, conference: Conference, output: Output) -> None:
        match output:
            case JoinAudio(member):
                seat = conference.seats[member.member_id]
                self._command(seat, self._join(seat), lambda: self._failed(seat))
            case PartAudio(member):
                seat = conference.seats[member.member_id]
                self._command(seat, self._part(seat))
            case SetAudio(member):
                seat = conference.seats[member.member_id]
                self._command(seat, self._set(seat))
            case StartWaiting(member):
                seat = conference.seats[member.member_id]
                started = self._stage.begin([seat.call], member.spec.wait_sound, repeats=True)
                seat.music = started[0] if started else None
            case StopWaiting(member):
                seat = conference.seats[member.member_id]
                if seat.music is not None:
                    self._stage.stop([seat.music])
                    seat.music = None
            case Announce(sound, members):
                seats = [conference.seats[member.member_id] for member in members]
                self._stage.announce([(seat.call, seat.signals) for seat in seats], conference.name, sound)
            case Tell(member, report, digits, is_alone):
                self._tell(conference.seats[member.member_id], report, digits, is_alone)
            case StartRecording(member, is_paused):
                self._stage.spawn(self._record(conference.seats[member.member_id], is_paused=is_paused))
            case PauseRecording(is_paused):
                self._stage.spawn(self._pause(conference, is_paused=is_paused))
            case Release(member, why):
                self._release(conference, conference.seats.pop(member.member_id), why)
            case Close():
                if conference.time_limit is not None:
                    conference.time_limit.cancel()
                self._stage.spawn(self._end_recording(conference))
                del self._live[conference.account_id, conference.name]
            case _:
                assert_never(output)

    async def _record(self, seat: Seat, *, is_paused: bool) -> None:
        """Record as a member's document wants it, if nobody does yet; what is in the way is told in its event log."""
        if seat.conference.recording.status is not Status.NONE:
            return
        wanted = seat.member.spec
        spec = RecordingSpec(
            file_format=FileFormat(wanted.record_format),
            max_length_s=MAX_LENGTH_S,
            callback_url=wanted.callback_url,
            callback_method=wanted.callback_method,
            style=CallbackStyle.XML,
            wants_transcription=wanted.wants_transcription,
            transcription_url=wanted.transcription_url,
            transcription_method=wanted.transcription_method,
        )
        recording, params = seat.conference.recording, partial(_record_params, seat)
        try:
            started = await recording.start(seat.call, spec, params, is_paused=is_paused)
            if started.note:
                self._stage.problem(seat.call, seat.conference.name, started.note)
        except RingbackError as error:
            self._stage.problem(seat.call, seat.conference.name, f"not recorded: {error}")

    async def _pause(self, conference: Conference, *, is_paused: bool) -> None:
        try:
            await conference.recording.pause(is_paused=is_paused)
        except RingbackError as error:
            for seat in conference.seats.values():
                self._stage.problem(seat.call, conference.name, str(error))

    async def _end_recording(self, conference: Conference) -> None:
        await conference.recording.stop()

    def _release(self, conference: Conference, seat: Seat, why: Exit) -> None:
        call, member = seat.call, seat.member
        del self._seats[call.call_uuid]
        self._stage.stop(seat.signals)
        call.watchers.remove(self)
        call.on_room_event = None
        call.note("conference", event="left", name=conference.name, member_id=member.member_id, reason=why.value)
        params = action_params(conference.name, conference.conference_uuid, member.member_id, conference.recording.last)
        # Where the reply is wanted, the document asks; where nobody waits for it, the outbox tells.
        if member.spec.action_url and (not member.spec.is_redirecting or why in (Exit.HUNG_UP, Exit.REPLACED)):
            self._send(
                seat,
                CallbackKind.ACTION,
                member.spec.action_url,
                member.spec.action_method,
                call.webhook_params(**params),
            )
        seat.on_left(params)

    def _tell(self, seat: Seat, report: Report, digits: str, is_alone: bool) -> None:
        member, conference = seat.member, seat.conference
        seat.call.note("conference", event=report.value, name=conference.name, digits=digits)
        if not member.spec.callback_url:
            return
        params = callback_params(
            report,
            conference.name,
            conference.conference_uuid,
            member.member_id,
            member.call_uuid,
            digits,
            conference.recording.last if report is Report.EXIT else None,
            is_alone=is_alone,
        )
        told = seat.call.webhook_params(**params)
        self._send(seat, CallbackKind.CONFERENCE, member.spec.callback_url, member.spec.callback_method, told)

    def _send(self, seat: Seat, kind: CallbackKind, url: str, method: str, params: dict[str, str]) -> None:
        seat.reports += 1
        message = OutboundCallback(
            kind=kind.value,
            account_id=seat.call.account_id,
            call_uuid=seat.call.call_uuid,
            url=url,
            method=method,
            params=params,
            event_id=f"{seat.conference.conference_uuid}:{seat.member.member_id}:{seat.reports}",
        )

        async def written() -> None:
            await self._database.write(lambda session: enqueue(session, message))
            self._wake_outbox()

        seat.call.store(written)

    # ── audio ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def _command(self, seat: Seat, command: SessionCommand, on_refused: Callable[[], None] | None = None) -> None:
        self._stage.command(seat.call, seat.conference.name, command, on_refused)

    def _failed(self, seat: Seat) -> None:
        """Let go of a member whose audio could not be joined, unless it is somewhere else by now."""
        if self._seats.get(seat.call.call_uuid) is seat:
            self.leave(seat.call.call_uuid, Exit.FAILED)

    def _join(self, seat: Seat) -> SessionCommand:
        member = seat.member
        return JoinRoom(
            command_id=CommandId(ids.new_token()),
            session_id=seat.call.leg.session_id,
            room_id=seat.conference.conference_uuid,
            is_muted=member.is_muted,
            is_deaf=member.is_deaf,
            relays_digits=member.spec.relays_digits,
            watches_floor=member.spec.reports_floor,
        )

    def _part(self, seat: Seat) -> SessionCommand:
        return LeaveRoom(
            command_id=CommandId(ids.new_token()),
            session_id=seat.call.leg.session_id,
            room_id=seat.conference.conference_uuid,
        )

    def _set(self, seat: Seat) -> SessionCommand:
        return SetMember(
            command_id=CommandId(ids.new_token()),
            session_id=seat.call.leg.session_id,
            room_id=seat.conference.conference_uuid,
            is_muted=seat.member.is_muted,
            is_deaf=seat.member.is_deaf,
        )

    async def close(self) -> None:
        """Stop what sounds; returns when nothing of ours runs."""
        await self._stage.close()


def _record_params(seat: Seat) -> dict[str, str]:
    """Return what the callback of a recording says besides the file."""
    conference = seat.conference
    params = callback_params(
        Report.RECORD, conference.name, conference.conference_uuid, seat.member.member_id, seat.call.call_uuid
    )
    return seat.call.webhook_params(**params)


def _ids(seats: Sequence[Seat]) -> list[str]:
    return [seat.member.member_id for seat in seats]
