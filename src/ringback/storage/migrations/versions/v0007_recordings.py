"""Recordings."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "recordings",
        sa.Column("recording_id", sa.String(36), primary_key=True),
        sa.Column("account_id", sa.String(20), nullable=False),
        sa.Column("call_uuid", sa.String(36), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("conference_name", sa.String(255), nullable=False),
        sa.Column("conference_uuid", sa.String(36), nullable=False),
        sa.Column("from_number", sa.String(255), nullable=False),
        sa.Column("to_number", sa.String(255), nullable=False),
        sa.Column("file_format", sa.String(8), nullable=False),
        sa.Column("channels", sa.String(8), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("start_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("end_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("duration_ms", sa.BigInteger(), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("callback_url", sa.Text(), nullable=False),
        sa.Column("callback_method", sa.String(4), nullable=False),
        sa.Column("callback_style", sa.String(8), nullable=False),
        sa.Column("api_id", sa.String(36), nullable=False),
        sa.Column("end_reason", sa.String(16), nullable=False),
        sa.Column("digit", sa.String(1), nullable=False),
        sa.Column("dropped_ms", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
    )
    op.create_index("ix_recordings_account_created", "recordings", ["account_id", "created_wall_ms"])
    op.create_index("ix_recordings_state", "recordings", ["state"])
    op.create_index("ix_recordings_call_uuid", "recordings", ["call_uuid"])
