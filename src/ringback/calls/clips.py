"""Several files played as one: each fetched or synthesised while the one before it plays, and the whole repeated.

A clip that cannot be had is left out. The playback fails only when a whole round gave nothing to hear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from ringback.errors import RingbackError
from ringback.ids import PlayId
from ringback.media.control.values import PlayEnd

_QUEUED_MAX = 2
"""Clips with the media worker: the one that plays, and the one that follows without a gap."""
_DETAILS_MAX = 3


class Clips(Protocol):
    """Where the files come from."""

    @property
    def count(self) -> int:
        """Return how many there are, at least one."""

    async def clip(self, index: int) -> str:
        """Return the path of a wav or mp3.

        Raises:
            RingbackError: this one cannot be had.
        """


class ClipsPlayback:
    """One playback made of clips.

    State: `run` once; it returns the end and what was left out. `finished` hands it the ends of its clips, `stop` ends
    it, also before `run`.
    """

    def __init__(
        self,
        clips: Clips,
        loops: int,
        start: Callable[[str, int, PlayId], Awaitable[None]],
        stop: Callable[[PlayId], Awaitable[None]],
        new_id: Callable[[], PlayId],
    ) -> None:
        self._clips = clips
        self._loops = loops
        self._start = start
        self._stop = stop
        self._new_id = new_id
        self._playing: set[PlayId] = set()
        self._changed = asyncio.Event()
        self._is_stopped = False
        self._failed: list[str] = []
        self._played = 0

    def owns(self, play_id: PlayId) -> bool:
        """Return whether a clip of this playback has that id."""
        return play_id in self._playing

    def finished(self, play_id: PlayId, end: PlayEnd, detail: str) -> None:
        """Take the end of a clip."""
        self._playing.discard(play_id)
        match end:
            case PlayEnd.FAILED:
                self._note_failed(detail or "it cannot be decoded")
            case PlayEnd.STOPPED:
                # Whoever stopped it, be it the end of the call: the rest is not wanted either.
                self._is_stopped = True
            case PlayEnd.COMPLETED:
                self._played += 1
        self._changed.set()

    async def stop(self) -> None:
        """End it at once."""
        self._is_stopped = True
        self._changed.set()
        for play_id in tuple(self._playing):
            await self._stop(play_id)

    async def run(self) -> tuple[PlayEnd, str]:
        """Play until the end; return it with what was left out and why."""
        if self._clips.count == 1:
            # The media worker repeats a single file without a gap.
            await self._play(0, self._loops)
        else:
            await self._play_rounds()
        await self._until(0)
        detail = "; ".join(self._failed)
        if self._is_stopped:
            return PlayEnd.STOPPED, detail
        return (PlayEnd.COMPLETED if self._played else PlayEnd.FAILED), detail

    async def _play_rounds(self) -> None:
        """Play all clips in order, round after round, until one round gives nothing to hear."""
        rounds = 0
        while not self._is_stopped and (self._loops == 0 or rounds < self._loops):
            rounds += 1
            played_before = self._played
            for index in range(self._clips.count):
                await self._play(index, 1)
            if not self._playing and self._played == played_before:
                return

    async def _play(self, index: int, loops: int) -> None:
        """Fetch a clip and hand it to the worker as soon as that has room."""
        path = await self._fetched(index)
        await self._until(_QUEUED_MAX - 1)
        if path is None or self._is_stopped:
            return
        play_id = self._new_id()
        # Known before it is started: its end may come before the worker's answer is read.
        self._playing.add(play_id)
        try:
            await self._start(path, loops, play_id)
        except RingbackError as error:
            self._playing.discard(play_id)
            self._note_failed(str(error))
            return
        if self._is_stopped and play_id in self._playing:
            await self._stop(play_id)

    async def _fetched(self, index: int) -> str | None:
        """Return a clip's path; nothing when it cannot be had or is not wanted any more."""
        if self._is_stopped:
            return None
        fetching = asyncio.ensure_future(self._clips.clip(index))
        try:
            while not fetching.done() and not self._is_stopped:
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait({fetching, changed}, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    changed.cancel()
            return fetching.result() if fetching.done() else None
        except RingbackError as error:
            self._note_failed(str(error))
            return None
        finally:
            fetching.cancel()
            await asyncio.gather(fetching, return_exceptions=True)

    async def _until(self, most: int) -> None:
        """Return when at most so many clips are with the worker, or it was stopped."""
        while len(self._playing) > most and not self._is_stopped:
            self._changed.clear()
            await self._changed.wait()

    def _note_failed(self, detail: str) -> None:
        if detail not in self._failed and len(self._failed) < _DETAILS_MAX:
            self._failed.append(detail)
