"""The tables of calls: one row a call, written before its first effect, completed at its end; and the waiting ones."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base
from ringback.storage.models import ROW_ID


class CallRow(Base):
    """A call, live or ended; the CDR is this row once `ended_wall_ms` is set."""

    __tablename__ = "calls"
    __table_args__ = (
        Index("ix_calls_account_initiated", "account_id", "initiated_wall_ms"),
        Index("ix_calls_state", "state"),
    )

    call_uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(20))
    direction: Mapped[str] = mapped_column(String(8))
    from_number: Mapped[str] = mapped_column(String(255))
    to_number: Mapped[str] = mapped_column(String(255))
    caller_name: Mapped[str] = mapped_column(String(255), default="")
    parent_call_uuid: Mapped[str] = mapped_column(String(36), default="")
    state: Mapped[str] = mapped_column(String(16))
    answer_url: Mapped[str] = mapped_column(Text, default="")
    hangup_url: Mapped[str] = mapped_column(Text, default="")
    hangup_method: Mapped[str] = mapped_column(String(4), default="POST")
    trunk: Mapped[str] = mapped_column(String(255), default="")
    source_ip: Mapped[str] = mapped_column(String(64), default="")
    initiated_wall_ms: Mapped[int] = mapped_column(BigInteger)
    """When the call was asked for, or came in."""
    answered_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    ended_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None, index=True)
    call_duration_s: Mapped[int] = mapped_column(Integer, default=0)
    bill_duration_s: Mapped[int] = mapped_column(Integer, default=0)
    billed_duration_s: Mapped[int] = mapped_column(Integer, default=0)
    call_status: Mapped[str] = mapped_column(String(16), default="")
    hangup_code: Mapped[int] = mapped_column(Integer, default=0)
    hangup_cause: Mapped[str] = mapped_column(String(64), default="")
    hangup_name: Mapped[str] = mapped_column(String(64), default="")
    hangup_source: Mapped[str] = mapped_column(String(32), default="")
    hangup_detail: Mapped[str] = mapped_column(Text, default="")
    total_rate: Mapped[str] = mapped_column(String(16), default="0.00000")
    total_amount: Mapped[str] = mapped_column(String(16), default="0.00000")
    dialled_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """When a call that had to wait left the queue."""
    dialog: Mapped[str] = mapped_column(Text, default="", server_default="")
    """While an answered call lasts: what the next server needs to hang up at the far party, if this one dies."""


class QueuedCallRow(Base):
    """An outbound call that waits for its turn; the row id is the order in which calls came."""

    __tablename__ = "call_queue"

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    call_uuid: Mapped[str] = mapped_column(String(36), unique=True)
    account_id: Mapped[str] = mapped_column(String(20))
    trunk: Mapped[str] = mapped_column(String(255))
    request: Mapped[str] = mapped_column(Text)
    """The `MakeCall` as JSON."""
    queued_wall_ms: Mapped[int] = mapped_column(BigInteger)
