"""The writer, its groups and savepoints, readers, and what happens when the database is in the way."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError
from tests.support.databases import opened

from ringback import clock
from ringback.errors import ConfigError, InvalidParameter
from ringback.machine import after_ms
from ringback.storage.database import Database, DatabaseSettings, Session, StorageUnavailable
from ringback.storage.models import EventRow
from ringback.storage.statements import insert_row
from ringback.streams.models import StreamRow


def add(session: Session, call_uuid: str) -> str:
    session.add(EventRow(call_uuid=call_uuid, wall_ms=1, at_ms=0, kind="call", fields="{}"))
    session.flush()
    return call_uuid


def call_uuids(session: Session) -> list[str]:
    return list(session.scalars(select(EventRow.call_uuid).order_by(EventRow.id)))


async def test_written_work_is_read_back(database: Database) -> None:
    assert await database.write(lambda session: add(session, "a")) == "a"
    assert await database.read(call_uuids) == ["a"]


async def test_works_submitted_together_share_a_commit_in_order(database: Database) -> None:
    names = [f"call-{index:03}" for index in range(50)]
    await asyncio.gather(*(database.write(lambda session, name=name: add(session, name)) for name in names))
    assert await database.read(call_uuids) == names
    assert database.counters.works == 50
    assert database.counters.groups <= 3


async def test_failing_work_fails_alone(database: Database) -> None:
    def fail(session: Session) -> None:
        add(session, "undone")
        raise InvalidParameter("no")

    results = await asyncio.gather(
        database.write(lambda session: add(session, "first")),
        database.write(fail),
        database.write(lambda session: add(session, "last")),
        return_exceptions=True,
    )
    assert results[0] == "first"
    assert isinstance(results[1], InvalidParameter)
    assert results[2] == "last"
    assert await database.read(call_uuids) == ["first", "last"]


async def test_failing_statement_fails_alone(database: Database) -> None:
    def violate(session: Session) -> None:
        session.execute(text("INSERT INTO events (call_uuid) VALUES ('undone')"))

    results = await asyncio.gather(
        database.write(lambda session: add(session, "first")),
        database.write(violate),
        database.write(lambda session: add(session, "last")),
        return_exceptions=True,
    )
    assert isinstance(results[1], IntegrityError)
    assert await database.read(call_uuids) == ["first", "last"]


async def test_a_lone_work_that_fails_changes_nothing(database: Database) -> None:
    def fail(session: Session) -> None:
        add(session, "undone")
        raise InvalidParameter("no")

    def violate(session: Session) -> None:
        session.add(EventRow(call_uuid="undone", wall_ms=1, at_ms=0, kind="call"))

    with pytest.raises(InvalidParameter):
        await database.write(fail)
    with pytest.raises(IntegrityError):
        await database.write(violate)
    assert await database.write(lambda session: add(session, "next")) == "next"
    assert await database.read(call_uuids) == ["next"]


async def test_a_row_that_breaks_the_transaction_fails_alone(database: Database) -> None:
    def violate(session: Session) -> None:
        # Found out when the session writes it: the session then gives the whole transaction up.
        session.add(EventRow(call_uuid="undone", wall_ms=1, at_ms=0, kind="call"))

    results = await asyncio.gather(
        database.write(lambda session: add(session, "first")),
        database.write(violate),
        database.write(lambda session: add(session, "last")),
        return_exceptions=True,
    )
    assert results[0] == "first"
    assert isinstance(results[1], IntegrityError)
    assert results[2] == "last"
    assert await database.read(call_uuids) == ["first", "last"]


async def test_a_row_that_could_not_be_added_is_added_when_the_work_is_run_again(database: Database) -> None:
    row = EventRow(call_uuid="kept", wall_ms=1, at_ms=0, kind="call", fields="{}")
    runs = 0

    def fail_once(session: Session) -> None:
        nonlocal runs
        runs += 1
        session.add(row)
        session.flush()
        if runs == 1:
            raise InvalidParameter("no")

    await database.write(fail_once)
    assert (runs, await database.read(call_uuids)) == (2, ["kept"])


async def test_settling_waits_for_earlier_writes_and_writes_nothing(database: Database) -> None:
    writing = asyncio.create_task(database.write(lambda session: add(session, "a")))
    await asyncio.sleep(0)
    await database.settle()
    assert writing.done()
    before = database.counters.groups
    await database.settle()
    assert (database.counters.groups, database.counters.works) == (before, 1)


async def test_rows_are_inserted_with_their_defaults(database: Database) -> None:
    row = StreamRow(
        stream_id="s1",
        call_uuid="c1",
        account_id="a",
        service_url="wss://h/",
        bidirectional=True,
        audio_track="inbound",
        content_type="audio/x-mulaw;rate=8000",
        status="initiated",
        created_wall_ms=5,
    )
    await database.write(lambda session: insert_row(session, row))

    def of_stored(session: Session) -> tuple[str, int, str, int | None]:
        found = session.scalars(select(StreamRow)).one()
        return found.status_callback_url, found.bill_duration_s, found.service_url, found.ended_wall_ms

    assert await database.read(of_stored) == ("", 0, "wss://h/", None)


async def test_work_sees_what_earlier_works_of_its_group_did(database: Database) -> None:
    _, seen = await asyncio.gather(database.write(lambda session: add(session, "a")), database.write(call_uuids))
    assert seen == ["a"]


async def test_groups_are_bounded(database_url: str) -> None:
    async with opened(database_url, DatabaseSettings(group_max=10)) as database:
        await asyncio.gather(*(database.write(lambda session: add(session, "x")) for _ in range(21)))
        assert database.counters.groups >= 3
        assert len(await database.read(call_uuids)) == 21


async def test_full_queue_refuses_the_next_work(database_url: str) -> None:
    async with opened(database_url, DatabaseSettings(queue_max=3)) as database:
        waiting = [asyncio.ensure_future(database.write(lambda session: add(session, "x"))) for _ in range(3)]
        await asyncio.sleep(0)
        assert database.waiting_works == 3
        with pytest.raises(StorageUnavailable, match="3 writes wait, expected at most 3"):
            await database.write(lambda session: add(session, "refused"))
        assert database.counters.refused_works == 1
        await asyncio.gather(*waiting)
        await database.write(lambda session: add(session, "again"))
        assert await database.read(call_uuids) == ["x", "x", "x", "again"]


async def test_cancelled_caller_does_not_undo_the_work(database: Database) -> None:
    task = asyncio.ensure_future(database.write(lambda session: add(session, "kept")))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await database.write(lambda session: None)
    assert await database.read(call_uuids) == ["kept"]


async def test_reader_cannot_change_anything(database: Database) -> None:
    with pytest.raises(DBAPIError):
        await database.read(lambda session: add(session, "sneaked"))
    assert await database.write(call_uuids) == []


async def test_closed_database_refuses_work_after_committing_what_waited(database_url: str) -> None:
    async with opened(database_url) as database:
        waiting = asyncio.ensure_future(database.write(lambda session: add(session, "a")))
        await asyncio.sleep(0)
        await database.close()
        assert await waiting == "a"
        with pytest.raises(StorageUnavailable):
            await database.write(call_uuids)
        with pytest.raises(StorageUnavailable):
            await database.read(call_uuids)
        await database.close()


async def test_rows_survive_reopening(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/sub/ringback.db"
    for expected in ([], ["a"]):
        database = await Database.open(url)
        assert await database.read(call_uuids) == expected
        await database.write(lambda session: add(session, "a"))
        await database.close()


async def test_sqlite_is_durable_and_checks_foreign_keys(tmp_path: Path) -> None:
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/r.db") as database:
        pragmas = await database.write(
            lambda session: [
                session.execute(text(f"PRAGMA {name}")).scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        )
        assert pragmas == ["wal", 2, 1]
    assert (tmp_path / "r.db").stat().st_mode & 0o077 == 0


async def test_memory_database_works() -> None:
    async with opened("sqlite+aiosqlite:///:memory:") as database:
        await database.write(lambda session: add(session, "a"))
        assert await database.read(call_uuids) == ["a"]


async def test_transaction_ended_by_sqlite_fails_the_whole_group(tmp_path: Path) -> None:
    """SQLite ends a transaction by itself when the disk is full; nothing of the group may be reported as stored."""

    def lose_transaction(session: Session) -> None:
        session.connection().connection.driver_connection.rollback()
        raise OSError("disk full")

    async with opened(f"sqlite+aiosqlite:///{tmp_path}/r.db") as database:
        results = await asyncio.gather(
            database.write(lambda session: add(session, "first")),
            database.write(lose_transaction),
            database.write(lambda session: add(session, "last")),
            return_exceptions=True,
        )
        assert all(isinstance(result, StorageUnavailable) for result in results), results
        assert await database.read(call_uuids) == []
        await database.write(lambda session: add(session, "later"))
        assert await database.read(call_uuids) == ["later"]


async def test_a_full_disk_is_told_until_a_write_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def limit(session: Session, pages: int) -> None:
        session.execute(text(f"PRAGMA max_page_count={pages}"))

    def add_much(session: Session) -> None:
        session.add(EventRow(call_uuid="big", wall_ms=1, at_ms=0, kind="call", fields="x" * 1_000_000))
        session.flush()

    full = "the database cannot write: database or disk is full"
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/r.db") as database:
        await database.write(lambda session: limit(session, 1))
        assert database.fault == ""
        for works in (1, 3):
            results = await asyncio.gather(*(database.write(add_much) for _ in range(works)), return_exceptions=True)
            assert all(isinstance(result, StorageUnavailable) for result in results), results
            assert database.fault == full
        assert await database.read(call_uuids) == []
        assert database.fault == full, "a read proves nothing about writing"
        await database.write(lambda session: limit(session, 1_000_000))
        await database.write(add_much)
        assert (database.fault, await database.read(call_uuids)) == ("", ["big"])
        await database.write(lambda session: limit(session, 1))
        with pytest.raises(StorageUnavailable):
            await database.write(add_much)
        then = after_ms(clock.now(), 10_000)
        monkeypatch.setattr("ringback.storage.database.clock.now", lambda: then)
        assert database.fault == "", "10 s later another write may try"


async def test_a_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    def fail(_session: Session) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise OperationalError("SELECT", {}, error)

    async with opened(f"sqlite+aiosqlite:///{tmp_path}/r.db") as database:
        with pytest.raises(StorageUnavailable, match="does not answer"):
            await database.read(fail)
        assert database.fault == "the database does not answer: disk I/O error"
        with pytest.raises(OperationalError, match="no such table"):
            await database.read(lambda session: session.execute(text("SELECT 1 FROM missing")))
        await database.read(call_uuids)
        assert database.fault == ""


async def test_second_process_is_refused_by_name(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/ringback.db"
    holder = subprocess.Popen(  # noqa: ASYNC220  # a moment of blocking does not matter here
        [
            sys.executable,
            "-c",
            "import asyncio, sys\n"
            "from ringback.storage.database import Database\n"
            "async def main():\n"
            f"    await Database.open({url!r})\n"
            "    print('open', flush=True)\n"
            "    sys.stdin.read()\n"
            "asyncio.run(main())",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"open\n"
        with pytest.raises(ConfigError, match=rf"ringback\.db is in use by process {holder.pid}"):
            await Database.open(url)
    finally:
        holder.kill()
        holder.communicate()
    # The claim ends with the process, even with kill -9.
    async with opened(url) as database:
        assert await database.read(call_uuids) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://host/name", "names mysql, expected sqlite or postgresql"),
        ("sqlite+aiosqlite:////proc/nowhere/ringback.db", "cannot be opened"),
        ("postgresql+asyncpg://ringback@127.0.0.1:1/none", "cannot be used"),
    ],
)
async def test_unusable_url_names_the_fault(url: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        await Database.open(url)


async def test_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r.db").write_bytes(b"this is not a database, it is a text file" * 100)
    with pytest.raises(ConfigError, match="file is not a database"):
        await Database.open(f"sqlite+aiosqlite:///{tmp_path}/r.db")


async def test_acknowledged_writes_survive_kill_9(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/ringback.db"
    writer = subprocess.Popen(  # noqa: ASYNC220  # a moment of blocking does not matter here
        [
            sys.executable,
            "-c",
            "import asyncio\n"
            "from ringback.storage.database import Database\n"
            "from ringback.storage.models import EventRow\n"
            "def add(session, number):\n"
            "    session.add(EventRow(call_uuid=str(number), wall_ms=1, at_ms=0, kind='call', fields='{}'))\n"
            "async def write(database, number):\n"
            "    await database.write(lambda session: add(session, number))\n"
            "    print(number, flush=True)\n"
            "async def main():\n"
            f"    database = await Database.open({url!r})\n"
            "    for first in range(0, 10**9, 20):\n"
            "        await asyncio.gather(*(write(database, first + index) for index in range(20)))\n"
            "asyncio.run(main())",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(500)]
    writer.kill()
    acknowledged += [line.strip() for line in writer.communicate()[0].splitlines(keepends=True) if line.endswith("\n")]
    async with opened(url) as database:
        assert set(acknowledged) <= set(await database.read(call_uuids))


async def test_errors_name_no_values(database: Database) -> None:
    with pytest.raises(DBAPIError) as raised:
        await database.read(
            lambda session: session.execute(text("SELECT nothing FROM none WHERE t = :t"), {"t": "s3cr3t"})
        )
    assert "s3cr3t" not in repr(raised.value) + str(raised.value)
