"""What signalling keeps in the database: functions on a session."""

from __future__ import annotations

from ringback.ids import Epoch
from ringback.signalling.models import ServerEpochRow
from ringback.storage.database import Session


def next_epoch(session: Session, started_wall_ms: int) -> Epoch:
    """Return a number that no earlier server on this database had, larger than all of theirs."""
    row = ServerEpochRow(started_wall_ms=started_wall_ms)
    session.add(row)
    session.flush()
    return Epoch(row.epoch)
