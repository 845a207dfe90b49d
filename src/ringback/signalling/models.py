"""The table of server epochs: each start of a server takes the next number."""

from __future__ import annotations

from sqlalchemy import BigInteger, Integer
from sqlalchemy.orm import Mapped, mapped_column

from ringback.storage.database import Base


class ServerEpochRow(Base):
    """One start of a server; workers obey the highest epoch they have seen."""

    __tablename__ = "server_epochs"

    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    started_wall_ms: Mapped[int] = mapped_column(BigInteger)
