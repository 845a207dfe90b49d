"""The event log keeps order, never blocks, stays bounded, and tells those who wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ringback import clock
from ringback.storage.database import Database, StorageUnavailable
from ringback.storage.event_log import EventLog, EventLogSettings


@pytest.fixture
async def log(database: Database) -> AsyncIterator[EventLog]:
    log = EventLog(database, EventLogSettings(batch_ms=5))
    log.start()
    yield log
    await log.close()


async def test_events_are_read_back_in_order_with_times(log: EventLog) -> None:
    before = clock.wall_ms()
    log.record("a", "sip", {"direction": "in", "summary": "INVITE"})
    log.record("b", "call", {"state": "ringing"})
    log.record("a", "digit", {"digit": "5", "nested": {"list": [1, None, True]}})
    await log.flush()
    events = await log.read("a")
    assert [event.kind for event in events] == ["sip", "digit"]
    assert events[1].fields == {"digit": "5", "nested": {"list": [1, None, True]}}
    assert events[0].at_ms == 0
    assert events[0].event_id < events[1].event_id
    assert before <= events[0].wall_ms <= clock.wall_ms()
    assert log.counters.written == 3


async def test_reading_goes_on_after_an_id_and_is_paged(log: EventLog) -> None:
    for index in range(5):
        log.record("a", "call", {"index": index})
    await log.flush()
    first = await log.read("a", limit=2)
    rest = await log.read("a", after_id=first[-1].event_id)
    assert [event.fields["index"] for event in [*first, *rest]] == [0, 1, 2, 3, 4]


async def test_event_is_readable_within_100_ms_without_flush(database: Database) -> None:
    log = EventLog(database)
    log.start()
    log.record("a", "call", {})
    async with asyncio.timeout(20):
        await log.wait("a", 0, 2_000)
    assert len(await log.read("a")) == 1
    assert EventLogSettings().batch_ms < 100
    await log.close()


async def test_reader_sees_what_was_recorded_before_and_does_not_wait_for_other_calls(database: Database) -> None:
    log = EventLog(database, EventLogSettings(batch_ms=60_000))
    log.start()
    log.record("a", "call", {})
    assert await log.read("b") == []
    assert log.waiting_events == 1, "nobody who reads of another call makes a batch smaller"
    assert [event.kind for event in await log.read("a")] == ["call"]
    log.record("a", "sip", {})
    assert [event.kind for event in await log.read("a")] == ["call", "sip"]
    assert log._latest == {}
    await log.close()


async def test_events_of_one_call_are_seen_by_every_reader_while_they_are_written(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = EventLog(database, EventLogSettings(batch_ms=1))
    log.start()
    real, is_writing, may_write = database.write, asyncio.Event(), asyncio.Event()

    async def slow(work: Any) -> Any:
        is_writing.set()
        await may_write.wait()
        return await real(work)

    monkeypatch.setattr(database, "write", slow)
    log.record("a", "call", {})
    readers = [asyncio.create_task(log.read("a")) for _ in range(3)]
    await is_writing.wait()
    readers.append(asyncio.create_task(log.read("a")))
    may_write.set()
    assert [len(events) for events in await asyncio.gather(*readers)] == [1, 1, 1, 1]
    assert not log._readers
    await log.close()


async def test_reader_does_not_wait_for_ever_for_a_database_that_takes_no_writes(database: Database) -> None:
    log = EventLog(database, EventLogSettings(read_wait_max_ms=1))
    log.record("a", "call", {})
    for _ in range(3):
        assert await log.read("a") == []
    assert len(log._readers) == 1, "those who gave up are not remembered"


async def test_close_writes_what_waits(database: Database) -> None:
    log = EventLog(database, EventLogSettings(batch_ms=60_000))
    log.start()
    log.record("a", "call", {})
    await log.close()
    assert len(await log.read("a")) == 1
    await log.close()


async def test_close_of_an_idle_log_writes_nothing(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(database)
    log.start()
    written: list[object] = []

    async def note(work: Any) -> Any:
        written.append(work)
        return 0

    await asyncio.sleep(0)
    monkeypatch.setattr(database, "write", note)
    await asyncio.sleep(0)
    await log.close()
    assert written == []
    assert log.counters.dropped == 0


async def test_full_queue_drops_the_newest_and_counts(database: Database) -> None:
    log = EventLog(database, EventLogSettings(queue_max=3))
    for index in range(4):
        log.record("a", "call", {"index": index})
    assert (log.counters.dropped, log.waiting_events) == (1, 3)
    log.start()
    await log.flush()
    assert [event.fields["index"] for event in await log.read("a")] == [0, 1, 2]
    await log.close()


async def test_batches_are_bounded(database: Database) -> None:
    log = EventLog(database, EventLogSettings(batch_max=10, batch_ms=1))
    for index in range(21):
        log.record("a", "call", {"index": index})
    log.start()
    await log.flush()
    assert [event.fields["index"] for event in await log.read("a")] == list(range(21))
    await log.close()


@pytest.mark.parametrize(
    "value", ["\ud800", "\x00\x1b[31m", b"\xff\x00", object(), {1: object()}, float("nan"), 2**80, {"k": {"\udfff": 1}}]
)
async def test_record_takes_anything(log: EventLog, value: Any) -> None:
    log.record("a", "sip", {"raw": value})
    log.record("a", "call", {"state": "after"})
    await log.flush()
    events = await log.read("a")
    assert [event.kind for event in events] == ["sip", "call"]
    assert log.counters.dropped == 0


async def test_endless_nesting_is_noted_not_raised(log: EventLog) -> None:
    nested: dict[str, object] = {}
    nested["self"] = nested
    log.record("a", "call", nested)
    await log.flush()
    assert len(await log.read("a")) == 1


async def test_long_fields_are_cut_and_say_so(database: Database) -> None:
    log = EventLog(database, EventLogSettings(fields_max_bytes=1_000, batch_ms=1))
    log.start()
    log.record("a", "sip", {"raw": "x" * 990})
    log.record("a", "sip", {"raw": "x" * 991})
    await log.flush()
    fits, cut = await log.read("a")
    assert fits.fields == {"raw": "x" * 990}
    assert cut.fields["cut"] is True
    assert cut.fields["size_bytes"] == 1_001
    await log.close()


async def test_wait_ends_at_the_time_out_and_leaves_nothing(log: EventLog) -> None:
    await log.wait("a", 0, 1)
    assert log._waiters == {}


async def test_remembered_calls_are_bounded(database: Database) -> None:
    log = EventLog(database, EventLogSettings(calls_max=2))
    for name in ("a", "b", "c"):
        log.record(name, "call", {})
    assert list(log._first_at) == ["b", "c"]


async def test_old_events_are_removed_in_steps(log: EventLog) -> None:
    for _ in range(1_001):
        log.record("a", "call", {})
    await log.flush()
    assert await log.remove_before(1) == 0
    assert await log.remove_before(clock.wall_ms() + 1) == 1_001
    assert await log.read("a") == []


async def test_failed_write_is_tried_again(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(database, EventLogSettings(batch_ms=1, retry_ms=1))
    real, failures = database.write, [StorageUnavailable("busy"), StorageUnavailable("busy")]

    async def flaky(work: Any) -> Any:
        if failures:
            raise failures.pop()
        return await real(work)

    log.record("a", "call", {"index": 0})
    log.record("a", "call", {"index": 1})
    monkeypatch.setattr(database, "write", flaky)
    log._tasks = [asyncio.create_task(log._write_batches()), asyncio.create_task(asyncio.sleep(0))]
    await log.flush()
    assert [event.fields["index"] for event in await log.read("a")] == [0, 1]
    assert log.counters.dropped == 0
    await log.close()


async def test_unwritable_batch_is_dropped_and_counted(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    log = EventLog(database, EventLogSettings(batch_ms=1))

    async def broken(work: Any) -> Any:
        raise ValueError("not ours")

    log.record("a", "call", {})
    monkeypatch.setattr(database, "write", broken)
    log._tasks = [asyncio.create_task(log._write_batches()), asyncio.create_task(asyncio.sleep(0))]
    await log.flush()
    assert log.counters.dropped == 1
    await log.close()
