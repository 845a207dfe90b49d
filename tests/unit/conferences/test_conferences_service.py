"""`conferences.service` over fake legs: the rooms that are joined, what is told, recorded, and left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.fake_media import FakeMediaPort
from tests.support.waiting import until
from tests.unit.calls import test_calls_service
from tests.unit.calls.test_calls_service import ACCOUNT, OTHER, World

from ringback.calls.live import LiveCall
from ringback.calls.service import CallSettings
from ringback.conferences.service import ConferenceService
from ringback.conferences.spec import ConferenceSpec
from ringback.errors import Conflict, EgressError, InvalidParameter, LimitReached, MediaError, NotFound
from ringback.ids import CallUuid, RecordingId, SessionId
from ringback.media.control.commands import JoinRoom, LeaveRoom, Play, SendDigits, SessionCommand, SetMember
from ringback.media.control.events import DigitReceived, FloorChanged, RecordingFinished
from ringback.media.control.values import RecordingEnd
from ringback.recordings.spec import FileFormat, RecordedRoom, RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.signalling.events import LegMedia
from ringback.storage.database import Session
from ringback.webhooks.models import OutboxRow

world = test_calls_service.world


@dataclass
class FakePrompt:
    call: LiveCall
    url: str
    repeats: bool
    is_stopped: bool = False

    async def stop(self) -> None:
        self.is_stopped = True


@dataclass
class FakeRecordings:
    """Recordings that begin at once."""

    began: list[tuple[Any, RecordingSpec, str]] = field(default_factory=list)
    gone: list[Any] = field(default_factory=list)
    error: Exception | None = None

    paused: list[bool] = field(default_factory=list)

    async def record_room(self, listener: Any, spec: RecordingSpec, room: RecordedRoom) -> StartedRecording:
        if self.error is not None:
            raise self.error
        self.began.append((listener, spec, room.name))
        return StartedRecording(RecordingId("r1"), "http://us/r1.mp3", spec.file_format)

    async def pause(self, recording_id: RecordingId, *, is_paused: bool) -> bool:
        self.paused.append(is_paused)
        return True

    async def stop_one(self, recording_id: RecordingId) -> bool:
        raise AssertionError("the listener ends it")

    def handle(self, call: Any, event: Any) -> None:
        raise AssertionError("no event was sent")

    def call_gone(self, call: Any) -> None:
        self.gone.append(call)


@dataclass
class Hall:
    """A conference room over a world of calls."""

    world: World
    service: ConferenceService
    media: FakeMediaPort
    recordings: FakeRecordings
    prompts: list[FakePrompt] = field(default_factory=list)
    left: list[tuple[str, Mapping[str, str]]] = field(default_factory=list)
    legs: dict[str, FakeLeg] = field(default_factory=dict)
    calls: dict[str, LiveCall] = field(default_factory=dict)

    async def call(self, name: str) -> LiveCall:
        leg = FakeLeg(name)
        leg.session_id = SessionId(f"session-{name}")
        self.world.calls.incoming(leg)  # type: ignore[arg-type]  # the fake has its methods
        await asyncio.gather(*self.world.calls._arrivals)
        await asyncio.sleep(0)
        call = self.world.flows[-1]
        await call.answer()
        self.legs[name], self.calls[name] = leg, call
        return call

    async def enter(self, name: str, /, **settings: Any) -> str:
        """Let a new call into the conference `room`; returns its member id."""
        await self.call(name)
        member_id = self.service.enter(
            CallUuid(name),
            ConferenceSpec(**{"name": "room", **settings}),
            lambda params: self.left.append((name, params)),
        )
        await self.settle()
        return member_id

    async def settle(self) -> None:
        """Return when nothing that was begun is left."""
        await until(lambda: self.service.is_idle and not any(call._tasks for call in self.calls.values()), "rest")

    def commands(self, name: str) -> list[SessionCommand]:
        return self.legs[name].commands

    def names(self, name: str) -> list[str]:
        return [type(command).__name__ for command in self.commands(name)]

    def press(self, name: str, digits: str) -> None:
        for digit in digits:
            event = DigitReceived(session_id=self.legs[name].session_id, digit=digit)
            self.legs[name].report(LegMedia(event))

    async def told(self, kind: str = "conference") -> list[dict[str, str]]:
        def work(session: Session) -> list[dict[str, str]]:
            rows = session.query(OutboxRow).order_by(OutboxRow.id)
            return [dict(parse_qsl(row.params)) for row in rows if row.kind == kind]

        return await self.world.database.read(work)

    def start_prompts(
        self, calls: Sequence[LiveCall], url: str, *, repeats: bool, method: str = "POST"
    ) -> Sequence[FakePrompt]:
        started = [FakePrompt(call, url, repeats) for call in calls]
        self.prompts += started
        return started


async def fetch(url: str) -> str:
    if "missing" in url:
        raise EgressError("found nothing")
    return "/cache/file.mp3"


@pytest.fixture
async def hall(world: World) -> AsyncIterator[Hall]:
    world.calls.outbound._settings = CallSettings(maximum_calls=20)
    media, recordings = FakeMediaPort(), FakeRecordings()
    service = ConferenceService(
        world.database,
        world.calls,
        media=media,
        recordings=recordings,
        fetch_audio=fetch,
        maximum=2,
    )
    made = Hall(world, service, media, recordings)
    service.play_documents_by(made.start_prompts)
    yield made
    for leg in made.legs.values():
        leg.ended()
    await made.settle()
    assert (service.live_count, service.member_count) == (0, 0)
    assert all(call.watchers == [] and call.on_room_event is None for call in made.calls.values())
    await service.close()


async def test_members_join_one_room_and_are_told_of(hall: Hall) -> None:
    a = await hall.enter("a", callback_url="http://app/c")
    b = await hall.enter("b", is_muted=True, relays_digits=False, reports_floor=True)
    (first,), (second,) = hall.commands("a"), hall.commands("b")
    assert isinstance(first, JoinRoom)
    assert isinstance(second, JoinRoom)
    assert first.room_id == second.room_id
    assert (first.is_muted, first.relays_digits, first.watches_floor) == (False, True, False)
    assert (second.is_muted, second.relays_digits, second.watches_floor) == (True, False, True)
    hall.legs["a"].ended()
    await hall.settle()
    entered, exited = await hall.told()
    named = {"ConferenceName": "room", "ConferenceUUID": first.room_id, "ConferenceMemberID": a, "CallUUID": "a"}
    base = {"Direction": "inbound", "CallStatus": "in-progress"}
    first_in = {"Event": "ConferenceEnter", "ConferenceAction": "enter", "ConferenceFirstMember": "true"}
    assert entered == entered | named | base | first_in
    last_but_one = {"Event": "ConferenceExit", "ConferenceAction": "exit", "ConferenceLastMember": "false"}
    assert exited == exited | named | {"CallStatus": "completed"} | last_but_one
    assert a != b
    # The hang-up callback is the last one.
    assert (await hall.world.outbox())[-1] == "hangup"
    assert hall.left == [
        ("a", {name: exited[name] for name in ("ConferenceName", "ConferenceUUID", "ConferenceMemberID")})
    ]


async def test_a_document_that_leaves_takes_only_its_call_along(hall: Hall) -> None:
    await hall.enter("a", action_url="http://app/action")
    await hall.enter("b")
    hall.service.leave(CallUuid("a"))
    hall.service.leave(CallUuid("a"))
    await hall.settle()
    assert hall.names("a") == ["JoinRoom", "LeaveRoom"]
    assert hall.names("b") == ["JoinRoom"]
    (action,) = await hall.told("action")
    assert (action["ConferenceName"], action["CallUUID"], action["CallStatus"]) == ("room", "a", "in-progress")


@pytest.mark.parametrize(("redirect", "count"), [(True, 0), (False, 1)])
async def test_the_action_url_is_told_where_no_document_asks_it(hall: Hall, redirect: bool, count: int) -> None:
    await hall.enter("a", action_url="http://app/action", is_redirecting=redirect, leaves_on_star=True)
    hall.press("a", "*")
    await hall.settle()
    assert len(await hall.told("action")) == count


async def test_digits_and_floor_are_told(hall: Hall) -> None:
    await hall.enter("a", callback_url="http://app/c", digits_match=("42",), reports_floor=True)
    hall.press("a", "142")
    session_id = hall.legs["a"].session_id
    hall.legs["a"].report(LegMedia(FloorChanged(session_id=session_id, room_id="any")))
    await hall.settle()
    _, digits, floor = await hall.told()
    assert (digits["ConferenceAction"], digits["ConferenceDigitsMatch"]) == ("digits", "42")
    assert floor["ConferenceAction"] == "floor"


async def test_music_plays_to_whoever_is_alone(hall: Hall) -> None:
    await hall.enter("a", wait_sound="http://app/music")
    (music,) = hall.prompts
    assert (music.url, music.repeats, music.is_stopped) == ("http://app/music", True, False)
    await hall.enter("b", enter_sound="http://app/hello", exit_sound="beep:2")
    assert music.is_stopped
    hellos = hall.prompts[1:]
    assert [(hello.call.call_uuid, hello.url, hello.repeats) for hello in hellos] == [
        ("a", "http://app/hello", False),
        ("b", "http://app/hello", False),
    ]
    await hall.enter("c")
    hall.service.leave(CallUuid("b"))
    await hall.settle()
    assert [prompt.is_stopped for prompt in hellos] == [False, True]
    beeps = [command for command in hall.commands("a") if isinstance(command, Play)]
    assert [beep.loops for beep in beeps] == [2]


async def test_the_limit_of_members_and_one_more(hall: Hall) -> None:
    await hall.enter("a", members_max=2)
    await hall.enter("b", members_max=2)
    with pytest.raises(LimitReached):
        await hall.enter("c", members_max=2)
    await hall.enter("d", members_max=3)


async def test_the_limit_of_conferences_and_one_more(hall: Hall) -> None:
    await hall.enter("a", name="one")
    await hall.enter("b", name="two")
    with pytest.raises(LimitReached):
        await hall.enter("c", name="three")


async def test_a_call_is_in_one_conference_at_a_time_and_lives(hall: Hall) -> None:
    await hall.enter("a")
    for call_uuid in ("a", "unknown"):
        with pytest.raises(NotFound):
            hall.service.enter(CallUuid(call_uuid), ConferenceSpec(name="other"), lambda params: None)


async def test_accounts_do_not_see_each_others_conferences(hall: Hall) -> None:
    member_id = await hall.enter("a")
    assert hall.service.names(ACCOUNT) == ["room"]
    assert hall.service.names(OTHER) == []
    assert hall.service.view(OTHER, "room") is None
    with pytest.raises(NotFound):
        hall.service.kick(OTHER, "room", member_id)
    assert await hall.service.hang_up_all(OTHER) == 0
    view = hall.service.view(ACCOUNT, "room")
    assert view is not None
    assert [(member.member_id, member.call_uuid) for member in view.members] == [(member_id, "a")]


async def test_members_are_named_by_id_list_and_all(hall: Hall) -> None:
    a, b, c = [await hall.enter(name) for name in "abc"]
    service = hall.service
    assert service.set_audio(ACCOUNT, "room", f" {a}, {b},{a},99", is_muted=True) == [a, b]
    assert service.set_audio(ACCOUNT, "room", "all", is_deaf=True) == [a, b, c]
    await hall.settle()
    last = hall.commands("a")[-1]
    assert isinstance(last, SetMember)
    assert (last.is_muted, last.is_deaf) == (True, True)
    with pytest.raises(NotFound, match="member not found"):
        service.kick(ACCOUNT, "room", "99")
    assert service.kick(ACCOUNT, "room", c) == [c]
    assert await service.hang_up_members(ACCOUNT, "room", b) == [b]
    assert hall.calls["b"].is_over
    assert not hall.calls["c"].is_over
    await service.hang_up(ACCOUNT, "room")
    assert hall.calls["a"].is_over
    with pytest.raises(NotFound, match="conference not found"):
        await service.hang_up(ACCOUNT, "room")


async def test_files_are_played_by_the_api(hall: Hall) -> None:
    a = await hall.enter("a")
    assert await hall.service.play(ACCOUNT, "room", a, "http://h/a.mp3") == [a]
    await until(lambda: "Play" in hall.names("a"), "the file")
    with pytest.raises(InvalidParameter, match="url"):
        await hall.service.play(ACCOUNT, "room", a, "http://h/missing.mp3")
    assert await hall.service.stop_play(ACCOUNT, "room", "all") == [a]
    assert "StopPlay" in hall.names("a")


async def test_a_worker_that_refuses_sends_the_member_back_to_its_document(hall: Hall) -> None:
    call = await hall.call("a")

    async def refuse(command: SessionCommand) -> None:
        raise MediaError("found 64 members, allowed 64")

    hall.legs["a"].media = refuse  # type: ignore[method-assign]  # one worker that refuses
    hall.service.enter(call.call_uuid, ConferenceSpec(name="room"), lambda params: hall.left.append(("a", params)))
    await hall.settle()
    assert [name for name, _ in hall.left] == ["a"]
    assert not call.is_over


async def test_time_is_up(hall: Hall) -> None:
    await hall.enter("a")
    (conference,) = hall.service._live.values()
    hall.service._time_is_up(conference)
    await hall.settle()
    assert hall.names("a") == ["JoinRoom", "LeaveRoom"]
    assert [name for name, _ in hall.left] == ["a"]


async def test_a_recording_hears_the_room_until_the_conference_ends(hall: Hall) -> None:
    await hall.enter("a", is_recorded=True, record_format="wav", callback_url="http://app/c")
    ((listener, spec, name),) = hall.recordings.began
    assert (spec.file_format, spec.callback_url, name) == (FileFormat.WAV, "http://app/c", "room")
    (session,) = hall.media.sessions.values()
    assert session.affinity == hall.legs["a"].session_id
    (join,) = hall.media.of_type(JoinRoom)
    (joined,) = hall.commands("a")
    assert isinstance(joined, JoinRoom)
    assert (join.room_id, join.is_muted) == (joined.room_id, True)
    await hall.enter("b", is_recorded=True)
    assert len(hall.recordings.began) == 1
    params = listener.webhook_params(RecordUrl="u", Digits="")
    assert (params["ConferenceAction"], params["RecordUrl"]) == ("record", "u")
    assert "Digits" not in params
    for leg in hall.legs.values():
        leg.ended()
    await until(lambda: hall.recordings.gone == [listener], "the end of the listener")
    assert listener.is_over
    assert {params["RecordingID"] for _, params in hall.left} == {"r1"}


async def test_a_lonely_member_is_left_out_of_the_recording(hall: Hall) -> None:
    await hall.enter("a", is_recorded=True, records_alone=False)
    assert hall.recordings.paused == [True]
    await hall.enter("b")
    hall.service.leave(CallUuid("b"))
    await hall.settle()
    assert hall.recordings.paused == [True, False, True]
    # What the API asks for has everything.
    await hall.service.stop_record(ACCOUNT, "room")
    await hall.service.record(ACCOUNT, "room", RecordingSpec())
    await hall.enter("c")
    assert hall.recordings.paused == [True, False, True]


async def test_keys_are_sent_to_a_member_that_enters(hall: Hall) -> None:
    await hall.enter("a", send_digits="12w3@200")
    (sent,) = [command for command in hall.commands("a") if isinstance(command, SendDigits)]
    assert (sent.digits, sent.tone_ms) == ("12w3", 200)


async def test_a_refusal_that_comes_late_does_not_send_away_from_the_next_conference(hall: Hall) -> None:
    await hall.enter("a")
    seat = hall.service._seats[CallUuid("a")]
    hall.service.leave(CallUuid("a"))
    spec = ConferenceSpec("next")
    hall.service.enter(CallUuid("a"), spec, lambda params: hall.left.append(("a", params)))
    hall.service._failed(seat)
    assert hall.service.names(ACCOUNT) == ["next"]
    await hall.settle()


async def test_the_api_records_once_at_a_time(hall: Hall) -> None:
    with pytest.raises(NotFound):
        await hall.service.record(ACCOUNT, "room", RecordingSpec())
    await hall.enter("a")
    with pytest.raises(NotFound, match="not recorded"):
        await hall.service.stop_record(ACCOUNT, "room")
    started = await hall.service.record(ACCOUNT, "room", RecordingSpec())
    assert started.recording_id == "r1"
    with pytest.raises(InvalidParameter, match="already"):
        await hall.service.record(ACCOUNT, "room", RecordingSpec())
    await hall.service.stop_record(ACCOUNT, "room")
    await until(lambda: len(hall.recordings.gone) == 1, "the end of the listener")
    await hall.service.record(ACCOUNT, "room", RecordingSpec())


async def test_a_recording_that_ended_by_itself_is_followed_by_the_next(hall: Hall) -> None:
    await hall.enter("a")
    await hall.service.record(ACCOUNT, "room", RecordingSpec())
    ((listener, _, _),) = hall.recordings.began
    end = RecordingFinished(
        session_id=listener.session_id, recording_id=RecordingId("r1"), reason=RecordingEnd.DISK_FULL
    )
    listener.report_recording_end(end)
    await hall.service.record(ACCOUNT, "room", RecordingSpec())
    await until(lambda: hall.recordings.gone == [listener], "the end of the first listener")
    hall.recordings.began[1][0].report_recording_end(end)
    with pytest.raises(NotFound, match="not recorded"):
        await hall.service.stop_record(ACCOUNT, "room")
    await until(lambda: len(hall.recordings.gone) == 2, "the end of the second listener")


async def test_a_recording_that_cannot_begin_leaves_no_listener(hall: Hall) -> None:
    await hall.enter("a")
    hall.recordings.error = Conflict("the disk of this server is full")
    with pytest.raises(Conflict, match="disk"):
        await hall.service.record(ACCOUNT, "room", RecordingSpec())
    await until(lambda: len(hall.recordings.gone) == 1, "the end of the listener")
    hall.recordings.error = None
    await hall.service.record(ACCOUNT, "room", RecordingSpec())


async def test_leaving_a_room_is_asked_only_of_members_in_it(hall: Hall) -> None:
    await hall.enter("a", starts_on_enter=False)
    hall.service.leave(CallUuid("a"))
    await hall.settle()
    assert not any(isinstance(command, JoinRoom | LeaveRoom) for command in hall.commands("a"))
