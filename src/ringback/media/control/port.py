"""What the server's rooms hold of the media plane: a port, never the pool.

`media.pool` implements it with processes; tests implement it in memory (`tests/support/fake_media.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ringback.errors import MediaError
from ringback.ids import CommandId, SessionId, WorkerId
from ringback.media.control.commands import OpenSession, SessionCommand
from ringback.media.control.events import AnySessionEvent, SessionOpened
from ringback.media.control.values import RejectCode

SessionListener = Callable[["AnySessionEvent | WorkerGone"], None]
"""Called on the server's loop with every event of one session, in order; must not block or raise."""


class WorkerGone:
    """The worker that held the session died; no further event will come."""

    def __init__(self, worker_id: WorkerId) -> None:
        self.worker_id = worker_id

    def __repr__(self) -> str:
        return f"WorkerGone({self.worker_id!r})"


class CommandRejected(MediaError):
    """A worker refused a command; `reject` says why."""

    default_code = "command-rejected"

    def __init__(self, message: str, *, reject: RejectCode) -> None:
        super().__init__(message, reject=reject.value)
        self.reject = reject


class WorkerLost(MediaError):
    """The worker died before it answered."""

    default_code = "worker-lost"


class MediaPort(Protocol):
    """Commands to the media plane.

    Raises (from the two async methods): `media.control.port.CommandRejected` when the worker refuses,
    `media.control.port.WorkerLost` when it dies before answering, both `errors.MediaError`.
    """

    async def open_session(
        self, command: OpenSession, listener: SessionListener, *, affinity: str = ""
    ) -> SessionOpened:
        """Place the session on a worker and return once RTP is bound.

        `affinity` is the id of an open session, whose worker it shall be, or any name: sessions with the same one share
        a worker.

        The listener stays registered until `SessionClosed` or `WorkerGone` was delivered to it.
        """

    async def send(self, command: SessionCommand) -> None:
        """Deliver a command to the session's worker and return when it is accepted; outcomes reach the listener."""

    def spare_sessions(self) -> int:
        """Return how many more new calls the workers' load allows now; 0 when all that run are full.

        `open_session` does not ask: what belongs to a call that has begun is placed whatever the load.
        """

    def worker_of(self, session_id: SessionId) -> WorkerId | None:
        """Return the worker that holds the session, or `None`."""

    def new_command_id(self) -> CommandId:
        """Return a fresh command id."""
