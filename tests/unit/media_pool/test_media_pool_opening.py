"""`media.pool.pool`: a session that its caller never learns of is closed again."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.ids import CommandId, Epoch, SessionId, WorkerId
from ringback.media.control.commands import CloseSession, OpenSession
from ringback.media.control.events import SessionOpened
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import Address
from ringback.media.pool.link import CommandTimedOut
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


def pool_with(link: Link) -> tuple[MediaPool, Any]:
    pool = MediaPool(PoolSettings(runtime_dir="/nowhere"), Epoch(1))
    slot = SimpleNamespace(worker_id=WorkerId("media-0"), state=SlotState.RUNNING, link=link, process=None)
    pool._supervisor = SimpleNamespace(slots=[slot])  # type: ignore[assignment]
    return pool, slot


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
