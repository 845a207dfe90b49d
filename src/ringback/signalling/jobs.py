"""Coroutines of one leg, one at a time and in order; a task exists only while one runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

Job = Callable[[], Coroutine[None, None, None]]


class JobQueue:
    """Runs jobs in the order they were put.

    `on_failure` is called with whatever a job raises; the next job starts all the same.
    """

    __slots__ = ("_on_failure", "_running", "_waiting")

    def __init__(self, on_failure: Callable[[BaseException], None]) -> None:
        self._on_failure = on_failure
        # A list: few jobs wait at once, and an empty deque takes 760 bytes of every leg.
        self._waiting: list[Job] = []
        self._running: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Return whether nothing runs or waits."""
        return self._running is None and not self._waiting

    def put(self, job: Job) -> None:
        """Run `job` after those already put."""
        self._waiting.append(job)
        self._start_next()

    def drop_waiting(self) -> None:
        """Forget the jobs that have not started."""
        self._waiting.clear()

    def cancel_running(self) -> None:
        """Cancel the job that runs now, if any."""
        if self._running is not None:
            self._running.cancel()

    def _start_next(self) -> None:
        if self._running is None and self._waiting:
            self._running = asyncio.get_running_loop().create_task(self._waiting.pop(0)())
            self._running.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._running = None
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._on_failure(error)
        self._start_next()
