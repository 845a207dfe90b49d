"""Every live conference of the node: who is in it, what its members' calls and URLs are told.

The rules are `conferences.machine`; this shell carries out what it says. Fulfils `callflow.port.FlowConferences` and
`api.ports.ConferencesPort`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any, assert_never

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.playbacks import ApiPlay
from ringback.calls.service import CallService
from ringback.calls.spoken import SpokenClips
from ringback.conferences.live import Conference, OnLeft, Seat
from ringback.conferences.machine import (
    Announce,
    Close,
    Exit,
    JoinAudio,
    Member,
    Output,
    PartAudio,
    Release,
    Report,
    SetAudio,
    StartRecording,
    StartWaiting,
    StopWaiting,
    Tell,
)
from ringback.conferences.payloads import action_params, callback_params
from ringback.conferences.ports import Prompt, PromptStarter
from ringback.conferences.recorder import ConferenceRecorder
from ringback.conferences.spec import BEEPS, ConferenceSpec
from ringback.conferences.views import ConferenceView
from ringback.errors import EgressError, InvalidParameter, LimitReached, NotFound, RingbackError
from ringback.ids import AccountId, CallUuid, CommandId
from ringback.media.control.commands import JoinRoom, LeaveRoom, SessionCommand, SetMember
from ringback.media.control.events import FloorChanged, RoomEvent
from ringback.media.control.port import MediaPort
from ringback.media.control.values import PlayLane
from ringback.recordings.service import RecordingService
from ringback.recordings.spec import RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.signalling.errors import LegOver
from ringback.speech.passage import Speech
from ringback.storage.database import Database
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

FetchAudio = Callable[[str], Awaitable[str]]
"""Returns the path of a local copy of the file at a URL, or raises `errors.EgressError`."""

BEEP_FILE = str(Path(__file__).parent / "sounds" / "beep.wav")
"""A beep of 0.16 s with a pause behind it, so that two follow each other well."""
_SIGNALS_KEPT = 3


class ConferenceService:
    """All conferences of the node."""

    def __init__(
        self,
        database: Database,
        calls: CallService,
        *,
        media: MediaPort,
        recordings: RecordingService,
        fetch_audio: FetchAudio,
        maximum: int = 1_000,
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        self.start_prompts: PromptStarter | None = None
        self._database = database
        self._calls = calls
        self._recorder = ConferenceRecorder(media, recordings)
        self._fetch_audio = fetch_audio
        self._maximum = maximum
        self._wake_outbox = wake_outbox
        self._live: dict[tuple[AccountId, str], Conference] = {}
        self._seats: dict[CallUuid, Seat] = {}
        self._last_member = 0
        self._tasks: set[asyncio.Task[None]] = set()

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
            conference = self._live[key] = Conference(key[0], spec.name, ids.new_uuid(), clock.now())
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
        return member.member_id

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
        try:
            path = await self._fetch_audio(url)
        except EgressError as error:
            raise InvalidParameter(f"url parameter is invalid: {error}", field="url") from error
        seats = self._named(account, name, members)
        for seat in seats:
            seat.call.playbacks.add(PlayLane.PLAY, ApiPlay(_File(path)))
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
        for seat in seats:
            clips = SpokenClips(seat.call.keeper.speech, speech, seat.call.note, account.main_auth_id)
            seat.call.playbacks.add(PlayLane.SPEAK, ApiPlay(clips))
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
        return await self._recorder.record(conference, next(iter(conference.seats.values())), spec)

    async def stop_record(self, account: Account, name: str) -> None:
        """Stop the recording of a conference.

        Raises:
            NotFound: no such conference, or it is not recorded.
        """
        conference = self._find(account, name)
        if not await self._recorder.stop(conference):
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
                self._command(conference.seats[member.member_id], self._join)
            case PartAudio(member):
                self._command(conference.seats[member.member_id], self._part)
            case SetAudio(member):
                self._command(conference.seats[member.member_id], self._set)
            case StartWaiting(member):
                seat = conference.seats[member.member_id]
                started = self._prompt([seat], member.spec.wait_sound, repeats=True)
                seat.music = started[0] if started else None
            case StopWaiting(member):
                seat = conference.seats[member.member_id]
                if seat.music is not None:
                    self._spawn(seat.music.stop())
                    seat.music = None
            case Announce(sound, members):
                self._announce([conference.seats[member.member_id] for member in members], sound)
            case Tell(member, report, digits):
                self._tell(conference.seats[member.member_id], report, digits)
            case StartRecording(member):
                self._spawn(self._recorder.record_as_wanted(conference, conference.seats[member.member_id]))
            case Release(member, why):
                self._release(conference, conference.seats.pop(member.member_id), why)
            case Close():
                if conference.time_limit is not None:
                    conference.time_limit.cancel()
                self._spawn(self._end_recording(conference))
                del self._live[conference.account_id, conference.name]
            case _:
                assert_never(output)

    async def _end_recording(self, conference: Conference) -> None:
        await self._recorder.stop(conference)

    def _release(self, conference: Conference, seat: Seat, why: Exit) -> None:
        call, member = seat.call, seat.member
        del self._seats[call.call_uuid]
        for prompt in seat.signals:
            self._spawn(prompt.stop())
        call.watchers.remove(self)
        call.on_room_event = None
        call.note("conference", event="left", name=conference.name, member_id=member.member_id, reason=why.value)
        params = action_params(conference.name, conference.conference_uuid, member.member_id, conference.recording)
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

    def _tell(self, seat: Seat, report: Report, digits: str) -> None:
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
            conference.recording if report is Report.EXIT else None,
        )
        self._send(seat, CallbackKind.CONFERENCE, member.spec.callback_url, member.spec.callback_method, params)

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

    def _command(self, seat: Seat, make: Callable[[Seat], SessionCommand]) -> None:
        command = make(seat)

        async def sent() -> None:
            try:
                await seat.call.leg.media(command)
            except LegOver:
                # The session has left every room with its end.
                return
            except RingbackError as error:
                seat.call.note("conference", event="problem", name=seat.conference.name, detail=str(error))
                if isinstance(command, JoinRoom):
                    self.leave(seat.call.call_uuid, Exit.FAILED)

        self._spawn(sent())

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

    def _announce(self, seats: Sequence[Seat], sound: str) -> None:
        if sound in BEEPS:
            loops = 2 if sound == "beep:2" else 1
            self._spawn(self._beep(seats, loops))
            return
        for seat, prompt in zip(seats, self._prompt(seats, sound, repeats=False), strict=False):
            seat.signals = [*seat.signals[-_SIGNALS_KEPT:], prompt]

    async def _beep(self, seats: Sequence[Seat], loops: int) -> None:
        for seat in seats:
            try:
                await seat.call.play(BEEP_FILE, loops)
            except RingbackError as error:
                seat.call.note("conference", event="problem", name=seat.conference.name, detail=str(error))

    def _prompt(self, seats: Sequence[Seat], url: str, *, repeats: bool) -> Sequence[Prompt]:
        if self.start_prompts is None:
            return ()
        return self.start_prompts([seat.call for seat in seats], url, repeats=repeats)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name="conference")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop what sounds; returns when nothing of ours runs."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


def _ids(seats: Sequence[Seat]) -> list[str]:
    return [seat.member.member_id for seat in seats]


class _File:
    """One file as clips."""

    count = 1

    def __init__(self, path: str) -> None:
        self._path = path

    async def clip(self, index: int) -> str:
        """Return its path."""
        return self._path
