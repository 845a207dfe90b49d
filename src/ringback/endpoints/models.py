"""The table of endpoints."""

from __future__ import annotations

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base
from ringback.storage.models import ROW_ID


class EndpointRow(Base):
    """An endpoint; the row id is the order in which endpoints were made, `password` is sealed as auth tokens are."""

    __tablename__ = "endpoints"
    __table_args__ = (
        Index("ix_endpoints_account_id", "account_id", "id"),
        Index("ix_endpoints_app_id", "app_id"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(String(14), unique=True)
    account_id: Mapped[str] = mapped_column(
        String(20), ForeignKey("accounts.auth_id", name="fk_endpoints_account_id", ondelete="CASCADE")
    )
    username: Mapped[str] = mapped_column(String(64), unique=True)
    password: Mapped[str] = mapped_column(Text)
    alias: Mapped[str] = mapped_column(Text)
    app_id: Mapped[str | None] = mapped_column(
        String(17), ForeignKey("applications.app_id", name="fk_endpoints_app_id", ondelete="SET NULL")
    )
