"""Databases for tests: SQLite always, PostgreSQL when `RINGBACK_TEST_POSTGRES` names a server.

`RINGBACK_TEST_POSTGRES=1` starts a throw-away server from the `initdb` and `postgres` programs; a URL such as
`postgresql+asyncpg://user@host/name` uses that database, whose tables are dropped.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from ringback.storage.database import Database, DatabaseSettings


def kinds() -> list[str]:
    """Return the kinds of database that tests run on."""
    return ["sqlite", "postgres"] if os.environ.get("RINGBACK_TEST_POSTGRES") else ["sqlite"]


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """Yield the URL of an empty PostgreSQL database."""
    configured = os.environ.get("RINGBACK_TEST_POSTGRES", "")
    if configured.startswith("postgresql"):
        asyncio.run(_empty(configured))
        yield configured
        return
    initdb, pg_ctl = shutil.which("initdb"), shutil.which("pg_ctl")
    if initdb is None or pg_ctl is None:
        raise RuntimeError("RINGBACK_TEST_POSTGRES=1 needs initdb and pg_ctl in PATH")
    with tempfile.TemporaryDirectory(prefix="ringback-postgres-") as folder:
        # PostgreSQL refuses to run as root, so a test run by root hands the folder to `nobody`.
        user = "nobody" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        data = f"{folder}/data"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]

        def run(*command: str) -> None:
            subprocess.run(command, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")

        run(initdb, "-D", data, "-U", "ringback", "-A", "trust", "-E", "UTF8", "--no-locale")
        options = f"-p {port} -h 127.0.0.1 -k {folder}"
        run(pg_ctl, "-D", data, "-w", "-l", f"{folder}/log", "-o", options, "start")
        try:
            yield f"postgresql+asyncpg://ringback@127.0.0.1:{port}/postgres"
        finally:
            run(pg_ctl, "-D", data, "-w", "-m", "immediate", "stop")


async def _empty(url: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    finally:
        await engine.dispose()


@contextlib.asynccontextmanager
async def opened(url: str, settings: DatabaseSettings | None = None) -> AsyncIterator[Database]:
    """Yield an open database; an existing PostgreSQL schema is emptied first."""
    if url.startswith("postgresql"):
        await _empty(url)
    database = await Database.open(url, settings)
    try:
        yield database
    finally:
        await database.close()


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a PostgreSQL database that lives as long as the test run."""
    with postgres_server() as url:
        yield url


@pytest.fixture(params=kinds())
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/ringback.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database of each kind."""
    async with opened(database_url) as found:
        yield found
