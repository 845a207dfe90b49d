"""The table of TCP connections: reuse, fallback, bounds of waiting messages and of unread bytes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.support.sip_transactions import request

from ringback.sip.flow import Flow, Target, Transmit, Transport
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.parser import SipParseError
from ringback.sip.settings import SipSettings
from ringback.sip.transport.tcp import MAX_WAITING, TcpTable


class Ends:
    """What one table received, and which senders failed."""

    def __init__(self, settings: SipSettings) -> None:
        self.messages: list[tuple[Flow, SipRequest | SipResponse | SipParseError]] = []
        self.failed: list[Hashable] = []
        self.table = TcpTable(settings, self._take, self.failed.append, set)

    def _take(self, flow: Flow, message: SipRequest | SipResponse | SipParseError) -> None:
        self.messages.append((flow, message))

    async def received(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.messages) < count:  # noqa: ASYNC110 - the table raises no event
                await asyncio.sleep(0.005)

    async def failures(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.failed) < count:  # noqa: ASYNC110 - the table raises no event
                await asyncio.sleep(0.005)


@asynccontextmanager
async def two_ends(settings: SipSettings | None = None) -> AsyncIterator[tuple[Ends, Ends, Target]]:
    near, far = Ends(settings or SipSettings()), Ends(SipSettings())
    host, port = await far.table.listen("127.0.0.1", 0)
    try:
        yield near, far, Target(Transport.TCP, host, port)
    finally:
        await near.table.close()
        await far.table.close()


def options(number: int) -> bytes:
    return request("OPTIONS", branch=f"z9hG4bK{number}").to_bytes()


async def test_messages_to_one_peer_share_a_connection_in_order() -> None:
    async with two_ends() as (near, far, target):
        for number in range(3):
            near.table.send(Transmit(options(number), target, f"s{number}"))
        await far.received(3)
        near.table.send(Transmit(options(3), target))
        await far.received(4)
        branches = [message.via.branch for _, message in far.messages if isinstance(message, SipRequest)]
        assert branches == ["z9hG4bK0", "z9hG4bK1", "z9hG4bK2", "z9hG4bK3"]
        assert len({flow.connection_id for flow, _ in far.messages}) == 1
        assert near.failed == []


async def test_answers_go_back_over_the_connection_and_by_the_fallback_once_it_is_gone() -> None:
    async with two_ends() as (near, far, target):
        back = await near.table.listen("127.0.0.1", 0)
        near.table.send(Transmit(options(0), target))
        await far.received(1)
        flow = far.messages[0][0]
        far.table.send(Transmit(options(1), flow, "back"))
        await near.received(1)
        gone = replace(flow, connection_id=999)
        far.table.send(Transmit(options(2), gone, "fallback", Target(Transport.TCP, *back)))
        await near.received(2)
        far.table.send(Transmit(options(3), gone, "lost"))
        far.table.send(Transmit(options(4), gone))
        await far.failures(1)
        assert far.failed == ["lost"]


async def test_no_more_than_the_bound_waits_for_a_connection() -> None:
    async with two_ends() as (near, far, target):
        for number in range(MAX_WAITING + 1):
            near.table.send(Transmit(options(number), target, number))
        assert near.failed == [MAX_WAITING]
        await far.received(MAX_WAITING)


async def test_connections_of_ours_are_bounded_too() -> None:
    async with two_ends(replace(SipSettings(), max_connections=1)) as (near, far, target):
        near.table.send(Transmit(options(0), target, "first"))
        near.table.send(Transmit(options(1), Target(Transport.TCP, "127.0.0.2", target.port), "second"))
        assert near.failed == ["second"]
        await far.received(1)


async def test_a_peer_that_does_not_read_is_cut_off() -> None:
    over = asyncio.Event()

    async def ignore(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(ignore, "127.0.0.1", 0, limit=1)
    target = Target(Transport.TCP, *server.sockets[0].getsockname()[:2])
    near = Ends(replace(SipSettings(), write_buffer_bytes=100_000))
    big = b"x" * 60_000
    near.table.send(Transmit(options(0), target))
    async with asyncio.timeout(20):
        while not near.table._connections:  # noqa: ASYNC110 - the table raises no event
            await asyncio.sleep(0.005)
        connection = next(iter(near.table._connections.values()))
        sent = 0
        while connection.send(big):
            sent += 1
            assert sent < 1_000
            await asyncio.sleep(0)
        while len(near.table):  # noqa: ASYNC110 - the table raises no event
            await asyncio.sleep(0.005)
    assert not connection.send(big)
    await near.table.close()
    over.set()
    server.close()
    await server.wait_closed()


async def test_closing_fails_what_waits_and_what_comes_later() -> None:
    async with two_ends() as (near, _, target):
        near.table.send(Transmit(options(0), target, "waiting"))
        await near.table.close()
        near.table.send(Transmit(options(1), target, "late"))
        assert near.failed == ["waiting", "late"]
        assert len(near.table) == 0
