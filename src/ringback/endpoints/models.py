"""The tables of endpoints and of the phones that are registered as them."""

from __future__ import annotations

from sqlalchemy import BigInteger, ForeignKey, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base
from ringback.storage.models import ROW_ID


class EndpointRow(Base):
    """An endpoint; the row id is the order in which endpoints were made.

    The digest keys stand for the password, sealed as auth tokens are.
    """

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
    alias: Mapped[str] = mapped_column(Text)
    app_id: Mapped[str | None] = mapped_column(
        String(17), ForeignKey("applications.app_id", name="fk_endpoints_app_id", ondelete="SET NULL")
    )
    secret_md5: Mapped[str] = mapped_column(Text, server_default="")
    secret_sha256: Mapped[str] = mapped_column(Text, server_default="")


class BindingRow(Base):
    """One phone that is registered as an endpoint; see `ringback.sip.registrar.Binding`."""

    __tablename__ = "endpoint_bindings"
    __table_args__ = (
        Index("ix_endpoint_bindings_endpoint_id", "endpoint_id", "updated_wall_ms"),
        Index("ix_endpoint_bindings_expires_wall_ms", "expires_wall_ms"),
    )

    id: Mapped[int] = mapped_column(ROW_ID, primary_key=True)
    endpoint_id: Mapped[str] = mapped_column(
        String(14), ForeignKey("endpoints.endpoint_id", name="fk_endpoint_bindings_endpoint_id", ondelete="CASCADE")
    )
    contact: Mapped[str] = mapped_column(Text)
    expires_wall_ms: Mapped[int] = mapped_column(BigInteger)
    call_id: Mapped[str] = mapped_column(Text)
    cseq: Mapped[int] = mapped_column(BigInteger)
    transport: Mapped[str] = mapped_column(String(8))
    received_host: Mapped[str] = mapped_column(String(64))
    received_port: Mapped[int] = mapped_column(Integer)
    q: Mapped[int] = mapped_column(Integer)
    path: Mapped[str] = mapped_column(Text)
    """One value a line."""
    instance: Mapped[str] = mapped_column(Text)
    reg_id: Mapped[int] = mapped_column(BigInteger)
    user_agent: Mapped[str] = mapped_column(Text)
    updated_wall_ms: Mapped[int] = mapped_column(BigInteger)
