"""A group of works in one commit, and what a kind of database must offer to run it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError

from ringback.errors import RingbackError
from ringback.storage.session import Session

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DatabaseSettings:
    """Bounds of the database."""

    group_max: int = 200
    """Works in one commit."""
    queue_max: int = 20_000
    """Works that may wait; the next one is refused with `StorageUnavailable`."""
    readers: int = 4
    """Connections for reading."""
    statement_timeout_ms: int = 5_000
    """PostgreSQL ends a statement that takes longer."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one work of a committed group."""

    result: Any = None
    error: Exception | None = None


class Backend(Protocol):
    """What `Database` needs from one kind of database."""

    async def run_group(self, works: list[Callable[[Session], Any]]) -> list[Outcome]:
        """Run the works, each in a savepoint, and commit; raise when the commit did not happen."""

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a read-only transaction; raise `StorageUnavailable` when the database does not answer."""

    async def close(self) -> None:
        """Release connections, threads and locks."""


class StorageUnavailable(RingbackError):
    """The database cannot be used now: closed, overloaded, or failing; nothing was written."""

    default_code = "storage-unavailable"


class TransactionLost(RingbackError):
    """The database ended the group's transaction by itself: a full disk, an I/O error, a lost connection."""

    default_code = "transaction-lost"


def reason_of(error: BaseException) -> str:
    """Return what the database's own driver said first, on one line."""
    chain = [error]
    # The first error is the innermost: a savepoint that a full disk has ended cannot be left either.
    while (earlier := chain[-1].__cause__ or chain[-1].__context__) is not None and earlier not in chain:
        chain.append(earlier)
    of_database = [each.orig for each in chain if isinstance(each, DBAPIError) and each.orig is not None]
    of_system = [each for each in chain if isinstance(each, OSError) and each.strerror]
    if of_system and not of_database:
        return str(of_system[-1].strerror)
    said = of_database[-1] if of_database else error
    return " ".join(str(said).split()) or type(said).__name__


def run_alone(session: Session, works: list[Callable[[Session], Any]]) -> Outcome | None:
    """Run and commit a lone work without a savepoint, as it has nobody to protect; `None` for several.

    `None` also when it failed: nothing is changed then, and `run_works` runs it again and says what became of it.
    """
    if len(works) != 1:
        return None
    try:
        result = works[0](session)
        session.commit()
    except Exception:
        session.rollback()
        return None
    return Outcome(result)


def run_works(session: Session, works: list[Callable[[Session], Any]], is_alive: Callable[[], bool]) -> list[Outcome]:
    """Run works in savepoints of `session`'s transaction and commit.

    Args:
        is_alive: Says whether the transaction still exists; asked after a failure, because SQLite may end it when the
            disk is full, and a savepoint made afterwards would commit on its own.
    Raises:
        TransactionLost: nothing was committed.
    """
    outcomes: list[Outcome] = []
    for work in works:
        try:
            with session.begin_nested():
                result = work(session)
            outcomes.append(Outcome(result))
        except Exception as error:
            if not is_alive():
                raise TransactionLost("the database ended the transaction") from error
            outcomes.append(Outcome(error=error))
        # The next work sees the database, not what this one had loaded.
        session.expunge_all()
    session.commit()
    return outcomes
