"""Which worker takes a new session. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ringback.ids import WorkerId
from ringback.media.pool.load import LoadState

_RANK = {state: rank for rank, state in enumerate(LoadState)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A worker as placement sees it; `sessions` counts those being opened too."""

    worker_id: WorkerId
    sessions: int
    is_accepting: bool
    load: LoadState = LoadState.OPEN
    spares: bool = True
    """Whether it takes another call before its next figures."""


def choose_worker(candidates: Iterable[Candidate], *, bound_to: WorkerId | None = None) -> WorkerId | None:
    """Return the worker for a new session, or `None` when none may take it.

    A session that must stay with others (`bound_to`) goes to their worker or nowhere: two sessions that hear each
    other share a process. Otherwise an accepting worker wins that has capacity and is least late, of several the one
    with the fewest sessions, of equals the first. A full one is taken when there is no other: whether a new call may
    begin at all is asked before, and the second leg of a call that began goes on.
    """
    accepting = [candidate for candidate in candidates if candidate.is_accepting]
    if bound_to is not None:
        return bound_to if any(candidate.worker_id == bound_to for candidate in accepting) else None
    best = min(accepting, key=_burden, default=None)
    return best.worker_id if best is not None else None


def _burden(candidate: Candidate) -> tuple[bool, int, int]:
    return not candidate.spares, _RANK[candidate.load], candidate.sessions


class Affinities:
    """Remembers which worker holds the sessions of each affinity key, as long as it holds one."""

    __slots__ = ("_holders",)

    def __init__(self) -> None:
        self._holders: dict[str, tuple[WorkerId, int]] = {}

    def __len__(self) -> int:
        return len(self._holders)

    def holder_of(self, affinity: str) -> WorkerId | None:
        """Return the worker bound to `affinity`; the empty key is never bound."""
        holder = self._holders.get(affinity)
        return holder[0] if holder is not None else None

    def bind(self, affinity: str, worker_id: WorkerId) -> None:
        """Count one more session of `affinity`; the first one decides the worker."""
        if affinity:
            holder, count = self._holders.get(affinity, (worker_id, 0))
            self._holders[affinity] = (holder, count + 1)

    def release(self, affinity: str) -> None:
        """Count one session less; the key is forgotten with its last session."""
        holder = self._holders.get(affinity)
        if holder is None:
            return
        if holder[1] <= 1:
            del self._holders[affinity]
        else:
            self._holders[affinity] = (holder[0], holder[1] - 1)
