"""How calls in a room are joined and what they hear beside each other: beeps, music, signals, what the API plays."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from pathlib import Path
from typing import Any

from ringback.calls.live import LiveCall
from ringback.calls.playbacks import ApiPlay
from ringback.calls.spoken import SpokenClips
from ringback.errors import EgressError, InvalidParameter, RingbackError
from ringback.ids import PlayId
from ringback.media.control.commands import SessionCommand
from ringback.media.control.values import PlayLane
from ringback.rooms.facts import BEEPS
from ringback.rooms.ports import FetchAudio, Prompt, PromptStarter
from ringback.signalling.errors import LegOver
from ringback.speech.passage import Speech

BEEP_FILE = str(Path(__file__).parent / "sounds" / "beep.wav")
"""A beep of 0.16 s with a pause behind it, so that two follow each other well."""
_SIGNALS_KEPT = 3


class Stage:
    """Carries out what a kind of rooms decides, beside the calls that are in them.

    State: usable until `close`, which ends everything that it began.
    """

    def __init__(self, kind: str, fetch_audio: FetchAudio) -> None:
        """Make one that plays no documents before `start_prompts` is set.

        Args:
            kind: What problems are filed under in the calls' event logs.
        """
        self.start_prompts: PromptStarter | None = None
        self._kind = kind
        self._fetch_audio = fetch_audio
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def is_idle(self) -> bool:
        """Return whether nothing of what was begun goes on."""
        return not self._tasks

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` until `close`."""
        task = asyncio.create_task(work, name=self._kind)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def close(self) -> None:
        """Stop what goes on; returns when nothing does."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def problem(self, call: LiveCall, name: str, detail: str) -> None:
        """Record in a call's event log what went wrong in the room of this name."""
        call.note(self._kind, event="problem", name=name, detail=detail)

    def command(
        self, call: LiveCall, name: str, command: SessionCommand, on_refused: Callable[[], None] | None = None
    ) -> None:
        """Pass a command to a call's worker; what was begun first is sent first."""

        async def sent() -> None:
            try:
                await call.leg.media(command)
            except LegOver:
                # The session has left every room with its end.
                return
            except RingbackError as error:
                self.problem(call, name, str(error))
                if on_refused is not None:
                    on_refused()

        self.spawn(sent())

    def begin(self, calls: Sequence[LiveCall], url: str, *, repeats: bool, method: str = "POST") -> Sequence[Prompt]:
        """Play the document at a URL to calls."""
        if self.start_prompts is None:
            return ()
        return self.start_prompts(calls, url, repeats=repeats, method=method)

    def announce(
        self, heard_by: Sequence[tuple[LiveCall, list[Prompt]]], name: str, url: str, method: str = "POST"
    ) -> None:
        """Play a beep, or the document at a URL, once to calls; each call's list keeps the last few that may play."""
        calls = [call for call, _ in heard_by]
        if url in BEEPS:
            self.spawn(self._beep(calls, name, BEEPS.index(url) + 1))
            return
        for (_, signals), prompt in zip(heard_by, self.begin(calls, url, repeats=False, method=method), strict=False):
            del signals[:-_SIGNALS_KEPT]
            signals.append(prompt)

    async def _beep(self, calls: Sequence[LiveCall], name: str, loops: int) -> None:
        for call in calls:
            try:
                await call.play(BEEP_FILE, loops)
            except RingbackError as error:
                self.problem(call, name, str(error))

    def stop(self, prompts: Sequence[Prompt]) -> None:
        """Stop sounds."""
        for prompt in prompts:
            self.spawn(prompt.stop())

    async def fetch(self, url: str, field: str = "url") -> str:
        """Return the local copy of an audio file that a request names.

        Raises:
            InvalidParameter: the file cannot be had.
        """
        try:
            return await self._fetch_audio(url)
        except EgressError as error:
            raise InvalidParameter(f"{field} parameter is invalid: {error}", field=field) from error

    @staticmethod
    def play(calls: Sequence[LiveCall], path: str) -> None:
        """Play a file to calls, over what they hear, as the API asks.

        Raises:
            LimitReached: too much waits to be played to one of them.
        """
        for call in calls:
            call.playbacks.add(PlayLane.PLAY, ApiPlay(OneFile(path)))

    @staticmethod
    def speak(calls: Sequence[LiveCall], speech: Speech, owner: str) -> None:
        """Say something to calls, over what they hear, as the API asks; `owner` is the account that has it said.

        Raises:
            LimitReached: too much waits to be said to one of them.
        """
        for call in calls:
            call.playbacks.add(PlayLane.SPEAK, ApiPlay(SpokenClips(call.keeper.speech, speech, call.note, owner)))


class LoopedFile:
    """A file that one call hears again and again; a `Prompt`."""

    def __init__(self, stage: Stage, call: LiveCall, name: str, find: Callable[[], Awaitable[str]]) -> None:
        """Start and return at once.

        Args:
            find: Returns the file's path.
        """
        self._call = call
        self._play_id: PlayId | None = None
        self._is_stopped = False
        stage.spawn(self._start(stage, name, find))

    async def _start(self, stage: Stage, name: str, find: Callable[[], Awaitable[str]]) -> None:
        try:
            path = await find()
            if not self._is_stopped:
                self._play_id = await self._call.play(path, 0)
        except RingbackError as error:
            stage.problem(self._call, name, str(error))
            return
        if self._is_stopped and self._play_id is not None:
            await self._call.stop_play(self._play_id)

    async def stop(self) -> None:
        """End it."""
        self._is_stopped = True
        if self._play_id is not None:
            await self._call.stop_play(self._play_id)


class OneFile:
    """One file as clips."""

    count = 1

    def __init__(self, path: str) -> None:
        self._path = path

    async def clip(self, index: int) -> str:
        """Return its path."""
        return self._path
