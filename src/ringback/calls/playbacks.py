"""Everything that one call plays: what its document asks for, and what the API adds to it or plays instead.

A document's playback and one of the API never wait for each other: they are in different lanes of the media session.
Requests of the API of one kind play one behind the other; one that would play for ever ends when the next one comes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from ringback import ids
from ringback.calls.clips import Clips, ClipsPlayback
from ringback.errors import LimitReached, RingbackError
from ringback.ids import CommandId, PlayId, SessionId
from ringback.media.control import commands
from ringback.media.control.events import PlayFinished
from ringback.media.control.values import PlayEnd, PlayLane

REQUESTS_MAX = 16
"""Requests of one kind that may wait behind the one that plays."""


@dataclass(frozen=True, slots=True)
class ApiPlay:
    """A request of the API: what to play and how."""

    clips: Clips
    loops: int = 1
    mixes: bool = True
    limit_s: float = 0
    """After which time it ends; 0 is never."""


@dataclass(slots=True)
class _Lane:
    """The requests of one kind."""

    waiting: deque[ApiPlay] = field(default_factory=deque)
    current: ClipsPlayback | None = None
    is_endless: bool = False
    is_running: bool = False


class CallPlaybacks:
    """The playbacks of one call.

    State: usable until `call_ended`; what is asked for later does nothing.
    """

    def __init__(
        self,
        session_id: SessionId,
        send: Callable[[commands.SessionCommand], Awaitable[None]],
        send_if_alive: Callable[[commands.SessionCommand], Awaitable[None]],
        spawn: Callable[[Awaitable[None]], None],
        note: Callable[..., None],
    ) -> None:
        self._session_id = session_id
        self._send = send
        self._send_if_alive = send_if_alive
        self._spawn = spawn
        self._note = note
        self._made_of_clips: dict[PlayId, ClipsPlayback] = {}
        self._lanes: dict[PlayLane, _Lane] = {}
        self._is_over = False

    async def play(
        self, path: str, loops: int, lane: PlayLane = PlayLane.DOCUMENT, *, mixes: bool = True, play_id: str = ""
    ) -> PlayId:
        """Play a local wav or mp3 file `loops` times, 0 for ever."""
        made = PlayId(play_id or ids.new_uuid())
        await self._send(
            commands.Play(
                command_id=CommandId(ids.new_token()),
                session_id=self._session_id,
                play_id=made,
                path=path,
                loops=loops,
                lane=lane,
                mixes=mixes,
            )
        )
        return made

    async def play_clips(self, clips: Clips, loops: int, on_end: Callable[[PlayId, PlayEnd, str], None]) -> PlayId:
        """Play clips as one playback in the document's lane and return at once; its end comes by `on_end`."""
        play_id = PlayId(ids.new_uuid())
        playback = self._of_clips(clips, loops, PlayLane.DOCUMENT, mixes=True)
        self._made_of_clips[play_id] = playback

        async def run() -> None:
            end, detail = PlayEnd.FAILED, "a fault of the platform"
            try:
                end, detail = await playback.run()
            finally:
                self._made_of_clips.pop(play_id, None)
                on_end(play_id, end, detail)

        self._spawn(run())
        return play_id

    async def stop(self, play_id: PlayId) -> None:
        """Stop a playback; does nothing when it or the call is over."""
        playback = self._made_of_clips.get(play_id)
        if playback is not None:
            await playback.stop()
        else:
            await self._stop_file(play_id)

    def finished(self, event: PlayFinished) -> bool:
        """Take the end of a playback; return whether it was a part of another one, so that nobody else asks for it."""
        lanes = (lane.current for lane in self._lanes.values() if lane.current is not None)
        for playback in (*self._made_of_clips.values(), *lanes):
            if playback.owns(event.play_id):
                playback.finished(event.play_id, event.reason, event.detail)
                return True
        return False

    def add(self, lane: PlayLane, request: ApiPlay) -> None:
        """Play what the API asks for, behind earlier requests of this kind; ends one of them that has no end.

        Raises:
            LimitReached: too many wait already.
        """
        queue = self._lanes.setdefault(lane, _Lane())
        if len(queue.waiting) >= REQUESTS_MAX:
            raise LimitReached(
                f"{len(queue.waiting)} {lane.value} requests of this call wait, at most {REQUESTS_MAX}",
                hint=f"stop them with DELETE …/{lane.value.capitalize()}/",
            )
        queue.waiting.append(request)
        if queue.current is not None and queue.is_endless:
            self._spawn(queue.current.stop())
        if not queue.is_running and not self._is_over:
            queue.is_running = True
            self._spawn(self._run_lane(lane, queue))

    async def clear(self, lane: PlayLane) -> None:
        """Stop everything that the API plays in a lane."""
        queue = self._lanes.get(lane)
        if queue is not None:
            queue.waiting.clear()
            if queue.current is not None:
                await queue.current.stop()

    def call_ended(self) -> None:
        """Let go of everything: the media session has ended its playbacks."""
        self._is_over = True
        for queue in self._lanes.values():
            queue.waiting.clear()
        lanes = [queue.current for queue in self._lanes.values() if queue.current is not None]
        for playback in (*self._made_of_clips.values(), *lanes):
            self._spawn(playback.stop())

    async def _run_lane(self, lane: PlayLane, queue: _Lane) -> None:
        try:
            while queue.waiting:
                request = queue.waiting.popleft()
                queue.is_endless = request.loops == 0
                queue.current = playback = self._of_clips(request.clips, request.loops, lane, mixes=request.mixes)
                limit: asyncio.TimerHandle | None = None
                if request.limit_s:
                    limit = asyncio.get_running_loop().call_later(request.limit_s, self._stop_soon, playback)
                try:
                    end, detail = await playback.run()
                finally:
                    if limit is not None:
                        limit.cancel()
                self._note("media", event=f"api {lane.value} over", reason=end.value, detail=detail)
        except Exception:
            # A fault of ours costs one request, not those behind it.
            if queue.waiting and not self._is_over:
                heir = self._lanes[lane] = _Lane(waiting=queue.waiting, is_running=True)
                self._spawn(self._run_lane(lane, heir))
            raise
        finally:
            queue.current = None
            queue.is_running = False

    def _stop_soon(self, playback: ClipsPlayback) -> None:
        self._spawn(playback.stop())

    def _of_clips(self, clips: Clips, loops: int, lane: PlayLane, *, mixes: bool) -> ClipsPlayback:
        async def start(path: str, times: int, play_id: PlayId) -> None:
            await self.play(path, times, lane, mixes=mixes, play_id=play_id)

        return ClipsPlayback(clips, loops, start, self._stop_file, lambda: PlayId(ids.new_uuid()))

    async def _stop_file(self, play_id: PlayId) -> None:
        try:
            await self._send_if_alive(
                commands.StopPlay(command_id=CommandId(ids.new_token()), session_id=self._session_id, play_id=play_id)
            )
        except RingbackError as error:
            # The worker is gone, and its playbacks with it.
            self._note("media", event="play not stopped", detail=str(error))
