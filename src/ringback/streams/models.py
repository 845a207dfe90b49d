"""The table of audio streams: one row a stream, written before the agent is dialled."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Integer, String, Text, false
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base


class StreamRow(Base):
    """An audio stream, live or ended."""

    __tablename__ = "streams"

    stream_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    call_uuid: Mapped[str] = mapped_column(String(36), index=True)
    account_id: Mapped[str] = mapped_column(String(20))
    service_url: Mapped[str] = mapped_column(Text)
    bidirectional: Mapped[bool] = mapped_column(Boolean)
    audio_track: Mapped[str] = mapped_column(String(8))
    content_type: Mapped[str] = mapped_column(String(64))
    status_callback_url: Mapped[str] = mapped_column(Text, default="")
    status: Mapped[str] = mapped_column(String(16))
    end_reason: Mapped[str] = mapped_column(String(32), default="")
    created_wall_ms: Mapped[int] = mapped_column(BigInteger)
    started_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    ended_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    bill_duration_s: Mapped[int] = mapped_column(Integer, default=0)
    rounded_bill_duration_s: Mapped[int] = mapped_column(Integer, default=0)
    billed_amount: Mapped[str] = mapped_column(String(16), default="0.00000")
    status_callback_method: Mapped[str] = mapped_column(String(4), default="POST", server_default="POST")
    stream_timeout_s: Mapped[int] = mapped_column(Integer, default=86_400, server_default="86400")
    extra_headers: Mapped[str] = mapped_column(Text, default="", server_default="")
    keep_call_alive: Mapped[bool] = mapped_column(Boolean, default=False, server_default=false())
