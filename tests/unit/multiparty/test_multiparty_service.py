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
from ringback.errors import EgressError, InvalidParameter, LimitReached, NotFound
from ringback.ids import CallUuid, RecordingId, SessionId
from ringback.media.control.commands import JoinRoom, LeaveRoom, Play, SessionCommand, SetMember
from ringback.multiparty.departure import Departure
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.machine import Exit
from ringback.multiparty.service import MultipartyService
from ringback.multiparty.spec import EventGroup, MultipartySpec, Role, Sound
from ringback.multiparty.state import State
from ringback.multiparty.views import AddParticipant, MultipartyFilters
from ringback.recordings.spec import RecordedRoom, RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.storage.database import Session
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

    async def settle(self) -> None:
        await until(lambda: self.service.is_idle and not any(call._tasks for call in self.calls.values()), "rest")

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


async def test_files_that_cannot_be_had_are_refused(hall: Hall) -> None:
    member = await hall.enter("a")
    assert await hall.service.play(ACCOUNT, "name_mpc", "all", "https://a/x.mp3") == ("mpc", [member])
    with pytest.raises(InvalidParameter, match="url"):
        await hall.service.play(ACCOUNT, "name_mpc", member, "https://a/missing.mp3")
