"""Which recordings are to be transcribed, and who is told."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "transcriptions",
        sa.Column("recording_id", sa.String(36), primary_key=True),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("method", sa.String(4), nullable=False),
        sa.Column("ready_wall_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_transcriptions_ready", "transcriptions", ["ready_wall_ms"])
