"""Subaccounts and endpoints."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Give accounts parents, and create the table of endpoints."""
    op.add_column("accounts", sa.Column("parent_auth_id", sa.String(20), nullable=True))
    op.add_column("accounts", sa.Column("modified_wall_ms", sa.BigInteger(), nullable=True))
    op.add_column("accounts", sa.Column("deleted_wall_ms", sa.BigInteger(), nullable=True))
    op.create_index("ix_accounts_parent_auth_id", "accounts", ["parent_auth_id"])
    op.create_table(
        "endpoints",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("endpoint_id", sa.String(14), nullable=False, unique=True),
        sa.Column(
            "account_id",
            sa.String(20),
            sa.ForeignKey("accounts.auth_id", name="fk_endpoints_account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("username", sa.String(64), nullable=False, unique=True),
        sa.Column("password", sa.Text(), nullable=False),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column(
            "app_id",
            sa.String(17),
            sa.ForeignKey("applications.app_id", name="fk_endpoints_app_id", ondelete="SET NULL"),
            nullable=True,
        ),
    )
    op.create_index("ix_endpoints_account_id", "endpoints", ["account_id", "id"])
    op.create_index("ix_endpoints_app_id", "endpoints", ["app_id"])
