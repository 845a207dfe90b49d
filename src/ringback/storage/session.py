"""What every table and every store builds on: the declarative base and the session."""

from __future__ import annotations

from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.orm import Session as Session


class Base(DeclarativeBase):
    """The declarative base of every room's tables; `Base.metadata` is the schema once `schema.load_models` has run."""
