"""`media.pool.pool`: where sessions are placed; a session that its caller never learns of is closed again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.ids import CommandId, Epoch, SessionId, WorkerId
from ringback.machine import SECOND
from ringback.media.control.commands import CloseSession, OpenSession
from ringback.media.control.events import SessionOpened, WorkerStats
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import Address
from ringback.media.pool.link import CommandTimedOut
from ringback.media.pool.load import UNBOUNDED, LoadState
from ringback.media.pool.pool import MediaPool
from ringback.media.pool.supervisor import SlotState

COMMAND = OpenSession(command_id=CommandId("c1"), session_id=SessionId("s1"), local_host="127.0.0.1")
OPENED = SessionOpened(session_id=SessionId("s1"), caused_by=CommandId("c1"), local=Address("127.0.0.1", 20_000))


class Link:
    """A worker's link whose answers come when the test says so."""

    def __init__(self) -> None:
        self.posted: list[object] = []
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def send(self, command: object) -> None:
        await self.accepted

    def post(self, command: object) -> None:
        self.posted.append(command)


def pool_with(*links: Link) -> tuple[MediaPool, Any]:
    """Return a pool with a running worker behind each link, and the first worker's slot."""
    pool = MediaPool(PoolSettings(runtime_dir="/nowhere"), Epoch(1))
    slots = [
        SimpleNamespace(
            worker_id=WorkerId(f"media-{index}"),
            state=SlotState.RUNNING,
            link=link,
            process=None,
            restarts=0,
            stats=None,
        )
        for index, link in enumerate(links)
    ]
    pool._supervisor = SimpleNamespace(slots=slots)  # type: ignore[assignment]
    return pool, slots[0]


def opening_of(number: int) -> OpenSession:
    return OpenSession(command_id=CommandId(f"c{number}"), session_id=SessionId(f"s{number}"), local_host="127.0.0.1")


async def test_sessions_that_are_opened_at_once_are_spread_evenly_before_any_worker_has_answered() -> None:
    pool, _ = pool_with(Link(), Link(), Link())
    opening = [asyncio.create_task(pool.open_session(opening_of(number), lambda _event: None)) for number in range(9)]
    await asyncio.sleep(0)
    assert [view.sessions for view in pool.workers()] == [3, 3, 3]
    for task in opening:
        task.cancel()
    await asyncio.gather(*opening, return_exceptions=True)
    assert [view.sessions for view in pool.workers()] == [0, 0, 0]


async def test_worker_that_is_starting_takes_nothing_and_then_what_the_others_have_more() -> None:
    pool, starting = pool_with(Link(), Link())
    starting.state = SlotState.STARTING
    opening = [asyncio.create_task(pool.open_session(opening_of(number), lambda _event: None)) for number in range(2)]
    await asyncio.sleep(0)
    assert [(view.is_accepting, view.sessions) for view in pool.workers()] == [(False, 0), (True, 2)]
    starting.state = SlotState.RUNNING
    opening += [
        asyncio.create_task(pool.open_session(opening_of(number), lambda _event: None)) for number in range(2, 4)
    ]
    await asyncio.sleep(0)
    assert [(view.is_accepting, view.sessions) for view in pool.workers()] == [(True, 2), (True, 2)]
    for task in opening:
        task.cancel()
    await asyncio.gather(*opening, return_exceptions=True)


async def test_opened_session_is_kept() -> None:
    link = Link()
    pool, slot = pool_with(link)
    opening = asyncio.create_task(pool.open_session(COMMAND, lambda _event: None))
    await asyncio.sleep(0)
    link.accepted.set_result(None)
    pool.handle_event(slot, OPENED)
    assert await opening == OPENED
    assert (pool.session_count, link.posted) == (1, [])


async def test_time_out_that_comes_with_the_answer_closes_the_session() -> None:
    link = Link()
    pool, slot = pool_with(link)
    opening = asyncio.create_task(pool.open_session(COMMAND, lambda _event: None))
    await asyncio.sleep(0)
    pool.handle_event(slot, OPENED)
    link.accepted.set_exception(CommandTimedOut("worker media-0 did not answer"))
    with pytest.raises(CommandTimedOut):
        await opening
    assert pool.session_count == 0
    assert [type(command) for command in link.posted] == [CloseSession]


async def test_caller_that_goes_away_with_the_answer_closes_the_session() -> None:
    link = Link()
    pool, slot = pool_with(link)
    opening = asyncio.create_task(pool.open_session(COMMAND, lambda _event: None))
    await asyncio.sleep(0)
    link.accepted.set_result(None)
    pool.handle_event(slot, OPENED)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert pool.session_count == 0
    assert [type(command) for command in link.posted] == [CloseSession]


def late_figures(number: int, *, late: bool, sessions: int = 200) -> WorkerStats:
    """Return the figures of the second `number`; every slot of it was late, or none."""
    return WorkerStats(
        sessions=sessions,
        streams=sessions,
        cpu_ns=0,
        tick_late_p99_us=0,
        rss_bytes=0,
        wall_ms=0,
        at_ns=number * SECOND,
        slots=200 * number,
        late_slots=200 * number if late else 0,
    )


async def test_late_workers_have_nothing_to_spare_and_are_passed_over() -> None:
    pool, first = pool_with(Link(), Link())
    second = pool._supervisor.slots[1]
    both = pool.spare_sessions()
    for number in range(8):
        pool.handle_stats(first, late_figures(number, late=True))
    assert [view.load for view in pool.workers()] == [LoadState.FULL, LoadState.OPEN]
    assert 0 < pool.spare_sessions() < both
    opening = [asyncio.create_task(pool.open_session(opening_of(number), lambda _event: None)) for number in range(3)]
    await asyncio.sleep(0)
    assert [view.sessions for view in pool.workers()] == [0, 3]
    for task in opening:
        task.cancel()
    await asyncio.gather(*opening, return_exceptions=True)
    # A worker that died takes its record with it.
    pool.handle_gone(first)
    assert pool.workers()[0].load is LoadState.OPEN
    assert second.state is SlotState.RUNNING


async def test_workers_that_do_not_run_are_no_load() -> None:
    pool, slot = pool_with(Link())
    slot.state = SlotState.DEAD
    assert pool.spare_sessions() == UNBOUNDED
