"""A call, streams, documents and media for tests of the call flow: they record what they are asked, and can report."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from ringback.calls.hangup import HangupSource
from ringback.calls.listener import CallListener
from ringback.errors import RingbackError
from ringback.ids import CallUuid, ListenId, PlayId, StreamId
from ringback.media.control.values import BeepRule, PlayEnd, StreamEnd
from ringback.speech.passage import Speech
from ringback.streams.spec import StreamSpec
from ringback.webhooks.fetcher import Callback, FetchedDocument
from ringback.webhooks.signature import SigningKeys


@dataclass
class ListTimeline:
    """An event sink that keeps everything."""

    events: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        self.events.append((call_uuid, kind, fields))

    def of(self, kind: str) -> list[Mapping[str, object]]:
        return [fields for _, found, fields in self.events if found == kind]

    def notes(self) -> list[str]:
        return [str(fields["text"]) for fields in self.of("element") if fields.get("phase") == "note"]


@dataclass
class FakeCall:
    """Fulfils `FlowCall`; `log` holds what it was asked to do, in order."""

    call_uuid: CallUuid = field(default_factory=lambda: CallUuid("c1"))
    account_id: str = "MA1"
    is_inbound: bool = True
    is_answered: bool = False
    signing: SigningKeys = field(default_factory=lambda: SigningKeys(("token",)))
    log: list[str] = field(default_factory=list)
    listener: CallListener | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    answer_error: RingbackError | None = None
    play_error: RingbackError | None = None
    digits_error: RingbackError | None = None
    hear_error: RingbackError | None = None
    hearings: int = 0
    plays: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, text: str) -> None:
        self.log.append(text)
        self.changed.set()

    async def until(self, text: str) -> None:
        """Return when `text` was logged."""
        async with asyncio.timeout(20):
            while text not in self.log:
                self.changed.clear()
                await self.changed.wait()

    def webhook_params(self, **extra: str) -> dict[str, str]:
        status = "in-progress" if self.is_answered else "ringing"
        return {"CallUUID": self.call_uuid, "CallStatus": status, **extra}

    def listen(self, listener: CallListener | None) -> None:
        self.listener = listener
        if listener is not None and self.ended.is_set():
            listener.hung_up()

    def reporter(self) -> CallListener:
        assert self.listener is not None
        return self.listener

    async def ring(self) -> None:
        self.note("ring")

    async def answer(self) -> None:
        if self.answer_error is not None:
            raise self.answer_error
        self.is_answered = True
        self.note("answer")

    async def pre_answer(self) -> None:
        if not self.is_answered:
            self.note("pre-answer")

    async def hear(
        self, *, silence_ms: int, beep: BeepRule | None, capture_path: str, capture_max_ms: int, progress_ms: int
    ) -> ListenId:
        if self.hear_error is not None:
            raise self.hear_error
        self.hearings += 1
        what = f"silence {silence_ms}" if silence_ms else ""
        what += " beep" if beep is not None else ""
        what += f" into {capture_path}" if capture_path else ""
        what += f" every {progress_ms}" if progress_ms else ""
        self.note(f"hear {what}".strip())
        return ListenId(f"l{self.hearings}")

    async def stop_hearing(self, listen_id: ListenId) -> None:
        self.note(f"stop-hearing {listen_id}")

    async def send_digits(self, digits: str) -> None:
        if self.digits_error is not None:
            raise self.digits_error
        self.note(f"send-digits {digits}")

    def show_digits(self, are_shown: bool) -> None:
        self.note("show-digits" if are_shown else "hide-digits")

    async def play(self, path: str, loops: int) -> PlayId:
        if self.play_error is not None:
            raise self.play_error
        self.plays += 1
        play_id = PlayId(f"p{self.plays}")
        self.note(f"play {path} x{loops}")
        return play_id

    async def speak(self, speech: Speech, loops: int) -> PlayId:
        self.plays += 1
        self.note(f"speak {' | '.join(passage.text for passage in speech.passages)} x{loops}")
        return PlayId(f"p{self.plays}")

    async def stop_play(self, play_id: PlayId) -> None:
        self.note(f"stop-play {play_id}")

    async def end(self, cause_code: int, source: HangupSource, sip_reject: str = "", detail: str = "") -> None:
        if self.ended.is_set():
            return
        self.note(f"end {int(cause_code)} {source.value} {sip_reject}".strip())
        self.hang_up()

    def hang_up(self) -> None:
        self.ended.set()
        if self.listener is not None:
            self.listener.hung_up()


@dataclass
class FakeStreams:
    """Fulfils `FlowStreams` for one call."""

    call: FakeCall
    specs: list[StreamSpec] = field(default_factory=list)
    error: RingbackError | None = None

    async def start_stream(self, call_uuid: CallUuid, spec: StreamSpec) -> StreamId:
        if self.error is not None:
            raise self.error
        self.specs.append(spec)
        self.call.note(f"start-stream s{len(self.specs)}")
        return StreamId(f"s{len(self.specs)}")

    async def stop_stream(self, call_uuid: CallUuid, stream_id: StreamId, reason: StreamEnd) -> None:
        self.call.note(f"stop-stream {stream_id} {reason.value}")


Answerer = Callable[[Callback], Awaitable[bytes]]


@dataclass
class FakeDocuments:
    """Fulfils `DocumentSource`: answers by URL with XML, an error, or a coroutine function."""

    answers: dict[str, bytes | str | RingbackError | Answerer] = field(default_factory=dict)
    asked: list[tuple[Callback, Callback | None]] = field(default_factory=list)

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        self.asked.append((callback, fallback))
        answer = self.answers[callback.url]
        if isinstance(answer, RingbackError):
            raise answer
        if callable(answer):
            answer = await answer(callback)
        body = answer.encode() if isinstance(answer, str) else answer
        return FetchedDocument(200, "application/xml", body, callback.url, 1, callback.kind)


@dataclass
class FakeMedia:
    """Fulfils `MediaSource`: every URL is a path, unless an error or a wait is set for it."""

    errors: dict[str, RingbackError] = field(default_factory=dict)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)

    async def fetch(self, url: str) -> str:
        if url in self.errors:
            raise self.errors[url]
        if url in self.gates:
            try:
                await self.gates[url].wait()
            except asyncio.CancelledError:
                self.cancelled.append(url)
                raise
        return f"/media/{url.rpartition('/')[2]}"


def play_completed(call: FakeCall, play_id: str, end: PlayEnd = PlayEnd.COMPLETED) -> None:
    """Report the end of a playback."""
    call.reporter().play_ended(PlayId(play_id), end)
