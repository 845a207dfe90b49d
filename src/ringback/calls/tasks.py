"""What runs beside a call."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator

from ringback.errors import RingbackError
from ringback.ids import CallUuid
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)


class CallTasks:
    """The running tasks of one call: what we refuse is recorded, what breaks is told to who may end the call."""

    def __init__(
        self, call_uuid: CallUuid, note: Callable[..., None], on_broken: Callable[[BaseException], None]
    ) -> None:
        self._call_uuid = call_uuid
        self._note = note
        self._on_broken = on_broken
        self._running: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        """Return how many run."""
        return len(self._running)

    def __iter__(self) -> Iterator[asyncio.Task[None]]:
        """Return those that run now."""
        return iter(tuple(self._running))

    def start(self, work: Awaitable[None]) -> None:
        """Run `work`; it is forgotten when it ends."""
        task = asyncio.create_task(self._guarded(work), name=f"call {self._call_uuid}")
        self._running.add(task)
        task.add_done_callback(self._ended)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except RingbackError as error:
            self._note("call", state="problem", code=error.code, detail=str(error))
        except Exception as error:
            self._note("call", state="problem", code="bug", detail=repr(error))
            _log.error("step of a call failed", call_uuid=self._call_uuid, exc_info=error)
            raise

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_broken(error)
