"""The tables of multiparty calls and of those who took part in them; written as things happen."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base


class MultipartyRow(Base):
    """A multiparty call, live or ended."""

    __tablename__ = "multiparty_calls"
    __table_args__ = (Index("ix_multiparty_calls_account_created", "account_id", "created_wall_ms"),)

    mpc_uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    account_id: Mapped[str] = mapped_column(String(20))
    name: Mapped[str] = mapped_column(String(128))
    state: Mapped[str] = mapped_column(String(16), index=True)
    stays_alone: Mapped[bool] = mapped_column(Boolean)
    created_wall_ms: Mapped[int] = mapped_column(BigInteger)
    started_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    ended_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    cause_code: Mapped[int | None] = mapped_column(Integer, default=None)


class ParticipantRow(Base):
    """One stay in a multiparty call."""

    __tablename__ = "multiparty_participants"

    mpc_uuid: Mapped[str] = mapped_column(String(36), primary_key=True)
    member_id: Mapped[str] = mapped_column(String(16), primary_key=True)
    call_uuid: Mapped[str] = mapped_column(String(36))
    address: Mapped[str] = mapped_column(String(255))
    role: Mapped[str] = mapped_column(String(16))
    is_muted: Mapped[bool] = mapped_column(Boolean)
    is_held: Mapped[bool] = mapped_column(Boolean)
    is_coach: Mapped[bool] = mapped_column(Boolean)
    starts_on_enter: Mapped[bool] = mapped_column(Boolean)
    ends_on_exit: Mapped[bool] = mapped_column(Boolean)
    joined_wall_ms: Mapped[int] = mapped_column(BigInteger)
    exited_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    exit_cause: Mapped[str] = mapped_column(String(64), default="")
