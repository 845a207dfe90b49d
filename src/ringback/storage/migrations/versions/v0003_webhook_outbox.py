"""The outbox of callbacks."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "webhook_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("event_id", sa.String(64), nullable=False, unique=True),
        sa.Column("account_id", sa.String(20), nullable=False),
        sa.Column("call_uuid", sa.String(64), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("method", sa.String(8), nullable=False),
        sa.Column("target", sa.String(300), nullable=False),
        sa.Column("params", sa.Text(), nullable=False),
        sa.Column("created_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("next_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("outcome", sa.String(255), nullable=False),
        sa.Column("finished_wall_ms", sa.BigInteger(), nullable=True),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_webhook_outbox_state_next", "webhook_outbox", ["state", "next_wall_ms"])
    op.create_index("ix_webhook_outbox_call", "webhook_outbox", ["call_uuid", "target", "id"])
    op.create_index("ix_webhook_outbox_account", "webhook_outbox", ["account_id", "state", "id"])
