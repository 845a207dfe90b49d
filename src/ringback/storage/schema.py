"""The schema: which rooms have tables, which migration is the last, and the way there.

Revisions are four digits that only grow. Migrations go forward only; a program refuses a schema newer than itself. A
new database is made from the models at once; a test keeps the two ways equal.
"""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

from sqlalchemy import MetaData, inspect, text
from sqlalchemy.engine import Connection

from ringback.errors import ConfigError
from ringback.storage.session import Base

HEAD = "0013"
"""The last migration; a test compares it with the folder."""
MIGRATIONS = Path(__file__).parent / "migrations"

MODEL_MODULES = (
    "ringback.storage.models",
    "ringback.accounts.models",
    "ringback.endpoints.models",
    "ringback.numbers.models",
    "ringback.calls.models",
    "ringback.streams.models",
    "ringback.recordings.models",
    "ringback.multiparty.models",
    "ringback.signalling.models",
    "ringback.webhooks.models",
)
"""Rooms' tables, by name: storage stands below the rooms and must not import them when it is imported itself."""


def load_models() -> MetaData:
    """Return the metadata with every room's tables in it."""
    for name in MODEL_MODULES:
        if importlib.util.find_spec(name) is not None:
            importlib.import_module(name)
    return Base.metadata


def current_revision(connection: Connection) -> str:
    """Return the revision of the database, empty for a new one."""
    if not inspect(connection).has_table("alembic_version"):
        return ""
    return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar() or "")


def upgrade(connection: Connection, current: str, target: str = "head") -> None:
    """Bring the schema from `current` (empty for a new database) to `target` in the connection's transaction.

    Raises:
        ConfigError: the schema was made by a newer program.
    """
    if current == HEAD:
        return
    if not current and target == "head":
        _create(connection)
        return
    if current > HEAD:
        raise ConfigError(
            f"database schema is {current}, this program knows up to {HEAD}",
            hint="start the newer version, or restore the copy made before the migration",
        )
    # Imported here: Alembic takes 12 MB and a quarter of a second, and most starts have nothing to migrate.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, target)


def _create(connection: Connection) -> None:
    """Make every table as the migrations would."""
    # A table that is there already is a fault, as it is for a migration.
    load_models().create_all(connection, checkfirst=False)
    connection.execute(
        text(
            "CREATE TABLE alembic_version "
            "(version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))"
        )
    )
    connection.execute(text("INSERT INTO alembic_version (version_num) VALUES (:head)"), {"head": HEAD})
