"""The event log: what happened in each call, in order, readable within 100 ms and while it happens."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from sqlalchemy import delete, select

from ringback import clock
from ringback.errors import RingbackError
from ringback.machine import MS, Instant
from ringback.storage.database import Database
from ringback.storage.models import EventRow
from ringback.storage.session import Session
from ringback.storage.statements import insert_into

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder(enc_hook=repr).encode


@dataclass(frozen=True, slots=True)
class EventLogSettings:
    """Bounds of the event log."""

    batch_ms: int = 50
    """How long the first event of a batch waits for others."""
    batch_max: int = 2_000
    """Events in one write."""
    queue_max: int = 50_000
    """Events that may wait; the next one is counted as dropped."""
    calls_max: int = 20_000
    """Calls whose first moment is remembered."""
    fields_max_bytes: int = 96 * 1024
    """Encoded fields of one event; longer ones are cut and say so."""
    retry_ms: int = 1_000
    """Pause after a write that failed."""
    read_wait_max_ms: int = 2_000
    """How long a reader waits for facts of its call that are taken but not written yet."""
    retention_days: int = 30
    """Older events are removed once an hour."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One fact about a call."""

    event_id: int
    """Grows along a call; pass it as `after_id` to go on."""
    call_uuid: str
    wall_ms: int
    at_ms: int
    """Monotonic milliseconds since the first event of the call that this process saw."""
    kind: str
    fields: Mapping[str, object]


@dataclass(slots=True)
class EventCounters:
    """What became of events."""

    written: int = 0
    dropped: int = 0


@dataclass(slots=True, eq=False)
class _Waiter:
    """Someone who waits for news of a call."""

    news: asyncio.Event = field(default_factory=asyncio.Event)


class EventLog:
    """Takes events without waiting and writes them in batches; fulfils `telemetry.events.EventSink`.

    State: `start` and everything that waits belong to one running loop, `record` is called on its thread.
    """

    def __init__(self, database: Database, settings: EventLogSettings | None = None) -> None:
        self.counters = EventCounters()
        self._database = database
        self._settings = settings or EventLogSettings()
        self._queue: deque[tuple[str, int, int, str, Mapping[str, object]]] = deque()
        self._taken = 0
        """Events that were taken into the queue since the start; one's position is the count with it."""
        self._writing = 0
        """Events that have left the queue and are being written."""
        self._latest: dict[str, int] = {}
        """Position of the latest event of each call that has one waiting."""
        self._readers: deque[tuple[int, asyncio.Future[None]]] = deque()
        """Who waits until the events up to a position are written or dropped, in order of positions."""
        self._first_at: OrderedDict[str, Instant] = OrderedDict()
        self._waiters: dict[str, set[_Waiter]] = {}
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._closing = False

    def start(self) -> None:
        """Start the tasks that write and that remove old events; needs a running loop."""
        self._tasks = [
            asyncio.create_task(self._write_batches(), name="event-log-writer"),
            asyncio.create_task(self._remove_old(), name="event-log-retention"),
        ]

    @property
    def waiting_events(self) -> int:
        """Return how many events wait to be written."""
        return len(self._queue)

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Take one event; never blocks, never raises. When the queue is full the event is counted as dropped."""
        if len(self._queue) >= self._settings.queue_max:
            self.counters.dropped += 1
            return
        now = clock.now()
        first = self._first_at.setdefault(call_uuid, now)
        if first == now and len(self._first_at) > self._settings.calls_max:
            self._first_at.popitem(last=False)
        self._queue.append((call_uuid, clock.wall_ms(), (now - first) // MS, kind, fields))
        self._taken += 1
        self._latest[call_uuid] = self._taken
        self._wake.set()

    async def read(self, call_uuid: str, after_id: int = 0, limit: int = 500) -> list[LoggedEvent]:
        """Return events of a call with ids above `after_id`, oldest first.

        What was recorded before this call is among them, unless the database takes longer than `read_wait_max_ms`.
        """
        try:
            async with asyncio.timeout(self._settings.read_wait_max_ms / 1000):
                await self._settle(self._latest.get(call_uuid, 0))
        except TimeoutError:
            # A database that takes no writes still has answers for those who read.
            pass
        return await self._database.read(lambda session: _select(session, call_uuid, after_id, limit))

    async def wait(self, call_uuid: str, after_id: int, timeout_ms: int) -> None:
        """Return when the call may have events above `after_id`, or after `timeout_ms`."""
        waiter = self._enter(call_uuid)
        try:
            # Entered before looking, so that an event stored in between is not missed.
            if await self.read(call_uuid, after_id, 1):
                return
            async with asyncio.timeout(timeout_ms / 1000):
                await waiter.news.wait()
        except TimeoutError:
            return
        finally:
            self._leave(call_uuid, waiter)

    async def flush(self) -> None:
        """Return when everything recorded so far is durable, or dropped because it could not be written."""
        await self._settle(self._taken)

    async def remove_before(self, wall_ms: int) -> int:
        """Remove events older than `wall_ms`; return how many. Works in steps, so that other writes get their turn."""
        removed = 0
        while count := await self._database.write(lambda session: _delete_before(session, wall_ms)):
            removed += count
        return removed

    async def close(self) -> None:
        """Write what waits and stop."""
        if not self._tasks:
            return
        self._closing = True
        self._hurry.set()
        self._wake.set()
        writer, retention = self._tasks
        self._tasks = []
        retention.cancel()
        await asyncio.gather(writer, retention, return_exceptions=True)

    @property
    def _settled(self) -> int:
        """Return the position up to which every event is written or dropped."""
        return self._taken - len(self._queue) - self._writing

    async def _settle(self, position: int) -> None:
        """Return when the events up to `position` are written or dropped; they are written without delay."""
        self._release_readers()
        if position <= self._settled:
            return
        settled: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Appended positions never fall: `flush` names the latest, and a reader behind it waits a little longer.
        self._readers.append((max(position, self._readers[-1][0] if self._readers else 0), settled))
        self._hurry.set()
        await settled

    def _release_readers(self) -> None:
        while self._readers and (self._readers[0][1].done() or self._readers[0][0] <= self._settled):
            _, settled = self._readers.popleft()
            if not settled.done():
                settled.set_result(None)
        if not self._readers and not self._closing:
            self._hurry.clear()

    def _enter(self, call_uuid: str) -> _Waiter:
        waiter = _Waiter()
        self._waiters.setdefault(call_uuid, set()).add(waiter)
        return waiter

    def _leave(self, call_uuid: str, waiter: _Waiter) -> None:
        waiters = self._waiters[call_uuid]
        waiters.discard(waiter)
        if not waiters:
            del self._waiters[call_uuid]

    async def _write_batches(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
            await self._collect()
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), self._settings.batch_max))]
            if not batch:
                # Woken by `close` alone.
                continue
            self._writing = len(batch)
            await self._write(batch)
            self._writing = 0
            for call_uuid in {entry[0] for entry in batch}:
                if self._latest.get(call_uuid, 0) <= self._settled:
                    self._latest.pop(call_uuid, None)
            self._release_readers()

    async def _collect(self) -> None:
        """Wait until a batch is worth writing."""
        if len(self._queue) >= self._settings.batch_max:
            return
        try:
            async with asyncio.timeout(self._settings.batch_ms / 1000):
                await self._hurry.wait()
        except TimeoutError:
            return

    async def _write(self, batch: list[tuple[str, int, int, str, Mapping[str, object]]]) -> None:
        limit = self._settings.fields_max_bytes
        try:
            await self._database.write(lambda session: _insert(session, batch, limit))
        except Exception as error:
            room = self._settings.queue_max - len(self._queue)
            can_retry = isinstance(error, RingbackError) and not self._closing
            kept = batch[-room:] if can_retry and room > 0 else []
            self.counters.dropped += len(batch) - len(kept)
            self._queue.extendleft(reversed(kept))
            _logger.warning("events not written", extra={"kept": len(kept), "events": len(batch), "error": repr(error)})
            if kept:
                await asyncio.sleep(self._settings.retry_ms / 1000)
            return
        self.counters.written += len(batch)
        for call_uuid in {entry[0] for entry in batch} & self._waiters.keys():
            for waiter in self._waiters[call_uuid]:
                waiter.news.set()

    async def _remove_old(self) -> None:
        while True:
            oldest = clock.wall_ms() - self._settings.retention_days * 86_400_000
            try:
                await self.remove_before(oldest)
            except RingbackError as error:
                _logger.warning("old events not removed", extra={"error": repr(error)})
            await asyncio.sleep(3600)


def _insert(
    session: Session, batch: list[tuple[str, int, int, str, Mapping[str, object]]], fields_max_bytes: int
) -> None:
    rows = [
        {
            "call_uuid": call_uuid[:64],
            "wall_ms": wall_ms,
            "at_ms": at_ms,
            "kind": kind[:32],
            "fields": _encoded(fields, fields_max_bytes),
        }
        for call_uuid, wall_ms, at_ms, kind, fields in batch
    ]
    session.execute(insert_into(EventRow), rows)


def _encoded(fields: Mapping[str, object], max_bytes: int) -> str:
    try:
        data = _encode(dict(fields))
    except (TypeError, ValueError, UnicodeError, RecursionError, msgspec.MsgspecError) as error:
        # The log must not fail because of what it is told; half surrogates cannot be encoded, for example.
        data = _encode({"unreadable": ascii(fields)[:4096], "reason": ascii(error)})
    if len(data) > max_bytes:
        data = _encode({"cut": True, "size_bytes": len(data), "start": data[:4096].decode("utf-8", "ignore")})
    return data.decode()


def _select(session: Session, call_uuid: str, after_id: int, limit: int) -> list[LoggedEvent]:
    rows = session.execute(
        select(EventRow.id, EventRow.wall_ms, EventRow.at_ms, EventRow.kind, EventRow.fields)
        .where(EventRow.call_uuid == call_uuid, EventRow.id > after_id)
        .order_by(EventRow.id)
        .limit(limit)
    )
    return [
        LoggedEvent(event_id, call_uuid, wall_ms, at_ms, kind, msgspec.json.decode(fields))
        for event_id, wall_ms, at_ms, kind, fields in rows
    ]


_REMOVED_AT_ONCE = 1_000


def _delete_before(session: Session, wall_ms: int) -> int:
    old = select(EventRow.id).where(EventRow.wall_ms < wall_ms).limit(_REMOVED_AT_ONCE)
    result: Any = session.execute(
        delete(EventRow).where(EventRow.id.in_(old)).execution_options(synchronize_session=False)
    )
    return int(result.rowcount)
