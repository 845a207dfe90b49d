"""The driver on real loopback sockets: calls over UDP and TCP, bounds of connections, failures to bind and to reach."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from tests.support.sip_transactions import request

from ringback.sip.address import name_addr
from ringback.sip.endpoint import (
    Answered,
    Confirmed,
    EndDetail,
    HungUp,
    InviteEnded,
    InviteEvent,
    InviteId,
    InviteReceived,
    OutboundInvite,
    Refused,
    RegisterReceived,
    Target,
    Transport,
)
from ringback.sip.flow import Flow, Listener
from ringback.sip.settings import SipSettings
from ringback.sip.trace import SipTrace
from ringback.sip.transport.driver import SipBindFailed, SipDriver

LOOPBACK = (("127.0.0.1", 0),)
SETTINGS = SipSettings(udp_listeners=LOOPBACK, tcp_listeners=LOOPBACK, t1_ms=20, t2_ms=40, t4_ms=40)
OFFER, ANSWER = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n"


class Owner:
    """Keeps events and lets a test wait for one."""

    def __init__(self) -> None:
        self.events: list[InviteEvent] = []
        self.traces: list[SipTrace] = []
        self.act: Callable[[InviteEvent], None] = lambda event: None
        self._news = asyncio.Event()

    def take(self, event: InviteEvent) -> None:
        self.events.append(event)
        self.act(event)
        self._news.set()

    async def wait_for(self, kind: type[Any]) -> Any:
        async with asyncio.timeout(20):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self._news.clear()
                await self._news.wait()

    def names(self) -> list[str]:
        return [type(event).__name__ for event in self.events]


@asynccontextmanager
async def driver(settings: SipSettings = SETTINGS) -> AsyncIterator[tuple[SipDriver, Owner]]:
    owner = Owner()
    running = SipDriver(settings, on_event=owner.take, on_trace=owner.traces.append)
    await running.start()
    try:
        yield running, owner
    finally:
        await running.close()


def address(running: SipDriver, transport: Transport) -> Target:
    listener = next(entry for entry in running.listeners if entry.transport is transport)
    return Target(transport, listener.host, listener.port)


def call(*targets: Target, **more: Any) -> OutboundInvite:
    uri = "sip:100@127.0.0.1"
    return OutboundInvite(uri, name_addr("sip:me@127.0.0.1"), name_addr(uri), targets, sdp=OFFER, **more)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - gauges raise no event
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("transport", list(Transport))
async def test_a_call_over_real_sockets_leaves_nothing_behind(transport: Transport) -> None:
    async with driver() as (caller, calling), driver() as (callee, called):

        def answer(event: InviteEvent) -> None:
            if isinstance(event, InviteReceived):
                assert callee.progress(event.invite_id, 180)
                assert callee.answer(event.invite_id, ANSWER)

        called.act = answer
        invite_id = caller.invite(call(address(callee, transport)))
        assert calling.events == []
        assert (await calling.wait_for(Answered)).sdp == ANSWER
        assert (await called.wait_for(InviteReceived)).offer == OFFER
        await called.wait_for(Confirmed)
        assert caller.hangup(invite_id, "Q.850;cause=16")
        await called.wait_for(HungUp)
        await calling.wait_for(InviteEnded)
        await until(lambda: caller.idle and callee.idle)
        assert calling.names() == ["Progressed", "Answered", "InviteEnded"]
        assert called.names() == ["InviteReceived", "Confirmed", "HungUp", "InviteEnded"]
        assert caller.connection_count == callee.connection_count == (1 if transport is Transport.TCP else 0)
        assert [trace.summary.split()[0] for trace in calling.traces] == ["INVITE", "180", "200", "ACK", "BYE", "200"]
        assert all(trace.invite_id == invite_id for trace in calling.traces)


async def test_requests_of_both_sides_share_one_connection() -> None:
    async with driver() as (caller, calling), driver() as (callee, called):
        called.act = lambda event: (
            callee.answer(event.invite_id, ANSWER) and None if isinstance(event, InviteReceived) else None
        )
        caller.invite(call(address(callee, Transport.TCP)))
        await calling.wait_for(Answered)
        await called.wait_for(Confirmed)
        assert callee.hangup(called.events[0].invite_id)
        await calling.wait_for(HungUp)
        await until(lambda: caller.idle and callee.idle)
        assert caller.connection_count == callee.connection_count == 1


async def test_a_register_over_tcp_is_handed_up_answered_and_its_connection_kept_until_it_closes() -> None:
    owner, asked, closed = Owner(), list[RegisterReceived](), list[Flow]()
    kept: set[int] = set()
    settings = replace(SETTINGS, idle_timeout_ms=1)
    running = SipDriver(
        settings, on_event=owner.take, on_register=asked.append, on_closed=closed.append, kept_connections=lambda: kept
    )
    await running.start()
    try:
        target = address(running, Transport.TCP)
        reader, writer = await asyncio.open_connection(target.host, target.port)
        for branch in ("z9hG4bK1", "z9hG4bK2"):
            message = request("REGISTER", branch=branch, call_id=branch)
            writer.write(message.to_bytes())
        await until(lambda: len(asked) == 2)
        kept.add(asked[0].flow.connection_id)
        assert running.reply(asked[0].asked_id, 200, headers=(("contact", "<sip:a@h>;expires=60"),))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"SIP/2.0 200 OK\r\n")
        assert running.ignore(asked[1].asked_id)
        assert running._connections_in_use() == kept
        writer.close()
        await writer.wait_closed()
        await until(lambda: bool(closed))
        assert closed == [asked[0].flow]
        assert owner.events == []
    finally:
        await running.close()
    assert len(closed) == 1


async def test_a_refused_connection_ends_the_call_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with driver() as (caller, calling):
        caller.invite(call(Target(Transport.TCP, "127.0.0.1", port)))
        refused = await calling.wait_for(Refused)
        assert (refused.status, refused.detail) == (503, EndDetail.TRANSPORT)
        await until(lambda: caller.idle and caller.connection_count == 0)


async def test_a_datagram_too_large_to_send_ends_the_call_at_once() -> None:
    async with driver() as (caller, calling), driver() as (callee, _):
        long = tuple((f"X-PH-{number}", "x" * 8_000) for number in range(9))
        caller.invite(call(address(callee, Transport.UDP), headers=long))
        assert (await calling.wait_for(Refused)).detail is EndDetail.TRANSPORT
        await until(lambda: caller.idle)


async def test_a_silent_target_times_out_on_the_real_clock() -> None:
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with silent:
        silent.bind(("127.0.0.1", 0))
        async with driver() as (caller, calling):
            caller.invite(call(Target(Transport.UDP, *silent.getsockname())))
            assert (await calling.wait_for(Refused)).detail is EndDetail.TIMEOUT
            assert caller.idle
            # Repeats that a busy machine is too late for are left out.
            assert 2 <= len(calling.traces) <= 7


async def test_a_taken_port_says_so_and_leaves_nothing_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        failing = SipDriver(replace(SETTINGS, tcp_listeners=(("127.0.0.1", port),)), on_event=lambda event: None)
        with pytest.raises(SipBindFailed) as caught:
            await failing.start()
        assert f"127.0.0.1:{port}: address already in use" in str(caught.value)
        assert caught.value.hint


async def test_a_wildcard_listener_names_a_real_address() -> None:
    async with driver(replace(SETTINGS, udp_listeners=(("0.0.0.0", 0),), tcp_listeners=())) as (running, _):
        listener = running.listeners[0]
        assert isinstance(listener, Listener)
        assert listener.advertised_host not in ("0.0.0.0", "")
        assert listener.port == listener.advertised_port != 0


async def test_pings_are_answered_and_a_broken_stream_is_closed_after_its_400() -> None:
    async with driver() as (callee, _):
        reader, writer = await asyncio.open_connection("127.0.0.1", address(callee, Transport.TCP).port)
        writer.write(b"\r\n\r\n")
        assert await reader.readexactly(2) == b"\r\n"
        broken = request("OPTIONS").to_bytes().replace(b"Content-Length: 0", b"Content-Length: x")
        writer.write(broken)
        answer = await reader.read()
        assert answer.startswith(b"SIP/2.0 400 ")
        writer.close()
        await until(lambda: callee.connection_count == 0)


async def test_connections_beyond_the_bound_of_a_source_are_closed_and_the_others_live() -> None:
    async with driver(replace(SETTINGS, max_connections_per_source=2)) as (callee, _):
        port = address(callee, Transport.TCP).port
        streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
        await until(lambda: streams[2][0].at_eof() or callee.connection_count == 2)
        assert await streams[2][0].read() == b""
        streams[0][1].write(b"\r\n\r\n")
        assert await streams[0][0].readexactly(2) == b"\r\n"
        for _, writer in streams:
            writer.close()
        await until(lambda: callee.connection_count == 0)


async def test_connections_beyond_the_total_bound_are_closed() -> None:
    async with driver(replace(SETTINGS, max_connections=1)) as (callee, _):
        port = address(callee, Transport.TCP).port
        first = await asyncio.open_connection("127.0.0.1", port)
        await until(lambda: callee.connection_count == 1)
        second = await asyncio.open_connection("127.0.0.1", port)
        assert await second[0].read() == b""
        for _, writer in (first, second):
            writer.close()


async def test_slow_senders_and_idle_connections_are_closed() -> None:
    quick = replace(SETTINGS, message_timeout_ms=50, idle_timeout_ms=100)
    async with driver(quick) as (callee, _):
        port = address(callee, Transport.TCP).port
        slow = await asyncio.open_connection("127.0.0.1", port)
        idle = await asyncio.open_connection("127.0.0.1", port)
        slow[1].write(b"INVITE sip:a@b SIP/2.0\r\n")
        async with asyncio.timeout(20):
            for reader, writer in (slow, idle):
                with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
                    await reader.readexactly(1)
                writer.close()
        await until(lambda: callee.connection_count == 0)


async def test_an_idle_connection_with_a_call_on_it_stays() -> None:
    quick = replace(SETTINGS, idle_timeout_ms=100)
    async with driver(quick) as (caller, calling), driver(quick) as (callee, called):
        called.act = lambda event: (
            callee.answer(event.invite_id, ANSWER) and None if isinstance(event, InviteReceived) else None
        )
        invite_id = caller.invite(call(address(callee, Transport.TCP)))
        await calling.wait_for(Answered)
        await asyncio.sleep(1.3)
        assert caller.connection_count == callee.connection_count == 1
        caller.hangup(invite_id)
        await calling.wait_for(InviteEnded)
        await until(lambda: caller.connection_count == callee.connection_count == 0)


async def test_a_failing_owner_costs_one_event() -> None:
    async with driver() as (caller, calling), driver() as (callee, called):

        def fail(event: InviteEvent) -> None:
            if isinstance(event, InviteReceived):
                callee.reject(event.invite_id, 486)
                raise RuntimeError("broken owner")

        called.act = fail
        caller.invite(call(address(callee, Transport.UDP)))
        assert (await calling.wait_for(Refused)).status == 486
        await until(lambda: callee.idle)


async def test_draining_and_counters_reach_the_endpoint() -> None:
    async with driver() as (caller, calling), driver() as (callee, _):
        callee.set_unready(True)
        callee.set_draining(True)
        caller.invite(call(address(callee, Transport.UDP)))
        assert (await calling.wait_for(Refused)).status == 503
        assert callee.counters.malformed == 0
        assert callee.call_count == 0
        await until(lambda: callee.transaction_count == 0)


async def test_uris_resolve_to_numeric_targets_of_the_transports_we_have() -> None:
    async with driver() as (running, _):
        assert await running.resolve("sip:a@127.0.0.1:5070") == (Target(Transport.UDP, "127.0.0.1", 5070),)
        assert await running.resolve("sip:a@127.0.0.1;transport=tcp") == (Target(Transport.TCP, "127.0.0.1", 5060),)
        assert (await running.resolve("sip:a@localhost"))[0] == Target(Transport.UDP, "127.0.0.1", 5060)


async def test_verbs_on_an_unknown_id_do_nothing() -> None:
    async with driver() as (running, owner):
        gone = InviteId("gone")
        assert not running.progress(gone, 180)
        assert not running.answer(gone, ANSWER)
        assert not running.reject(gone, 486)
        assert not running.drop(gone)
        assert not running.hangup(gone)
        assert not running.ack_with(gone, ANSWER)
        assert not running.reoffer(gone, None)
        assert not running.accept_reoffer(gone, ANSWER)
        assert not running.refuse_reoffer(gone, 488)
        assert not running.send_info(gone, "application/dtmf", b"1")
        await asyncio.sleep(0)
        assert owner.events == []
        assert running.idle


async def test_a_broken_promise_costs_one_message() -> None:
    async with driver() as (caller, calling), driver() as (callee, called):
        port = address(callee, Transport.UDP)
        broken, whole = callee._endpoint.handle_input, []

        def fail_once(now: Any, event: Any) -> None:
            if not whole:
                whole.append(event)
                raise AssertionError("broken invariant")
            broken(now, event)

        callee._endpoint.handle_input = fail_once  # type: ignore[method-assign]
        called.act = lambda event: callee.reject(event.invite_id, 486) and None
        caller.invite(call(port))
        # The repeat of the INVITE is taken.
        assert (await calling.wait_for(Refused)).status == 486
