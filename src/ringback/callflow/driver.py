"""What runs the documents of one call: fetches them, runs them, and carries out what they ask for.

One task a call. A hang-up, a transfer and a scheduled hang-up interrupt whatever the task waits for.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, assert_never

from ringback import clock
from ringback.callflow import commands
from ringback.callflow.budget import Budget
from ringback.callflow.commands import Command, DocumentKind
from ringback.callflow.document import InvalidDocument, parse_document
from ringback.callflow.elements.registry import Program, bind, spoken_languages
from ringback.callflow.events import (
    ConferenceLeft,
    ConferenceRefused,
    DialFinished,
    DialRefused,
    DigitPressed,
    DigitsRefused,
    DigitsSent,
    Event,
    Interruption,
    MultipartyLeft,
    MultipartyRefused,
    RecordingBegan,
    RecordingOver,
    RecordingRefused,
    StreamFinished,
    StreamRefused,
    StreamStarted,
)
from ringback.callflow.hearing import Heard, Hearing
from ringback.callflow.interpreter import Interpreter
from ringback.callflow.plays import PlayEnded, PlayFailed, Plays
from ringback.callflow.port import FirstRequest, FlowCall, FlowServices
from ringback.callflow.prompt import ELEMENTS
from ringback.calls.hangup import Code, HangupSource
from ringback.conferences.spec import ConferenceSpec
from ringback.dials.spec import DialSpec
from ringback.errors import Bug, RingbackError
from ringback.ids import PlayId, StreamId
from ringback.machine import SECOND
from ringback.media.control.events import ListenEvent, RecordingFinished
from ringback.media.control.values import PlayEnd, StreamEnd
from ringback.multiparty.departure import Departure
from ringback.multiparty.spec import MultipartySpec
from ringback.recordings.spec import RecordingSpec
from ringback.webhooks.fetcher import (
    Callback,
    CallbackKind,
    FetchedDocument,
    UnreachableUrl,
    UnusableReply,
    code_of_unreachable,
)

T = TypeVar("T")
_logger = logging.getLogger(__name__)

_SOUNDS = Path(__file__).parent / "sounds"
_CALLBACK_OF: Mapping[str, CallbackKind] = MappingProxyType({kind.value: kind for kind in CallbackKind})
_CALLBACK_KINDS: Mapping[DocumentKind, CallbackKind] = MappingProxyType(
    {
        DocumentKind.ANSWER: CallbackKind.ANSWER,
        DocumentKind.ACTION: CallbackKind.ACTION,
        DocumentKind.TRANSFER: CallbackKind.TRANSFER,
        DocumentKind.REDIRECT: CallbackKind.REDIRECT,
        DocumentKind.PROMPT: CallbackKind.PROMPT,
    }
)
_INVALID_XML: Mapping[DocumentKind, Code] = MappingProxyType(
    {
        DocumentKind.ANSWER: Code.ANSWER_XML,
        DocumentKind.ACTION: Code.ACTION_XML,
        DocumentKind.TRANSFER: Code.TRANSFER_XML,
        DocumentKind.REDIRECT: Code.REDIRECT_XML,
        DocumentKind.PROMPT: Code.ANSWER_XML,
    }
)


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A document that is to be fetched and run."""

    kind: DocumentKind
    url: str
    method: str
    params: Mapping[str, str] = field(default_factory=dict)
    is_private: bool = False
    fallback_url: str = ""
    fallback_method: str = "POST"


class _Interrupted(Exception):
    """The work at hand was given up because the flow was interrupted."""


class Flow:
    """The flow of one call; also the listener of its call."""

    def __init__(self, services: FlowServices, call: FlowCall, first: FirstRequest) -> None:
        self._services = services
        self._call = call
        self._first = first
        self._budget = Budget(services.settings)
        self._happened: deque[Event | PlayEnded | PlayFailed | Heard] = deque()
        self._wake = asyncio.Event()
        self._interruption = asyncio.Event()
        self._transfer: _Wanted | None = None
        self._late_transfer: _Wanted | None = None
        """Waits for the end of the stream that holds the document."""
        self._held_by: StreamId | None = None
        """The stream that the document waits for."""
        self._is_hung_up = False
        self._is_schedule_due = False
        self._schedule: asyncio.TimerHandle | None = None
        self._plays = Plays(call, self._queue)
        self._hearing = Hearing(call, services.speech, self._queue)
        self._has_dropped_digits = False
        self._visit: object | None = None
        """The stay in a conference or multiparty call that the document waits for."""

    # The listener of the call.

    def answered(self) -> None:
        """Note nothing: a document asks the call itself."""

    def digit_pressed(self, digit: str) -> None:
        """Queue the digit for the running element."""
        if len(self._happened) >= self._services.settings.events_max:
            if not self._has_dropped_digits:
                self._has_dropped_digits = True
                self._record({"phase": "note", "name": "", "line": 0, "text": "digits dropped", "level": "warning"})
            return
        self._queue(DigitPressed(digit))

    def heard(self, event: ListenEvent) -> None:
        """Hand on what the document listens for."""
        self._hearing.take(event)

    def digits_sent(self, digits: str) -> None:
        """Queue that keys have left."""
        self._queue(DigitsSent(digits))

    def play_ended(self, play_id: PlayId, end: PlayEnd, detail: str = "") -> None:
        """Queue the end of a playback."""
        self._queue(PlayEnded(play_id, end, detail))

    def stream_ended(self, stream_id: StreamId, end: StreamEnd) -> None:
        """Queue the end of a stream."""
        self._queue(StreamFinished(stream_id, end))

    def recording_ended(self, event: RecordingFinished) -> None:
        """Queue the end of a recording."""
        self._queue(RecordingOver(event))

    def transfer_requested(self, url: str, method: str, *, is_fallback: bool = False) -> None:
        """Interrupt the running document for another one, unless that waits for the end of a stream."""
        if is_fallback and (self._late_transfer or self._transfer) is not None:
            # The stream is over: what was accepted before goes first.
            text = "a transfer that was asked for before goes before the fallback document"
            self._record({"phase": "note", "name": "Stream", "line": 0, "text": text, "level": "info"})
            return
        wanted = _Wanted(DocumentKind.TRANSFER, url, method)
        if self._held_by is not None and self._services.settings.has_late_transfers:
            self._late_transfer = wanted
            text = "the transfer waits for the end of the stream (stream.transfer)"
            self._record({"phase": "note", "name": "Stream", "line": 0, "text": text, "level": "info"})
            return
        self._transfer = wanted
        self._interrupt()

    def hung_up(self) -> None:
        """Stop the flow."""
        self._is_hung_up = True
        self._interrupt()

    def stop(self) -> None:
        """End the documents and what they play; the call goes on."""
        self._interrupt()

    # The task.

    async def run(self) -> None:
        """Fetch and run documents until the call is over."""
        self._call.listen(self)
        try:
            await self._run_documents()
        except _CallOver:
            pass
        except Exception:
            _logger.exception("call flow failed", extra={"call_uuid": self._call.call_uuid})
            with suppress(RingbackError):
                await self._call.end(Code.INTERNAL_ERROR, HangupSource.ERROR, detail="the call flow failed")
        finally:
            self._call.listen(None)
            self._plays.close()
            self._hearing.close()
            if self._schedule is not None:
                self._schedule.cancel()

    async def _run_documents(self) -> None:
        first = self._first
        wanted: _Wanted | None = _Wanted(
            _kind_of(first),
            first.url,
            first.method,
            fallback_url=first.fallback_url,
            fallback_method=first.fallback_method,
        )
        if self._call.is_inbound and not self._call.is_answered:
            await self._call.ring()
        while wanted is not None and not self._is_hung_up:
            try:
                program = await self._load(wanted)
                wanted = await self._run_document(program)
            except _Interrupted:
                wanted = None
            if self._is_schedule_due and not self._is_hung_up:
                await self._end(Code.SCHEDULED_HANGUP, HangupSource.XML)
            if self._transfer is not None:
                wanted, self._transfer = self._transfer, None
                self._interruption.clear()

    async def _load(self, wanted: _Wanted) -> Program:
        call, kind = self._call, wanted.kind
        match self._budget.take(clock.now(), kind):
            case "loop":
                detail = "too many redirects and transfers"
                await self._end(Code.LOOP_DETECTED, HangupSource.PLATFORM, detail)
            case "fetches":
                code = code_of_unreachable(_CALLBACK_KINDS[kind])
                await self._end(code, HangupSource.ERROR, "too many documents in a minute")
            case _:
                pass
        callback = self._callback(_CALLBACK_KINDS[kind], wanted.url, wanted.method, wanted.params, wanted.is_private)
        fallback: Callback | None = None
        if wanted.fallback_url:
            fallback = self._callback(CallbackKind.FALLBACK, wanted.fallback_url, wanted.fallback_method, wanted.params)
        try:
            fetched = await self._unless_interrupted(self._services.documents.fetch(callback, fallback))
            return self._parse(fetched, ELEMENTS if kind is DocumentKind.PROMPT else None)
        except UnreachableUrl as error:
            await self._end(error.cause_code, HangupSource.ERROR, str(error))
        except (UnusableReply, InvalidDocument) as error:
            fields = {"phase": "refused", "name": "Response", "detail": str(error), "line": error.fields.get("line", 0)}
            self._services.timeline.record(call.call_uuid, "element", fields)
            await self._end(_INVALID_XML[kind], HangupSource.ERROR, str(error))
        raise Bug("a call was ended and its flow went on")

    def _parse(self, fetched: FetchedDocument, allowed: frozenset[str] | None) -> Program:
        program = bind(parse_document(fetched.body), allowed)
        for language, line in spoken_languages(program):
            # Told before the first element runs: a caller who speaks to nobody would hear silence.
            fault = self._services.speech.fault(language)
            if fault:
                raise InvalidDocument(f"<GetInput> needs speech: {fault}", line)
            self._services.speech.warm()
        fields = {"phase": "loaded", "name": "Response", "url": fetched.url, "elements": len(program.steps)}
        self._services.timeline.record(self._call.call_uuid, "element", fields)
        return program

    async def _run_document(self, program: Program) -> _Wanted | None:
        """Run one document and return the next one; `None` when it was interrupted."""
        interpreter = Interpreter(
            program, is_answered=self._call.is_answered, does_wait_ring=self._services.settings.does_wait_ring
        )
        interpreter.start(clock.now())
        while True:
            while not self._interruption.is_set() and (command := interpreter.poll_output()) is not None:
                if isinstance(command, commands.ReplaceDocument):
                    return _Wanted(command.kind, command.url, command.method, command.params, command.is_private)
                with suppress(_Interrupted):
                    for event in await self._carry_out(command):
                        interpreter.handle_input(clock.now(), event)
            if self._interruption.is_set():
                await self._stop_document(interpreter)
                return None
            await self._wait(interpreter)
            self._take_one_event(interpreter)

    async def _stop_document(self, interpreter: Interpreter) -> None:
        while interpreter.poll_output() is not None:
            # What was asked for but not begun is not wanted any more.
            pass
        is_gone = self._is_hung_up
        interpreter.interrupt(clock.now(), Interruption.CALL_ENDED if is_gone else Interruption.REPLACED)
        while not is_gone and (command := interpreter.poll_output()) is not None:
            with suppress(_Interrupted):
                await self._carry_out(command)

    async def _wait(self, interpreter: Interpreter) -> None:
        self._wake.clear()
        if self._happened or self._interruption.is_set():
            return
        deadline = interpreter.poll_timeout()
        delay_s = None if deadline is None else max(0.0, (deadline - clock.now()) / SECOND)
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wake.wait()

    def _take_one_event(self, interpreter: Interpreter) -> None:
        if self._interruption.is_set():
            return
        now = clock.now()
        deadline = interpreter.poll_timeout()
        if deadline is not None and deadline <= now:
            interpreter.handle_timeout(now)
            return
        if not self._happened:
            return
        match self._happened.popleft():
            case PlayEnded() as ended:
                finished = self._plays.finished(ended)
                if finished is not None:
                    interpreter.handle_input(now, finished)
            case PlayFailed() as failed:
                refused = self._plays.refused(failed)
                if refused is not None:
                    interpreter.handle_input(now, refused)
            case Heard() as heard:
                if self._hearing.is_current(heard):
                    interpreter.handle_input(now, heard.event)
            case StreamFinished(stream_id) if stream_id == self._held_by and self._late_transfer is not None:
                self._transfer, self._late_transfer, self._held_by = self._late_transfer, None, None
                self._interrupt()
            case event:
                if isinstance(event, StreamFinished) and event.stream_id == self._held_by:
                    self._held_by = None
                interpreter.handle_input(now, event)

    async def _carry_out(self, command: Command) -> tuple[Event, ...]:
        """Do what a command asks and return what the document must be told of it at once.

        Raises:
            _Interrupted: the flow was interrupted meanwhile.
            _CallOver: the call is over.
        """
        match command:
            case commands.Answer():
                await self._answer()
            case commands.Play(url, loops):
                self._plays.start(partial(self._services.media.fetch, url), loops)
            case commands.PlaySound(sound):
                self._plays.start(partial(_path_of, sound), 1)
            case commands.Speak(speech, loops):
                self._plays.started(await self._call.speak(speech, loops))
            case commands.StopPlay():
                await self._quietly(self._plays.stop())
            case commands.StartStream(spec):
                try:
                    stream_id = await self._services.streams.start_stream(self._call.call_uuid, spec)
                except RingbackError as error:
                    return (StreamRefused(str(error)),)
                self._held_by = stream_id if spec.keep_call_alive else None
                return (StreamStarted(stream_id),)
            case commands.StopStream(stream_id, reason):
                await self._quietly(self._services.streams.stop_stream(self._call.call_uuid, stream_id, reason))
            case commands.Listen():
                return await self._hearing.begin(command)
            case commands.StopListening(is_heard):
                await self._quietly(self._hearing.end(is_heard=is_heard))
            case commands.EnterConference(spec):
                return self._enter_conference(spec)
            case commands.LeaveConference():
                self._visit = None
                self._services.conferences.leave(self._call.call_uuid)
            case commands.EnterMultiparty(spec):
                return self._enter_multiparty(spec)
            case commands.LeaveMultiparty():
                self._visit = None
                self._services.multiparty.leave(self._call.call_uuid)
            case commands.StartRecording(spec):
                return await self._start_recording(spec)
            case commands.StopRecording(recording_id):
                await self._quietly(self._services.recordings.stop_recording(self._call.call_uuid, recording_id))
            case commands.StartEarlyMedia():
                await self._start_early_media()
            case commands.SendDigits(digits):
                return await self._send_digits(digits)
            case commands.ShowDigits(are_shown):
                self._call.show_digits(are_shown)
            case commands.SendCallback(kind, url, method, params, is_private):
                await self._quietly(
                    self._services.callbacks.send(self._callback(_CALLBACK_OF[kind], url, method, params, is_private))
                )
            case commands.StartDial(spec):
                return self._start_dial(spec)
            case commands.StopDial():
                await self._quietly(self._services.dials.stop(self._call.call_uuid))
            case commands.ScheduleHangup(after_ms):
                self._schedule_hangup(after_ms)
            case commands.Note(text, element, line, is_warning):
                level = "warning" if is_warning else "info"
                self._record({"phase": "note", "name": element, "line": line, "text": text, "level": level})
            case commands.ElementStarted(element, line, attributes):
                self._record({"phase": "started", "name": element, "line": line, "attributes": dict(attributes)})
            case commands.ElementFinished(element, line):
                self._record({"phase": "finished", "name": element, "line": line})
            case commands.EndCall(code, source, reject, detail):
                await self._end(code, source, detail, reject.value if reject is not None else "")
            case commands.ReplaceDocument() | commands.HangUp() | commands.SetTimer() | commands.StopTimer():
                raise Bug(f"{type(command).__name__} is not the driver's to carry out")
            case _:
                assert_never(command)
        return ()

    async def _answer(self) -> None:
        try:
            await self._call.answer()
        except RingbackError as error:
            await self._end(Code.INTERNAL_ERROR, HangupSource.ERROR, f"cannot answer: {error}")

    def _enter_conference(self, spec: ConferenceSpec) -> tuple[Event, ...]:
        visit = self._visit = object()

        def left(params: Mapping[str, str]) -> None:
            # An end that the document brought about itself is no news to the next document.
            if self._visit is visit:
                self._queue(ConferenceLeft(params))

        try:
            self._services.conferences.enter(self._call.call_uuid, spec, left)
        except RingbackError as error:
            return (ConferenceRefused(str(error)),)
        return ()

    def _enter_multiparty(self, spec: MultipartySpec) -> tuple[Event, ...]:
        visit = self._visit = object()

        def left(departure: Departure) -> None:
            if self._visit is visit:
                self._queue(MultipartyLeft(departure))

        try:
            self._services.multiparty.enter(self._call.call_uuid, spec, left)
        except RingbackError as error:
            return (MultipartyRefused(str(error)),)
        return ()

    async def _start_early_media(self) -> None:
        try:
            await self._call.pre_answer()
        except RingbackError as error:
            await self._end(Code.INTERNAL_ERROR, HangupSource.ERROR, f"no early media: {error}")

    async def _start_recording(self, spec: RecordingSpec) -> tuple[Event, ...]:
        try:
            started = await self._services.recordings.start_recording(self._call.call_uuid, spec)
        except RingbackError as error:
            return (RecordingRefused(str(error)),)
        return (RecordingBegan(started.recording_id, started.url, started.note),)

    async def _send_digits(self, digits: str) -> tuple[Event, ...]:
        try:
            await self._call.send_digits(digits)
        except RingbackError as error:
            text = f"keys not sent: {error}"
            self._record({"phase": "note", "name": "DTMF", "line": 0, "text": text, "level": "warning"})
            return (DigitsRefused(str(error)),)
        return ()

    def _start_dial(self, spec: DialSpec) -> tuple[Event, ...]:
        a_leg_uuid = self._call.call_uuid
        try:
            self._services.dials.start(
                a_leg_uuid,
                spec,
                lambda outcome, b_leg_uuid: self._queue(DialFinished(outcome, a_leg_uuid, b_leg_uuid)),
            )
        except RingbackError as error:
            return (DialRefused(str(error)),)
        return ()

    async def _quietly(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except RingbackError as error:
            # What is stopped may just have ended by itself.
            self._record({"phase": "note", "name": "", "line": 0, "text": str(error), "level": "info"})

    async def _end(self, code: int, source: HangupSource, detail: str = "", reject: str = "") -> None:
        await self._call.end(code, source, reject, detail)
        raise _CallOver

    def _callback(
        self,
        kind: CallbackKind,
        url: str,
        method: str,
        extra: Mapping[str, str],
        is_private: bool = False,
    ) -> Callback:
        call = self._call
        return Callback(
            kind=kind,
            url=url,
            method=method,
            params=call.webhook_params(**extra),
            call_uuid=call.call_uuid,
            signing=call.signing,
            account_id=call.account_id,
            is_private=is_private,
        )

    def _schedule_hangup(self, after_ms: int) -> None:
        if self._schedule is not None:
            self._schedule.cancel()
        self._schedule = asyncio.get_running_loop().call_later(after_ms / 1000, self._schedule_fired)

    def _schedule_fired(self) -> None:
        self._is_schedule_due = True
        self._interrupt()

    def _queue(self, event: Event | PlayEnded | PlayFailed | Heard) -> None:
        self._happened.append(event)
        self._wake.set()

    def _interrupt(self) -> None:
        self._interruption.set()
        self._wake.set()

    def _record(self, fields: Mapping[str, object]) -> None:
        self._services.timeline.record(self._call.call_uuid, "element", fields)

    async def _unless_interrupted(self, work: Coroutine[Any, Any, T]) -> T:
        """Return the result of `work`, which is cancelled when the flow is interrupted.

        Raises:
            _Interrupted: it was.
        """
        task = asyncio.ensure_future(work)
        waiter = asyncio.ensure_future(self._interruption.wait())
        try:
            await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise _Interrupted
            return task.result()
        finally:
            waiter.cancel()
            if not task.done():
                task.cancel()
            await asyncio.gather(task, waiter, return_exceptions=True)


async def _path_of(sound: commands.Sound) -> str:
    return str(_SOUNDS / f"{sound.value}.wav")


def _kind_of(first: FirstRequest) -> DocumentKind:
    if first.is_prompt:
        return DocumentKind.PROMPT
    return DocumentKind.TRANSFER if first.is_transfer else DocumentKind.ANSWER


class _CallOver(Exception):
    """The flow has ended the call; nothing more is to be done."""
