"""What to do after attaching to a worker that already holds sessions. Pure.

The same comparison serves a link that was cut, a worker that outlived its server, and a server that restores its
dialogs: only the set of known sessions differs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ringback.ids import SessionId
from ringback.media.control.events import SessionSnapshot


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """The outcome of comparing what the server knows with what a worker holds."""

    carried_on: tuple[SessionSnapshot, ...]
    """Known to both: go on as before."""
    unknown: tuple[SessionSnapshot, ...]
    """Known to the worker alone: close after a grace."""
    lost: tuple[SessionId, ...]
    """Known to the server alone: that leg ends with a media cause."""


def reconcile(known: Iterable[SessionId], held: Iterable[SessionSnapshot]) -> Reconciliation:
    """Return what to carry on, to close and to give up; every session appears exactly once, in the given order."""
    held_by_id = {snapshot.session_id: snapshot for snapshot in held}
    known_ids = dict.fromkeys(known)
    return Reconciliation(
        carried_on=tuple(snapshot for session_id, snapshot in held_by_id.items() if session_id in known_ids),
        unknown=tuple(snapshot for session_id, snapshot in held_by_id.items() if session_id not in known_ids),
        lost=tuple(session_id for session_id in known_ids if session_id not in held_by_id),
    )
