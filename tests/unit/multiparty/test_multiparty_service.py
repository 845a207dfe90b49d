"""`multiparty.service` over fake legs: the rooms that are joined, what is told, who is added, what is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.fake_media import FakeMediaPort
from tests.support.waiting import until
from tests.unit.calls import test_calls_service
from tests.unit.calls.test_calls_service import ACCOUNT, OTHER, World

from ringback.calls.hangup import Code
from ringback.calls.live import LiveCall
from ringback.calls.service import CallSettings
from ringback.calls.views import MakeCall
from ringback.errors import EgressError, InvalidParameter, LimitReached, NotFound
from ringback.ids import CallUuid, RecordingId, SessionId
from ringback.media.control.commands import JoinRoom, LeaveRoom, Play, SessionCommand, SetMember
from ringback.media.control.events import DigitReceived, SpeakingChanged
from ringback.media.control.values import RecordingChannels
from ringback.multiparty import additions, confirmation, store
from ringback.multiparty.departure import Departure
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.machine import Exit
from ringback.multiparty.service import MultipartyService
from ringback.multiparty.spec import EventGroup, MultipartySpec, Role, Sound
from ringback.multiparty.state import Cause, State
from ringback.multiparty.views import AddParticipant, Between, MultipartyFilters, Track
from ringback.recordings.spec import RecordedRoom, RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.rooms.facts import Status
from ringback.signalling.events import LegEndKind, LegMedia
from ringback.storage.database import Session, StorageUnavailable
from ringback.webhooks.fetcher import Callback, FetchedDocument
from ringback.webhooks.models import OutboxRow

world = test_calls_service.world
MUSIC = Sound("https://a/music")
SILENT = {"enter_sound": Sound(), "exit_sound": Sound()}


@dataclass
class FakePrompt:
    url: str
    method: str
    is_stopped: bool = False

    async def stop(self) -> None:
        self.is_stopped = True


class Nowhere:
    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        raise AssertionError("no customer is asked")


async def fetch(url: str) -> str:
    if "missing" in url:
        raise EgressError("found nothing")
    return "/cache/file.mp3"


async def ring_tone() -> str:
    return "/sounds/ring.wav"


@dataclass
class FakeRecordings:
    """Recordings that begin at once."""

    began: list[tuple[Any, RecordingSpec, RecordedRoom]] = field(default_factory=list)
    done: list[tuple[str, str]] = field(default_factory=list)
    error: Exception | None = None

    async def record_room(self, party: Any, spec: RecordingSpec, room: RecordedRoom) -> StartedRecording:
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        self.began.append((party, spec, room))
        return StartedRecording(RecordingId(f"r{len(self.began)}"), "http://us/r.mp3", spec.file_format)

    async def pause(self, recording_id: RecordingId, *, is_paused: bool) -> bool:
        self.done.append(("pause" if is_paused else "resume", recording_id))
        return True

    async def stop_one(self, recording_id: RecordingId) -> bool:
        self.done.append(("stop", recording_id))
        return True

    def handle(self, call: Any, event: Any) -> None:
        raise AssertionError("no event was sent")

    def call_gone(self, call: Any) -> None:
        self.done.append(("gone", ""))


@dataclass
class Hall:
    """Multiparty calls over a world of calls."""

    world: World
    service: MultipartyService
    media: FakeMediaPort
    recordings: FakeRecordings
    prompts: list[FakePrompt] = field(default_factory=list)
    left: list[tuple[str, Departure]] = field(default_factory=list)
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

    async def enter(self, name: str, /, role: Role = Role.AGENT, **settings: Any) -> str:
        await self.call(name)
        spec = MultipartySpec(**{"name": "mpc", "role": role, **SILENT, **settings})
        member_id = self.service.enter(CallUuid(name), spec, lambda departure: self.left.append((name, departure)))
        await self.settle()
        return member_id

    def press(self, name: str, digit: str) -> None:
        """Let a call's far party press a key."""
        self.legs[name].report(LegMedia(DigitReceived(session_id=self.legs[name].session_id, digit=digit)))

    async def settle(self) -> None:
        await until(lambda: self.service.is_idle and not any(call._tasks for call in self.calls.values()), "rest")

    async def add(self, *numbers: str, mpc_id: str = "name_mpc", **settings: Any) -> list[str]:
        """Ring these numbers; returns their calls' ids."""
        spec = settings.pop("spec", MultipartySpec("", Role.AGENT, **SILENT))
        calls = tuple(MakeCall("4930123", number, "http://unused/") for number in numbers)
        added = await self.service.add(ACCOUNT, mpc_id, AddParticipant(spec, calls=calls, **settings))
        return [each.call_uuid for each in added]

    def leg(self, call_uuid: str) -> FakeLeg:
        """Return the leg of a call that was made."""
        return next(leg for leg in self.world.legs.legs if leg.call_uuid == call_uuid)

    async def answer(self, call_uuid: str) -> str:
        """Let a call be answered and run its document; returns its member id, empty when it is none yet."""
        leg = self.leg(call_uuid)
        leg.session_id = SessionId(f"session-{call_uuid}")
        self.legs[call_uuid] = leg
        leg.answered_by_peer()
        call = self.world.calls.find(CallUuid(call_uuid))
        assert call is not None
        self.calls[call_uuid] = call
        spec = MultipartySpec("mpc", Role.AGENT, **SILENT)
        return self.service.enter(CallUuid(call_uuid), spec, lambda departure: self.left.append((call_uuid, departure)))

    def code(self, call_uuid: str) -> Code | None:
        """Return how a call has ended."""
        ends = [
            fields["code"] for uuid, _, fields in self.world.timeline.facts if uuid == call_uuid and "code" in fields
        ]
        return Code(ends[-1]) if ends else None

    def commands(self, name: str) -> list[SessionCommand]:
        return self.legs[name].commands

    async def told(self, kind: str = "multiparty") -> list[dict[str, str]]:
        def work(session: Session) -> list[dict[str, str]]:
            rows = session.query(OutboxRow).order_by(OutboxRow.id)
            return [dict(parse_qsl(row.params)) for row in rows if row.kind == kind]

        return await self.world.database.read(work)

    def start_prompts(
        self, calls: Sequence[LiveCall], url: str, *, repeats: bool, method: str = "POST"
    ) -> Sequence[FakePrompt]:
        started = [FakePrompt(url, method) for _ in calls]
        self.prompts += started
        return started


@pytest.fixture
async def hall(world: World) -> AsyncIterator[Hall]:
    world.calls.outbound._settings = CallSettings(maximum_calls=20)
    await world.calls.outbound.queue.start()
    media, recordings = FakeMediaPort(), FakeRecordings()
    service = MultipartyService(
        world.database,
        world.calls,
        Invitations(Nowhere()),
        media=media,
        recordings=recordings,
        fetch_audio=fetch,
        ring_tone=ring_tone,
        maximum=2,
    )
    made = Hall(world, service, media, recordings)
    service.play_documents_by(made.start_prompts)
    yield made
    await service.close()


async def test_roles_join_their_rooms(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER)
    await hall.enter("a")
    await hall.enter("s", Role.SUPERVISOR)
    joins = [command for name in "cas" for command in hall.commands(name) if isinstance(command, JoinRoom)]
    assert len({join.room_id for join in joins}) == 1
    side = f"{joins[0].room_id}-coaching"
    assert [(join.side_room_id, join.is_muted, join.is_side_muted) for join in joins] == [
        ("", False, True),
        (side, False, True),
        (side, True, False),
    ]


async def test_the_api_mutes_holds_and_lets_coach(hall: Hall) -> None:
    await hall.enter("a", agent_hold_music=MUSIC)
    supervisor = await hall.enter("s", Role.SUPERVISOR)
    assert hall.service.set(ACCOUNT, "name_mpc", supervisor, is_coach=False) == "mpc"
    await hall.settle()
    (change,) = [command for command in hall.commands("s") if isinstance(command, SetMember)]
    assert (change.is_muted, change.is_side_muted) == (False, True)
    with pytest.raises(InvalidParameter, match="only supervisors"):
        hall.service.set(ACCOUNT, "name_mpc", "all", is_coach=True)
    hall.service.set(ACCOUNT, "name_mpc", "all", is_held=True)
    await hall.settle()
    assert [(prompt.url, prompt.method) for prompt in hall.prompts] == [("https://a/music", "GET")]
    hall.service.set(ACCOUNT, "name_mpc", "all", is_held=False)
    await hall.settle()
    assert hall.prompts[0].is_stopped
    with pytest.raises(NotFound):
        hall.service.set(ACCOUNT, "name_mpc", "99", is_muted=True)


async def test_ends_have_their_codes_and_are_told_once(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER, status_url="https://a/s")
    member = await hall.enter("a")
    await hall.enter("b")
    hall.service.kick(ACCOUNT, "name_mpc", member)
    hall.service.stop(ACCOUNT, "name_mpc")
    await hall.settle()
    assert [(name, departure.code) for name, departure in hall.left] == [
        ("a", Code.KICKED),
        ("c", Code.MULTIPARTY_ENDED),
        ("b", Code.MULTIPARTY_ENDED),
    ]
    assert [type(command) for command in hall.commands("b")][-1] is LeaveRoom
    told = await hall.told()
    # Those who have no status URL are told of at that of the first.
    assert [each["EventName"] for each in told].count("ParticipantExit") == 3
    assert (told[-1]["EventName"], told[-1]["MPCName"]) == ("MPCEnd", "mpc")
    assert len({each["MPCUUID"] for each in told}) == 1
    assert hall.service.live_count == 0
    view = await hall.service.view(ACCOUNT, f"uuid_{told[-1]['MPCUUID']}")
    assert view.state is State.ENDED
    assert {each.exit_cause for each in view.participants} == {Exit.KICKED.value, Exit.ENDED.value}
    with pytest.raises(NotFound):
        await hall.service.view(ACCOUNT, "name_mpc")
    with pytest.raises(NotFound):
        await hall.service.view(OTHER, f"uuid_{view.mpc_uuid}")


async def test_lists_are_of_the_account_newest_first(hall: Hall) -> None:
    await hall.enter("a", name="one")
    await hall.enter("b", name="two")
    assert [view.name for view in (await hall.service.page(ACCOUNT, MultipartyFilters(), 20, 0))[0]] == ["two", "one"]
    assert (await hall.service.page(ACCOUNT, MultipartyFilters(name="one"), 20, 0))[1] == 1
    assert (await hall.service.page(ACCOUNT, MultipartyFilters(cause_code=1000), 20, 0))[1] == 0
    assert await hall.service.page(OTHER, MultipartyFilters(), 20, 0) == ([], 0)
    with pytest.raises(LimitReached):
        await hall.enter("c", name="three")


async def test_a_full_one_lets_nobody_in(hall: Hall) -> None:
    await hall.enter("a")
    await hall.enter("b", participants_max=2)
    with pytest.raises(LimitReached):
        await hall.enter("c", participants_max=2)
    with pytest.raises(NotFound):
        hall.service.enter(CallUuid("a"), MultipartySpec("mpc", Role.AGENT), lambda _: None)


async def test_keys_and_hang_ups_reach_the_urls(hall: Hall) -> None:
    groups = (EventGroup.DIGITS,)
    await hall.enter("a", status_url="https://a/s", event_groups=groups, exit_url="https://a/x", stays_alone=True)
    hall.service.digit_pressed(hall.calls["a"], "7")
    await hall.settle()
    (told,) = await hall.told()
    assert (told["EventName"], told["Digit"], told["ParticipantCallUUID"]) == ("ParticipantDigitInput", "7", "a")
    hall.service.leave(CallUuid("a"), Exit.HUNG_UP)
    await hall.settle()
    (exited,) = await hall.told("action")
    assert (exited["MPCFriendlyName"], exited["ParticipantRole"], exited["CallUUID"]) == ("mpc", "agent", "a")


async def test_beeps_are_played_to_everyone(hall: Hall) -> None:
    await hall.enter("a")
    await hall.enter("b", enter_sound=Sound("beep:2"))
    for name in "ab":
        (play,) = [command for command in hall.commands(name) if isinstance(command, Play)]
        assert play.loops == 2


async def test_a_live_call_is_added_by_its_document(hall: Hall) -> None:
    call = await hall.call("a")
    wanted = AddParticipant(MultipartySpec("", Role.AGENT), call_uuid=CallUuid("a"))
    (added,) = await hall.service.add(ACCOUNT, "name_new", wanted)
    assert added.call_uuid == call.call_uuid
    for mpc_id, error in (
        ("uuid_unknown", NotFound),
        ("nonsense", InvalidParameter),
        ("name_" + "n" * 129, InvalidParameter),
    ):
        with pytest.raises(error):
            await hall.service.add(ACCOUNT, mpc_id, wanted)
    with pytest.raises(NotFound, match="call_uuid"):
        await hall.service.add(ACCOUNT, "name_new", AddParticipant(wanted.spec, call_uuid=CallUuid("nobody")))


async def dialled(hall: Hall, *call_uuids: str) -> None:
    """Return when these calls ring."""
    await until(lambda: {leg.call_uuid for leg in hall.world.legs.legs} >= set(call_uuids), "calls that ring")


async def test_the_first_to_answer_is_added_and_the_others_lose(hall: Hall) -> None:
    groups = (EventGroup.ADD,)
    await hall.enter("c", Role.CUSTOMER, status_url="https://a/s", event_groups=groups)
    first, second = await hall.add("442070001", "442070002")
    await dialled(hall, first, second)
    member = await hall.answer(second)
    await hall.settle()
    assert hall.code(first) is Code.LOST_RACE
    assert not len(hall.service._additions)
    initiated, completed = await hall.told()
    assert (initiated["EventName"], completed["EventName"]) == (
        "AddParticipantByAPIActionInitiated",
        "AddParticipantByAPIActionCompleted",
    )
    assert initiated["RequestUUID"] == completed["RequestUUID"] == first
    assert (completed["MemberID"], completed["ParticipantCallUUID"]) == (member, second)


async def test_a_refused_request_for_a_call_that_rings_takes_it_from_no_other_request(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER)
    first, second = await hall.add("442070001", "442070002")
    await dialled(hall, first, second)
    wanted = AddParticipant(MultipartySpec("", Role.AGENT), call_uuid=CallUuid(second))
    with pytest.raises(NotFound, match="no answered call"):
        await hall.service.add(ACCOUNT, "name_mpc", wanted)
    await hall.answer(second)
    await hall.settle()
    assert hall.code(first) is Code.LOST_RACE
    assert not len(hall.service._additions)


async def test_a_call_that_is_asked_for_a_key_may_be_taken_by_another_request(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER)
    first, second = await hall.add("442070001", "442070002", confirm_key="5")
    await dialled(hall, first, second)
    await hall.answer(second)
    wanted = AddParticipant(MultipartySpec("", Role.AGENT, **SILENT), call_uuid=CallUuid(second))
    await hall.service.add(ACCOUNT, "name_next", wanted)
    hall.service.leave(CallUuid(second))
    hall.leg(first).ended(LegEndKind.REJECTED, 486)
    await until(lambda: len(hall.service._additions) == 1, "the end of the older request")
    (newer,) = hall.service._additions._all
    assert newer.wanted.call_uuid == second
    spec = MultipartySpec("next", Role.AGENT, **SILENT)
    assert hall.service.enter(CallUuid(second), spec, lambda _: None)
    await hall.settle()
    assert not len(hall.service._additions)
    assert hall.code(second) is None


async def test_a_request_whose_only_call_another_one_takes_is_over(hall: Hall) -> None:
    (only,) = await hall.add("442070001", confirm_key="5")
    await dialled(hall, only)
    await hall.answer(only)
    (older,) = hall.service._additions._all
    await hall.service.add(ACCOUNT, "name_next", AddParticipant(older.wanted.spec, call_uuid=CallUuid(only)))
    assert older.is_over
    assert hall.code(only) is None


async def test_a_request_that_nobody_answers_ends_without_a_member(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER, status_url="https://a/s", event_groups=(EventGroup.ADD,))
    (only,) = await hall.add("442070001")
    assert hall.prompts == []
    hall.leg(only).ended(LegEndKind.REJECTED, 486)
    await until(lambda: not len(hall.service._additions), "the end of the request")
    await hall.settle()
    assert "MemberID" not in (await hall.told())[-1]
    assert len(hall.service._additions._invitations) == 0


async def test_whoever_answers_must_press_the_key(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER)
    first, second = await hall.add("442070001", "442070002", confirm_key="5", confirm_sound=Sound("https://a/ask"))
    await dialled(hall, first, second)
    assert await hall.answer(first) == ""
    assert await hall.answer(second) == ""
    assert [prompt.url for prompt in hall.prompts] == ["https://a/ask"] * 2
    hall.press(first, "4")
    assert hall.service.live_count == 1
    hall.press(second, "5")
    await hall.settle()
    view = await hall.service.view(ACCOUNT, "name_mpc")
    assert [each.call_uuid for each in view.participants] == ["c", second]
    assert hall.code(first) is Code.LOST_RACE
    assert all(prompt.is_stopped for prompt in hall.prompts)


async def test_whoever_does_not_press_it_in_time_is_hung_up(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confirmation, "CONFIRM_S", 0)
    await hall.enter("c", Role.CUSTOMER)
    (only,) = await hall.add("442070001", confirm_key="5")
    await hall.answer(only)
    await until(lambda: hall.code(only) is Code.CONFIRM_FAILED, "the end of the call")
    await hall.settle()
    assert not len(hall.service._additions)


async def test_nobody_rings_for_a_multiparty_call_that_is_over(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER)
    (lonely,) = await hall.add("442070001", may_be_first=False)
    view = await hall.service.view(ACCOUNT, "name_mpc")
    (bound,) = await hall.add("442070002", mpc_id=f"uuid_{view.mpc_uuid}")
    (free,) = await hall.add("442070003")
    hall.legs["c"].ended()
    await hall.settle()
    await until(lambda: hall.code(lonely) is hall.code(bound) is Code.MULTIPARTY_ENDED, "the ends of calls")
    # This one may begin the next multiparty call of the name.
    assert hall.code(free) is None
    await dialled(hall, free)
    assert await hall.answer(free)
    await hall.settle()


async def test_one_who_answers_in_that_moment_is_not_let_in(hall: Hall) -> None:
    (late,) = await hall.add("442070001", may_be_first=False)
    await dialled(hall, late)
    with pytest.raises(NotFound, match="left"):
        await hall.answer(late)
    await until(lambda: hall.code(late) is Code.MULTIPARTY_ENDED, "the end of the call")
    await hall.settle()
    assert hall.service.live_count == 0


async def test_a_delayed_call_is_made_later_or_not_at_all(hall: Hall) -> None:
    await hall.enter("c", Role.CUSTOMER)
    first, second = await hall.add("442070001", "442070002", delays_s=(0, 60))
    await dialled(hall, first)
    assert len(hall.world.legs.legs) == 1
    await hall.answer(first)
    await hall.settle()
    assert not len(hall.service._additions)
    (later,) = await hall.add("442070003", delays_s=(60,))
    (addition,) = hall.service._additions._all
    hall.service._additions._dial_later(addition, addition.wanted.calls[0])
    await dialled(hall, later)
    assert second not in {leg.call_uuid for leg in hall.world.legs.legs}
    hall.leg(later).ended(LegEndKind.REJECTED, 486)
    await until(lambda: not len(hall.service._additions), "the end of the request")
    await hall.settle()


async def test_a_delayed_call_that_fails_by_a_fault_of_ours_settles_its_request(
    hall: Hall, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def make_calls(*_: object) -> None:
        raise ValueError("a defect")

    await hall.add("442070001", delays_s=(60,))
    monkeypatch.setattr(hall.world.calls, "make_calls", make_calls)
    (addition,) = hall.service._additions._all
    hall.service._additions._dial_later(addition, addition.wanted.calls[0])
    await until(lambda: not len(hall.service._additions), "the end of the request")
    assert "delayed participant not dialled" in caplog.text


async def test_one_request_too_many_is_refused(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(additions, "ADDITIONS_MAX", 1)
    await hall.add("442070001", delays_s=(60,))
    with pytest.raises(LimitReached, match="being added"):
        await hall.add("442070002")


async def test_a_refusal_that_comes_late_does_not_send_away_from_the_next_one(hall: Hall) -> None:
    await hall.enter("a", stays_alone=True)
    seat = hall.service._seats[CallUuid("a")]
    hall.service.leave(CallUuid("a"))
    hall.service.enter(CallUuid("a"), MultipartySpec("next", Role.AGENT, **SILENT), lambda _: None)
    hall.service._failed(seat)
    assert (await hall.service.view(ACCOUNT, "name_next")).ended_wall_ms is None
    await hall.settle()


async def test_those_without_a_url_are_told_of_as_the_first_one_wants(hall: Hall) -> None:
    await hall.enter("a", status_url="https://a/s", event_groups=(EventGroup.DIGITS, EventGroup.SPEAK))
    await hall.enter("b")
    (join,) = [command for command in hall.commands("b") if isinstance(command, JoinRoom)]
    assert join.reports_speech
    hall.service.digit_pressed(hall.calls["b"], "7")
    seat = hall.service._seats[CallUuid("b")]
    event = SpeakingChanged(session_id=SessionId("session-b"), room_id=seat.multiparty.mpc_uuid, is_speaking=True)
    hall.service._room_event(hall.calls["b"], event)
    await hall.settle()
    assert [each["EventName"] for each in await hall.told()] == ["ParticipantDigitInput", "ParticipantSpeakStart"]


async def test_what_ends_is_stored_though_the_database_refused(hall: Hall, monkeypatch: pytest.MonkeyPatch) -> None:
    await hall.enter("a", status_url="https://a/s")
    refusing, write = [True], hall.world.database.write

    async def refused(work: Any) -> Any:
        if refusing:
            raise StorageUnavailable("the disk is full")
        return await write(work)

    monkeypatch.setattr(hall.world.database, "write", refused)
    hall.service.stop(ACCOUNT, "name_mpc")
    await asyncio.sleep(0)
    # It is shown as ended before it is stored, and once.
    (view,) = (await hall.service.page(ACCOUNT, MultipartyFilters(state=State.ENDED), 20, 0))[0]
    refusing.clear()
    await hall.settle()
    assert not hall.service._all._unstored
    (stored,) = (await hall.service.page(ACCOUNT, MultipartyFilters(state=State.ENDED, cause_code=3000), 20, 0))[0]
    assert (stored.mpc_uuid, stored.ended_wall_ms) == (view.mpc_uuid, view.ended_wall_ms)
    assert (await hall.told())[-1]["EventName"] == "MPCEnd"
    within = MultipartyFilters(created=Between(view.created_wall_ms, view.created_wall_ms))
    assert (await hall.service.page(ACCOUNT, within, 20, 0))[1] == 1
    outside = MultipartyFilters(ended=Between(None, view.created_wall_ms - 1))
    assert (await hall.service.page(ACCOUNT, outside, 20, 0))[1] == 0
    assert (await hall.service.page(ACCOUNT, MultipartyFilters(), 20, 1)) == ([], 1)
    assert await hall.service.end_orphans() == 0


async def test_what_an_earlier_server_left_live_has_ended(hall: Hall) -> None:
    await hall.enter("a")
    view = await hall.service.view(ACCOUNT, "name_mpc")
    assert await hall.service.end_orphans() == 1
    row = await hall.world.database.read(lambda session: store.find_ended(session, ACCOUNT.auth_id, view.mpc_uuid))
    assert row is not None
    assert (row.state, row.cause) == (State.ENDED, Cause.EMPTY)
    assert [each.exit_cause for each in row.participants] == [Exit.HUNG_UP.value]


async def test_everyone_is_recorded_by_a_listener_that_hears_coaching_too(hall: Hall) -> None:
    await hall.enter("a", start_recording_sound=Sound("https://a/start"), stop_recording_sound=Sound("https://a/stop"))
    name, started = await hall.service.recorder.record(ACCOUNT, "name_mpc", RecordingSpec())
    assert (name, started.recording_id) == ("mpc", "r1")
    (join,) = hall.media.of_type(JoinRoom)
    assert (join.is_muted, join.is_side_muted, join.side_room_id) == (True, True, f"{join.room_id}-coaching")
    assert [prompt.url for prompt in hall.prompts] == ["https://a/start"]
    with pytest.raises(InvalidParameter, match="already"):
        await hall.service.recorder.record(ACCOUNT, "name_mpc", RecordingSpec())
    for is_paused, status in ((True, Status.PAUSED), (False, Status.RUNNING)):
        await hall.service.recorder.pause(ACCOUNT, "name_mpc", is_paused=is_paused)
        assert (await hall.service.view(ACCOUNT, "name_mpc")).recording is status
    await hall.service.recorder.stop(ACCOUNT, "name_mpc")
    await hall.settle()
    assert hall.recordings.done == [("pause", "r1"), ("resume", "r1"), ("gone", "")]
    for refused in (
        hall.service.recorder.stop(ACCOUNT, "name_mpc"),
        hall.service.recorder.pause(ACCOUNT, "name_mpc", is_paused=True),
    ):
        with pytest.raises(NotFound, match="not recorded"):
            await refused


async def test_participants_are_recorded_until_they_leave(hall: Hall) -> None:
    member = await hall.enter("a", records_track=True, stays_alone=True)
    await hall.enter("b", stays_alone=True)
    party, spec, room = hall.recordings.began[0]
    assert (party, spec.channels, room.member_id) == (hall.calls["a"], RecordingChannels.FAR, member)
    with pytest.raises(InvalidParameter, match="already"):
        await hall.service.recorder.record_participants(ACCOUNT, "name_mpc", member, Track.PARTICIPANT, RecordingSpec())
    _, started = await hall.service.recorder.record_participants(ACCOUNT, "name_mpc", "all", Track.ALL, RecordingSpec())
    assert len(started) == 2
    await hall.service.recorder.pause_participants(ACCOUNT, "name_mpc", member, Track.BOTH, is_paused=True)
    await hall.service.recorder.stop_participants(ACCOUNT, "name_mpc", member, Track.ALL)
    with pytest.raises(NotFound, match="not recorded"):
        await hall.service.recorder.stop_participants(ACCOUNT, "name_mpc", member, Track.ALL)
    hall.service.leave(CallUuid("a"))
    await hall.settle()
    assert hall.recordings.done == [("pause", "r2"), ("pause", "r1"), ("stop", "r2"), ("stop", "r1")]


async def test_one_who_leaves_while_its_recording_begins_is_not_recorded(hall: Hall) -> None:
    member = await hall.enter("a", stays_alone=True)
    beginning = asyncio.create_task(
        hall.service.recorder.record_participants(ACCOUNT, "name_mpc", member, Track.ALL, RecordingSpec())
    )
    await asyncio.sleep(0)
    hall.service.leave(CallUuid("a"))
    await beginning
    await hall.settle()
    assert hall.recordings.done == [("stop", "r1")]


async def test_files_that_cannot_be_had_are_refused(hall: Hall) -> None:
    member = await hall.enter("a")
    assert await hall.service.play(ACCOUNT, "name_mpc", "all", "https://a/x.mp3") == ("mpc", [member])
    with pytest.raises(InvalidParameter, match="url"):
        await hall.service.play(ACCOUNT, "name_mpc", member, "https://a/missing.mp3")
