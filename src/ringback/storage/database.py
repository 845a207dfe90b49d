"""The database: one writer that commits in groups, readers on connections of their own.

Stores are functions on a `Session`; they are run by `Database.write` and `Database.read` and never commit themselves.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Session as Session

from ringback.errors import RingbackError

T = TypeVar("T")


class Base(DeclarativeBase):
    """The declarative base of every room's tables; `Base.metadata` is the schema."""


class StorageUnavailable(RingbackError):
    """The database cannot be used now: closed, overloaded, or failing; nothing was written."""

    default_code = "storage-unavailable"


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Bounds of the database."""

    group_max: int = 200
    """Works in one commit."""
    queue_max: int = 20_000
    """Works that may wait; the next one is refused with `StorageUnavailable`."""
    readers: int = 4
    """Connections for reading."""


class Database:
    """An open database whose schema is current.

    State: every method but `open` needs an open database; `close` may be called twice.
    """

    url: str

    @classmethod
    async def open(cls, url: str, settings: DatabaseSettings | None = None) -> Database:
        """Return the database at `url` with all migrations applied.

        Args:
            url: `sqlite+aiosqlite:///PATH`, `sqlite+aiosqlite:///:memory:` or `postgresql+asyncpg://…`.
        Raises:
            ConfigError: another process uses the SQLite file, the schema is newer than this program, or the database
                cannot be opened.
        """
        raise NotImplementedError

    async def write(self, work: Callable[[Session], T]) -> T:
        """Run `work` in the writer and return its result once it is durably committed.

        `work` runs in a savepoint of its own inside a group: when it raises, only its own changes are undone and its
        exception is raised here. Works run one at a time in the order of the calls. `work` may run on another thread: it
        touches the session and its arguments, nothing else, and returns plain values, not rows. A cancelled caller does
        not undo the work.

        Raises:
            StorageUnavailable: too many works wait, the commit failed, or the database is closed.
        """
        raise NotImplementedError

    async def read(self, work: Callable[[Session], T]) -> T:
        """Return the result of `work` on a consistent snapshot; what it changes is discarded."""
        raise NotImplementedError

    async def close(self) -> None:
        """Commit what waits and release everything."""
        raise NotImplementedError
