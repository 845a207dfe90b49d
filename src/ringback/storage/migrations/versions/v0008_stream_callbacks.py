"""What the status callbacks of a stream say, so that a restarted server can send the last one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns."""
    for column in (
        sa.Column("status_callback_method", sa.String(4), nullable=False, server_default="POST"),
        sa.Column("stream_timeout_s", sa.Integer(), nullable=False, server_default="86400"),
        sa.Column("extra_headers", sa.Text(), nullable=False, server_default=""),
        sa.Column("keep_call_alive", sa.Boolean(), nullable=False, server_default=sa.false()),
    ):
        op.add_column("streams", column)
