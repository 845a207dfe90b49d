"""The lives of the server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "server_epochs",
        sa.Column("epoch", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("started_wall_ms", sa.BigInteger(), nullable=False),
    )
