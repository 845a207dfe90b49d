"""The tables of recordings: one row a recording, written before the worker is told; one a transcription to
come, one a text."""

from __future__ import annotations

from sqlalchemy import BigInteger, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base


class RecordingRow(Base):
    """A recording: running, being completed, ready, or failed."""

    __tablename__ = "recordings"
    __table_args__ = (
        Index("ix_recordings_account_created", "account_id", "created_wall_ms"),
        Index("ix_recordings_state", "state"),
    )

    recording_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(20))
    call_uuid: Mapped[str] = mapped_column(String(36), index=True)
    kind: Mapped[str] = mapped_column(String(16))
    conference_name: Mapped[str] = mapped_column(String(255), default="")
    conference_uuid: Mapped[str] = mapped_column(String(36), default="")
    from_number: Mapped[str] = mapped_column(String(255), default="")
    to_number: Mapped[str] = mapped_column(String(255), default="")
    file_format: Mapped[str] = mapped_column(String(8))
    channels: Mapped[str] = mapped_column(String(8))
    state: Mapped[str] = mapped_column(String(16))
    created_wall_ms: Mapped[int] = mapped_column(BigInteger)
    start_wall_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    end_wall_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    duration_ms: Mapped[int] = mapped_column(BigInteger, default=0)
    size_bytes: Mapped[int] = mapped_column(BigInteger, default=0)
    callback_url: Mapped[str] = mapped_column(Text, default="")
    callback_method: Mapped[str] = mapped_column(String(4), default="POST")
    callback_style: Mapped[str] = mapped_column(String(8), default="xml")
    api_id: Mapped[str] = mapped_column(String(36), default="")
    end_reason: Mapped[str] = mapped_column(String(16), default="")
    digit: Mapped[str] = mapped_column(String(1), default="")
    dropped_ms: Mapped[int] = mapped_column(Integer, default=0)
    detail: Mapped[str] = mapped_column(Text, default="")
    member_id: Mapped[str] = mapped_column(String(16), default="", server_default="")
    events_told: Mapped[int] = mapped_column(Integer, default=0, server_default="0")
    """How many events the callback URL was told, for those in the style of events."""


class TranscriptionRow(Base):
    """A recording whose text is wanted; gone when it is there, and its callback in the outbox."""

    __tablename__ = "transcriptions"
    __table_args__ = (Index("ix_transcriptions_ready", "ready_wall_ms"),)

    recording_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    url: Mapped[str] = mapped_column(Text)
    """Empty: nobody is told."""
    method: Mapped[str] = mapped_column(String(4))
    ready_wall_ms: Mapped[int] = mapped_column(BigInteger)
    """Since when its file can be read; 0 before."""


class TranscriptRow(Base):
    """What is said in a recording; gone with the recording."""

    __tablename__ = "transcripts"

    recording_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    text: Mapped[str] = mapped_column(Text)
    detail: Mapped[str] = mapped_column(Text)
    """Why there is no text; empty when there is."""
