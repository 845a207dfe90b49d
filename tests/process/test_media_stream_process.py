"""The stream client in a real worker against agents that refuse, hang, lie, drop, flood and break the protocol."""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.hostile_agents import raw_agent, upgrade
from tests.support.media_pool import TestLeg, open_descriptors, pool_settings, running_pool
from tests.support.ports import free_port
from tests.support.rtp_caller import numbered_frame, rtp_caller
from tests.support.stream_agent import AgentConnection, stream_agent, tcp_server
from tests.support.waiting import until

from ringback.media.control.events import (
    SessionClosed,
    StreamCheckpointPlayed,
    StreamClosed,
    StreamConnectFailed,
    StreamDropped,
    StreamFaulted,
    StreamOpened,
)
from ringback.media.control.port import CommandRejected
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import Address, RejectCode, StreamEnd
from ringback.media.pool.pool import MediaPool

OK_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
WRONG_ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
)
UNAUTHORISED = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[MediaPool]:
    async with pool_of_one(tmp_path, stream_close_timeout_ms=10_000, stream_fragments_max=8) as running:
        yield running


@asynccontextmanager
async def pool_of_one(folder: Path, **worker: int) -> AsyncIterator[MediaPool]:
    """Run a pool with one worker, which must have as many open descriptors afterwards as before."""
    async with running_pool(pool_settings(folder / "run", workers=1, worker=WorkerSettings(**worker))) as running:
        pid = running.workers()[0].pid
        before = open_descriptors(pid)
        yield running
        await until(lambda: open_descriptors(pid) == before, f"{before} open descriptors")


async def open_leg(pool: MediaPool) -> TestLeg:
    leg = TestLeg(pool)
    await leg.open()
    return leg


async def finish(leg: TestLeg) -> None:
    await leg.close()
    await leg.one(SessionClosed)
    stats = leg.pool.workers()[0].stats
    await until(lambda: (now := leg.pool.workers()[0].stats) is not stats and now is not None and now.streams == 0)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (OK_PAGE, "expected 101, got 200"),
        (REDIRECT, "expected 101, got 302"),
        (UNAUTHORISED, "got 401"),
        (WRONG_ACCEPT, "Sec-WebSocket-Accept"),
        (b"", "reset"),
    ],
    ids=["200", "redirect", "401", "wrong-accept", "closes"],
)
async def test_an_agent_that_does_not_upgrade(pool: MediaPool, answer: bytes, expected: str) -> None:
    async with tcp_server(answer) as port:
        leg = await open_leg(pool)
        await leg.stream(port, connect_attempts=3)
        closed = await leg.one(StreamClosed)
        assert closed.reason is StreamEnd.CONNECT_FAILED
        failures = leg.all(StreamConnectFailed)
        assert [failure.attempt for failure in failures] == [1, 2, 3]
        assert expected in failures[0].detail
        assert closed.detail == failures[-1].detail
        assert not leg.all(StreamOpened)
        await finish(leg)


async def test_nobody_listens(pool: MediaPool) -> None:
    leg = await open_leg(pool)
    await leg.stream(free_port(), connect_attempts=2)
    closed = await leg.one(StreamClosed)
    assert closed.reason is StreamEnd.CONNECT_FAILED
    assert closed.detail == "connection refused: check host and port, and that the agent runs"
    assert len(leg.all(StreamConnectFailed)) == 2
    await finish(leg)


async def test_one_deadline_covers_an_agent_that_hangs(pool: MediaPool) -> None:
    async with tcp_server(None) as port:
        leg = await open_leg(pool)
        started = asyncio.get_running_loop().time()
        await leg.stream(port, connect_timeout_ms=400)
        closed = await leg.one(StreamClosed)
        assert closed.reason is StreamEnd.CONNECT_FAILED
        assert closed.detail == "no WebSocket within 400 ms: the agent does not answer the upgrade"
        assert asyncio.get_running_loop().time() - started > 0.35
        await finish(leg)


async def test_all_attempts_together_are_bounded(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(stream_dial_max_ms=1_800))
    async with running_pool(settings) as pool, tcp_server(None) as port:
        leg = await open_leg(pool)
        started = asyncio.get_running_loop().time()
        await leg.stream(port, connect_timeout_ms=800, connect_attempts=99, connect_gap_ms=200)
        closed = await leg.one(StreamClosed)
        assert asyncio.get_running_loop().time() - started > 1.7
        assert closed.reason is StreamEnd.CONNECT_FAILED
        # Two whole attempts fit, a third would begin when the time is up; to a worker that stands still fewer do.
        assert 1 <= len(leg.all(StreamConnectFailed)) <= 2
        await finish(leg)


async def test_a_stream_closed_while_it_dials(pool: MediaPool) -> None:
    async with tcp_server(None) as port:
        leg = await open_leg(pool)
        stream_id = await leg.stream(port, connect_timeout_ms=10_000)
        await leg.close_stream(stream_id)
        closed = await leg.one(StreamClosed)
        assert closed.reason is StreamEnd.API_REQUEST
        with pytest.raises(CommandRejected) as unknown:
            await leg.close_stream(stream_id)
        assert unknown.value.reject is RejectCode.UNKNOWN_STREAM
        await finish(leg)


async def test_the_next_attempt_takes_the_next_address(pool: MediaPool) -> None:
    dead_port = free_port()
    async with stream_agent(subprotocol="audio.drachtio.org") as agent:
        leg = await open_leg(pool)
        await leg.stream(
            agent.port,
            host="agent.example",
            headers=(("X-Plivo-Signature-V3", "a,b"), ("X-Plivo-Signature-V3-Nonce", "n")),
            addresses=(Address("127.0.0.1", dead_port), Address("127.0.0.1", agent.port)),
            connect_attempts=2,
        )
        opened = await leg.one(StreamOpened)
        assert (opened.attempts, opened.subprotocol) == (2, "audio.drachtio.org")
        request = agent.requests[0]
        assert request.headers["Host"] == f"agent.example:{agent.port}"
        assert request.headers["X-Plivo-Signature-V3"] == "a,b"
        assert "Sec-WebSocket-Extensions" not in request.headers
        await finish(leg)


async def test_the_stream_time_limit(pool: MediaPool) -> None:
    async with stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.stream(agent.port, timeout_ms=2_500)
        closed = await leg.one(StreamClosed)
        assert (closed.reason, closed.close_code) == (StreamEnd.TIMEOUT, 1000)
        await until(lambda: agent.connections[0].close_code == 1000)
        await until(lambda: agent.events("stop"))
        await finish(leg)


async def test_an_agent_that_never_answers_the_close_is_cut(tmp_path: Path) -> None:
    async with pool_of_one(tmp_path, stream_close_timeout_ms=300) as pool, stream_agent() as agent:
        leg = await open_leg(pool)
        pid = pool.workers()[0].pid
        without_stream = open_descriptors(pid)
        stream_id = await leg.stream(agent.port)
        await leg.one(StreamOpened)
        connection = agent.connections[0]
        assert connection.transport is not None
        connection.transport.underlying_transport.pause_reading()  # type: ignore[attr-defined]  # of read transports
        assert open_descriptors(pid) == without_stream + 1
        await leg.close_stream(stream_id)
        assert (await leg.one(StreamClosed)).reason is StreamEnd.API_REQUEST
        await until(lambda: open_descriptors(pid) == without_stream)
        await finish(leg)


@pytest.mark.parametrize("code", [1000, 1001])
async def test_an_orderly_close_ends_the_stream(pool: MediaPool, code: int) -> None:
    async with stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.stream(agent.port, reconnects=2)
        await leg.one(StreamOpened)
        agent.connections[0].close(code)
        closed = await leg.one(StreamClosed)
        assert (closed.reason, closed.close_code) == (StreamEnd.AGENT_CLOSED, code)
        await finish(leg)
        assert len(agent.connections) == 1


async def test_a_stop_from_the_agent_ends_the_stream(pool: MediaPool) -> None:
    async with stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.stream(agent.port)
        await leg.one(StreamOpened)
        agent.connections[0].send({"event": "stop"})
        assert (await leg.one(StreamClosed)).reason is StreamEnd.AGENT_CLOSED
        await finish(leg)


async def test_a_dropped_connection_is_dialled_again_with_a_fresh_start(pool: MediaPool) -> None:
    async with rtp_caller() as caller, stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.connect(caller.port)
        stream_id = await leg.stream(agent.port, reconnects=2)
        await leg.one(StreamOpened)
        caller.start_sending(leg.local.port)
        await until(lambda: len(agent.events("media")) > 10)
        agent.connections[0].cut()
        dropped = await leg.one(StreamDropped)
        assert dropped.close_code == 1006
        await until(lambda: len(leg.all(StreamOpened)) == 2)
        await until(lambda: len(agent.connections) == 2 and len(agent.connections[1].messages) > 10)
        start, first, *_ = agent.connections[1].messages
        assert (start["event"], start["sequenceNumber"], start["start"]["streamId"]) == ("start", 1, stream_id)
        assert (first["event"], first["media"]["chunk"]) == ("media", 1)
        number = caller.sent
        wanted = b"".join(map(numbered_frame, range(number, number + 5)))
        await until(lambda: wanted in caller.audio, "the echo after the reconnect")

        agent.connections[1].cut()
        await until(lambda: len(agent.connections) == 3)
        agent.connections[2].cut()
        closed = await leg.one(StreamClosed)
        assert closed.reason is StreamEnd.CONNECTION_LOST
        assert len(leg.all(StreamDropped)) == 2
        await finish(leg)


async def test_dialling_again_is_bounded_on_its_own(tmp_path: Path) -> None:
    connections = itertools.count()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if next(connections):
            await writer.wait_closed()
        await upgrade(reader, writer)
        writer.transport.abort()

    settings = pool_settings(tmp_path / "run", workers=1)
    async with running_pool(settings) as pool, raw_agent(serve) as port:
        leg = await open_leg(pool)
        await leg.stream(port, connect_timeout_ms=9_000, connect_gap_ms=50, reconnects=9, redial_max_ms=2_500)
        await leg.one(StreamDropped)
        closed = await leg.one(StreamClosed)
        assert closed.reason is StreamEnd.CONNECTION_LOST
        waited = re.match(r"connection dropped, then no WebSocket within (\d+) ms:", closed.detail)
        assert waited, closed.detail
        assert 0 < int(waited[1]) <= 2_500, "what redial_max_ms has left, not connect_timeout_ms"
        await finish(leg)


async def test_a_drop_without_reconnects_ends_the_stream(pool: MediaPool) -> None:
    async with stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.stream(agent.port)
        await leg.one(StreamOpened)
        agent.connections[0].cut()
        assert (await leg.one(StreamClosed)).reason is StreamEnd.CONNECTION_LOST
        await finish(leg)


def reserved_bit(agent: AgentConnection) -> None:
    agent.send_text(b"{}", rsv1=True)


def lone_continuation(agent: AgentConnection) -> None:
    agent.send_continuation(b"{}", fin=True)


def message_in_message(agent: AgentConnection) -> None:
    agent.send_text(b"{", fin=False)
    agent.send_text(b"{}")


def broken_utf8(agent: AgentConnection) -> None:
    agent.send_text(b'{"event":"\xff"}')


def too_many_fragments(agent: AgentConnection) -> None:
    agent.send_text(b"{", fin=False)
    for _ in range(8):
        agent.send_continuation(b" ", fin=False)


def too_long(agent: AgentConnection) -> None:
    agent.send_text(b" " * (2 * 1024 * 1024 + 1))


@pytest.mark.parametrize(
    ("misbehave", "code"),
    [
        (reserved_bit, 1002),
        (lone_continuation, 1002),
        (message_in_message, 1002),
        (broken_utf8, 1007),
        (too_many_fragments, 1009),
        (too_long, 1009),
    ],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
async def test_a_protocol_error_costs_the_connection_and_not_the_call(
    pool: MediaPool, misbehave: Callable[[AgentConnection], None], code: int
) -> None:
    async with rtp_caller() as caller, stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.connect(caller.port)
        await leg.stream(agent.port, reconnects=1)
        await leg.one(StreamOpened)
        misbehave(agent.connections[0])
        dropped = await leg.one(StreamDropped)
        assert dropped.close_code == code
        assert dropped.detail
        await until(lambda: agent.connections[0].close_code == code, f"close {code} at the agent")
        heard = len(caller.packets)
        await until(lambda: len(caller.packets) > heard + 10, "the call's audio")
        await until(lambda: len(agent.connections) == 2 and agent.connections[1].messages, "a fresh start")
        misbehave(agent.connections[1])
        closed = await leg.one(StreamClosed)
        assert (closed.reason, closed.close_code) == (StreamEnd.CONNECTION_LOST, code)
        await finish(leg)
        assert len(agent.connections) == 2


async def test_fragments_are_joined_and_rubbish_is_answered(pool: MediaPool) -> None:
    async with rtp_caller() as caller, stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.connect(caller.port)
        await leg.stream(agent.port)
        await leg.one(StreamOpened)
        connection = agent.connections[0]
        connection.send_text(b'{"event":"check', fin=False)
        connection.send_continuation(b'point","na', fin=False)
        connection.send_continuation(b'me":"\xc3\xbc"}', fin=True)
        assert (await leg.one(StreamCheckpointPlayed)).name == "ü"
        connection.send_text(b"{not json")
        await until(lambda: agent.events("incorrectPayload"))
        assert (await leg.one(StreamFaulted)).count == 1
        connection.send({"event": "checkpoint", "name": "still here"})
        await until(lambda: len(leg.all(StreamCheckpointPlayed)) == 2)
        await finish(leg)


async def test_a_flood_waits_in_the_agents_tcp(tmp_path: Path) -> None:
    settings = pool_settings(
        tmp_path / "run",
        workers=1,
        worker=WorkerSettings(stream_messages_per_s=200, stream_messages_burst=100),
    )
    async with running_pool(settings) as pool, rtp_caller() as caller, stream_agent(echo=False) as agent:
        leg = await open_leg(pool)
        await leg.connect(caller.port)
        await leg.stream(agent.port)
        await leg.one(StreamOpened)
        started = asyncio.get_running_loop().time()
        for number in range(500):
            agent.connections[0].send({"event": "checkpoint", "name": f"{number}" + "-" * 200})
        await until(lambda: len(leg.all(StreamCheckpointPlayed)) == 500, "all checkpoints")
        took = asyncio.get_running_loop().time() - started
        assert took > 0.8
        names = [event.name.rstrip("-") for event in leg.all(StreamCheckpointPlayed)]
        assert names == [str(number) for number in range(500)]
        await finish(leg)


async def test_a_deaf_agent_costs_its_own_frames_only(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(stream_send_max_bytes=4_096))
    async with running_pool(settings) as pool, rtp_caller() as caller, stream_agent(echo=False) as agent:
        leg = await open_leg(pool)
        await leg.connect(caller.port)
        stream_id = await leg.stream(agent.port, path="/" + "x" * 100)
        await leg.one(StreamOpened)
        connection = agent.connections[0]
        assert connection.transport is not None
        connection.transport.underlying_transport.pause_reading()  # type: ignore[attr-defined]  # of read transports
        caller.start_sending(leg.local.port, lambda number: numbered_frame(number))
        heard = len(caller.packets)
        await until(lambda: len(caller.packets) > heard + 50, "the call's audio")
        await leg.close_stream(stream_id)
        assert (await leg.one(StreamClosed)).reason is StreamEnd.API_REQUEST
        await leg.close()
        await leg.one(SessionClosed)


@pytest.mark.parametrize(
    "options",
    [
        {"addresses": ()},
        {"path": "/a b"},
        {"path": "/a\r\nX: y"},
        {"path": "/a#b"},
        {"path": "/" + "a" * 2_100},
        {"host": "[bad"},
        {"headers": (("Bad Name", "x"),)},
        {"headers": (("X", "a\r\nInjected: 1"),)},
        {"headers": (("Host", "other"),)},
        {"headers": tuple((f"X-{n}", "") for n in range(33))},
    ],
    ids=str,
)
async def test_a_stream_that_cannot_be_dialled_is_refused(
    pool: MediaPool, options: dict[str, tuple[tuple[str, str], ...]]
) -> None:
    leg = await open_leg(pool)
    with pytest.raises(CommandRejected) as refused:
        await leg.stream(9, **options)  # type: ignore[arg-type]  # the parameters of one table
    assert refused.value.reject is RejectCode.INVALID
    assert not leg.all(StreamClosed)
    await leg.close()
    await leg.one(SessionClosed)


async def test_one_bidirectional_stream_and_not_a_second(pool: MediaPool) -> None:
    async with stream_agent() as agent:
        leg = await open_leg(pool)
        await leg.stream(agent.port)
        with pytest.raises(CommandRejected) as refused:
            await leg.stream(agent.port)
        assert refused.value.reject is RejectCode.LIMIT
        await leg.one(StreamOpened)
        await finish(leg)


async def test_linear_audio_comes_back_as_the_same_tone(pool: MediaPool) -> None:
    import math
    import struct

    from ringback.media.control.values import Encoding

    tone = b"".join(struct.pack("<h", int(8_000 * math.sin(2 * math.pi * 500 * n / 16_000))) for n in range(16_000))
    async with rtp_caller() as caller, stream_agent(echo=False) as agent:
        leg = await open_leg(pool)
        await leg.connect(caller.port)
        await leg.stream(agent.port, encoding=Encoding.L16, rate_hz=16_000)
        await leg.one(StreamOpened)
        agent.connections[0].play(base64.b64encode(tone).decode(), "audio/x-l16", 16_000)
        agent.connections[0].send({"event": "checkpoint", "name": "end"})
        await leg.one(StreamCheckpointPlayed)
        loud = [byte for byte in caller.audio if byte not in (0xFF, 0x7F, 0xFE, 0x7E)]
        assert len(loud) > 7_000
        crossings = sum((a ^ b) >> 7 for a, b in itertools.pairwise(loud))
        assert 900 <= crossings <= 1_100
        await finish(leg)


async def test_agents_are_pinged_and_one_that_never_answers_is_lost(tmp_path: Path) -> None:
    """Whatever a peer sends proves that it is there; one that has died without a word sends nothing."""
    settings = pool_settings(
        tmp_path / "run", workers=1, worker=WorkerSettings(stream_ping_ms=200, stream_pong_timeout_ms=2_500)
    )
    pings = 0

    async def is_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal pings
        await upgrade(reader, writer)
        while data := await reader.read(65_536):
            # Client frames are masked: a ping without payload is this and four bytes of mask.
            pings += data.count(b"\x89\x80")

    async with running_pool(settings) as pool, raw_agent(is_silent) as port, stream_agent() as living:
        dead, alive = await open_leg(pool), await open_leg(pool)
        await dead.stream(port)
        await alive.stream(living.port)
        closed = await dead.one(StreamClosed)
        assert (closed.reason, closed.detail) == (StreamEnd.CONNECTION_LOST, "no answer to ping")
        assert pings >= 1
        assert alive.all(StreamOpened)
        assert not alive.all(StreamClosed), "an agent that sends anything lives on"
        await alive.close()
        await alive.one(SessionClosed)
        await finish(dead)
