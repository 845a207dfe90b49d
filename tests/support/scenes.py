"""Scenes: tests of one module that play at once, in one loop in a thread, and are judged one by one.

A scene mostly waits for timers of the protocol: a dozen of them in turn would take a minute, together they take
seconds.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Generic, Protocol, TypeVar


class Playable(Protocol):
    """A stage; it is told of a scene that fails, behind which calls are left."""

    has_failed: bool


S = TypeVar("S", bound=Playable)
Scene = Callable[[S], Awaitable[None]]
AT_ONCE = 6
_LONGEST_S = 90
"""Above what a scene takes on a machine of one busy core, below what its test waits for."""


class Scenes(Generic[S]):
    """The scenes of a module, in the order in which they were added; use it as a decorator."""

    def __init__(self) -> None:
        self._scenes: dict[str, Scene[S]] = {}

    def __call__(self, scene: Scene[S]) -> Scene[S]:
        """Add a scene under its own name."""
        self._scenes[scene.__name__] = scene
        return scene

    def __iter__(self) -> Iterator[str]:
        return iter(self._scenes)

    @contextmanager
    def play(
        self, names: Iterable[str], stage: Callable[[], AbstractAsyncContextManager[S]]
    ) -> Iterator[Mapping[str, Future[None]]]:
        """Start the named scenes on one stage and give each one's outcome; leaving the block takes the stage down."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever, name="scenes")
        thread.start()
        outcomes: dict[str, Future[None]] = {name: Future() for name in names}
        show = asyncio.run_coroutine_threadsafe(self._show(outcomes, stage), loop)
        try:
            yield outcomes
            show.result(_LONGEST_S)
        finally:
            show.cancel()
            asyncio.run_coroutine_threadsafe(_settle(), loop).result(_LONGEST_S)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _show(
        self, outcomes: Mapping[str, Future[None]], stage: Callable[[], AbstractAsyncContextManager[S]]
    ) -> None:
        free = asyncio.Semaphore(AT_ONCE)
        try:
            async with stage() as built, asyncio.TaskGroup() as tasks:
                for name, outcome in outcomes.items():
                    tasks.create_task(self._play(self._scenes[name], built, outcome, free))
        except BaseException as error:
            for outcome in outcomes.values():
                if not outcome.done():
                    outcome.set_exception(error)
            raise

    async def _play(self, scene: Scene[S], stage: S, outcome: Future[None], free: asyncio.Semaphore) -> None:
        async with free:
            try:
                await asyncio.wait_for(scene(stage), _LONGEST_S)
            except Exception as error:
                stage.has_failed = True
                outcome.set_exception(error)
            else:
                outcome.set_result(None)


async def _settle() -> None:
    """Return when all other tasks of the loop have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    await asyncio.gather(*others, return_exceptions=True)
