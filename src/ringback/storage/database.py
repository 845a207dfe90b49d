"""The database: one writer that commits in groups, readers on connections of their own.

Stores are functions on a `Session`; they are run by `Database.write` and `Database.read` and never commit themselves.
What waited while one group was being committed is the next group, so a lone write is not delayed and a crowd shares one
sync to disk.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from ringback import clock
from ringback.errors import ConfigError
from ringback.machine import Instant, after_ms
from ringback.storage.group import Backend, Outcome, reason_of
from ringback.storage.group import DatabaseSettings as DatabaseSettings
from ringback.storage.group import StorageUnavailable as StorageUnavailable
from ringback.storage.session import Base as Base
from ringback.storage.session import Session as Session
from ringback.storage.sqlite import SqliteBackend

T = TypeVar("T")
_logger = logging.getLogger(__name__)
_WRITE_FAULT_MS = 10_000
"""How long a failed commit counts as a fault: a node without calls writes nothing that would show that it is over."""


@dataclass(slots=True)
class DatabaseCounters:
    """What the writer has done since it was opened."""

    groups: int = 0
    works: int = 0
    refused_works: int = 0


class _Pending:
    """A work, or `None` for none, and the future of its caller."""

    __slots__ = ("done", "work")

    def __init__(self, work: Callable[[Session], Any] | None, done: asyncio.Future[Any]) -> None:
        self.work = work
        self.done = done


class Database:
    """An open database whose schema is current.

    State: every method but `open` needs an open database; `close` may be called twice.
    """

    def __init__(self, url: str, backend: Backend, settings: DatabaseSettings) -> None:
        self.url = url
        self.counters = DatabaseCounters()
        self._backend = backend
        self._settings = settings
        self._queue: deque[_Pending] = deque()
        self._wake = asyncio.Event()
        self._closing = False
        self._read_fault = ""
        self._write_fault, self._write_fault_until = "", Instant(0)
        self._writer = asyncio.create_task(self._write_groups(), name="database-writer")

    @classmethod
    async def open(cls, url: str, settings: DatabaseSettings | None = None) -> Database:
        """Return the database at `url` with all migrations applied.

        Args:
            url: `sqlite+aiosqlite:///PATH`, `sqlite+aiosqlite:///:memory:` or `postgresql+asyncpg://…`.
        Raises:
            ConfigError: another process uses the SQLite file, the schema is newer than this program, or the database
                cannot be opened.
        """
        settings = settings or DatabaseSettings()
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ConfigError(
                "database url cannot be read", hint="for example sqlite+aiosqlite:///ringback.db"
            ) from None
        backend: Backend
        match parsed.get_backend_name():
            case "sqlite":
                backend = await SqliteBackend.open(parsed.database or ":memory:", settings)
            case "postgresql":
                # Imported here: servers on SQLite start faster without the asynchronous half of SQLAlchemy.
                from ringback.storage.postgres import PostgresBackend

                backend = await PostgresBackend.open(parsed, settings)
            case other:
                raise ConfigError(f"database url names {other}, expected sqlite or postgresql")
        return cls(url if parsed.password is None else parsed.render_as_string(), backend, settings)

    @property
    def waiting_works(self) -> int:
        """Return how many works wait for the writer."""
        return len(self._queue)

    @property
    def fault(self) -> str:
        """Return why the database cannot be used now; empty when nothing is known against it.

        The last read says so, or a commit that failed in the last 10 s and none has succeeded since.
        """
        if self._read_fault:
            return f"the database does not answer: {self._read_fault}"
        if self._write_fault and clock.now() < self._write_fault_until:
            return f"the database cannot write: {self._write_fault}"
        return ""

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in the writer and return its result once it is durably committed.

        When `work` raises, only its own changes are undone and its exception is raised here; it may have been run twice
        before. Works run one at a time in the order of the calls. `work` may run on another thread: it touches the
        session and its arguments, nothing else, and returns plain values, not rows. A cancelled caller does not undo
        the work. Rows that it adds to the session are made in it, so that a second run makes new ones.

        Raises:
            StorageUnavailable: too many works wait, the commit failed, or the database is closed.
        """
        return cast(T, await self._queued(work))

    async def settle(self) -> None:
        """Return when every write that was asked for earlier is over.

        Raises:
            StorageUnavailable: the last of them could not be committed, or as `write`.
        """
        await self._queued(None)

    def _queued(self, work: Callable[[Session], Any] | None) -> asyncio.Future[Any]:
        if self._closing:
            raise StorageUnavailable("database is closed")
        if len(self._queue) >= self._settings.queue_max:
            self.counters.refused_works += 1
            raise StorageUnavailable(f"{len(self._queue)} writes wait, expected at most {self._settings.queue_max}")
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._queue.append(_Pending(work, done))
        self._wake.set()
        return done

    async def read(self, work: Callable[[Session], T]) -> T:
        """Return the result of `work` on a consistent snapshot; an attempt to change something fails.

        `work` may run on another thread, as in `write`.

        Raises:
            StorageUnavailable: the database does not answer, or is closed.
        """
        if self._closing:
            raise StorageUnavailable("database is closed")
        try:
            result = await self._backend.read(work)
        except StorageUnavailable as error:
            self._read_fault = reason_of(error)
            raise
        self._read_fault = ""
        return result

    async def close(self) -> None:
        """Commit what waits and release everything."""
        if self._closing:
            return
        self._closing = True
        self._wake.set()
        try:
            await self._writer
        finally:
            await self._backend.close()

    async def _write_groups(self) -> None:
        while True:
            if not self._queue:
                if self._closing:
                    return
                self._wake.clear()
                await self._wake.wait()
                # One more turn of the loop: works submitted together share the commit.
                await asyncio.sleep(0)
            group = [self._queue.popleft() for _ in range(min(len(self._queue), self._settings.group_max))]
            if group:
                await self._commit(group)

    async def _commit(self, group: list[_Pending]) -> None:
        try:
            works = [pending.work for pending in group if pending.work is not None]
            outcomes = await self._backend.run_group(works) if works else []
        except Exception as error:
            # Whatever failed, the group's transaction is rolled back and every caller learns it.
            self._write_fault = reason_of(error)
            self._write_fault_until = after_ms(clock.now(), _WRITE_FAULT_MS)
            _logger.warning("database commit failed", extra={"works": len(group), "error": repr(error)})
            for pending in group:
                if not pending.done.done():
                    failure = StorageUnavailable("the database could not commit")
                    failure.__cause__ = error
                    pending.done.set_exception(failure)
            return
        if works:
            self._write_fault = ""
        self.counters.groups += 1 if works else 0
        self.counters.works += len(works)
        each = iter(outcomes)
        for pending in group:
            outcome = Outcome() if pending.work is None else next(each)
            if pending.done.done():
                continue
            if outcome.error is not None:
                pending.done.set_exception(outcome.error)
            else:
                pending.done.set_result(outcome.result)
