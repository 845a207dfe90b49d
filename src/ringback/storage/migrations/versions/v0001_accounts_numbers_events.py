"""Accounts, applications, numbers and the event log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "events",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("call_uuid", sa.String(64), nullable=False),
        sa.Column("wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("fields", sa.Text(), nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_call_uuid_id", "events", ["call_uuid", "id"])
    op.create_index("ix_events_wall_ms", "events", ["wall_ms"])
    op.create_table(
        "accounts",
        sa.Column("auth_id", sa.String(20), primary_key=True),
        sa.Column("auth_token", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("city", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("created_wall_ms", sa.BigInteger(), nullable=False),
    )
    op.create_table(
        "applications",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("app_id", sa.String(17), nullable=False, unique=True),
        sa.Column(
            "account_id",
            sa.String(20),
            sa.ForeignKey("accounts.auth_id", name="fk_applications_account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("answer_url", sa.Text(), nullable=False),
        sa.Column("answer_method", sa.String(4), nullable=False),
        sa.Column("hangup_url", sa.Text(), nullable=False),
        sa.Column("hangup_method", sa.String(4), nullable=False),
        sa.Column("fallback_answer_url", sa.Text(), nullable=False),
        sa.Column("fallback_method", sa.String(4), nullable=False),
        sa.Column("message_url", sa.Text(), nullable=False),
        sa.Column("message_method", sa.String(4), nullable=False),
        sa.Column("is_default_for_numbers", sa.Boolean(), nullable=False),
        sa.Column("is_default_for_endpoints", sa.Boolean(), nullable=False),
        sa.Column("is_enabled", sa.Boolean(), nullable=False),
        sa.Column("has_public_uri", sa.Boolean(), nullable=False),
        sa.Column("logs_incoming_messages", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_applications_account_id", "applications", ["account_id", "id"])
    op.create_table(
        "numbers",
        sa.Column("id", _ROW_ID, primary_key=True),
        sa.Column("number", sa.String(20), nullable=False, unique=True),
        sa.Column(
            "account_id",
            sa.String(20),
            sa.ForeignKey("accounts.auth_id", name="fk_numbers_account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column(
            "app_id",
            sa.String(17),
            sa.ForeignKey("applications.app_id", name="fk_numbers_app_id", ondelete="SET NULL"),
            nullable=True,
        ),
        sa.Column("alias", sa.Text(), nullable=False),
        sa.Column("carrier", sa.Text(), nullable=False),
        sa.Column("region", sa.Text(), nullable=False),
        sa.Column("number_type", sa.String(32), nullable=False),
        sa.Column("added_wall_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_numbers_account_id", "numbers", ["account_id", "id"])
    op.create_index("ix_numbers_app_id", "numbers", ["app_id"])
