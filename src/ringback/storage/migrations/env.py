"""Run by Alembic: migrates the connection that `schema.upgrade` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from ringback.storage.schema import load_models

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=load_models(),
    # SQLite's data definition is transactional once the driver leaves transactions alone (storage.sqlite).
    transactional_ddl=True,
)
context.run_migrations()
