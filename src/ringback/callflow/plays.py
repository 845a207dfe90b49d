"""What a call's document plays, one thing at a time; files are fetched beside it, so that keys count meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ringback.callflow.events import PlayFinished, PlayRefused
from ringback.callflow.port import FlowCall
from ringback.errors import RingbackError
from ringback.ids import PlayId
from ringback.media.control.values import PlayEnd


@dataclass(frozen=True, slots=True)
class PlayEnded:
    """A playback is over; it counts only if it is the current one."""

    play_id: PlayId
    end: PlayEnd
    detail: str


@dataclass(frozen=True, slots=True)
class PlayFailed:
    """A playback could not begin; it counts only if it is still wanted."""

    wanted: object
    detail: str


class Plays:
    """The playback of one flow.

    State: `close` is the last call; what is being fetched then is given up.
    """

    def __init__(self, call: FlowCall, report: Callable[[PlayFailed | PlayEnded], None]) -> None:
        self._call = call
        self._report = report
        self._play_id: PlayId | None = None
        self._wanted: object | None = None
        """Names the playback whose file is being fetched."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._early_end: PlayEnded | None = None

    def start(self, fetch: Callable[[], Awaitable[str]], loops: int) -> None:
        """Play the file whose path `fetch` will return; a `PlayFailed` says that there is none."""
        wanted = self._wanted = object()
        task = asyncio.create_task(self._fetch_and_play(wanted, fetch, loops), name=f"play {self._call.call_uuid}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def started(self, play_id: PlayId) -> None:
        """Note a playback that was begun otherwise."""
        self._play_id = play_id

    def finished(self, ended: PlayEnded) -> PlayFinished | None:
        """Return what the document is told of the end of a playback, if it is its own."""
        if ended.play_id == self._play_id:
            self._play_id = None
            return PlayFinished(ended.end, ended.detail)
        if self._wanted is not None:
            # The end of a very short file may overtake the news of its start.
            self._early_end = ended
        return None

    def refused(self, failed: PlayFailed) -> PlayRefused | None:
        """Return what the document is told of a playback that did not begin, if it still waits for it."""
        if failed.wanted is not self._wanted:
            return None
        self._wanted = None
        return PlayRefused(failed.detail)

    async def stop(self) -> None:
        """Stop the playback, or give up its file.

        Raises:
            RingbackError: the media worker refused.
        """
        self._wanted = None
        if self._play_id is not None:
            play_id, self._play_id = self._play_id, None
            await self._call.stop_play(play_id)

    def close(self) -> None:
        """Give up what is being fetched."""
        self._wanted = None
        for task in self._tasks:
            task.cancel()

    async def _fetch_and_play(self, wanted: object, fetch: Callable[[], Awaitable[str]], loops: int) -> None:
        try:
            path = await fetch()
            if self._wanted is not wanted:
                return
            play_id = await self._call.play(path, loops)
            if self._wanted is not wanted:
                await self._call.stop_play(play_id)
                return
        except RingbackError as error:
            self._report(PlayFailed(wanted, str(error)))
            return
        self._wanted, self._play_id = None, play_id
        early, self._early_end = self._early_end, None
        if early is not None and early.play_id == play_id:
            self._report(early)
