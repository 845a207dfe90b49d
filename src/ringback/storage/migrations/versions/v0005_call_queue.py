"""The durable queue of outbound calls."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table, and say of calls when they left it."""
    op.create_table(
        "call_queue",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("call_uuid", sa.String(36), nullable=False, unique=True),
        sa.Column("account_id", sa.String(20), nullable=False),
        sa.Column("trunk", sa.String(255), nullable=False),
        sa.Column("request", sa.Text(), nullable=False),
        sa.Column("queued_wall_ms", sa.BigInteger(), nullable=False),
    )
    op.add_column("calls", sa.Column("dialled_wall_ms", sa.BigInteger(), nullable=True))
