"""Rooms in real worker processes: who hears whom over RTP, what the server is told, and nothing left behind."""

from __future__ import annotations

import asyncio
import audioop
import os
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from tests.support.media_pool import TestLeg, pool_settings, running_pool
from tests.support.rtp_caller import RtpCaller, rtp_caller
from tests.support.waiting import until

from ringback.ids import Epoch
from ringback.media.control.commands import JoinRoom, LeaveRoom, ReportDigit, SetMember
from ringback.media.control.events import FloorChanged, RoomJoined, RoomLeft, SessionClosed
from ringback.media.control.port import CommandRejected, WorkerGone
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RejectCode, RoomEnd
from ringback.media.pool.pool import MediaPool
from ringback.media.pool.supervisor import SlotState
from ringback.testing.tones import goertzel_dbov, tone

HEARD_DBOV = -32.0
SILENT_DBOV = -50.0


@pytest.fixture
async def pool(tmp_path: Path) -> AsyncIterator[MediaPool]:
    async with running_pool(pool_settings(tmp_path / "run", worker=WorkerSettings(room_members_max=12))) as running:
        yield running


class Party:
    """A caller that sings one tone for ever, on a leg of its own."""

    def __init__(self, pool: MediaPool, caller: RtpCaller, pitch_hz: float) -> None:
        self.pool = pool
        self.leg = TestLeg(pool)
        self.caller = caller
        self.pitch_hz = pitch_hz
        # Whole periods in half a second, so that the repetition has no joint.
        self._audio = audioop.lin2ulaw(tone(pitch_hz, 520, level_dbov=-24)[160:4160].tobytes(), 2)

    async def start(self, affinity: str) -> None:
        opened = await self.leg.open(affinity)
        await self.leg.connect(self.caller.port)
        self.caller.start_sending(opened.local.port, self._frame)

    def _frame(self, number: int) -> bytes:
        at = number * 160 % 4_000
        return self._audio[at : at + 160]

    async def join(self, room_id: str = "room", **how: bool) -> None:
        await self.pool.send(
            JoinRoom(command_id=self.pool.new_command_id(), session_id=self.leg.session_id, room_id=room_id, **how)
        )
        joined = await self.leg.one(RoomJoined)
        assert joined.room_id == room_id

    async def set(self, *, is_muted: bool = False, is_deaf: bool = False) -> None:
        await self.pool.send(
            SetMember(
                command_id=self.pool.new_command_id(),
                session_id=self.leg.session_id,
                room_id="room",
                is_muted=is_muted,
                is_deaf=is_deaf,
            )
        )

    async def leave(self) -> None:
        await self.pool.send(
            LeaveRoom(command_id=self.pool.new_command_id(), session_id=self.leg.session_id, room_id="room")
        )

    def level_of(self, pitch_hz: float) -> float:
        """Return the level of a pitch in the last 400 ms that were heard."""
        audio = b"".join(packet.payload for packet in self.caller.packets[-20:] if packet.payload_type == 0)
        return goertzel_dbov(np.frombuffer(audioop.ulaw2lin(audio, 2), dtype=np.int16), pitch_hz)

    async def hears(self, *others: Party) -> None:
        await until(
            lambda: all(self.level_of(other.pitch_hz) > HEARD_DBOV for other in others),
            f"{self.pitch_hz} Hz to hear {[other.pitch_hz for other in others]}",
        )

    async def hears_nothing_of(self, *others: Party) -> None:
        await until(
            lambda: all(self.level_of(other.pitch_hz) < SILENT_DBOV for other in others),
            f"{self.pitch_hz} Hz to hear nothing of {[other.pitch_hz for other in others]}",
        )


async def parties(pool: MediaPool, stack: AsyncExitStack, count: int, affinity: str = "room") -> list[Party]:
    made = []
    for index in range(count):
        party = Party(pool, await stack.enter_async_context(rtp_caller()), 400.0 + 200 * index)
        await party.start(affinity)
        made.append(party)
    return made


async def gone(pool: MediaPool, made: list[Party]) -> None:
    for party in made:
        await party.leg.close()
        await party.leg.one(SessionClosed)
    await until(
        lambda: all(view.stats is not None and view.stats.open_ports == 0 for view in pool.workers()), "idle workers"
    )


async def test_two_sessions_are_bridged_and_parted(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b = await parties(pool, stack, 2)
        await a.join()
        await b.join()
        await asyncio.gather(a.hears(b), b.hears(a))
        await asyncio.gather(a.hears_nothing_of(a), b.hears_nothing_of(b))
        with pytest.raises(CommandRejected) as rejected:
            await a.join("another")
        assert rejected.value.reject is RejectCode.DUPLICATE
        await b.leave()
        assert (await b.leg.one(RoomLeft)).reason is RoomEnd.LEFT
        await asyncio.gather(a.hears_nothing_of(b), b.hears_nothing_of(a))
        with pytest.raises(CommandRejected) as rejected:
            await b.set(is_muted=True)
        assert rejected.value.reject is RejectCode.INVALID
        await gone(pool, [a, b])
        assert a.leg.all(RoomLeft)[0].reason is RoomEnd.CLOSED


async def test_a_session_finds_the_worker_of_another(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        (a,) = await parties(pool, stack, 1, affinity="")
        others = await parties(pool, stack, 3, affinity=a.leg.session_id)
        assert len({pool.worker_of(party.leg.session_id) for party in (a, *others)}) == 1
        await gone(pool, [a, *others])


async def apart(pool: MediaPool, stack: AsyncExitStack, count: int, room_id: str = "room", **how: bool) -> list[Party]:
    """Return members of one room, by turns on one worker and the other."""
    made = await parties(pool, stack, count, affinity="")
    assert len({pool.worker_of(party.leg.session_id) for party in made}) == 2
    for party in made:
        await party.join(room_id, **how)
    return made


async def test_members_on_two_workers_hear_each_other_and_not_themselves(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        made = await apart(pool, stack, 4)
        for party in made:
            await party.hears(*(other for other in made if other is not party))
            await party.hears_nothing_of(party)
        a, b, c, d = made
        await b.set(is_muted=True)
        await asyncio.gather(*(party.hears_nothing_of(b) for party in (a, c, d)))
        await b.leave()
        await d.leave()
        await asyncio.gather(a.hears(c), c.hears(a))
        await a.hears_nothing_of(b, d)
        await gone(pool, made)


async def test_rooms_of_two_workers_do_not_mix(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b, c, d = made = await parties(pool, stack, 4, affinity="")
        for party, room_id in zip(made, ("one", "one", "two", "two"), strict=True):
            await party.join(room_id)
        await asyncio.gather(a.hears(b), b.hears(a), c.hears(d), d.hears(c))
        await a.hears_nothing_of(a, c, d)
        await d.hears_nothing_of(a, b, d)
        await gone(pool, made)


async def test_the_floor_is_judged_across_workers(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b = made = await parties(pool, stack, 2, affinity="")
        await a.join(watches_floor=True)
        await a.leg.one(FloorChanged)
        await b.join()
        await a.set(is_muted=True)
        await b.leg.one(FloorChanged)
        await gone(pool, made)


async def test_keys_are_passed_across_workers(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b = made = await parties(pool, stack, 2, affinity="")
        await a.join(relays_digits=True)
        await b.join(relays_digits=True)
        await b.hears(a)
        await pool.send(
            ReportDigit(command_id=pool.new_command_id(), session_id=a.leg.session_id, digit="7", duration_ms=100)
        )
        await until(lambda: any(packet.payload_type == 101 for packet in b.caller.packets), "the key")
        assert not any(packet.payload_type == 101 for packet in a.caller.packets)
        await gone(pool, made)


async def test_a_worker_that_dies_is_silent_to_the_others_and_its_successor_is_heard(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b, c = await apart(pool, stack, 3)
        await asyncio.gather(a.hears(b, c), b.hears(a, c))
        lost = pool.worker_of(b.leg.session_id)
        (pid,) = [view.pid for view in pool.workers() if view.worker_id == lost]
        os.kill(pid, signal.SIGKILL)
        await b.leg.one(WorkerGone)
        await asyncio.gather(a.hears_nothing_of(b), c.hears_nothing_of(b))
        await a.hears(c)
        await until(lambda: all(view.state is SlotState.RUNNING for view in pool.workers()), "the new worker")
        (d,) = await parties(pool, stack, 1, affinity="")
        d.pitch_hz, d._audio = b.pitch_hz, b._audio
        assert pool.worker_of(d.leg.session_id) == lost
        await d.join()
        await asyncio.gather(a.hears(d), d.hears(a, c))
        await gone(pool, [a, c, d])


async def test_a_room_goes_on_without_a_server(tmp_path: Path) -> None:
    settings = pool_settings(tmp_path / "run")
    pool = MediaPool(settings, Epoch(1))
    await pool.start()
    async with AsyncExitStack() as stack:
        a, b = await apart(pool, stack, 2)
        await asyncio.gather(a.hears(b), b.hears(a))
        await pool.close(keep_workers=True)
        count = len(a.caller.packets)
        await until(lambda: len(a.caller.packets) > count + 50, "a second without a server")
        await asyncio.gather(a.hears(b), b.hears(a))
        async with running_pool(settings, epoch=2):
            pass


async def test_members_are_muted_and_deafened(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b, c = made = await parties(pool, stack, 3)
        await a.join()
        await b.join(is_muted=True)
        await c.join(is_deaf=True)
        await asyncio.gather(a.hears(c), b.hears(a, c), c.hears_nothing_of(a, b))
        await a.hears_nothing_of(b)
        await b.set()
        await c.set()
        await asyncio.gather(a.hears(b, c), b.hears(a, c), c.hears(a, b))
        await gone(pool, made)


async def test_a_room_takes_its_limit_and_not_one_more(pool: MediaPool) -> None:
    legs = [TestLeg(pool) for _ in range(13)]
    for index, leg in enumerate(legs):
        await leg.open("room")
        join = JoinRoom(command_id=pool.new_command_id(), session_id=leg.session_id, room_id="room")
        if index < 12:
            await pool.send(join)
        else:
            with pytest.raises(CommandRejected) as rejected:
                await pool.send(join)
            assert rejected.value.reject is RejectCode.LIMIT
    for leg in legs:
        await leg.close()
        await leg.one(SessionClosed)


async def test_the_floor_is_reported_while_someone_watches_it(pool: MediaPool) -> None:
    async with AsyncExitStack() as stack:
        a, b = await parties(pool, stack, 2)
        await b.join(watches_floor=True)
        await b.leg.one(FloorChanged)
        await b.set(is_muted=True)
        await a.join()
        await a.leg.one(FloorChanged)
        await gone(pool, [a, b])
