"""Digest keys instead of endpoints' passwords, and the phones that are registered."""

from __future__ import annotations

import hashlib

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_REALM = "ringback"


def upgrade() -> None:
    """Hash every password, forget it, and create the table of bindings."""
    op.add_column("endpoints", sa.Column("secret_md5", sa.Text(), nullable=False, server_default=""))
    op.add_column("endpoints", sa.Column("secret_sha256", sa.Text(), nullable=False, server_default=""))
    connection = op.get_bind()
    for row_id, username, password in connection.execute(sa.text("SELECT id, username, password FROM endpoints")).all():
        text = f"{username}:{_REALM}:{password}".encode("utf-8", "surrogatepass")
        connection.execute(
            sa.text("UPDATE endpoints SET secret_md5 = :md5, secret_sha256 = :sha256 WHERE id = :id"),
            {
                "md5": hashlib.md5(text, usedforsecurity=False).hexdigest(),
                "sha256": hashlib.sha256(text).hexdigest(),
                "id": row_id,
            },
        )
    op.drop_column("endpoints", "password")
    op.create_table(
        "endpoint_bindings",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column(
            "endpoint_id",
            sa.String(14),
            sa.ForeignKey("endpoints.endpoint_id", name="fk_endpoint_bindings_endpoint_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("contact", sa.Text(), nullable=False),
        sa.Column("expires_wall_ms", sa.BigInteger(), nullable=False),
        sa.Column("call_id", sa.Text(), nullable=False),
        sa.Column("cseq", sa.BigInteger(), nullable=False),
        sa.Column("transport", sa.String(8), nullable=False),
        sa.Column("received_host", sa.String(64), nullable=False),
        sa.Column("received_port", sa.Integer(), nullable=False),
        sa.Column("q", sa.Integer(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("instance", sa.Text(), nullable=False),
        sa.Column("reg_id", sa.BigInteger(), nullable=False),
        sa.Column("user_agent", sa.Text(), nullable=False),
        sa.Column("updated_wall_ms", sa.BigInteger(), nullable=False),
    )
    op.create_index("ix_endpoint_bindings_endpoint_id", "endpoint_bindings", ["endpoint_id", "updated_wall_ms"])
    op.create_index("ix_endpoint_bindings_expires_wall_ms", "endpoint_bindings", ["expires_wall_ms"])
