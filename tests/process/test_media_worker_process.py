"""Real worker processes on loopback: audio through the agent and back, deaths, takeovers, and nothing left behind."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import stat
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import msgspec
import pytest
from msgspec import structs
from tests.support.media_pool import (
    TestLeg,
    is_alive,
    open_descriptors,
    pool_settings,
    running_pool,
)
from tests.support.rtp_caller import FRAME_BYTES, RtpCaller, numbered_frame, rtp_caller
from tests.support.stream_agent import StreamAgent, stream_agent
from tests.support.waiting import until

from ringback.ids import CommandId, Epoch, Incarnation, SessionId, WorkerId
from ringback.media.control.commands import CloseSession, OpenSession, Ping
from ringback.media.control.events import (
    AnyEvent,
    MediaStarted,
    PlayFinished,
    RemoteSet,
    SessionClosed,
    SessionOpened,
    SessionStats,
    StreamCheckpointPlayed,
    StreamCleared,
    StreamClosed,
    StreamOpened,
    WorkerStats,
)
from ringback.media.control.port import CommandRejected, WorkerGone, WorkerLost
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import PlayEnd, RejectCode, SessionEnd, StreamEnd
from ringback.media.pool.link import WorkerLink
from ringback.media.pool.pool import MediaPool
from ringback.media.pool.supervisor import SlotState


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[MediaPool]:
    async with running_pool(pool_settings(tmp_path / "run")) as running:
        yield running


async def idle(pool: MediaPool) -> None:
    """Every gauge of every worker is back at nothing."""
    await until(lambda: pool.session_count == 0, "the last session's end")

    def is_idle() -> bool:
        stats = [view.stats for view in pool.workers()]
        return all(
            one is not None and (one.sessions, one.streams, one.open_ports, one.ledger) == (0, 0, 0, 0) for one in stats
        )

    await until(is_idle, "idle workers")


def echoed(caller: RtpCaller, first: int, count: int) -> bool:
    """Whether that many frames in a row came back, from `first` on: who stands still for a moment leaves a gap."""
    audio = caller.audio[-FRAME_BYTES * 200 :]
    starts = range(max(first, caller.sent - 200), caller.sent - count + 1, 5)
    return any(b"".join(map(numbered_frame, range(start, start + count))) in audio for start in starts)


def steps(values: Iterable[int], bits: int) -> set[int]:
    """By how much each value exceeds the one before it."""
    return {(later - earlier) % (1 << bits) for earlier, later in itertools.pairwise(values)}


async def echo_call(pool: MediaPool, caller: RtpCaller, agent: StreamAgent) -> TestLeg:
    leg = TestLeg(pool)
    opened = await leg.open()
    await leg.connect(caller.port)
    await leg.stream(agent.port)
    await leg.one(StreamOpened)
    caller.start_sending(opened.local.port)
    return leg


async def test_audio_goes_through_the_agent_and_back(pool: MediaPool) -> None:
    async with rtp_caller() as caller, stream_agent() as agent:
        leg = await echo_call(pool, caller, agent)
        await until(lambda: echoed(caller, 20, 30), "30 frames in a row from the agent")
        media = agent.events("media")
        assert [message["media"]["chunk"] for message in media] == list(range(1, len(media) + 1))
        stamps = [int(message["media"]["timestamp"]) for message in media]
        assert {later - earlier for earlier, later in itertools.pairwise(stamps)} == {20}
        assert steps((packet.sequence for packet in caller.packets), 16) == {1}
        # A worker that was made to wait sends nothing for that time.
        jumps = steps((packet.timestamp for packet in caller.packets), 32)
        assert 160 in jumps
        assert {jump % 160 for jump in jumps} == {0}
        assert agent.requests[0].headers["Host"] == f"127.0.0.1:{agent.port}"
        assert agent.requests[0].headers["Sec-WebSocket-Protocol"] == "audio.drachtio.org"
        assert agent.requests[0].headers["User-Agent"].startswith("Ringback/")
        assert "Origin" not in agent.requests[0].headers

        await leg.close()
        closed = await leg.one(SessionClosed)
        assert closed.reason is SessionEnd.RELEASED
        assert closed.received_packets > 45
        assert closed.sent_packets > 45
        ended = await leg.one(StreamClosed)
        assert (ended.reason, ended.close_code) == (StreamEnd.CALL_ENDED, 1000)
        await until(lambda: agent.connections[0].close_code == 1000, "close 1000 at the agent")
        assert agent.events("stop")
        kinds = [type(event) for event in leg.events if not isinstance(event, WorkerGone)]
        assert kinds[0] is SessionOpened
        assert kinds[-1] is SessionClosed
        assert MediaStarted in kinds
        assert RemoteSet in kinds
        seqs = [event.seq for event in leg.events if not isinstance(event, WorkerGone) and event.seq]
        assert seqs == sorted(set(seqs))
        await idle(pool)


async def test_a_worker_tells_how_late_and_how_busy_it_is(tmp_path: Path) -> None:
    async with running_pool(pool_settings(tmp_path / "run", workers=1)) as pool, rtp_caller() as caller:
        leg = TestLeg(pool)
        await leg.open()
        await leg.connect(caller.port)

        def told() -> WorkerStats | None:
            stats = pool.workers()[0].stats
            return stats if stats is not None and stats.sessions and stats.slots >= 2 else None

        await until(told, "figures of a second with slots")
        first = told()
        assert first is not None
        await until(lambda: (now := told()) is not None and now.slots > first.slots, "the figures after them")
        second = told()
        assert second is not None
        assert second.at_ns > first.at_ns
        assert 0 <= second.late_slots <= second.slots
        assert second.loop_cpu_ns > first.loop_cpu_ns
        assert second.stream_backlog == 0
        view = pool.workers()[0]
        assert 0 < view.busy_share <= 1
        assert view.spare > 0
        await leg.close()


async def test_checkpoint_and_clear(pool: MediaPool) -> None:
    import base64

    second = base64.b64encode(numbered_frame(1) * 50).decode()
    ten_seconds = base64.b64encode(numbered_frame(1) * 500).decode()
    async with rtp_caller() as caller, stream_agent(echo=False) as agent:
        leg = await echo_call(pool, caller, agent)
        connection = agent.connections[0]
        connection.play(second)
        connection.send({"event": "checkpoint", "name": "one"})
        played = await leg.one(StreamCheckpointPlayed)
        assert played.name == "one"
        await until(lambda: agent.events("playedStream"))
        assert agent.events("playedStream")[0]["name"] == "one"

        connection.play(ten_seconds)
        connection.send({"event": "checkpoint", "name": "never"})
        connection.send({"event": "clearAudio"})
        await until(lambda: agent.events("clearedAudio"))
        cleared = await leg.one(StreamCleared)
        assert cleared.dropped_checkpoints == 1
        assert cleared.dropped_ms > 500
        assert [message["name"] for message in agent.events("playedStream")] == ["one"]
        await leg.close()
        await leg.one(SessionClosed)
    await idle(pool)


async def test_a_killed_worker_takes_only_its_own_calls(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(pool_settings(tmp_path / "run"), pings_missed_max=120)
    async with (
        running_pool(settings) as pool,
        rtp_caller() as first_caller,
        rtp_caller() as second_caller,
        stream_agent() as agent,
    ):
        first = await echo_call(pool, first_caller, agent)
        second = await echo_call(pool, second_caller, agent)
        victim = pool.worker_of(first.session_id)
        assert victim != pool.worker_of(second.session_id)
        await until(lambda: len(second_caller.packets) > 20)
        pid = next(view.pid for view in pool.workers() if view.worker_id == victim)

        os.kill(pid, signal.SIGKILL)
        # By the end of its link, not by pings that are missed: for those it would take a minute.
        gone = await first.one(WorkerGone)
        assert gone.worker_id == victim
        assert pool.worker_of(first.session_id) is None
        with pytest.raises(CommandRejected):
            await first.close()

        await until(lambda: all(view.state is SlotState.RUNNING for view in pool.workers()), "a new worker")
        assert next(view.restarts for view in pool.workers() if view.worker_id == victim) == 1
        heard = len(second_caller.packets)
        await until(lambda: len(second_caller.packets) > heard + 25)
        assert steps((packet.sequence for packet in second_caller.packets), 16) == {1}, "one flow without a gap"
        assert not second.all(WorkerGone)
        again = TestLeg(pool)
        await again.open()
        await again.close()
        await second.close()
        await second.one(SessionClosed)
        await idle(pool)


async def test_a_hanging_worker_is_replaced(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(
        pool_settings(tmp_path / "run", workers=1), ping_interval_ms=250, pings_missed_max=14, command_timeout_ms=2_500
    )
    async with running_pool(settings) as pool:
        leg = TestLeg(pool)
        await leg.open()
        before = pool.workers()[0].pid
        os.kill(before, signal.SIGSTOP)
        with pytest.raises(WorkerLost, match="did not answer"):
            await TestLeg(pool).open()
        await leg.one(WorkerGone)
        await until(lambda: pool.is_ready and pool.workers()[0].pid != before)
        assert not is_alive(before)


async def test_audio_goes_on_without_a_server_and_the_next_server_clears_up(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1)
    async with rtp_caller() as caller, stream_agent() as agent:
        pool = MediaPool(settings, Epoch(1))
        await pool.start()
        leg = await echo_call(pool, caller, agent)
        await until(lambda: len(caller.packets) > 20)
        pid = pool.workers()[0].pid
        await pool.close(keep_workers=True)
        assert not leg.all(WorkerGone)

        heard = len(caller.packets)
        await until(lambda: len(caller.packets) > heard + 75, "audio after the server left")
        number = caller.sent
        await until(lambda: echoed(caller, number, 10), "the agent's echo after the server left")
        assert is_alive(pid)

        async with running_pool(settings, epoch=2) as second:
            await until(lambda: not is_alive(pid), "the orphan's end")
            assert second.workers()[0].pid != pid
            await until(lambda: agent.connections[0].is_gone)
            assert agent.events("stop")


async def test_a_server_that_ends_while_orphans_have_their_grace_leaves_none(tmp_path: Path) -> None:
    settings = structs.replace(pool_settings(tmp_path / "run", workers=2), orphan_grace_ms=600_000)
    async with rtp_caller() as caller, stream_agent() as agent:
        pool = MediaPool(settings, Epoch(1))
        await pool.start()
        await echo_call(pool, caller, agent)
        pids = [view.pid for view in pool.workers()]
        await pool.close(keep_workers=True)
        async with running_pool(settings, epoch=2):
            pass
        assert not [pid for pid in pids if is_alive(pid)]


async def test_a_call_without_a_server_ends_at_the_detached_limit(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(detached_limit_ms=1_000))
    async with rtp_caller() as caller, stream_agent() as agent:
        pool = MediaPool(settings, Epoch(1))
        await pool.start()
        await echo_call(pool, caller, agent)
        pid = pool.workers()[0].pid
        await pool.close(keep_workers=True)
        await until(lambda: not is_alive(pid), "the worker's end")
        await until(lambda: agent.connections[0].is_gone)
        assert agent.events("stop")
        assert not list((tmp_path / "run").glob("*.sock"))


async def test_an_idle_worker_without_a_server_leaves_soon(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(idle_exit_ms=200))
    pool = MediaPool(settings, Epoch(1))
    await pool.start()
    pid = pool.workers()[0].pid
    await pool.close(keep_workers=True)
    await until(lambda: not is_alive(pid), "the worker's end")


async def test_a_cut_link_is_restored_and_no_event_is_lost(pool: MediaPool) -> None:
    async with rtp_caller() as caller, stream_agent() as agent:
        leg = await echo_call(pool, caller, agent)
        slot = next(slot for slot in pool._supervisor.slots if slot.worker_id == pool.worker_of(leg.session_id))
        before = slot.link
        assert before is not None
        before.close()
        await until(lambda: slot.link is not before and slot.link is not None and slot.link.is_open)
        agent.connections[0].send({"event": "checkpoint", "name": "after"})
        await leg.one(StreamCheckpointPlayed)
        await leg.close()
        await leg.one(SessionClosed)
        assert not leg.all(WorkerGone)
        assert slot.restarts == 0
    await idle(pool)


def bare_link(epoch: int, folder: Path) -> tuple[WorkerLink, list[AnyEvent], asyncio.Event]:
    events: list[AnyEvent] = []
    lost = asyncio.Event()
    link = WorkerLink(WorkerId("bare"), Epoch(epoch), pool_settings(folder), on_event=events.append, on_lost=lost.set)
    return link, events, lost


async def test_the_higher_epoch_drives_and_the_lower_is_refused(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1)
    pool = MediaPool(settings, Epoch(5))
    await pool.start()
    path = next((tmp_path / "run").glob("*.sock"))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    low, _, _ = bare_link(4, tmp_path)
    with pytest.raises(CommandRejected) as refused:
        await low.connect(path)
    assert refused.value.reject is RejectCode.STALE_EPOCH
    low.close()

    leg = TestLeg(pool)
    await leg.open()
    high, events, lost = bare_link(6, tmp_path)
    (snapshot,) = await high.connect(path)
    assert snapshot.session_id == leg.session_id
    await leg.one(WorkerGone)
    await until(lambda: pool.workers()[0].state is SlotState.TAKEN_OVER)
    assert is_alive(high.pid)
    await until(lambda: any(isinstance(event, SessionOpened) for event in events), "the replayed event")

    await pool.close()
    assert is_alive(high.pid), "a server that lost its worker leaves it alone"
    pid = high.pid
    os.kill(pid, signal.SIGTERM)
    await until(lambda: not is_alive(pid))
    await until(lost.is_set)
    assert any(isinstance(event, SessionClosed) for event in events)


async def test_commands_are_answered_once_and_repeated_harmlessly(tmp_path: Path) -> None:
    pool = MediaPool(pool_settings(tmp_path / "run", workers=1), Epoch(1))
    await pool.start()
    path = next((tmp_path / "run").glob("*.sock"))
    link, events, _ = bare_link(2, tmp_path)
    await link.connect(path)
    try:
        command = OpenSession(command_id=CommandId("x"), session_id=SessionId("s"), local_host="127.0.0.1")
        await link.send(command)
        await link.send(command)
        await until(lambda: events)
        assert len([event for event in events if isinstance(event, SessionOpened)]) == 1
        again = OpenSession(command_id=CommandId("y"), session_id=SessionId("s"), local_host="127.0.0.1")
        for _ in range(2):
            with pytest.raises(CommandRejected) as refused:
                await link.send(again)
            assert refused.value.reject is RejectCode.DUPLICATE
        with pytest.raises(CommandRejected) as unknown:
            await link.send(CloseSession(command_id=CommandId("z"), session_id=SessionId("other")))
        assert unknown.value.reject is RejectCode.UNKNOWN_SESSION
        with pytest.raises(CommandRejected) as no_address:
            await link.send(OpenSession(command_id=CommandId("h"), session_id=SessionId("h"), local_host="localhost"))
        assert no_address.value.reject is RejectCode.INVALID
        assert link.incarnation != Incarnation("")
        assert pool.session_count == 0
    finally:
        await pool.close()
        os.kill(link.pid, signal.SIGTERM)
        await until(lambda: not is_alive(link.pid), "the worker's end")
        link.close()


async def test_garbage_and_strangers_on_the_socket_hurt_nobody(pool: MediaPool, tmp_path: Path) -> None:
    path = next((tmp_path / "run").glob("*.sock"))
    for garbage in (b"\xff" * 64, b"\x00\x00\x00\x00", b"\x00\x00\x00\x02hi", b"GET / HTTP/1.1\r\n\r\n"):
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(garbage)
        if garbage.startswith(b"\x00\x00\x00\x02"):
            assert await reader.read(4)
        else:
            assert await reader.read() == b""
        writer.close()
    link, _, _ = bare_link(9, tmp_path)
    await asyncio.get_running_loop().create_unix_connection(lambda: link, str(path))
    with pytest.raises(CommandRejected, match="Attach first"):
        await link.send(Ping(command_id=CommandId("p")))
    link.close()
    leg = TestLeg(pool)
    await leg.open()
    await leg.close()
    await leg.one(SessionClosed)
    await idle(pool)


async def test_the_session_limit_and_one_more(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=2, worker=WorkerSettings(sessions_max=2))
    async with running_pool(settings) as pool:
        legs = [TestLeg(pool) for _ in range(4)]
        for leg in legs:
            await leg.open()
        assert sorted(view.sessions for view in pool.workers()) == [2, 2]
        extra = TestLeg(pool)
        with pytest.raises(CommandRejected) as refused:
            await extra.open()
        assert refused.value.reject is RejectCode.LIMIT
        assert extra.events == []
        assert pool.session_count == 4
        for leg in legs:
            await leg.close()
            await leg.one(SessionClosed)
        await idle(pool)


async def test_a_used_up_port_range_refuses_and_rests(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1)
    settings = msgspec.structs.replace(settings, rtp_port_high=settings.rtp_port_low + 3)
    async with running_pool(settings) as pool:
        legs = [TestLeg(pool), TestLeg(pool)]
        ports = {(await leg.open()).local.port for leg in legs}
        assert ports == {settings.rtp_port_low, settings.rtp_port_low + 2}
        with pytest.raises(CommandRejected) as refused:
            await TestLeg(pool).open()
        assert refused.value.reject is RejectCode.NO_PORT
        for leg in legs:
            await leg.close()
            await leg.one(SessionClosed)
        with pytest.raises(CommandRejected):
            await TestLeg(pool).open()


async def test_ports_that_have_rested_are_used_again(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(port_rest_ms=10, port_rest_min_ms=10))
    settings = msgspec.structs.replace(settings, rtp_port_high=settings.rtp_port_low + 3)

    async def opened(leg: TestLeg) -> SessionOpened:
        while True:
            try:
                return await leg.open()
            except CommandRejected as refused:
                if refused.reject is not RejectCode.NO_PORT:
                    raise

    async with running_pool(settings) as pool, asyncio.timeout(20):
        for _ in range(6):
            leg = TestLeg(pool)
            assert (await opened(leg)).local.port in (settings.rtp_port_low, settings.rtp_port_low + 2)
            await leg.close()


async def test_sessions_of_one_affinity_share_a_worker(pool: MediaPool) -> None:
    legs = [TestLeg(pool) for _ in range(3)]
    for leg in legs:
        await leg.open(affinity="conference")
    assert len({pool.worker_of(leg.session_id) for leg in legs}) == 1
    for leg in legs:
        await leg.close()
        await leg.one(SessionClosed)
    await idle(pool)


async def test_figures_of_every_session_reach_its_listener(pool: MediaPool) -> None:
    async with rtp_caller() as first, rtp_caller() as second:
        legs = [TestLeg(pool), TestLeg(pool)]
        for leg, caller in zip(legs, (first, second), strict=True):
            opened = await leg.open()
            await leg.connect(caller.port)
            caller.start_sending(opened.local.port)
        for leg in legs:

            def has_figures(leg: TestLeg = leg) -> bool:
                figures = [event for event in leg.events if isinstance(event, SessionStats)]
                return any(one.received_packets > 20 and one.sent_packets > 20 for one in figures)

            await until(has_figures, "figures of each session")


async def test_the_end_of_the_last_call_is_told_at_once(tmp_path: Path) -> None:
    """With figures once a minute otherwise: a gauge must not say for long that a port is taken."""
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(stats_interval_ms=60_000))
    async with running_pool(settings) as pool:
        legs = [TestLeg(pool) for _ in range(2)]
        for leg in legs:
            await leg.open()
        await legs[0].close()
        assert pool.workers()[0].stats is None
        await legs[1].close()
        await until(lambda: pool.workers()[0].stats, "the figures")
        stats = pool.workers()[0].stats
        assert stats is not None
        assert (stats.sessions, stats.open_ports) == (0, 0)


async def test_draining_workers_finish_their_calls_and_leave(tmp_path: Path) -> None:
    async with running_pool(pool_settings(tmp_path / "run")) as pool:
        leg = TestLeg(pool)
        await leg.open()
        draining = asyncio.create_task(pool.drain())
        await until(lambda: not pool.is_ready)
        with pytest.raises(WorkerLost):
            await TestLeg(pool).open()
        assert not draining.done()
        await leg.close()
        await leg.one(SessionClosed)
        async with asyncio.timeout(20):
            await draining
        assert [view.state for view in pool.workers()] == [SlotState.CLOSED] * 2


async def test_events_wait_for_the_commit(tmp_path: Path) -> None:
    allowed = asyncio.Event()
    commits = 0

    async def commit() -> None:
        nonlocal commits
        await allowed.wait()
        commits += 1

    settings = pool_settings(tmp_path / "run", workers=1)
    pool = MediaPool(settings, Epoch(1), commit=commit)
    await pool.start()
    try:
        leg = TestLeg(pool)
        await leg.open()
        await until(
            lambda: (stats := pool.workers()[0].stats) is not None and stats.ledger == 1, "an unforgotten event"
        )
        allowed.set()
        await until(lambda: (stats := pool.workers()[0].stats) is not None and stats.ledger == 0, "a forgotten event")
        assert commits == 1
        await leg.close()
        await leg.one(SessionClosed)
    finally:
        await pool.close()


async def test_a_thousand_calls_leave_no_descriptor(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run", workers=1, worker=WorkerSettings(port_rest_ms=0, port_rest_min_ms=0))
    async with running_pool(settings) as pool:
        pid = pool.workers()[0].pid
        before = open_descriptors(pid)
        for _ in range(50):
            legs = [TestLeg(pool) for _ in range(20)]
            await asyncio.gather(*(leg.open() for leg in legs))
            await asyncio.gather(*(leg.close() for leg in legs))
        await idle(pool)
        await until(lambda: open_descriptors(pid) == before, f"{before} open descriptors")


async def test_files_are_played_looped_stopped_and_refused(pool: MediaPool, tmp_path: Path) -> None:
    import math
    import struct
    import wave

    from ringback.media.control.commands import StopPlay

    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(44_100)
        samples = (int(9_000 * math.sin(2 * math.pi * 440 * n / 44_100)) for n in range(44_100 // 2))
        file.writeframes(b"".join(struct.pack("<hh", sample, sample) for sample in samples))
    async with rtp_caller() as caller:
        leg = TestLeg(pool)
        await leg.open()
        await leg.connect(caller.port)
        once = await leg.play(path)
        twice = await leg.play(path, loops=2)
        missing = await leg.play(tmp_path / "missing.wav")
        await until(lambda: len(leg.all(PlayFinished)) == 3, "three ends")
        ends = {event.play_id: event for event in leg.all(PlayFinished)}
        assert ends[once].reason is PlayEnd.COMPLETED
        assert 480 <= ends[once].played_ms <= 540
        assert ends[twice].reason is PlayEnd.COMPLETED
        assert 980 <= ends[twice].played_ms <= 1_060
        assert ends[missing].reason is PlayEnd.FAILED
        assert "cannot be read" in ends[missing].detail
        assert any(packet.payload.strip(b"\xff\x7f") for packet in caller.packets)

        endless = await leg.play(path, loops=0)
        heard = len(caller.packets)
        await until(lambda: len(caller.packets) > heard + 40, "the sound, again and again")
        await leg.pool.send(StopPlay(command_id=pool.new_command_id(), session_id=leg.session_id, play_id=endless))
        await until(lambda: len(leg.all(PlayFinished)) == 4)
        assert leg.all(PlayFinished)[-1].reason is PlayEnd.STOPPED
        await leg.close()
        await leg.one(SessionClosed)
    await idle(pool)
