from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import pytest
from tests.support.fake_leg import FakeLeg

from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.store import create_subaccount, ensure_account, ensure_application, find_account
from ringback.billing.rating import RateTable
from ringback.calls.hangup import HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.models import CallRow
from ringback.calls.service import CallService, CallSettings
from ringback.calls.views import CallDirection, CdrFilters, LiveCallFilters, LiveStatus, MakeCall, Transfer
from ringback.errors import InvalidParameter, LimitReached, NotFound
from ringback.ids import AccountId, AppId, CallUuid
from ringback.machine import MS, SECOND, Instant
from ringback.numbers.store import ensure_number
from ringback.numbers.trunks import Gateway, GatewayCredentials, Trunk
from ringback.signalling.errors import TooManyLegs
from ringback.signalling.events import DialRequest, LegEndKind, LegRinging
from ringback.storage.database import Database, Session
from ringback.webhooks.models import OutboxRow
from ringback.webhooks.store import list_callbacks

ACCOUNT = Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token-of-the-account")
OTHER = Account(AccountId("MA000000000000000001"), "another")


@dataclass
class Timeline:
    facts: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)

    def record(self, call_uuid: str, kind: str, fields: Any) -> None:
        self.facts.append((call_uuid, kind, dict(fields)))


class Legs:
    def __init__(self) -> None:
        self.dialled: list[DialRequest] = []
        self.legs: list[FakeLeg] = []
        self.is_full = False
        self.overloaded = False
        self.live_count = 0

    def is_overloaded(self, _coming: int = 0) -> bool:
        return self.overloaded

    def has_room(self, trunk_name: str, coming: int = 0) -> bool:
        return not self.is_full

    def dial(self, request: DialRequest) -> FakeLeg:
        if self.is_full:
            raise TooManyLegs("2 legs are live, at most 2")
        self.dialled.append(request)
        leg = FakeLeg(request.call_uuid)
        self.legs.append(leg)
        return leg


@dataclass
class World:
    calls: CallService
    legs: Legs
    timeline: Timeline
    database: Database
    flows: list[LiveCall] = field(default_factory=list)

    async def outbox(self) -> list[str]:
        def work(session: Session) -> list[str]:
            return [row.kind for row in session.query(OutboxRow).order_by(OutboxRow.id)]

        return await self.database.read(work)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    database = await Database.open("sqlite+aiosqlite:///:memory:")

    def fill(session: Session) -> None:
        ensure_account(session, ACCOUNT.auth_id, ACCOUNT.auth_token)
        ensure_account(session, OTHER.auth_id, OTHER.auth_token)
        app = ensure_application(
            session,
            Application(
                AppId("12345678901234567"),
                ACCOUNT.auth_id,
                "echo",
                answer_url="http://app/",
                hangup_url="http://app/hangup",
            ),
        )
        ensure_number(session, "15550001000", ACCOUNT.auth_id, app.app_id)

    await database.write(fill)
    legs, timeline = Legs(), Timeline()
    trunk = Trunk(
        "carrier",
        gateways=(Gateway("203.0.113.5"),),
        numbers=("44",),
        credentials=(GatewayCredentials("u", "p"),),
        caller_id="4930123",
        ringing_timeout_ms=30_000,
    )
    calls = CallService(database, legs, timeline, CallSettings(maximum_calls=2), (trunk,))  # type: ignore[arg-type]
    found = World(calls, legs, timeline, database)
    calls.start_flow = found.flows.append
    yield found
    await calls.close()
    await database.close()


async def arrive(world: World, callee: str = "15550001000") -> FakeLeg:
    leg = FakeLeg("call-1", callee=callee)
    world.calls.incoming(leg)  # type: ignore[arg-type]  # the fake has its methods
    await asyncio.gather(*world.calls._arrivals)
    await asyncio.sleep(0)
    return leg


async def test_an_incoming_call_runs_the_application_of_its_number(world: World):
    leg = await arrive(world)
    (call,) = world.flows
    assert call.terms.answer_url == "http://app/"
    assert call.terms.sip_headers == (("To", "<sip:15550001000@x>"),)
    view = await world.calls.live_call(ACCOUNT, CallUuid("call-1"))
    assert view is not None
    assert (view.status, view.direction) == (LiveStatus.RINGING, CallDirection.INBOUND)
    await call.answer()
    assert call.answered_at is not None
    call.answered_at = Instant(call.answered_at - 27 * SECOND + 1000 * MS // 2)
    leg.ended(LegEndKind.REMOTE_HANGUP)
    await call.wait_over()
    record = await world.calls.cdr(ACCOUNT, CallUuid("call-1"))
    assert record is not None
    assert (record.hangup_cause_code, record.hangup_source, record.call_state) == (4000, "Caller", "ANSWER")
    assert (record.call_duration_s, record.billed_duration_s) == (27, 60)
    assert await world.outbox() == ["hangup"]
    assert world.calls.live_count == 0
    assert await world.calls.cdr(OTHER, CallUuid("call-1")) is None


async def test_a_call_is_an_accounts_from_its_first_moment_to_its_record(world: World):
    uuid = CallUuid("call-1")
    assert await world.calls.is_nobodys(uuid)
    leg = await arrive(world)
    assert not await world.calls.is_nobodys(uuid)
    leg.ended(LegEndKind.REMOTE_HANGUP)
    await world.flows[0].wait_over()
    assert not await world.calls.is_nobodys(uuid)


async def test_what_a_call_costs_is_the_same_in_callbacks_and_record(world: World):
    rated(world)
    leg = await arrive(world)
    (call,) = world.flows
    assert call.webhook_params()["BillRate"] == "0.00850"
    await call.answer()
    assert call.answered_at is not None
    call.answered_at = Instant(call.answered_at - 61 * SECOND)
    leg.ended(LegEndKind.REMOTE_HANGUP)
    await call.wait_over()
    told = call.hangup_params()
    assert (told["BillRate"], told["TotalCost"], told["BillDuration"]) == ("0.00850", "0.01700", "120")
    record = await world.calls.cdr(ACCOUNT, CallUuid("call-1"))
    assert record is not None
    assert (record.total_rate, record.total_amount, record.billed_duration_s) == ("0.00850", "0.01700", 120)


async def test_a_call_that_was_not_answered_costs_nothing_at_any_rate(world: World):
    rated(world)
    leg = await arrive(world)
    (call,) = world.flows
    leg.ended(LegEndKind.REMOTE_HANGUP)
    await call.wait_over()
    assert (call.hangup_params()["BillRate"], call.hangup_params()["TotalCost"]) == ("0.00850", "0.00000")
    record = await world.calls.cdr(ACCOUNT, CallUuid("call-1"))
    assert record is not None
    assert (record.total_rate, record.total_amount) == ("0.00850", "0.00000")


def rated(world: World) -> None:
    """Let calls cost 0.0085 a minute, and numbers have a `+`."""
    rates = RateTable(call_per_minute=Decimal("0.0085"))
    world.calls.settings = replace(world.calls.settings, rates=rates, has_plus=True)


async def test_a_number_without_application_is_refused_with_404_and_a_fix(world: World):
    leg = await arrive(world, "15559999999")
    assert leg.asked == [("reject", 404, "Not Found")]
    assert "app_id" in world.timeline.facts[-1][2]["fix"]
    assert world.calls.live_count == 0


async def test_call_n_plus_one_is_refused_with_503(world: World):
    for _ in range(2):
        await world.calls.make_call(ACCOUNT, MakeCall("1555", "sip:a@127.0.0.1", "http://app/"))
    leg = await arrive(world)
    assert leg.asked[0][:2] == ("reject", 503)
    with pytest.raises(LimitReached):
        await world.calls.make_call(ACCOUNT, MakeCall("1555", "sip:a@127.0.0.1", "http://app/"))


async def test_a_made_call_lives_under_its_request_id_until_its_record_is_written(world: World):
    request = MakeCall(
        "15550009999", "sip:agent@127.0.0.1:5070", "http://app/", ring_url="http://app/ring", hangup_url="http://app/h"
    )
    made = await world.calls.make_call(ACCOUNT, request)
    (uuid,) = made.request_uuids
    assert world.legs.dialled[0].request_uri == "sip:agent@127.0.0.1:5070"
    assert await world.calls.live_call_uuids(ACCOUNT, LiveCallFilters(queued=True)) == [uuid]
    assert await world.calls.live_call_uuids(ACCOUNT, LiveCallFilters()) == []
    (leg,) = world.legs.legs
    leg.report(LegRinging(180, has_early_media=False))
    assert await world.calls.live_call_uuids(ACCOUNT, LiveCallFilters()) == [uuid]
    assert await world.calls.live_call_uuids(OTHER, LiveCallFilters()) == []
    assert world.flows == []
    leg.answered_by_peer()
    assert [call.call_uuid for call in world.flows] == [uuid]
    assert await world.calls.hangup_call(ACCOUNT, uuid)
    assert not await world.calls.hangup_call(ACCOUNT, uuid)
    record = await world.calls.cdr(ACCOUNT, uuid)
    assert record is not None
    assert (record.hangup_cause_code, record.hangup_source) == (4000, "API Request")
    assert await world.outbox() == ["ring", "hangup"]


async def test_numbers_leave_by_the_trunk_with_its_caller_id_and_credentials(world: World):
    await world.calls.make_call(ACCOUNT, MakeCall("15550009999", "447700900123", "http://app/"))
    (dial,) = world.legs.dialled
    assert dial.request_uri == "sip:+447700900123@203.0.113.5"
    assert (dial.from_uri, dial.trunk_name) == ("4930123", "carrier")
    assert dial.credentials[0].username == "u"
    assert dial.ring_timeout_ms == 30_000
    request = MakeCall("15550009999", "447700900123", "http://app/", ring_timeout_s=7)
    await world.calls.make_call(ACCOUNT, request)
    assert world.legs.dialled[-1].ring_timeout_ms == 7_000


async def test_own_numbers_are_called_through_our_own_door(world: World):
    await world.calls.make_call(ACCOUNT, MakeCall("15550009999", "15550001000", "http://app/"))
    assert world.legs.dialled[0].request_uri == "sip:15550001000@127.0.0.1:5060"


@pytest.mark.parametrize(
    "to", ["15551234567", "sips:a@example.com", "sip:@", "sip:a@[zz", "sip:a@h:99999", "sip:a@127.0.0.1?Subject=x"]
)
async def test_unreachable_destinations_are_refused_before_anything_is_stored(world: World, to: str):
    with pytest.raises(InvalidParameter, match="to parameter is invalid"):
        await world.calls.make_call(ACCOUNT, MakeCall("15550009999", to, "http://app/"))
    assert world.legs.dialled == []
    assert (await world.calls.cdrs(ACCOUNT, CdrFilters(), 20, 0))[1] == 0


@pytest.mark.parametrize("caller", ["a:b", "a@@b:c", "http://x", "sip:@", "sip:a@h?x=y"])
async def test_a_caller_that_cannot_stand_in_an_invite_is_refused_before_anything_is_stored(world: World, caller: str):
    with pytest.raises(InvalidParameter, match="from parameter is invalid"):
        await world.calls.make_call(ACCOUNT, MakeCall(caller, "sip:a@127.0.0.1", "http://app/"))
    assert world.legs.dialled == []
    assert (await world.calls.cdrs(ACCOUNT, CdrFilters(), 20, 0))[1] == 0


async def test_requests_that_arrive_together_do_not_pass_the_bound_together(world: World):
    wanted = MakeCall("1555", "sip:a@127.0.0.1", "http://app/")
    made = await asyncio.gather(*(world.calls.make_call(ACCOUNT, wanted) for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(each, LimitReached) for each in made) == 3
    assert len(world.legs.dialled) == 2


async def test_a_dial_that_fails_by_a_fault_of_ours_leaves_a_record(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(world.legs, "dial", lambda request: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        await world.calls.make_call(ACCOUNT, MakeCall("1", "sip:a@127.0.0.1", "http://app/"))
    (record,), _ = await world.calls.cdrs(ACCOUNT, CdrFilters(), 20, 0)
    assert record.hangup_cause_code == 5010
    assert world.calls.live_count == 0


async def test_an_unknown_parent_is_refused_only_when_asked(world: World):
    request = MakeCall("1", "sip:a@127.0.0.1", "http://app/", parent_call_uuid="nobody")
    await world.calls.make_call(ACCOUNT, request)
    with pytest.raises(InvalidParameter, match="parent_call_uuid"):
        await world.calls.make_call(
            ACCOUNT,
            MakeCall("1", "sip:a@127.0.0.1", "http://app/", parent_call_uuid="nobody", error_if_parent_not_found=True),
        )


async def test_a_full_node_refuses_and_leaves_a_record(world: World):
    world.legs.is_full = True
    with pytest.raises(LimitReached):
        await world.calls.make_call(ACCOUNT, MakeCall("1", "sip:a@127.0.0.1", "http://app/"))
    records, total = await world.calls.cdrs(ACCOUNT, CdrFilters(), 20, 0)
    assert total == 1
    assert records[0].hangup_cause_code == 5030
    assert world.calls.live_count == 0


async def test_cancel_works_only_before_the_answer(world: World):
    (uuid,) = (await world.calls.make_call(ACCOUNT, MakeCall("1", "sip:a@127.0.0.1", "http://app/"))).request_uuids
    assert not await world.calls.cancel_request(OTHER, uuid)
    world.legs.legs[0].answered_by_peer()
    assert not await world.calls.cancel_request(ACCOUNT, uuid)
    (second,) = (await world.calls.make_call(ACCOUNT, MakeCall("1", "sip:a@127.0.0.1", "http://app/"))).request_uuids
    assert await world.calls.cancel_request(ACCOUNT, second)
    record = await world.calls.cdr(ACCOUNT, second)
    assert record is not None
    assert record.hangup_cause_code == 1000


async def test_transfer_needs_a_live_call_and_its_a_leg(world: World):
    with pytest.raises(NotFound):
        await world.calls.transfer(ACCOUNT, CallUuid("none"), Transfer("aleg", "http://new/"))
    await arrive(world)
    with pytest.raises(InvalidParameter, match="no B leg"):
        await world.calls.transfer(ACCOUNT, CallUuid("call-1"), Transfer("bleg", bleg_url="http://new/"))
    await world.calls.transfer(ACCOUNT, CallUuid("call-1"), Transfer("aleg", "http://new/", "GET"))


async def test_calls_left_open_by_an_earlier_server_get_their_record_and_callback(world: World):
    await arrive(world)
    (call,) = world.flows
    await call.answer()
    while call._tasks:
        await asyncio.wait(call._tasks)
    later = CallService(world.database, world.legs, world.timeline, CallSettings())  # type: ignore[arg-type]
    rated(World(later, world.legs, world.timeline, world.database))
    assert await later.close_orphans() == ["dialog of call-1"], "the far party still waits"
    assert await later.close_orphans() == []
    record = await later.cdr(ACCOUNT, CallUuid("call-1"))
    assert record is not None
    assert record.hangup_cause_code == 5010
    assert record.total_rate == "0.00850"
    assert await world.outbox() == ["hangup"]
    [told] = await world.database.read(lambda session: list_callbacks(session, ACCOUNT.auth_id))
    assert dict(told.pairs)["TotalCost"] == record.total_amount
    assert dict(told.pairs)["To"] == "+15550001000"


async def test_records_are_filtered_and_paged(world: World):
    for index in range(3):
        request = MakeCall("1555", f"sip:a{index}@127.0.0.1", "http://app/")
        (uuid,) = (await world.calls.make_call(ACCOUNT, request)).request_uuids
        kind = LegEndKind.REFUSED if index else LegEndKind.RING_TIMEOUT
        call = world.calls.find(uuid)
        assert call is not None
        world.legs.legs[-1].ended(kind, 486)
        await call.wait_over()
    records, total = await world.calls.cdrs(ACCOUNT, CdrFilters(hangup_cause_code=3010), 1, 0)
    assert (len(records), total) == (1, 2)
    assert (await world.calls.cdrs(ACCOUNT, CdrFilters(to_number="sip:a0"), 20, 0))[1] == 1
    assert (await world.calls.cdrs(ACCOUNT, CdrFilters(direction=CallDirection.INBOUND), 20, 0))[1] == 0
    assert (await world.calls.cdrs(OTHER, CdrFilters(), 20, 0))[1] == 0


async def test_a_late_answer_changes_nothing_about_a_finished_record(world: World):
    await arrive(world)
    (call,) = world.flows
    await call.answer()
    await call.end(4000, HangupSource.API)
    await call.wait_over()
    await world.calls.store_answer(call)
    await world.calls.store_ringing(call)
    record = await world.calls.cdr(ACCOUNT, CallUuid("call-1"))
    assert record is not None
    assert record.answered_wall_ms == call.answered_wall_ms

    def states(session: Session) -> list[str]:
        return [row.state for row in session.query(CallRow)]

    assert await world.database.read(states) == ["ended"]


async def test_a_call_that_is_being_taken_in_gets_its_record_before_the_server_ends(world: World):
    leg = FakeLeg("call-1")
    world.calls.incoming(leg)  # type: ignore[arg-type]  # the fake has its methods
    await world.calls.close()
    assert ("reject", 480, "Temporarily Unavailable") in leg.asked
    record = await world.calls.cdr(ACCOUNT, CallUuid("call-1"))
    assert record is not None
    assert record.hangup_cause_code == 5010
    assert world.calls.live_count == 0


async def test_a_main_account_finds_the_calls_of_its_subaccounts_and_nobody_else_does(world: World):
    await world.database.write(lambda session: create_subaccount(session, ACCOUNT, "SA1", "token", "s", True))
    sub = await world.database.read(lambda session: find_account(session, "SA1"))
    assert sub is not None
    assert (sub.main_auth_id, sub.main_tokens) == (ACCOUNT.auth_id, (ACCOUNT.auth_token,))
    request = MakeCall("1", "sip:a@127.0.0.1", "http://app/", hangup_url="http://app/h")
    (uuid,) = (await world.calls.make_call(sub, request)).request_uuids
    call = world.calls.find(uuid)
    assert call is not None
    assert (call.facts.parent_auth_id, call.signing.main_tokens) == (ACCOUNT.auth_id, (ACCOUNT.auth_token,))
    for _ in ("live", "ended"):
        assert await world.calls.owner_of(ACCOUNT, uuid) == sub
        assert await world.calls.owner_of(OTHER, uuid) == OTHER
        assert await world.calls.owner_of(sub, uuid) == sub
        await world.calls.hangup_call(sub, uuid)
    assert await world.calls.cdr(ACCOUNT, uuid) is None
    assert await world.calls.cdr(sub, uuid) is not None
    (own,) = (await world.calls.make_call(ACCOUNT, request)).request_uuids
    assert await world.calls.owner_of(ACCOUNT, own) == ACCOUNT
    assert await world.calls.owner_of(sub, own) == sub
