from __future__ import annotations

import asyncio
import hmac
from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from hashlib import sha256
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.support.fake_leg import FakeLeg

from ringback.accounts.account import Account
from ringback.accounts.store import ensure_account
from ringback.billing.rating import RateTable
from ringback.calls import fact_writer
from ringback.calls.hangup import HangupSource, hangup
from ringback.calls.live import CallTerms, LiveCall
from ringback.calls.models import CallRow
from ringback.calls.settings import CallSettings
from ringback.calls.state import State as CallState
from ringback.calls.views import CallDirection
from ringback.egress.policy import AddressRefused
from ringback.errors import InvalidParameter, NotFound, RingbackError
from ringback.ids import AccountId, CallUuid, StreamId
from ringback.media.control.commands import CloseStream, HoldStream, OpenStream
from ringback.media.control.events import StreamClosed, StreamDegraded, StreamDropped, StreamOpened
from ringback.media.control.port import CommandRejected
from ringback.media.control.values import Encoding, RejectCode, StreamEnd, Track
from ringback.signalling.errors import LegOver
from ringback.storage.database import Database, Session, StorageUnavailable
from ringback.streams.service import Reachable, StreamService, StreamSettings
from ringback.streams.spec import StreamSpec
from ringback.streams.state import LOST_DETAIL, State
from ringback.streams.store import close_orphaned_streams
from ringback.webhooks.models import OutboxRow
from ringback.webhooks.signature import signed_text_v3

ACCOUNT = Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token-of-the-account")
OTHER = Account(AccountId("MA000000000000000001"), "another")
CALL = CallUuid("call-1")
URL = "ws://agent.example/ws"
CALLBACK = "http://app.example/status"


@dataclass
class Keeper:
    """Keeps the call's notes; the streams room is joined by the test."""

    notes: list[dict[str, Any]] = field(default_factory=list)
    settings: CallSettings = field(default_factory=CallSettings)

    @property
    def timeline(self) -> Any:
        return SimpleNamespace(record=lambda _call, _kind, fields: self.notes.append(fields))


@dataclass
class Listener:
    ended: list[tuple[str, StreamEnd]] = field(default_factory=list)
    transfers: list[tuple[str, str]] = field(default_factory=list)

    def stream_ended(self, stream_id: StreamId, end: StreamEnd) -> None:
        self.ended.append((stream_id, end))

    def transfer_requested(self, url: str, method: str, *, is_fallback: bool = False) -> None:
        self.transfers.append((url, method))


@dataclass
class World:
    streams: StreamService
    call: LiveCall
    leg: FakeLeg
    database: Database
    listener: Listener
    refuses: RingbackError | None = None

    @property
    def opened(self) -> list[OpenStream]:
        return [command for command in self.leg.commands if isinstance(command, OpenStream)]

    @property
    def closed(self) -> list[CloseStream]:
        return [command for command in self.leg.commands if isinstance(command, CloseStream)]

    async def callbacks(self) -> list[dict[str, Any]]:
        def work(session: Session) -> list[dict[str, Any]]:
            return [dict(parse_qsl(row.params)) for row in session.query(OutboxRow).order_by(OutboxRow.id)]

        return await self.database.read(work)

    async def start(self, url: str = URL, **spec: Any) -> StreamId:
        stream_id = await self.streams.start(ACCOUNT, CALL, StreamSpec(url, **spec))
        await self.settle()
        return stream_id

    async def settle(self) -> None:
        """Return when nothing that the call was asked to do is left."""
        while self.call._tasks:
            await asyncio.gather(*self.call._tasks, return_exceptions=True)

    async def open(self, stream_id: StreamId) -> None:
        event = StreamOpened(
            session_id=self.leg.session_id, stream_id=stream_id, wall_ms=1_700_000_000_000, connect_ms=3
        )
        self.streams.handle(self.call, event)
        await self.settle()

    def close(self, stream_id: StreamId, reason: StreamEnd, detail: str = "") -> None:
        event = StreamClosed(session_id=self.leg.session_id, stream_id=stream_id, reason=reason, detail=detail)
        self.streams.handle(self.call, event)

    async def status(self, stream_id: StreamId) -> State:
        view = await self.streams.get(ACCOUNT, CALL, stream_id)
        assert view is not None
        return view.status


@pytest.fixture
async def world() -> AsyncIterator[World]:
    database = await Database.open("sqlite+aiosqlite:///:memory:")

    def fill(session: Session) -> None:
        for account in (ACCOUNT, OTHER):
            ensure_account(session, account.auth_id, account.auth_token)
        session.add(
            CallRow(
                call_uuid=CALL,
                account_id=ACCOUNT.auth_id,
                direction="inbound",
                from_number="1",
                to_number="2",
                state="in-progress",
                initiated_wall_ms=0,
            )
        )

    await database.write(fill)
    leg, listener = FakeLeg(CALL), Listener()
    terms = CallTerms(
        account=ACCOUNT,
        direction=CallDirection.INBOUND,
        from_number="1",
        to_number="2",
        initiated_wall_ms=0,
        answer_url="",
    )
    call = LiveCall(CALL, terms, leg, Keeper(), CallState.IN_PROGRESS)  # type: ignore[arg-type]  # fakes
    call.listen(listener)  # type: ignore[arg-type]  # only streams are told
    calls = SimpleNamespace(
        find_of=lambda account, uuid: call if (account.auth_id, uuid) == (ACCOUNT.auth_id, CALL) else None,
        find=lambda uuid: call if uuid == CALL else None,
        has_call=lambda account, uuid: asyncio.sleep(0, (account.auth_id, uuid) == (ACCOUNT.auth_id, CALL)),
    )

    async def resolve(url: str) -> Reachable:
        if found.refuses is not None:
            raise found.refuses
        return Reachable(url.replace("é", "%C3%A9"), (("203.0.113.9", 443),))

    streams = StreamService(database, calls, resolve, StreamSettings(one_way_max=2))  # type: ignore[arg-type]  # a fake
    found = World(streams, call, leg, database, listener)
    yield found
    await found.settle()
    await database.close()


async def test_a_stream_is_opened_at_the_worker_with_all_that_was_asked(world: World):
    stream_id = await world.start(
        bidirectional=True, content_type="audio/x-l16;rate=16000", stream_timeout_s=7, extra_headers="k=v"
    )
    (command,) = world.opened
    assert (command.stream_id, command.url, command.call_uuid, command.account_id) == (
        stream_id, URL, CALL, ACCOUNT.auth_id,
    )  # fmt: skip
    assert (command.format.encoding, command.format.rate_hz) == (Encoding.L16, 16000)
    assert (command.bidirectional, command.track, command.timeout_ms) == (True, Track.INBOUND, 7000)
    assert command.extra_headers == "k=v"
    assert [(address.host, address.port) for address in command.addresses] == [("203.0.113.9", 443)]
    assert "X-Plivo-Signature-V3" in dict(command.headers)
    assert await world.status(stream_id) is State.INITIATED


async def test_the_url_that_is_dialled_is_signed_too_and_the_one_that_was_written_is_shown(world: World):
    stream_id = await world.start("ws://agent.example/é")
    (command,) = world.opened
    assert command.url == "ws://agent.example/%C3%A9"
    headers = dict(command.headers)
    nonce = headers["X-Plivo-Signature-V3-Nonce"]
    for url in ("http://agent.example/é", "http://agent.example/%C3%A9"):
        assert signature_v3(url, nonce) in headers["X-Plivo-Signature-V3"].split(","), url
    view = await world.streams.get(ACCOUNT, CALL, stream_id)
    assert view is not None
    assert view.service_url == "ws://agent.example/é"


def signature_v3(url: str, nonce: str) -> str:
    text = signed_text_v3("GET", url, nonce)
    return b64encode(hmac.new(ACCOUNT.auth_token.encode(), text.encode(), sha256).digest()).decode()


async def test_a_life_leaves_two_callbacks_and_a_record(world: World):
    stream_id = await world.start(status_callback_url=CALLBACK)
    await world.open(stream_id)
    assert await world.status(stream_id) is State.IN_PROGRESS
    world.close(stream_id, StreamEnd.AGENT_CLOSED)
    await world.settle()
    assert await world.status(stream_id) is State.COMPLETED
    assert world.listener.ended == [(stream_id, StreamEnd.AGENT_CLOSED)]
    assert world.streams.live_count == 0
    started, stopped = await world.callbacks()
    assert (started["Event"], stopped["Event"], stopped["StatusReason"]) == ("StartStream", "StopStream", "completed")
    world.close(stream_id, StreamEnd.CONNECTION_LOST)
    await world.settle()
    assert await world.status(stream_id) is State.COMPLETED, "the first end stands"


async def test_a_lost_stream_says_why(world: World):
    stream_id = await world.start(status_callback_url=CALLBACK)
    world.close(stream_id, StreamEnd.CONNECTION_LOST)
    await world.settle()
    (dropped,) = await world.callbacks()
    assert (dropped["Event"], dropped["StatusReason"], dropped["Error"]) == (
        "DroppedStream", "connection_lost", LOST_DETAIL,
    )  # fmt: skip
    assert await world.status(stream_id) is State.FAILED


async def test_stopping_waits_until_a_look_up_finds_the_end(world: World):
    stream_id = await world.start()
    await world.open(stream_id)
    stopping = asyncio.create_task(world.streams.stop(ACCOUNT, CALL, stream_id))
    for _ in range(3):
        await asyncio.sleep(0)
    assert world.closed
    assert not stopping.done()
    world.close(stream_id, StreamEnd.API_REQUEST)
    assert await stopping
    assert await world.status(stream_id) is State.COMPLETED
    assert not await world.streams.stop(ACCOUNT, CALL, stream_id), "it is over"


async def test_stopping_does_not_wait_for_an_agent_that_never_closes(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ringback.streams.service._STOP_PATIENCE_S", 0.01)
    await world.start()
    assert await world.streams.stop_all(ACCOUNT, CALL) == 1
    assert world.streams.live_count == 1
    world.streams.call_gone(world.call)
    assert world.streams.live_count == 0


async def test_a_worker_that_does_not_know_the_stream_ends_it(world: World):
    stream_id = await world.start()

    async def refuse(_command: object) -> None:
        raise CommandRejected("stream", reject=RejectCode.UNKNOWN_STREAM)

    world.leg.media = refuse  # type: ignore[method-assign]
    assert await world.streams.stop(ACCOUNT, CALL, stream_id)
    assert await world.status(stream_id) is State.COMPLETED


async def test_only_the_owner_of_the_call_may_touch_its_streams(world: World):
    stream_id = await world.start()
    assert not await world.streams.stop(OTHER, CALL, stream_id)
    assert not await world.streams.stop(ACCOUNT, CallUuid("call-2"), stream_id)
    assert await world.streams.get(OTHER, CALL, stream_id) is None
    for work in (
        world.streams.start(OTHER, CALL, StreamSpec(URL + "2")),
        world.streams.list(OTHER, CALL, 20, 0),
        world.streams.stop_all(OTHER, CALL),
        world.streams.start_stream(CallUuid("call-2"), StreamSpec(URL)),
    ):
        with pytest.raises(NotFound):
            await work


async def test_rules_of_several_streams(world: World):
    await world.start(bidirectional=True)
    with pytest.raises(InvalidParameter, match="streams to this URL already"):
        await world.start()
    with pytest.raises(InvalidParameter, match="a bidirectional stream already"):
        await world.start(URL + "2", bidirectional=True)
    with pytest.raises(InvalidParameter, match="audio_track"):
        await world.start(URL + "2", bidirectional=True, audio_track=Track.BOTH)
    await world.start(URL + "2")
    await world.start(URL + "3", audio_track=Track.BOTH)
    with pytest.raises(InvalidParameter, match="2 one-way streams"):
        await world.start(URL + "4")
    assert world.streams.live_count == 3


async def test_an_address_that_is_refused_is_a_bad_parameter_by_rest_and_a_failed_stream_by_xml(world: World):
    world.refuses = AddressRefused("10.0.0.1 is private")
    with pytest.raises(InvalidParameter, match="service_url"):
        await world.start()
    assert world.streams.live_count == 0
    stream_id = await world.streams.start_stream(CALL, StreamSpec(URL, status_callback_url=CALLBACK))
    await world.settle()
    assert await world.status(stream_id) is State.FAILED
    assert world.listener.ended == [(stream_id, StreamEnd.CONNECT_FAILED)]
    assert [params["Event"] for params in await world.callbacks()] == ["DroppedStream"]


async def test_an_unknown_content_type_is_refused_by_rest_and_a_failed_stream_by_xml(world: World):
    with pytest.raises(InvalidParameter, match="content_type"):
        await world.start(content_type="audio/ogg")
    stream_id = await world.streams.start_stream(CALL, StreamSpec(URL, content_type="audio/ogg"))
    await world.settle()
    assert await world.status(stream_id) is State.FAILED
    assert world.opened == []


async def test_a_leg_that_has_gone_ends_the_stream_with_the_call(world: World):
    async def gone(_command: object) -> None:
        raise LegOver("the leg has ended")

    world.leg.media = gone  # type: ignore[method-assign]
    stream_id = await world.start()
    assert await world.status(stream_id) is State.COMPLETED
    assert world.listener.ended == [(stream_id, StreamEnd.CALL_ENDED)]


async def test_a_filling_buffer_is_told(world: World):
    stream_id = await world.start(status_callback_url=CALLBACK)
    await world.open(stream_id)
    event = StreamDegraded(session_id=world.leg.session_id, stream_id=stream_id, percent=60, queued_ms=24_000)
    world.streams.handle(world.call, event)
    await world.settle()
    _, degraded = await world.callbacks()
    assert (degraded["Event"], degraded["StatusReason"]) == ("DegradedStream", "buffer_60_percent")
    assert await world.status(stream_id) is State.IN_PROGRESS


async def test_a_connection_that_comes_back_is_dropped_and_started_again(world: World):
    stream_id = await world.start(status_callback_url=CALLBACK)
    await world.open(stream_id)
    world.streams.handle(world.call, StreamDropped(session_id=world.leg.session_id, stream_id=stream_id))
    await world.settle()
    assert await world.status(stream_id) is State.INITIATED
    await world.open(stream_id)
    assert await world.status(stream_id) is State.IN_PROGRESS
    assert [params["Event"] for params in await world.callbacks()] == ["StartStream", "DroppedStream", "StartStream"]
    assert world.listener.ended == []


async def test_a_call_that_ends_while_the_url_is_looked_up_gets_no_stream(world: World):
    async def resolve(url: str) -> Sequence[tuple[str, int]]:
        world.call.ending = hangup(4000, HangupSource.CALLER)
        return (("192.0.2.1", 80),)

    world.streams._resolve = resolve
    with pytest.raises(NotFound):
        await world.start(status_callback_url=CALLBACK)
    assert world.streams.live_count == 0
    assert await world.callbacks() == []


async def test_a_stream_that_cannot_be_stored_is_forgotten(world: World, monkeypatch: pytest.MonkeyPatch):
    async def refuse(work: Any) -> None:
        world.streams.call_gone(world.call)
        raise RuntimeError("constraint")

    monkeypatch.setattr(world.database, "write", refuse)
    with pytest.raises(RuntimeError):
        await world.streams.start(ACCOUNT, CALL, StreamSpec(URL))
    assert world.streams.live_count == 0
    monkeypatch.undo()


async def test_callbacks_keep_their_order_while_the_database_refuses(world: World, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fact_writer, "_STORE_PAUSE_S", 0.001)
    stream_id = await world.start(status_callback_url=CALLBACK)
    write, refusals = world.database.write, 3

    async def refusing(work: Any) -> Any:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise StorageUnavailable("the database could not commit")
        return await write(work)

    monkeypatch.setattr(world.database, "write", refusing)
    opened = StreamOpened(session_id=world.leg.session_id, stream_id=stream_id, wall_ms=1_700_000_000_000, connect_ms=3)
    world.streams.handle(world.call, opened)
    await asyncio.sleep(0)
    world.close(stream_id, StreamEnd.TIMEOUT)
    await world.settle()
    assert [each["Event"] for each in await world.callbacks()] == ["StartStream", "StopStream"]
    assert await world.status(stream_id) is State.COMPLETED


async def test_streams_that_an_earlier_server_left_open_are_closed_with_the_time_they_had(world: World):
    opened = await world.start()
    waiting = await world.start(
        "ws://other.example/ws",
        status_callback_url=CALLBACK,
        status_callback_method="GET",
        stream_timeout_s=77,
        extra_headers="k=v",
        keep_call_alive=True,
    )
    await world.open(opened)
    now_wall_ms = 1_700_000_061_000
    rates = RateTable(stream_per_minute=Decimal("0.003"))
    assert await world.database.write(lambda session: close_orphaned_streams(session, now_wall_ms, rates)) == 2
    assert await world.database.write(lambda session: close_orphaned_streams(session, now_wall_ms, rates)) == 0
    views = [await world.streams.get(ACCOUNT, CALL, stream_id) for stream_id in (opened, waiting)]
    assert [
        (view.status, view.bill_duration_s, view.rounded_bill_duration_s, view.billed_amount) for view in views if view
    ] == [
        (State.FAILED, 61, 120, "0.00600"),
        (State.FAILED, 0, 0, "0.00000"),
    ]
    [told] = await world.callbacks()
    assert (told["Event"], told["StatusReason"], told["StreamID"], told["CallUUID"]) == (
        *("DroppedStream", "connection_lost", waiting, CALL),
    )
    assert told["Error"] == f"{LOST_DETAIL}: the server restarted"
    assert (told["status_callback_method"], told["streamTimeout"], told["extraHeaders"], told["keepCallAlive"]) == (
        *("GET", "77", "k=v", "true"),
    )
    assert (told["From"], told["To"], told["Direction"]) == ("1", "2", "inbound")


async def test_what_the_caller_gets_while_the_agent_is_away_is_handed_to_the_worker(world: World):
    fetched: list[str] = []

    async def fetch(url: str) -> str:
        fetched.append(url)
        if "missing" in url:
            raise AddressRefused("10.0.0.1 is private")
        return "/media/a.wav"

    world.streams._fetch_audio = fetch
    stream_id = await world.start(
        bidirectional=True, extra_headers="ringback.hold=http://app.example/a.wav,ringback.reconnects=5"
    )
    (command,) = world.opened
    assert (command.hold, command.reconnects, command.redial_max_ms, command.truth) == (True, 5, 6_000, False)
    [held] = [each for each in world.leg.commands if isinstance(each, HoldStream)]
    assert (held.stream_id, held.path) == (stream_id, "/media/a.wav")
    world.close(stream_id, StreamEnd.AGENT_CLOSED)
    await world.start(bidirectional=True, extra_headers="ringback.hold=http://app.example/missing.wav")
    assert world.opened[-1].hold, "the tone is heard instead"
    await world.start(URL + "2", extra_headers="ringback.hold=http://app.example/a.wav")
    assert not world.opened[-1].hold, "a one-way stream has nothing to replace"
    assert len(fetched) == 2


@pytest.mark.parametrize(
    ("end", "bidirectional", "takes_over"),
    [
        (StreamEnd.CONNECTION_LOST, True, True),
        (StreamEnd.CONNECT_FAILED, True, True),
        (StreamEnd.CONNECTION_LOST, False, False),
        (StreamEnd.AGENT_CLOSED, True, False),
        (StreamEnd.API_REQUEST, True, False),
    ],
)
async def test_the_fallback_document_takes_over_when_a_two_way_agent_is_given_up(
    world: World, end: StreamEnd, bidirectional: bool, takes_over: bool
):
    stream_id = await world.start(
        bidirectional=bidirectional, extra_headers='{"ringback.fallback": "http://app.example/a,b"}'
    )
    await world.open(stream_id)
    world.close(stream_id, end)
    await world.settle()
    assert world.listener.transfers == ([("http://app.example/a,b", "POST")] if takes_over else [])
    assert world.listener.ended == [(stream_id, end)]
