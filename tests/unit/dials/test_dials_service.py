"""Dials over fake legs: the calls that are made, the rooms that are joined, and what is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until
from tests.unit.calls import test_calls_service
from tests.unit.calls.test_calls_dialled import answered
from tests.unit.calls.test_calls_service import World

from ringback.calls.live import LiveCall
from ringback.calls.service import CallSettings
from ringback.dials.run import DialRun
from ringback.dials.service import DialService
from ringback.dials.spec import Destination, DialOutcome, DialSpec, DialStatus
from ringback.errors import MediaError, NotFound
from ringback.ids import CallUuid
from ringback.media.control.commands import JoinRoom, LeaveRoom, Play, StopPlay
from ringback.media.control.events import DigitReceived
from ringback.signalling.events import LegEndKind, LegMedia, LegRinging
from ringback.storage.database import Session
from ringback.webhooks.models import OutboxRow

world = test_calls_service.world
AGENT = Destination("sip:agent@127.0.0.1:5070")
SPEC = DialSpec((AGENT,), callback_url="http://app/events")


@dataclass
class FakePrompt:
    call: LiveCall
    url: str
    repeats: bool
    on_end: Callable[[], None]
    is_stopped: bool = False

    async def stop(self) -> None:
        self.is_stopped = True


@dataclass
class Room:
    """A dial room over a world of calls with one answered caller."""

    world: World
    dials: DialService
    a_leg: LiveCall
    prompts: list[FakePrompt] = field(default_factory=list)
    outcomes: list[tuple[DialOutcome, str]] = field(default_factory=list)
    calls: dict[str, LiveCall] = field(default_factory=dict)
    runs: list[DialRun] = field(default_factory=list)

    def prompt(self, call: LiveCall, url: str, *, repeats: bool, on_end: Callable[[], None]) -> FakePrompt:
        self.prompts.append(FakePrompt(call, url, repeats, on_end))
        return self.prompts[-1]

    async def start(self, spec: DialSpec = SPEC) -> list[FakeLeg]:
        """Start a dial and return the legs that were dialled."""
        self.dials.start(self.a_leg.call_uuid, spec, lambda outcome, winner: self.outcomes.append((outcome, winner)))
        self.runs += self.dials._live
        await self.settle()
        return self.world.legs.legs

    async def settle(self) -> None:
        """Return when nothing that a call was asked to do is left."""
        await until(lambda: not self.is_busy(), "the calls and the dial to come to rest")

    def is_busy(self) -> bool:
        return any(call._tasks for call in self.seen()) or not all(run._media.is_idle for run in self.runs)

    def seen(self) -> list[LiveCall]:
        self.calls.update({call.call_uuid: call for call in self.world.calls.live()})
        return list(self.calls.values())

    def commands(self, kind: type, leg: FakeLeg | None = None) -> list[str]:
        """Return the names of the commands that the caller's leg, or another, was given."""
        found = (leg or self.a_leg.leg).commands  # type: ignore[union-attr]  # the leg is a fake
        return [type(command).__name__ for command in found if isinstance(command, kind)]

    async def told(self) -> list[dict[str, str]]:
        def work(session: Session) -> list[dict[str, str]]:
            rows = session.query(OutboxRow).order_by(OutboxRow.id)
            return [dict(parse_qsl(row.params)) for row in rows if row.kind in ("dial", "action")]

        return await self.world.database.read(work)


@pytest.fixture
async def room(world: World, tmp_path: Path) -> AsyncIterator[Room]:
    world.calls.outbound._settings = CallSettings(maximum_calls=20)
    made: list[Room] = []
    dials = DialService(
        world.database, world.calls, lambda *args, **options: made[0].prompt(*args, **options), tmp_path / "sounds"
    )
    made.append(Room(world, dials, await answered(world)))
    yield made[0]
    await world.calls.close()
    await made[0].settle()
    assert dials.live_count == 0
    assert made[0].a_leg.watchers == []


async def test_tone_bridge_and_return(room: Room) -> None:
    (leg,) = await room.start()
    assert room.commands(Play) == ["Play"]
    leg.report(LegRinging(180, has_early_media=False))
    leg.answered_by_peer()
    b_leg = room.a_leg.partner
    assert b_leg is not None
    assert b_leg.partner is room.a_leg
    await room.settle()
    assert room.commands(Play | StopPlay | JoinRoom) == ["Play", "StopPlay", "JoinRoom"]
    assert room.commands(JoinRoom, leg) == ["JoinRoom"]
    leg.ended()
    assert room.a_leg.partner is None
    await room.settle()
    assert room.commands(LeaveRoom) == ["LeaveRoom"]
    assert room.outcomes == [(DialOutcome(DialStatus.COMPLETED, True, "NORMAL_CLEARING", 0), b_leg.call_uuid)]
    assert [each["DialAction"] for each in await room.told()] == ["answer", "connected", "hangup"]
    assert room.a_leg.bridge is None
    assert room.dials.live_count == 0


async def test_those_who_wait_for_a_bridge_are_told_of_the_other_call(room: Room) -> None:
    partners: list[LiveCall] = []
    room.a_leg.on_bridged.append(partners.append)
    (leg,) = await room.start()
    leg.answered_by_peer()
    assert partners == [room.a_leg.partner]


async def test_one_who_waits_and_fails_costs_neither_bridge_nor_record(
    room: Room, caplog: pytest.LogCaptureFixture
) -> None:
    room.a_leg.on_bridged.append(lambda partner: 1 // 0)  # type: ignore[arg-type,return-value]  # it fails first
    (leg,) = await room.start()
    leg.answered_by_peer()
    await room.settle()
    assert "step of a dial failed" in caplog.text
    room.a_leg.leg.ended()  # type: ignore[attr-defined]  # the leg is a fake
    await room.a_leg.wait_over()
    assert leg.asked == [("hangup",)]


async def test_stop_returns_when_the_caller_hears_its_document_alone(room: Room) -> None:
    (leg,) = await room.start()
    leg.answered_by_peer()
    await room.dials.stop(room.a_leg.call_uuid)
    assert room.commands(LeaveRoom) == ["LeaveRoom"]
    await room.settle()
    assert ("hangup",) in leg.asked
    assert room.outcomes == []
    await room.dials.stop(room.a_leg.call_uuid)


async def test_party_that_is_taken_away_lives_on(room: Room) -> None:
    (leg,) = await room.start()
    leg.answered_by_peer()
    await room.settle()
    b_leg = room.a_leg.partner
    assert b_leg is not None
    bridge = b_leg.bridge
    assert bridge is not None
    await bridge.detach(b_leg)
    assert room.commands(LeaveRoom, leg) == ["LeaveRoom"]
    assert b_leg.bridge is None
    assert b_leg.watchers == []
    await bridge.detach(b_leg)
    await room.settle()
    assert [winner for _, winner in room.outcomes] == [b_leg.call_uuid]
    assert not b_leg.is_over


async def test_party_dropped_before_it_was_dialled_ends_as_soon_as_it_is(room: Room) -> None:
    room.dials.start(room.a_leg.call_uuid, SPEC, lambda outcome, winner: None)
    await room.dials.stop(room.a_leg.call_uuid)
    await room.settle()
    (leg,) = room.world.legs.legs
    assert ("hangup",) in leg.asked


async def test_caller_that_hangs_up_ends_the_parties_and_the_action_is_told(room: Room) -> None:
    legs = await room.start(DialSpec((AGENT, AGENT), action_url="http://app/after"))
    room.a_leg.leg.ended()  # type: ignore[attr-defined]  # the leg is a fake
    await room.settle()
    assert [leg.asked for leg in legs] == [[("hangup",)], [("hangup",)]]
    (told,) = await room.told()
    assert (told["DialStatus"], told["CallStatus"]) == ("cancel", "completed")
    assert room.outcomes == []


@pytest.mark.parametrize(("redirects", "told"), [(True, 0), (False, 1)])
async def test_action_without_redirect_is_told_beside_the_document(room: Room, redirects: bool, told: int) -> None:
    (leg,) = await room.start(DialSpec((AGENT,), action_url="http://app/after", is_redirecting=redirects))
    leg.ended(LegEndKind.REFUSED, 486)
    await room.settle()
    assert [outcome.status for outcome, _ in room.outcomes] == [DialStatus.BUSY]
    assert len(await room.told()) == told


async def test_party_that_cannot_be_dialled_is_reported_with_its_cause(room: Room) -> None:
    assert await room.start(DialSpec((Destination("15559999"),), callback_url="http://app/events")) == []
    (told,) = await room.told()
    assert (told["DialBLegHangupCauseCode"], told["DialBLegTo"]) == ("5020", "15559999")
    assert await room.world.calls.cdr(room.a_leg.terms.account, CallUuid(told["DialBLegUUID"])) is not None
    assert [outcome.status for outcome, _ in room.outcomes] == [DialStatus.FAILED]


async def test_music_and_challenge_are_prompts(room: Room) -> None:
    spec = DialSpec((AGENT,), music="http://m/", confirm_sound_url="http://c/", confirm_key="5")
    (leg,) = await room.start(spec)
    (music,) = room.prompts
    assert (music.call, music.url, music.repeats) == (room.a_leg, "http://m/", True)
    leg.answered_by_peer()
    challenge = room.prompts[1]
    assert (challenge.call.leg, challenge.url, challenge.repeats) == (leg, "http://c/", False)
    challenge.on_end()
    assert room.a_leg.partner is None
    leg.report(LegMedia(DigitReceived(session_id=leg.session_id, digit="5", duration_ms=100)))
    assert room.a_leg.partner is challenge.call
    await room.settle()
    assert (music.is_stopped, room.commands(JoinRoom)) == (True, ["JoinRoom"])


async def test_party_that_cannot_be_joined_is_ended_and_the_document_goes_on(room: Room) -> None:
    (leg,) = await room.start()

    async def refuse(command: object) -> None:
        raise MediaError("another worker")

    leg.media = refuse  # type: ignore[method-assign]  # this one hears nothing
    leg.answered_by_peer()
    await room.settle()
    assert ("hangup",) in leg.asked
    assert [outcome.status for outcome, _ in room.outcomes] == [DialStatus.COMPLETED]
    hangup = (await room.told())[-1]
    assert hangup["DialBLegHangupCauseCode"] == "5010"


async def test_caller_who_heard_early_media_is_let_out_of_the_room(room: Room) -> None:
    (leg,) = await room.start(DialSpec((AGENT,), music="real"))
    leg.report(LegRinging(183, has_early_media=True))
    await room.settle()
    assert room.commands(JoinRoom | LeaveRoom) == ["JoinRoom"]
    leg.ended(LegEndKind.REFUSED, 486)
    await room.settle()
    assert room.commands(JoinRoom | LeaveRoom) == ["JoinRoom", "LeaveRoom"]
    assert len(room.outcomes) == 1
    assert room.a_leg.farewells == []


async def test_end_of_the_call_is_told_after_the_ends_of_its_parties(room: Room) -> None:
    (leg,) = await room.start()
    leg.answered_by_peer()
    room.a_leg.leg.ended()  # type: ignore[attr-defined]  # the leg is a fake
    leg.ended(LegEndKind.LOCAL_HANGUP)
    await room.a_leg.wait_over()
    assert await room.world.outbox() == ["dial", "dial", "dial", "hangup"]


async def test_party_that_never_ends_delays_the_record_for_a_moment_only(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.calls.live._FAREWELL_S", 0.01)
    (leg,) = await room.start()
    leg.answered_by_peer()
    b_leg = room.a_leg.partner
    assert b_leg is not None
    leg.hangs = True
    room.a_leg.leg.ended()  # type: ignore[attr-defined]  # the leg is a fake
    await asyncio.wait_for(room.a_leg.wait_over(), 5)
    for task in tuple(b_leg._tasks):
        task.cancel()
    leg.ended(LegEndKind.LOCAL_HANGUP)


async def test_call_that_is_over_dials_nobody(room: Room) -> None:
    room.a_leg.leg.ended()  # type: ignore[attr-defined]  # the leg is a fake
    with pytest.raises(NotFound):
        room.dials.start(room.a_leg.call_uuid, SPEC, lambda outcome, winner: None)


async def test_ring_tone_is_written_once(room: Room, tmp_path: Path) -> None:
    await room.start()
    (path,) = (tmp_path / "sounds").iterdir()
    assert path.name == "ring-back.wav"
    assert len(path.read_bytes()) == 44 + 2 * 6 * 8_000
