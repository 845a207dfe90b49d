"""The table of phone numbers, and a phone number as other rooms see it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import BigInteger, ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.ids import AccountId, AppId
from ringback.storage.database import Base
from ringback.storage.models import ROW_ID


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """A phone number of an account; `number` is digits without `+`."""

    number: str
    account_id: AccountId
    app_id: AppId | None = None
    alias: str = ""
    carrier: str = ""
    region: str = ""
    number_type: str = "local"
    added_wall_ms: int = 0


class NumberRow(Base):
    """A phone number; the row id is the order in which numbers were added."""

    __tablename__ = "numbers"
    __table_args__ = (Index("ix_numbers_account_id", "account_id", "id"), Index("ix_numbers_app_id", "app_id"))

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    number: Mapped[str] = mapped_column(String(20), unique=True)
    account_id: Mapped[str] = mapped_column(
        String(20), ForeignKey("accounts.auth_id", name="fk_numbers_account_id", ondelete="CASCADE")
    )
    app_id: Mapped[str | None] = mapped_column(
        String(17), ForeignKey("applications.app_id", name="fk_numbers_app_id", ondelete="SET NULL")
    )
    alias: Mapped[str] = mapped_column(Text)
    carrier: Mapped[str] = mapped_column(Text)
    region: Mapped[str] = mapped_column(Text)
    number_type: Mapped[str] = mapped_column(String(32))
    added_wall_ms: Mapped[int] = mapped_column(BigInteger)
