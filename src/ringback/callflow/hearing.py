"""What a call's document hears: joins the listening in the media worker with the recogniser."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from ringback.callflow.commands import Listen, SpeechQuery
from ringback.callflow.events import (
    BeepHeard,
    Event,
    ListenRefused,
    SilenceReached,
    SpeechGuessed,
    SpeechRecognised,
    SpeechStarted,
)
from ringback.callflow.port import FlowCall, SpeechPort
from ringback.errors import RingbackError
from ringback.ids import ListenId
from ringback.media.control import events as media

_UTTERANCE_MAX_MS = 60_000
_GUESS_EVERY_MS = 1_000


@dataclass(frozen=True, slots=True)
class Heard:
    """An event of a listening; it counts only while `Hearing.is_current`."""

    listen_id: ListenId
    event: Event


class Hearing:
    """The listening of one flow, one at a time.

    State: `begin` ends what went on before. `close` is the last call; files of utterances are gone then.
    """

    def __init__(self, call: FlowCall, speech: SpeechPort, report: Callable[[Heard], None]) -> None:
        self._call = call
        self._speech = speech
        self._report = report
        self._listen_id: ListenId | None = None
        self._is_open = False
        self._query: SpeechQuery | None = None
        self._path = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_guessing = False
        self._forgotten: set[ListenId] = set()

    def is_current(self, heard: Heard) -> bool:
        """Return whether an event is one of what goes on now."""
        return heard.listen_id == self._listen_id

    async def begin(self, command: Listen) -> tuple[Event, ...]:
        """Begin to listen; returns why not."""
        await self.end()
        query = command.speech
        path = self._speech.new_path() if query is not None else ""
        try:
            self._listen_id = await self._call.hear(
                silence_ms=command.silence_ms,
                beep=command.beep,
                capture_path=path,
                capture_max_ms=_UTTERANCE_MAX_MS,
                progress_ms=_GUESS_EVERY_MS if query is not None and query.wants_guesses else 0,
            )
        except RingbackError as error:
            return (ListenRefused(str(error)),)
        self._query, self._path, self._is_open = query, path, True
        return ()

    async def end(self, *, is_heard: bool = False) -> None:
        """End the listening; with `is_heard` what was said so far is recognised, else it is forgotten.

        Raises:
            RingbackError: the media worker refused.
        """
        listen_id = self._listen_id
        if listen_id is None:
            return
        if not is_heard:
            self._listen_id = None
            self._cancel()
            if self._path:
                self._forgotten.add(listen_id)
            self._speech.discard(self._path)
        if self._is_open:
            self._is_open = False
            await self._call.stop_hearing(listen_id)

    def take(self, event: media.ListenEvent) -> None:
        """Take what the worker reports."""
        if event.listen_id != self._listen_id:
            if isinstance(event, media.SpeechCaptured) and event.listen_id in self._forgotten:
                self._forgotten.discard(event.listen_id)
                self._speech.discard(event.path)
            return
        match event:
            case media.SpeechStarted():
                self._tell(SpeechStarted())
            case media.SilenceReached():
                self._tell(SilenceReached())
            case media.BeepHeard():
                self._tell(BeepHeard())
            case media.SpeechProgressed():
                if not self._is_guessing and self._is_open:
                    self._is_guessing = True
                    self._spawn(self._guess())
            case media.SpeechCaptured():
                self._is_open = False
                self._cancel()
                self._spawn(self._recognize(event.path))
            case _:
                raise AssertionError(event)

    def close(self) -> None:
        """Forget everything."""
        self._listen_id = None
        self._cancel()
        self._speech.discard(self._path)

    async def _recognize(self, path: str) -> None:
        query = self._query
        assert query is not None  # only such listenings capture
        try:
            found = await self._speech.recognize(path, query.language, query.hints, is_partial=False)
        finally:
            self._speech.discard(path)
        self._tell(SpeechRecognised(found.text, found.confidence, found.detail))

    async def _guess(self) -> None:
        query = self._query
        assert query is not None  # only such listenings capture
        try:
            found = await self._speech.recognize(self._path, query.language, query.hints, is_partial=True)
            if found.text and self._is_open:
                self._tell(SpeechGuessed(found.text, found.confidence))
        finally:
            self._is_guessing = False

    def _tell(self, event: Event) -> None:
        if self._listen_id is not None:
            self._report(Heard(self._listen_id, event))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=f"hearing {self._call.call_uuid}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()
