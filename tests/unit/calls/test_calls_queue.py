"""Calls that wait: durable, in order, cancelled, given up, and dialled by the next server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until

from ringback import clock
from ringback.accounts.account import Account
from ringback.accounts.models import AccountRow
from ringback.accounts.store import ensure_account
from ringback.calls import pace
from ringback.calls.models import CallRow, QueuedCallRow
from ringback.calls.service import CallService, CallSettings
from ringback.calls.views import LiveCallFilters, LiveStatus, MakeCall
from ringback.errors import InvalidParameter, LimitReached, NotAllowed
from ringback.ids import AccountId, CallUuid
from ringback.machine import SECOND
from ringback.numbers.trunks import Gateway, Trunk
from ringback.signalling.events import DialRequest
from ringback.storage.database import Database, Session, StorageUnavailable
from ringback.webhooks.models import OutboxRow

ACCOUNT = Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token-of-the-account")
OTHER = Account(AccountId("MA000000000000000001"), "another")
SLOW = Trunk("slow", gateways=(Gateway("203.0.113.5"),), numbers=("44",), max_cps=1)


@dataclass
class Timeline:
    facts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def record(self, call_uuid: str, kind: str, fields: Any) -> None:
        self.facts.append((call_uuid, kind, dict(fields)))

    def states(self, call_uuid: str) -> list[str]:
        return [fields["state"] for uuid, kind, fields in self.facts if uuid == call_uuid and kind == "call"]


class Legs:
    def __init__(self) -> None:
        self.dialled: list[DialRequest] = []
        self.legs: list[FakeLeg] = []
        self.is_full = False
        self.overloaded = False
        self.on_dial: Callable[[], None] = lambda: None

    def is_overloaded(self, _coming: int = 0) -> bool:
        return self.overloaded

    def has_room(self, _trunk_name: str, _coming: int = 0) -> bool:
        return not self.is_full

    def dial(self, request: DialRequest) -> FakeLeg:
        self.on_dial()
        self.dialled.append(request)
        leg = FakeLeg(request.call_uuid)
        self.legs.append(leg)
        return leg


@dataclass
class Node:
    calls: CallService
    legs: Legs
    timeline: Timeline
    database: Database

    async def queued(self, account: Account = ACCOUNT) -> list[CallUuid]:
        return await self.calls.live_call_uuids(account, LiveCallFilters(queued=True))

    async def until_dialled(self, count: int) -> list[str]:
        await until(lambda: len(self.legs.dialled) >= count, f"{count} calls dialled")
        return [request.request_uri for request in self.legs.dialled]

    async def rows(self) -> tuple[list[str], int, list[str]]:
        """Return the states of calls, how many rows the queue has, and the kinds of callbacks."""

        def work(session: Session) -> tuple[list[str], int, list[str]]:
            return (
                [row.state for row in session.query(CallRow).order_by(CallRow.initiated_wall_ms)],
                session.query(QueuedCallRow).count(),
                [row.kind for row in session.query(OutboxRow).order_by(OutboxRow.id)],
            )

        return await self.database.read(work)


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    database = await Database.open("sqlite+aiosqlite:///:memory:")
    for account in (ACCOUNT, OTHER):
        await database.write(lambda session, account=account: ensure_account(session, account.auth_id, "token"))
    yield database
    await database.close()


@asynccontextmanager
async def node_on(database: Database, *, starts: bool = True, **settings: Any) -> AsyncIterator[Node]:
    """A server's calls; `starts=False` leaves the queue standing."""
    legs, timeline = Legs(), Timeline()
    calls = CallService(database, legs, timeline, CallSettings(**settings), (SLOW,))  # type: ignore[arg-type]
    await calls.close_orphans()
    if starts:
        await calls.outbound.queue.start()
    yield Node(calls, legs, timeline, database)
    await calls.close()


def wanted(name: str = "a", **more: Any) -> MakeCall:
    return MakeCall("15550009999", f"sip:{name}@127.0.0.1", "http://app/", **more)


def many(count: int, **more: Any) -> list[MakeCall]:
    return [wanted(f"a{index}", **more) for index in range(count)]


async def test_many_calls_are_stored_queued_and_dialled_in_order(database: Database):
    async with node_on(database) as node:
        made = await node.calls.make_calls(ACCOUNT, many(5))
        assert made.message == "calls fired"
        assert len(set(made.request_uuids)) == 5
        uris = await node.until_dialled(5)
        assert uris == [f"sip:a{index}@127.0.0.1" for index in range(5)]
        assert [request.call_uuid for request in node.legs.dialled] == list(made.request_uuids)
        assert node.timeline.states(made.request_uuids[0]) == ["queued", "dialling"]
        (dialling,) = [f for u, _, f in node.timeline.facts if u == made.request_uuids[0] and f["state"] == "dialling"]
        assert dialling["queue_ms"] >= 0
        assert await node.rows() == (["dialling"] * 5, 0, [])


async def test_more_calls_than_the_pace_wait_for_their_turn(database: Database):
    async with node_on(database, outbound_per_second=2) as node:
        made = [await node.calls.make_call(ACCOUNT, wanted(f"a{index}")) for index in range(3)]
        assert [each.message for each in made] == ["call fired", "call fired", "call queued"]
        (waiting,) = made[2].request_uuids
        assert (await node.queued())[0] == waiting
        view = await node.calls.live_call(ACCOUNT, waiting)
        assert view is not None
        assert (view.status, view.to_number) == (LiveStatus.QUEUED, "sip:a2@127.0.0.1")
        assert await node.calls.live_call(OTHER, waiting) is None
        assert await node.calls.has_call(ACCOUNT, waiting)
        assert (await node.calls.make_call(OTHER, wanted("b"))).message == "call fired"
        assert await node.until_dialled(4)
        assert node.legs.dialled[-1].call_uuid == waiting


async def test_a_trunk_has_a_pace_of_its_own(database: Database, monkeypatch: pytest.MonkeyPatch):
    # On a busy machine the second call may come a second after the first.
    monkeypatch.setattr(pace, "SECOND", 60 * SECOND)
    async with node_on(database) as node:
        request = MakeCall("15550009999", "447700900123", "http://app/")
        made = [await node.calls.make_call(account, request) for account in (ACCOUNT, OTHER)]
        assert [each.message for each in made] == ["call fired", "call queued"]
        assert (await node.calls.make_call(OTHER, wanted())).message == "call fired"


async def test_calls_that_wait_are_dialled_by_the_next_server_in_order(database: Database):
    async with node_on(database, starts=False) as node:
        await node.calls.make_calls(ACCOUNT, many(3, hangup_url="http://app/h", sip_headers=(("A", "b"),)))
        assert node.legs.dialled == []
    async with node_on(database) as node:
        assert await node.until_dialled(3) == [f"sip:a{index}@127.0.0.1" for index in range(3)]
        assert node.legs.dialled[0].custom_headers == (("A", "b"),)
        assert (await node.rows())[:2] == (["dialling"] * 3, 0)


async def test_a_server_that_dies_between_taking_out_and_dialling_never_dials_twice(database: Database):
    async with node_on(database) as node:
        died = asyncio.Event()

        async def die(*_args: object) -> None:
            died.set()
            raise asyncio.CancelledError

        node.calls.outbound.queue._dial = die
        (uuid,) = (await node.calls.make_calls(ACCOUNT, many(2, hangup_url="http://app/h"))).request_uuids[:1]
        await died.wait()
        await asyncio.sleep(0)
    async with node_on(database) as node:
        record = await node.calls.cdr(ACCOUNT, uuid)
        assert record is not None
        assert record.hangup_cause_code == 5010
        assert "hangup" in (await node.rows())[2]
        assert uuid not in [request.call_uuid for request in node.legs.dialled]


@pytest.mark.parametrize("verb", ["hangup_call", "cancel_request"])
async def test_a_waiting_call_is_cancelled(database: Database, verb: str):
    async with node_on(database, starts=False) as node:
        made = await node.calls.make_calls(ACCOUNT, many(2, hangup_url="http://app/h"))
        first, second = made.request_uuids
        assert not await getattr(node.calls, verb)(OTHER, first)
        assert await getattr(node.calls, verb)(ACCOUNT, first)
        assert not await getattr(node.calls, verb)(ACCOUNT, first)
        assert await node.queued() == [second]
        record = await node.calls.cdr(ACCOUNT, first)
        assert record is not None
        assert (record.hangup_cause_code, record.hangup_source, record.call_state) == (1000, "API Request", "CANCEL")
        assert node.timeline.states(first) == ["queued", "ended"]
        assert await node.rows() == (["ended", "queued"], 1, ["hangup"])


async def test_hanging_up_everything_empties_the_queue_of_the_account_alone(database: Database):
    async with node_on(database, starts=False) as node:
        await node.calls.make_calls(ACCOUNT, many(3))
        await node.calls.make_call(ACCOUNT, wanted("live"))
        others = await node.calls.make_calls(OTHER, many(2))
        assert await node.calls.hangup_all(ACCOUNT) == 4
        assert await node.queued() == []
        assert await node.queued(OTHER) == list(others.request_uuids)[::-1]
        assert node.calls.live_count == 0


async def test_a_call_cancelled_while_it_is_taken_out_is_never_dialled_or_ends_at_once(database: Database):
    async with node_on(database) as node:
        made = await node.calls.make_calls(ACCOUNT, many(3, hangup_url="http://app/h"))
        # The queue is just taking them out: none waits in its lane any more.
        await asyncio.sleep(0)
        done = await asyncio.gather(*(node.calls.hangup_call(ACCOUNT, uuid) for uuid in made.request_uuids))
        assert done == [True] * 3
        records = [await node.calls.cdr(ACCOUNT, uuid) for uuid in made.request_uuids]
        assert {record.hangup_cause_code for record in records if record} == {1000}
        assert (await node.rows())[2] == ["hangup"] * 3


async def test_a_full_node_keeps_calls_waiting_until_one_ends(database: Database):
    async with node_on(database, maximum_calls=2) as node:
        made = await node.calls.make_calls(ACCOUNT, many(3))
        await node.until_dialled(2)
        await asyncio.sleep(0.05)
        assert len(node.legs.dialled) == 2
        assert (await node.queued())[0] == made.request_uuids[2]
        with pytest.raises(LimitReached):
            await node.calls.make_call(ACCOUNT, wanted())
        assert await node.calls.hangup_call(ACCOUNT, made.request_uuids[0])
        await node.until_dialled(3)


async def test_calls_wait_while_the_workers_have_no_capacity_and_start_in_order(database: Database):
    async with node_on(database) as node:
        node.legs.overloaded = True
        made = [await node.calls.make_call(ACCOUNT, wanted(f"a{index}")) for index in range(2)]
        assert [each.message for each in made] == ["call queued", "call queued"]
        (waits,) = [fields for uuid, _, fields in node.timeline.facts if uuid == made[0].request_uuids[0]]
        assert waits["waits_for"] == "capacity of the media workers"
        assert node.legs.dialled == []
        node.legs.overloaded = False
        assert await node.until_dialled(2) == ["sip:a0@127.0.0.1", "sip:a1@127.0.0.1"]


async def test_a_call_that_comes_when_capacity_returns_stands_behind_those_that_waited(database: Database):
    async with node_on(database, starts=False) as node:
        node.legs.overloaded = True
        await node.calls.make_call(ACCOUNT, wanted("a"))
        # What the queue does at each look.
        assert not node.calls.outbound._has_room("")
        node.legs.overloaded = False
        assert (await node.calls.make_call(OTHER, wanted("b"))).message == "call queued"
        assert node.calls.outbound._has_room("")
        assert (await node.calls.make_call(OTHER, wanted("c"))).message == "call queued", "its lane is not empty"


async def test_the_queue_of_calls_that_wait_for_capacity_is_bounded(database: Database):
    async with node_on(database, queue_max=2) as node:
        node.legs.overloaded = True
        await node.calls.make_calls(ACCOUNT, many(2))
        with pytest.raises(LimitReached, match="2 calls wait for their turn, at most 2"):
            await node.calls.make_call(ACCOUNT, wanted())
        assert node.legs.dialled == []


async def test_the_queue_holds_so_many_calls_and_not_one_more(database: Database):
    async with node_on(database, starts=False, queue_max=3) as node:
        with pytest.raises(LimitReached, match="0 calls wait for their turn, at most 3"):
            await node.calls.make_calls(ACCOUNT, many(4))
        await node.calls.make_calls(ACCOUNT, many(3))
        with pytest.raises(LimitReached):
            await node.calls.make_call(ACCOUNT, wanted())
        assert len(await node.queued()) == 3


async def test_one_wrong_destination_refuses_all(database: Database):
    async with node_on(database, allowed_prefixes=("44",)) as node:
        for bad, error in (("sips:x@h", InvalidParameter), ("15551234567", NotAllowed)):
            with pytest.raises(error):
                await node.calls.make_calls(ACCOUNT, [*many(2), MakeCall("1", bad, "http://app/")])
        assert await node.rows() == ([], 0, [])


async def test_a_way_that_vanished_while_the_call_waited_is_told_by_its_record(database: Database):
    async with node_on(database, starts=False) as node:
        request = MakeCall("1555", "447700900123", "http://app/", hangup_url="http://app/h")
        uuids = (await node.calls.make_calls(ACCOUNT, [request, wanted()])).request_uuids
    legs, timeline = Legs(), Timeline()
    later = CallService(database, legs, timeline, CallSettings())  # type: ignore[arg-type]
    node = Node(later, legs, timeline, database)
    await later.outbound.queue.start()
    await node.until_dialled(1)
    await later.outbound.queue.close()
    record = await later.cdr(ACCOUNT, uuids[0])
    assert record is not None
    assert record.hangup_cause_code == 5020
    assert (await node.rows())[2] == ["hangup"]
    await later.close()


async def test_a_call_that_waited_too_long_is_given_up(database: Database, monkeypatch: pytest.MonkeyPatch):
    async with node_on(database, starts=False, queue_patience_s=60) as node:
        made = await node.calls.make_calls(ACCOUNT, many(2, hangup_url="http://app/h"))
        later_ms = node.calls.outbound.queue.find(made.request_uuids[0]).queued_wall_ms + 61_000  # type: ignore[union-attr]
    monkeypatch.setattr("ringback.clock.wall_ms", lambda: later_ms)
    async with node_on(database, queue_patience_s=60) as node:
        await until(lambda: not len(node.calls.outbound.queue), "an empty queue")
        record = await node.calls.cdr(ACCOUNT, made.request_uuids[0])
        assert record is not None
        assert (record.hangup_cause_code, record.hangup_source) == (1000, "Plivo")
        assert node.legs.dialled == []
        assert (await node.rows())[2] == ["hangup"] * 2


async def test_a_queue_that_cannot_give_calls_up_rests_between_its_tries(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    async with node_on(database, starts=False, queue_patience_s=60) as node:
        await node.calls.make_calls(ACCOUNT, many(2))
        later_ms = clock.wall_ms() + 61_000
        tries = 0

        async def refuse(_work: Any) -> None:
            nonlocal tries
            tries += 1
            raise StorageUnavailable("disk full")

        with monkeypatch.context() as patch:
            patch.setattr("ringback.clock.wall_ms", lambda: later_ms)
            patch.setattr(database, "write", refuse)
            patch.setattr("ringback.calls.queue._STORE_PAUSE_S", 60)
            runner = asyncio.create_task(node.calls.outbound.queue._run())
            for _ in range(200):
                await asyncio.sleep(0)
            runner.cancel()
            await asyncio.gather(runner, return_exceptions=True)
        assert tries == 1


async def test_what_cannot_be_dialled_after_a_restart_gets_its_record(database: Database):
    async with node_on(database, starts=False) as node:
        await node.calls.make_calls(ACCOUNT, many(1, hangup_url="http://app/h"))
        off = await node.calls.make_calls(OTHER, many(2))

    def spoil(session: Session) -> None:
        session.query(QueuedCallRow).filter(QueuedCallRow.account_id == ACCOUNT.auth_id).update({"request": "{}"})
        session.query(AccountRow).filter(AccountRow.auth_id == OTHER.auth_id).update({"is_enabled": False})

    await database.write(spoil)
    async with node_on(database) as node:
        assert await node.rows() == (["ended"] * 3, 0, ["hangup"])
        record = await node.calls.cdr(OTHER, off.request_uuids[0])
        assert record is not None
        assert record.hangup_cause_code == 5010
        assert node.legs.dialled == []


async def test_a_cancellation_that_cannot_be_stored_is_refused_and_the_call_waits_on(
    database: Database, monkeypatch: pytest.MonkeyPatch
):
    async with node_on(database, starts=False) as node:
        (uuid, _) = (await node.calls.make_calls(ACCOUNT, many(2))).request_uuids

        async def refuse(_work: Any) -> None:
            raise StorageUnavailable("busy")

        with monkeypatch.context() as patch:
            patch.setattr(database, "write", refuse)
            with pytest.raises(StorageUnavailable):
                await node.calls.hangup_call(ACCOUNT, uuid)
        assert uuid in await node.queued()
        assert await node.calls.hangup_call(ACCOUNT, uuid)
        assert uuid not in await node.queued()


async def test_many_waiting_calls_are_cancelled_together(database: Database):
    async with node_on(database, starts=False) as node:
        await node.calls.make_calls(ACCOUNT, many(250))
        assert await node.calls.hangup_all(ACCOUNT) == 250
        assert await node.queued() == []
        assert (await node.rows())[:2] == (["ended"] * 250, 0)


async def test_a_turn_that_fails_does_not_stop_the_queue(database: Database, monkeypatch: pytest.MonkeyPatch):
    async with node_on(database) as node:
        queue = node.calls.outbound.queue
        begin, failures = queue._begin_due, iter([True])

        def fail_once() -> None:
            if next(failures, False):
                raise ZeroDivisionError
            begin()

        monkeypatch.setattr(queue, "_begin_due", fail_once)
        await node.calls.make_calls(ACCOUNT, many(2))
        await until(lambda: next(failures, None) is None, "the failure")
        queue.wake()
        assert len(await node.until_dialled(2)) == 2


async def test_a_database_that_refuses_only_delays(database: Database, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringback.calls.queue._STORE_PAUSE_S", 0)
    async with node_on(database, starts=False) as node:
        await node.calls.make_calls(ACCOUNT, many(2))
        write, refusals = database.write, iter([True, True, True])

        async def refuse(work: Any) -> Any:
            if next(refusals, False):
                raise StorageUnavailable("busy")
            return await write(work)

        monkeypatch.setattr(database, "write", refuse)
        node.calls.outbound.queue._runner = asyncio.create_task(node.calls.outbound.queue._run())
        assert await node.until_dialled(2)
        assert len(node.legs.dialled) == 2
