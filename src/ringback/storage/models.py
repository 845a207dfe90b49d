"""Tables of storage itself: the event log."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base

ROW_ID = BigInteger().with_variant(Integer, "sqlite")
"""A 64-bit row id: SQLite numbers rows only in columns that are called INTEGER."""


class EventRow(Base):
    """One fact about a call."""

    __tablename__ = "events"
    __table_args__ = (
        Index("ix_events_call_uuid_id", "call_uuid", "id"),
        Index("ix_events_wall_ms", "wall_ms"),
        {"sqlite_autoincrement": True},
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    call_uuid: Mapped[str] = mapped_column(String(64))
    wall_ms: Mapped[int] = mapped_column(BigInteger)
    at_ms: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(String(32))
    fields: Mapped[str] = mapped_column(Text)
