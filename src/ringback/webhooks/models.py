"""The table of the outbox: one row a callback, written with the fact it reports."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base
from ringback.storage.models import ROW_ID


class OutboxRow(Base):
    """A callback: waiting, sent, or set aside as dead.

    `id` is the order of the facts; `target` is the host and port it goes to, the unit of ordering and of back-off.
    """

    __tablename__ = "webhook_outbox"
    __table_args__ = (
        Index("ix_webhook_outbox_state_next", "state", "next_wall_ms"),
        Index("ix_webhook_outbox_call", "call_uuid", "target", "id"),
        Index("ix_webhook_outbox_account", "account_id", "state", "id"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    event_id: Mapped[str] = mapped_column(String(64), unique=True)
    account_id: Mapped[str] = mapped_column(String(20))
    call_uuid: Mapped[str] = mapped_column(String(64))
    kind: Mapped[str] = mapped_column(String(32))
    url: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(String(8))
    target: Mapped[str] = mapped_column(String(300))
    params: Mapped[str] = mapped_column(Text)
    """The form as it is sent: the same bytes at every attempt."""
    created_wall_ms: Mapped[int] = mapped_column(BigInteger)
    next_wall_ms: Mapped[int] = mapped_column(BigInteger)
    attempts: Mapped[int] = mapped_column(Integer)
    state: Mapped[str] = mapped_column(String(8))
    outcome: Mapped[str] = mapped_column(String(255))
    finished_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
