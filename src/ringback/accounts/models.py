"""Tables of accounts and applications."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base
from ringback.storage.models import ROW_ID


class AccountRow(Base):
    """An account; `auth_token` is written and read through `store` alone."""

    __tablename__ = "accounts"

    auth_id: Mapped[str] = mapped_column(String(20), primary_key=True)
    auth_token: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    timezone: Mapped[str] = mapped_column(String(64))
    city: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    address: Mapped[str] = mapped_column(Text)
    is_enabled: Mapped[bool]
    created_wall_ms: Mapped[int] = mapped_column(BigInteger)
    parent_auth_id: Mapped[str | None] = mapped_column(String(20), default=None, index=True)
    """The main account of a subaccount."""
    modified_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    deleted_wall_ms: Mapped[int | None] = mapped_column(BigInteger, default=None)
    """When a subaccount was deleted; its row stays for its call records and for callbacks that are on their way."""


class ApplicationRow(Base):
    """An application; the row id is the order in which applications were made."""

    __tablename__ = "applications"
    __table_args__ = (Index("ix_applications_account_id", "account_id", "id"),)

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    app_id: Mapped[str] = mapped_column(String(17), unique=True)
    account_id: Mapped[str] = mapped_column(
        String(20), ForeignKey("accounts.auth_id", name="fk_applications_account_id", ondelete="CASCADE")
    )
    name: Mapped[str] = mapped_column(Text)
    answer_url: Mapped[str] = mapped_column(Text)
    answer_method: Mapped[str] = mapped_column(String(4))
    hangup_url: Mapped[str] = mapped_column(Text)
    hangup_method: Mapped[str] = mapped_column(String(4))
    fallback_answer_url: Mapped[str] = mapped_column(Text)
    fallback_method: Mapped[str] = mapped_column(String(4))
    message_url: Mapped[str] = mapped_column(Text)
    message_method: Mapped[str] = mapped_column(String(4))
    is_default_for_numbers: Mapped[bool]
    is_default_for_endpoints: Mapped[bool]
    is_enabled: Mapped[bool]
    has_public_uri: Mapped[bool]
    logs_incoming_messages: Mapped[bool]
