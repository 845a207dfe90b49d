"""Databases for tests: SQLite always, PostgreSQL with `RINGBACK_TEST_POSTGRES` (`make postgres`).

`RINGBACK_TEST_POSTGRES=1` runs a throw-away server on a free port for the time of the test run, from the programs of
the package postgresql; a URL such as `postgresql+asyncpg://user@host/name` uses that database and drops its tables.
"""

from __future__ import annotations

import contextlib
import glob
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from ringback.storage.database import Database, DatabaseSettings
from ringback.storage.schema import HEAD, current_revision, load_models

CONFIGURED = os.environ.get("RINGBACK_TEST_POSTGRES", "")
_SPEED = "fsync = off\nfull_page_writes = off\nsynchronous_commit = off\nautovacuum = off\nshared_buffers = 16MB\n"
"""What a server may leave out whose data nobody needs after the tests."""


@dataclass(frozen=True)
class PostgresServer:
    """A throw-away PostgreSQL server in `folder`, which tests may stop and start."""

    programs: Path
    folder: Path
    port: int
    user: str | None

    @property
    def url(self) -> str:
        """Return the URL of its only database."""
        return f"postgresql+asyncpg://ringback@127.0.0.1:{self.port}/postgres"

    def create(self) -> None:
        """Make the files of an empty server."""
        self._run("initdb", "-D", self.data, "-U", "ringback", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync")
        with (self.folder / "data" / "postgresql.conf").open("a") as settings:
            settings.write(f"{_SPEED}port = {self.port}\nlisten_addresses = '127.0.0.1'\n")
            settings.write(f"unix_socket_directories = '{self.folder}'\n")

    @property
    def data(self) -> str:
        """Return the folder of its data."""
        return f"{self.folder}/data"

    def start(self) -> None:
        """Return when it answers."""
        self._run("pg_ctl", "-D", self.data, "-w", "-s", "-l", f"{self.folder}/log", "start")

    def stop(self) -> None:
        """End it at once, as a crash of the machine would; one that is stopped stays so."""
        if not Path(self.data, "postmaster.pid").exists():
            return
        self._run("pg_ctl", "-D", self.data, "-w", "-s", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self.programs / program), *arguments]
        subprocess.run(command, check=True, user=self.user, stdout=subprocess.DEVNULL, cwd="/")


def find_programs() -> Path | None:
    """Return the folder of PostgreSQL's own programs, which Debian keeps out of PATH; the newest of several."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = glob.glob("/usr/lib/postgresql/*/bin/initdb")
    return Path(max(versions, key=lambda path: int(path.split("/")[-3]))).parent if versions else None


@contextlib.contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server for the time of the block; without its programs the test skips, in CI it fails."""
    programs = find_programs()
    if programs is None:
        message = "PostgreSQL is not installed: apt-get install postgresql, or `make system`"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)
    with tempfile.TemporaryDirectory(prefix="ringback-postgres-") as folder:
        # PostgreSQL refuses to run as root, so a test run by root hands the folder to `nobody`.
        user = "nobody" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        server = PostgresServer(programs, Path(folder), port, user)
        server.create()
        server.start()
        try:
            yield server
        finally:
            server.stop()


async def _empty(url: str) -> None:
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("DROP SCHEMA public CASCADE"))
            await connection.execute(text("CREATE SCHEMA public"))
    finally:
        await engine.dispose()


async def _clear(url: str) -> None:
    """Remove every row, if the tables are today's; else the tables. Making them anew takes four times as long."""
    engine = create_async_engine(url)
    try:
        async with engine.begin() as connection:
            if await connection.run_sync(current_revision) == HEAD:
                names = ", ".join(f'"{name}"' for name in load_models().tables)
                await connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
                return
    finally:
        await engine.dispose()
    await _empty(url)


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
    if CONFIGURED.startswith("postgresql"):
        yield CONFIGURED
        return
    with postgres_server() as server:
        yield server.url


KINDS = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)] if CONFIGURED else ["sqlite"]
"""The kinds of database that tests run on."""


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database of each kind."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path}/ringback.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database of each kind."""
    if database_url.startswith("postgresql"):
        await _clear(database_url)
    found = await Database.open(database_url)
    try:
        yield found
    finally:
        await found.close()
