"""Multiparty calls, who took part in them, and what their recordings have told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables, add the columns."""
    op.create_table(
        "multiparty_calls",
        sa.Column("mpc_uuid", sa.String(36), primary_key=True),
        sa.Column("account_id", sa.String(20), nullable=False),
        sa.Column("name", sa.String(128), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("stays_alone", sa.Boolean(), nullable=False),
        sa.Column("created_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("cause_code", sa.Integer(), nullable=True),
    )
    op.create_index("ix_multiparty_calls_account_created", "multiparty_calls", ["account_id", "created_wall_ms"])
    op.create_index("ix_multiparty_calls_state", "multiparty_calls", ["state"])
    op.create_table(
        "multiparty_participants",
        sa.Column("mpc_uuid", sa.String(36), primary_key=True),
        sa.Column("member_id", sa.String(16), primary_key=True),
        sa.Column("call_uuid", sa.String(36), nullable=False),
        sa.Column("address", sa.String(255), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("is_muted", sa.Boolean(), nullable=False),
        sa.Column("is_held", sa.Boolean(), nullable=False),
        sa.Column("is_coach", sa.Boolean(), nullable=False),
        sa.Column("starts_on_enter", sa.Boolean(), nullable=False),
        sa.Column("ends_on_exit", sa.Boolean(), nullable=False),
        sa.Column("joined_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("exited_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("exit_cause", sa.String(64), nullable=False),
    )
    op.add_column("recordings", sa.Column("member_id", sa.String(16), nullable=False, server_default=""))
    op.add_column("recordings", sa.Column("events_told", sa.Integer(), nullable=False, server_default="0"))
