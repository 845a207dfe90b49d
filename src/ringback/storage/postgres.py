"""PostgreSQL through asyncpg; works run in the loop's thread and wait for the network without blocking it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from sqlalchemy.engine import URL, Connection, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from ringback.errors import ConfigError
from ringback.storage import schema
from ringback.storage.group import DatabaseSettings, Outcome, StorageUnavailable, reason_of, run_alone, run_works
from ringback.storage.session import Session

T = TypeVar("T")
_AWAY = ("08", "53", "57", "58")
"""Classes of SQLSTATE: no connection, no resources, an operator's intervention or a time limit, a fault of the system.

Source: PostgreSQL 15, appendix A.
"""


class PostgresBackend:
    """One PostgreSQL database."""

    def __init__(self, url: URL, settings: DatabaseSettings) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"),
            pool_size=settings.readers + 1,
            max_overflow=0,
            pool_pre_ping=True,
            hide_parameters=True,
            connect_args={
                "timeout": 5,
                "server_settings": {
                    "application_name": "ringback",
                    "statement_timeout": str(settings.statement_timeout_ms),
                    "synchronous_commit": "on",
                },
            },
        )
        self._read_engine = self._engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    @classmethod
    async def open(cls, url: URL, settings: DatabaseSettings) -> PostgresBackend:
        """Return the connected database with its schema current.

        Raises:
            ConfigError: it cannot be reached, refuses us, or its schema is newer.
        """
        backend = cls(url, settings)
        try:
            async with backend._engine.begin() as connection:
                await connection.run_sync(_migrate)
        except (OSError, TimeoutError, DBAPIError) as error:
            await backend.close()
            where = url.set(password=None, query={}).render_as_string()
            raise ConfigError(f"database {where} cannot be used: {reason_of(error)}") from error
        except BaseException:
            await backend.close()
            raise
        return backend

    async def run_group(self, works: list[Callable[[Session], Any]]) -> list[Outcome]:
        """Run and commit the works on one connection."""
        async with AsyncSession(self._engine, expire_on_commit=False) as session:
            return await session.run_sync(_run_group, works)

    async def read(self, work: Callable[[Session], T]) -> T:
        """Run `work` in a read-only snapshot."""
        try:
            async with AsyncSession(self._read_engine) as session:
                return await session.run_sync(work)
        except (OSError, TimeoutError, PoolTimeout, DBAPIError) as error:
            if not _is_away(error):
                raise
            raise StorageUnavailable("the database does not answer") from error

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()


async def server_version(url: str) -> str:
    """Return the version of the PostgreSQL server behind `url`; nothing is changed in its database.

    Raises:
        ConfigError: it cannot be reached, or refuses us.
    """
    parsed = make_url(url).set(drivername="postgresql+asyncpg")
    engine = create_async_engine(parsed, connect_args={"timeout": 5})
    try:
        async with engine.connect() as connection:
            return str((await connection.exec_driver_sql("SHOW server_version")).scalar())
    except (OSError, TimeoutError, DBAPIError) as error:
        where = parsed.set(password=None, query={}).render_as_string()
        raise ConfigError(f"database {where} cannot be used: {reason_of(error)}") from error
    finally:
        await engine.dispose()


def _run_group(session: Session, works: list[Callable[[Session], Any]]) -> list[Outcome]:
    if (outcome := run_alone(session, works)) is not None:
        return [outcome]
    connection = session.connection()
    return run_works(session, works, lambda: not connection.invalidated)


def _migrate(connection: Connection) -> None:
    # Two nodes that start together migrate one after the other.
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7464225)")
    schema.upgrade(connection, schema.current_revision(connection))


def _is_away(error: Exception) -> bool:
    """Return whether the server, not the statement, is at fault."""
    if not isinstance(error, DBAPIError):
        return True
    if error.connection_invalidated:
        return True
    return str(getattr(error.orig, "sqlstate", None) or "08")[:2] in _AWAY
