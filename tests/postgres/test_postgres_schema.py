"""Upgrades of a PostgreSQL database: from the first schema, with its rows, to the one that the models describe."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from tests.support.databases import PostgresServer, postgres_server

from ringback.storage import schema
from ringback.storage.database import Database

pytestmark = pytest.mark.postgres


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


async def test_the_first_schema_is_upgraded_with_its_rows(postgres: PostgresServer) -> None:
    engine = create_async_engine(postgres.url)

    def make_old(connection: Connection) -> None:
        schema.upgrade(connection, "", "0001")
        connection.execute(
            text("INSERT INTO events (call_uuid, wall_ms, at_ms, kind, fields) VALUES ('kept', 1, 0, 'call', '{}')")
        )

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), schema.load_models()))

    async with engine.begin() as connection:
        await connection.run_sync(make_old)
    database = await Database.open(postgres.url)
    kept = await database.read(lambda session: session.execute(text("SELECT call_uuid FROM events")).scalars().all())
    await database.close()
    assert kept == ["kept"]
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        assert await connection.run_sync(schema.current_revision) == schema.HEAD
    await engine.dispose()
