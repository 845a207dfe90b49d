"""Migrations end at the schema that the models describe, and only ever go forward."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from tests.support.databases import opened

from ringback.endpoints.secrets import secrets_of
from ringback.errors import ConfigError
from ringback.storage import schema
from ringback.storage.database import Database, Session


def differences(session: Session) -> list[object]:
    context = MigrationContext.configure(session.connection(), opts={"compare_type": True})
    return list(compare_metadata(context, schema.load_models()))


def scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    config.set_main_option("path_separator", "os")
    return ScriptDirectory.from_config(config)


async def test_migrated_schema_equals_the_models(database: Database) -> None:
    assert await database.read(differences) == []


def described(path: Path) -> dict[str, object]:
    """Every table's columns, keys and indexes as SQLite knows them."""
    with sqlite3.connect(path) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        result: dict[str, object] = {}
        for name in sorted(names):
            indexes = [row[1:4] for row in connection.execute(f"PRAGMA index_list({name})")]
            result[name] = (
                [row[1:] for row in connection.execute(f"PRAGMA table_info({name})")],
                sorted(row[2:] for row in connection.execute(f"PRAGMA foreign_key_list({name})")),
                sorted((*index, tuple(connection.execute(f"PRAGMA index_info({index[0]})"))) for index in indexes),
            )
        result["version"] = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    connection.close()
    return result


def test_new_database_equals_a_migrated_one(tmp_path: Path) -> None:
    engines = {name: create_engine(f"sqlite:///{tmp_path}/{name}.db") for name in ("created", "migrated")}
    for name, engine in engines.items():
        with engine.connect() as connection:
            if name == "migrated":
                schema.upgrade(connection, "", "0001")
                schema.upgrade(connection, "0001")
            else:
                schema.upgrade(connection, "")
            connection.commit()
        engine.dispose()
    assert described(tmp_path / "created.db") == described(tmp_path / "migrated.db")


def test_head_is_the_last_migration_and_revisions_grow() -> None:
    assert scripts().get_heads() == [schema.HEAD]
    revisions = [script.revision for script in scripts().walk_revisions()]
    assert revisions == sorted(revisions, reverse=True)
    assert all(len(revision) == 4 and revision.isdigit() for revision in revisions)


async def test_newer_schema_is_refused(tmp_path: Path) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/r.db"
    async with opened(url):
        pass
    with sqlite3.connect(tmp_path / "r.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(ConfigError, match=rf"schema is 9999, this program knows up to {schema.HEAD}"):
        await Database.open(url)


async def test_older_schema_is_copied_and_upgraded_with_its_rows(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/r.db")
    with engine.connect() as connection:
        schema.upgrade(connection, "", "0001")
        connection.exec_driver_sql(
            "INSERT INTO events (call_uuid, wall_ms, at_ms, kind, fields) VALUES ('kept', 1, 0, 'call', '{}')"
        )
        connection.commit()
    engine.dispose()
    async with opened(f"sqlite+aiosqlite:///{tmp_path}/r.db") as database:
        assert await database.read(differences) == []
    for name, revision in (("r.db", schema.HEAD), (f"r.db.before-{schema.HEAD}-at-0001", "0001")):
        copy = sqlite3.connect(tmp_path / name)
        assert copy.execute("SELECT version_num FROM alembic_version").fetchall() == [(revision,)]
        assert copy.execute("SELECT call_uuid FROM events").fetchall() == [("kept",)]
        copy.close()


async def test_failing_migration_leaves_nothing_behind(tmp_path: Path) -> None:
    broken = sqlite3.connect(tmp_path / "r.db")
    broken.execute("CREATE TABLE numbers (something TEXT)")
    broken.close()
    with pytest.raises(ConfigError, match="table numbers already exists"):
        await Database.open(f"sqlite+aiosqlite:///{tmp_path}/r.db")
    copy = sqlite3.connect(tmp_path / "r.db")
    names = [name for (name,) in copy.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    copy.close()
    assert names == ["numbers"]


def test_passwords_of_endpoints_become_digest_keys(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/r.db")
    with engine.connect() as connection:
        schema.upgrade(connection, "", "0009")
        connection.exec_driver_sql(
            "INSERT INTO accounts (auth_id, auth_token, name, timezone, city, state, address, is_enabled, "
            "created_wall_ms) VALUES ('MA1', 't', '', 'UTC', '', '', '', 1, 0)"
        )
        connection.exec_driver_sql(
            "INSERT INTO endpoints (endpoint_id, account_id, username, password, alias) "
            "VALUES ('1', 'MA1', 'alice123456789012', 'pässword', 'A')"
        )
        schema.upgrade(connection, "0009")
        columns = [row[1] for row in connection.exec_driver_sql("PRAGMA table_info(endpoints)")]
        assert "password" not in columns
        found = connection.exec_driver_sql("SELECT secret_md5, secret_sha256 FROM endpoints").one()
    engine.dispose()
    secrets = secrets_of("alice123456789012", "pässword")
    assert tuple(found) == (secrets.md5, secrets.sha256)
