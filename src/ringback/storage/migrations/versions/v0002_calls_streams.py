"""Calls and their audio streams."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the tables."""
    op.create_table(
        "calls",
        sa.Column("call_uuid", sa.String(36), primary_key=True),
        sa.Column("account_id", sa.String(20), nullable=False),
        sa.Column("direction", sa.String(8), nullable=False),
        sa.Column("from_number", sa.String(255), nullable=False),
        sa.Column("to_number", sa.String(255), nullable=False),
        sa.Column("caller_name", sa.String(255), nullable=False),
        sa.Column("parent_call_uuid", sa.String(36), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("answer_url", sa.Text(), nullable=False),
        sa.Column("hangup_url", sa.Text(), nullable=False),
        sa.Column("hangup_method", sa.String(4), nullable=False),
        sa.Column("trunk", sa.String(255), nullable=False),
        sa.Column("source_ip", sa.String(64), nullable=False),
        sa.Column("initiated_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("answered_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("call_duration_s", sa.Integer(), nullable=False),
        sa.Column("bill_duration_s", sa.Integer(), nullable=False),
        sa.Column("billed_duration_s", sa.Integer(), nullable=False),
        sa.Column("call_status", sa.String(16), nullable=False),
        sa.Column("hangup_code", sa.Integer(), nullable=False),
        sa.Column("hangup_cause", sa.String(64), nullable=False),
        sa.Column("hangup_name", sa.String(64), nullable=False),
        sa.Column("hangup_source", sa.String(32), nullable=False),
        sa.Column("hangup_detail", sa.Text(), nullable=False),
        sa.Column("total_rate", sa.String(16), nullable=False),
        sa.Column("total_amount", sa.String(16), nullable=False),
    )
    op.create_index("ix_calls_account_initiated", "calls", ["account_id", "initiated_wall_ms"])
    op.create_index("ix_calls_state", "calls", ["state"])
    op.create_index("ix_calls_ended_wall_ms", "calls", ["ended_wall_ms"])
    op.create_table(
        "streams",
        sa.Column("stream_id", sa.String(36), primary_key=True),
        sa.Column("call_uuid", sa.String(36), nullable=False),
        sa.Column("account_id", sa.String(20), nullable=False),
        sa.Column("service_url", sa.Text(), nullable=False),
        sa.Column("bidirectional", sa.Boolean(), nullable=False),
        sa.Column("audio_track", sa.String(8), nullable=False),
        sa.Column("content_type", sa.String(64), nullable=False),
        sa.Column("status_callback_url", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("end_reason", sa.String(32), nullable=False),
        sa.Column("created_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("started_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("ended_wall_ms", sa.BigInteger(), nullable=True),
        sa.Column("bill_duration_s", sa.Integer(), nullable=False),
        sa.Column("rounded_bill_duration_s", sa.Integer(), nullable=False),
        sa.Column("billed_amount", sa.String(16), nullable=False),
    )
    op.create_index("ix_streams_call_uuid", "streams", ["call_uuid"])
