"""Jobs of a leg: in order, one at a time, no task when idle."""

from __future__ import annotations

import asyncio

from tests.support.legs_on_fakes import settle

from ringback.signalling.jobs import JobQueue


async def test_jobs_run_in_order_and_leave_no_task() -> None:
    done: list[int] = []
    gate = asyncio.Event()
    queue = JobQueue(lambda error: None)

    async def first() -> None:
        await gate.wait()
        done.append(1)

    async def second() -> None:
        done.append(2)

    assert queue.is_idle
    queue.put(first)
    queue.put(second)
    await settle()
    assert done == []
    gate.set()
    await settle()
    assert done == [1, 2]
    assert queue.is_idle
    assert len(asyncio.all_tasks()) == 1


async def test_failed_and_cancelled_jobs_do_not_stop_the_next() -> None:
    done: list[str] = []
    failures: list[BaseException] = []
    queue = JobQueue(failures.append)

    async def fails() -> None:
        raise ZeroDivisionError

    async def hangs() -> None:
        await asyncio.Event().wait()

    async def works() -> None:
        done.append("works")

    for job in (fails, hangs, works):
        queue.put(job)
    await settle()
    assert [type(error) for error in failures] == [ZeroDivisionError]
    queue.cancel_running()
    await settle()
    assert done == ["works"]
    queue.cancel_running()


async def test_waiting_jobs_can_be_dropped() -> None:
    done: list[str] = []
    queue = JobQueue(lambda error: None)

    async def note() -> None:
        done.append("ran")

    queue.put(note)
    queue.put(note)
    queue.drop_waiting()
    await settle()
    assert done == ["ran"]
