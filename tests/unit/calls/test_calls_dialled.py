"""Legs that a call's document dials: calls of their own, without a document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until
from tests.unit.calls.test_calls_service import ACCOUNT, Legs, Timeline, World, arrive
from tests.unit.calls.test_calls_service import world as parent_world

from ringback import clock
from ringback.accounts.store import ensure_account
from ringback.calls import store
from ringback.calls.live import LiveCall
from ringback.calls.service import CallService, CallSettings, NotDialled
from ringback.calls.views import CdrFilters, LiveCallFilters, MakeCall, Transfer
from ringback.errors import InvalidParameter
from ringback.ids import CallUuid
from ringback.numbers.trunks import Gateway, GatewayCredentials, Trunk
from ringback.storage.database import Database, StorageUnavailable

world = parent_world
WANTED = MakeCall("15550009999", "sip:human@127.0.0.1:5070", "", caller_name="Shop")


async def answered(world: World) -> LiveCall:
    await arrive(world)
    (call,) = world.flows
    await call.answer()
    return call


class Watcher:
    """Remembers what a call tells those who follow it."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def call_rang(self, call: LiveCall, *, has_early_media: bool) -> None:
        self.seen.append("rang")

    def call_answered(self, call: LiveCall) -> None:
        self.seen.append("answered")

    def digit_pressed(self, call: LiveCall, digit: str) -> None:
        self.seen.append(digit)

    def call_ended(self, call: LiveCall) -> None:
        assert call.ending is not None
        self.seen.append(f"ended {int(call.ending.code)}")


async def test_dialled_leg_is_a_call_of_its_own_that_names_its_parent_and_runs_no_document(world: World):
    parent = await answered(world)
    call = await world.calls.dial_leg(parent, WANTED, (GatewayCredentials("u", "p"),))
    watcher = Watcher()
    call.watchers.append(watcher)
    (dialled,) = world.legs.dialled
    assert (dialled.affinity, dialled.credentials[0].username) == (parent.leg.affinity, "u")
    view = await world.calls.live_call(ACCOUNT, call.call_uuid)
    assert view is not None
    assert (view.parent_call_uuid, view.direction.value) == ("call-1", "outbound")
    (leg,) = world.legs.legs
    leg.answered_by_peer()
    assert len(world.flows) == 1, "a dialled call ran a document"
    assert call.webhook_params()["ALegUUID"] == "call-1"
    leg.ended()
    await call.wait_over()
    assert watcher.seen == ["answered", "ended 4000"]
    records, _ = await world.calls.cdrs(ACCOUNT, CdrFilters(parent_call_uuid="call-1"), 20, 0)
    assert [record.call_uuid for record in records] == [call.call_uuid]


@pytest.mark.parametrize(
    ("to", "code"),
    [("sips:a@b", 2000), ("sip:@", 2000), ("15551234567", 5020)],
)
async def test_leg_that_cannot_be_dialled_has_its_record(world: World, to: str, code: int):
    parent = await answered(world)
    with pytest.raises(NotDialled) as refused:
        await world.calls.dial_leg(parent, replace(WANTED, to=to))
    assert refused.value.reason.code == code
    record = await world.calls.cdr(ACCOUNT, refused.value.call_uuid)
    assert record is not None
    assert (record.hangup_cause_code, record.parent_call_uuid) == (code, "call-1")
    assert world.legs.dialled == []


async def test_leg_beyond_the_calls_of_the_node_is_not_dialled(world: World):
    parent = await answered(world)
    made = await asyncio.gather(*(world.calls.dial_leg(parent, WANTED) for _ in range(3)), return_exceptions=True)
    refused = [each for each in made if isinstance(each, NotDialled)]
    assert [each.reason.code for each in refused] == [5030, 5030]
    assert len(world.legs.dialled) == 1


@pytest.fixture
async def shallow() -> AsyncIterator[World]:
    database = await Database.open("sqlite+aiosqlite:///:memory:")
    await database.write(lambda session: ensure_account(session, ACCOUNT.auth_id, ACCOUNT.auth_token))
    legs, timeline = Legs(), Timeline()
    calls = CallService(database, legs, timeline, CallSettings(hops_max=2))  # type: ignore[arg-type]
    yield World(calls, legs, timeline, database)
    await calls.close()
    await database.close()


async def test_a_fault_while_a_leg_is_dialled_leaves_a_record(world: World, monkeypatch: pytest.MonkeyPatch):
    parent = await answered(world)

    def broken(_request: object) -> object:
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(world.legs, "dial", broken)
    with pytest.raises(NotDialled) as refused:
        await world.calls.dial_leg(parent, WANTED)
    record = await world.calls.cdr(ACCOUNT, refused.value.call_uuid)
    assert record is not None
    assert (record.hangup_cause_code, record.hangup_source) == (5010, "Error")


async def test_record_of_a_leg_that_was_not_dialled_waits_for_a_database_that_refuses(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    parent = await answered(world)
    complete, refusals = store.complete_call, [StorageUnavailable("disk is full")]

    def refused_once(*arguments: Any, **columns: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return complete(*arguments, **columns)

    monkeypatch.setattr(store, "complete_call", refused_once)
    with pytest.raises(NotDialled) as refused:
        await world.calls.dial_leg(parent, replace(WANTED, to="sips:a@b"))
    while parent._tasks:
        await asyncio.wait(parent._tasks)
    assert await world.calls.cdr(ACCOUNT, refused.value.call_uuid) is not None


@pytest.fixture
async def paced() -> AsyncIterator[World]:
    database = await Database.open("sqlite+aiosqlite:///:memory:")
    await database.write(lambda session: ensure_account(session, ACCOUNT.auth_id, ACCOUNT.auth_token))
    legs, timeline = Legs(), Timeline()
    trunk = Trunk("carrier", gateways=(Gateway("203.0.113.5"),), numbers=("44",), max_cps=1)
    calls = CallService(database, legs, timeline, CallSettings(), (trunk,))  # type: ignore[arg-type]  # fakes
    yield World(calls, legs, timeline, database)
    await calls.close()
    await database.close()


BY_TRUNK = replace(WANTED, to="4420123", ring_timeout_s=1)


async def parent_on(world: World) -> LiveCall:
    made = await world.calls.make_call(ACCOUNT, replace(WANTED, answer_url="http://app/"))
    parent = world.calls.find(made.request_uuids[0])
    assert parent is not None
    return parent


async def test_legs_count_towards_the_pace_of_their_trunk_and_wait_for_it_no_longer_than_they_ring(
    paced: World, monkeypatch: pytest.MonkeyPatch
):
    parent = await parent_on(paced)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    first = await paced.calls.dial_leg(parent, BY_TRUNK)
    made = await paced.calls.make_call(ACCOUNT, replace(BY_TRUNK, answer_url="http://app/"))
    assert made.message == "call queued", "a leg took the trunk's turn of this second"
    second, third = await asyncio.gather(
        paced.calls.dial_leg(parent, BY_TRUNK), paced.calls.dial_leg(parent, BY_TRUNK), return_exceptions=True
    )
    assert isinstance(second, LiveCall)
    assert isinstance(third, NotDialled)
    assert third.reason.code == 5030
    assert [each.call_uuid for each in paced.legs.dialled[1:]] == [first.call_uuid, second.call_uuid]
    (waited,) = (fields for call, _, fields in paced.timeline.facts if call == second.call_uuid and "trunk" in fields)
    assert waited["queue_ms"] == 1000


async def test_a_leg_that_waits_and_is_not_wanted_any_more_is_never_dialled(
    paced: World, monkeypatch: pytest.MonkeyPatch
):
    parent = await parent_on(paced)
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now)
    await paced.calls.dial_leg(parent, BY_TRUNK)
    unwanted = asyncio.Event()
    waiting = asyncio.create_task(paced.calls.dial_leg(parent, BY_TRUNK, unwanted=unwanted))
    await until(lambda: any(fields.get("queue_ms") for _, _, fields in paced.timeline.facts), "the leg that waits")
    unwanted.set()
    with pytest.raises(NotDialled) as refused:
        await waiting
    assert refused.value.reason.code == 1000
    assert len(paced.legs.dialled) == 2
    # Another leg gets the moment of this one.
    reserved = paced.calls.outbound.queue.reserve_leg("carrier", 60_000)
    assert reserved is not None
    assert reserved[1] == 1_000


@pytest.mark.parametrize(("hops", "is_dialled"), [(1, True), (2, False)])
async def test_call_that_too_many_calls_lead_to_dials_nobody(shallow: World, hops: int, is_dialled: bool):
    made = await shallow.calls.make_call(ACCOUNT, replace(WANTED, answer_url="http://app/"))
    parent = shallow.calls.find(made.request_uuids[0])
    assert parent is not None
    parent.terms = replace(parent.terms, hops=hops)
    if is_dialled:
        assert (await shallow.calls.dial_leg(parent, WANTED)).terms.hops == hops
    else:
        with pytest.raises(NotDialled) as refused:
            await shallow.calls.dial_leg(parent, WANTED)
        assert refused.value.reason.code == 2060


@pytest.mark.parametrize(
    ("received", "sent"), [((), 69), ((("Max-Forwards", "12"),), 11), ((("Max-Forwards", "2"),), 1)]
)
async def test_dialled_leg_takes_over_the_hops_that_are_left(
    world: World, received: tuple[tuple[str, str], ...], sent: int
):
    parent = await answered(world)
    parent.leg.sip_headers = received
    await world.calls.dial_leg(parent, WANTED)
    assert world.legs.dialled[0].max_forwards == sent


async def test_call_with_no_hop_left_dials_nobody(world: World):
    parent = await answered(world)
    parent.leg.sip_headers = (("max-forwards", "1"),)
    with pytest.raises(NotDialled) as refused:
        await world.calls.dial_leg(parent, WANTED)
    assert refused.value.reason.code == 2060


async def test_call_through_our_own_door_counts_the_calls_that_lead_to_it(world: World):
    made = await world.calls.make_call(ACCOUNT, replace(WANTED, to="15550001000", answer_url="http://app/"))
    leg = FakeLeg("call-2")
    leg.sip_headers = (("X-CallUUID", made.request_uuids[0]),)
    world.calls.incoming(leg)  # type: ignore[arg-type]  # the fake has its methods
    await asyncio.gather(*world.calls._arrivals)
    found = world.calls.find(CallUuid("call-2"))
    assert found is not None
    assert found.terms.hops == 1


class Bridge:
    """Joins two calls without audio."""

    def __init__(self, a_leg: LiveCall, b_leg: LiveCall) -> None:
        self.legs = [a_leg, b_leg]
        self.detached: list[LiveCall] = []
        a_leg.bridge = b_leg.bridge = self

    def partner_of(self, call: LiveCall) -> LiveCall | None:
        return next((other for other in self.legs if other is not call), None)

    def detach(self, call: LiveCall) -> asyncio.Future[None]:
        self.detached.append(call)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done


class Listener:
    """A document that remembers its transfers."""

    def __init__(self) -> None:
        self.urls: list[str] = []

    def transfer_requested(self, url: str, method: str, *, is_fallback: bool = False) -> None:
        self.urls.append(url)

    def hung_up(self) -> None:
        pass


@pytest.mark.parametrize(
    ("legs", "named", "a_document", "b_document", "detached"),
    [
        ("aleg", "a", ["http://a/"], [], False),
        ("bleg", "a", [], ["http://b/"], True),
        ("both", "a", ["http://a/"], ["http://b/"], True),
        ("aleg", "b", [], ["http://a/"], True),
        ("bleg", "b", ["http://b/"], [], False),
        ("both", "b", ["http://b/"], ["http://a/"], True),
    ],
)
async def test_transfer_of_each_leg_whoever_is_named(
    world: World, legs: str, named: str, a_document: list[str], b_document: list[str], detached: bool
):
    a_leg = await answered(world)
    listener = Listener()
    a_leg.listen(listener)  # type: ignore[arg-type]  # the methods that a transfer needs
    b_leg = await world.calls.dial_leg(a_leg, WANTED)
    world.legs.legs[0].answered_by_peer()
    bridge = Bridge(a_leg, b_leg)
    started: list[str] = []
    world.calls.start_transfer = lambda call, url, method: started.append(url)
    call = a_leg if named == "a" else b_leg
    assert a_leg.partner is b_leg
    assert b_leg.partner is a_leg
    await world.calls.transfer(
        ACCOUNT, call.call_uuid, Transfer(legs, aleg_url="http://a/", bleg_url="http://b/", bleg_method="GET")
    )
    assert (listener.urls, started) == (a_document, b_document)
    assert (b_leg in bridge.detached) is detached


async def test_second_transfer_of_a_dialled_leg_replaces_the_first(world: World):
    a_leg = await answered(world)
    b_leg = await world.calls.dial_leg(a_leg, WANTED)
    world.legs.legs[0].answered_by_peer()
    Bridge(a_leg, b_leg)
    started: list[str] = []
    world.calls.start_transfer = lambda call, url, method: started.append(url)
    for url in ("http://first/", "http://second/"):
        await world.calls.transfer(ACCOUNT, b_leg.call_uuid, Transfer("aleg", url))
    listener = Listener()
    b_leg.listen(listener)  # type: ignore[arg-type]  # the methods that a transfer needs
    assert (started, listener.urls) == (["http://first/"], ["http://second/"])


async def test_leg_that_is_being_dialled_cannot_be_transferred(world: World):
    parent = await answered(world)
    call = await world.calls.dial_leg(parent, WANTED)
    assert call.call_uuid in await world.calls.live_call_uuids(ACCOUNT, LiveCallFilters(queued=True))
    with pytest.raises(InvalidParameter, match="being dialled"):
        await world.calls.transfer(ACCOUNT, call.call_uuid, Transfer("aleg", "http://a/"))
