"""One call while it lasts: its leg, its state, its document's listener, and the one reason it ends.

`LiveCall` fulfils `callflow.port.FlowCall`. It decides what the customer is told; the leg decides what SIP is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol, assert_never

from ringback import clock
from ringback.billing.cdr import duration_s
from ringback.calls.fact_writer import FactWriter
from ringback.calls.facts import call_facts, hangup_facts
from ringback.calls.hangup import Code, Hangup, HangupSource, hangup, hangup_of_leg, refusal
from ringback.calls.listener import CallListener
from ringback.calls.media import CallMedia
from ringback.calls.media_notes import media_note
from ringback.calls.playbacks import CallPlaybacks
from ringback.calls.settings import CallSettings
from ringback.calls.spoken import SpeechSource, SpokenClips
from ringback.calls.state import STATUS, State, Trigger, advance
from ringback.calls.tasks import CallTasks
from ringback.calls.terms import CallTerms as CallTerms
from ringback.calls.timers import CallTimers
from ringback.calls.views import CallDirection, MachineDetection
from ringback.ids import CallUuid, ListenId, PlayId, StreamId
from ringback.machine import SECOND, Instant
from ringback.media.control.events import (
    DigitReceived,
    DigitsSent,
    ListenEvent,
    MachineJudged,
    MediaStarted,
    MediaTimedOut,
    PlayFinished,
    RecordingEvent,
    RecordingFinished,
    RoomEvent,
    StreamEvent,
)
from ringback.media.control.values import BeepRule, PlayEnd, StreamEnd
from ringback.signalling.events import (
    LegAnswered,
    LegConfirmed,
    LegEnd,
    LegEnded,
    LegEvent,
    LegMedia,
    LegRenegotiated,
    LegRinging,
)
from ringback.signalling.sip_leg import SipLeg
from ringback.speech.passage import Speech
from ringback.telemetry.events import EventSink
from ringback.telemetry.logs import get_logger
from ringback.webhooks.payloads import CallFacts, answer_params, hangup_params, ring_params
from ringback.webhooks.signature import SigningKeys


class CallWatcher(Protocol):
    """Who follows a call without running its document; every method returns at once and never raises."""

    def call_rang(self, call: LiveCall, *, has_early_media: bool) -> None:
        """The far party rings; repeated as often as it says so."""

    def call_answered(self, call: LiveCall) -> None:
        """The call was answered."""

    def digit_pressed(self, call: LiveCall, digit: str) -> None:
        """The far party pressed a key."""

    def call_ended(self, call: LiveCall) -> None:
        """The call is gone and `ending` says why; nothing follows."""


class CallBridge(Protocol):
    """What joins two calls, as each of them sees it."""

    def partner_of(self, call: LiveCall) -> LiveCall | None:
        """Return the call at the other end, or `None` when `call` is not joined (any more)."""

    def detach(self, call: LiveCall) -> Awaitable[None]:
        """Take `call` out at once without ending it; the result returns when its audio is its own again."""


class CallKeeper(Protocol):
    """What a call needs of the service that keeps it."""

    settings: CallSettings
    speech: SpeechSource
    timeline: EventSink

    def call_answered(self, call: LiveCall) -> None:
        """Start the document of an outbound call; an inbound one runs already."""

    def start_document(self, call: LiveCall, url: str, method: str) -> None:
        """Run the document of a transfer for a call that runs none."""

    async def store_answer(self, call: LiveCall) -> None:
        """Make the answer durable."""

    async def store_ringing(self, call: LiveCall) -> None:
        """Send the ring callback."""

    async def store_end(self, call: LiveCall) -> None:
        """Write the CDR and the hang-up callback in one transaction."""

    def forget(self, call: LiveCall) -> None:
        """Let go of a call that is over and stored."""

    def machine_judged(self, call: LiveCall, event: MachineJudged) -> None:
        """Act on who answered, as the call's terms say."""

    def stream_event(self, call: LiveCall, event: StreamEvent) -> None:
        """Hand an event of one of the call's streams to their room."""

    def recording_event(self, call: LiveCall, event: RecordingEvent) -> None:
        """Hand an event of one of the call's recordings to their room."""

    def streams_gone(self, call: LiveCall) -> None:
        """The media session is closed; a stream or recording that did not report its end never will."""


_log = get_logger(__name__)

_FAREWELL_S = 1.0
_SILENT_AFTER_ANSWER_S = 60
"""How long a call may stay without RTP that had none before its answer either (wire spec 5.8, 6020)."""
_HIDDEN = "*"


@dataclass
class LiveCall:
    """One call while it lasts.

    State: `state` moves by the table in `calls.state`; `ending` is set once, by whoever ends the call first.
    """

    call_uuid: CallUuid
    terms: CallTerms
    leg: SipLeg
    keeper: CallKeeper
    state: State
    started: Instant = field(default_factory=clock.now)
    answered_at: Instant | None = None
    answered_wall_ms: int | None = None
    ended_at: Instant | None = None
    ended_wall_ms: int | None = None
    ending: Hangup | None = None
    bridge: CallBridge | None = None
    """What joins this call with another one; set while it does."""
    watchers: list[CallWatcher] = field(default_factory=list)
    was_machine_found: bool = False
    """Whether a machine has answered, as far as is known."""
    on_bridged: list[Callable[[LiveCall], None]] = field(default_factory=list)
    """Called with the other call whenever this one is joined with another by `<Dial>`."""
    farewells: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """Awaited, each for a second at most, before record and hang-up callback are written: that one is the last."""
    side_listeners: list[CallListener] = field(default_factory=list)
    """Who plays to the call beside its document: told of playbacks, of what they listen for, and of the end only."""
    on_room_event: Callable[[LiveCall, RoomEvent], None] | None = None
    """Told what happens to the call in a media room."""
    _listener: CallListener | None = None
    _answer: asyncio.Task[None] | None = None
    _transfer: tuple[str, str] | None = None
    _have_digits_left: bool = False
    """The digits of the call's terms are sent once, though a second 183 and the answer ask for them again."""
    _is_document_due: bool = False
    """A transfer has given a document to a dialled call; later ones replace it, though it may not run yet."""
    _are_digits_hidden: bool = False
    _is_media_idle: bool = False
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    # ── what the document and the API see ──────────────────────────────────────────────────────────────────────────

    @property
    def account_id(self) -> str:
        """Return the account that pays."""
        return self.terms.account.auth_id

    @property
    def is_inbound(self) -> bool:
        """Return whether the caller dialled us."""
        return self.terms.direction is CallDirection.INBOUND

    @property
    def is_answered(self) -> bool:
        """Return whether the call is in progress."""
        return self.state is State.IN_PROGRESS

    @property
    def is_over(self) -> bool:
        """Return whether the call has ended or is ending."""
        return self.ending is not None or self.state is State.ENDED

    @property
    def signing(self) -> SigningKeys:
        """Return the tokens that sign this call's webhooks."""
        account = self.terms.account
        return SigningKeys(tokens=(account.auth_token,), main_tokens=account.main_tokens)

    @property
    def facts(self) -> CallFacts:
        """Return what every callback of the call says."""
        return call_facts(self.call_uuid, self.terms, self.keeper.settings)

    @property
    def partner(self) -> LiveCall | None:
        """Return the call that this one is bridged with, or `None`: what the wire calls the other leg."""
        return self.bridge.partner_of(self) if self.bridge is not None else None

    @property
    def runs_document(self) -> bool:
        """Return whether a document runs for this call, or is about to."""
        return self._listener is not None or self._is_document_due

    @property
    def call_seconds(self) -> int:
        """Return the seconds from the answer to the end, 0 for a call that was never answered."""
        return duration_s(_ms(self.answered_at), _ms(self.ended_at))

    def webhook_params(self, **extra: str) -> dict[str, str]:
        """Return the parameters of an answer, redirect or transfer request as the call is now (wire spec 5.2)."""
        detection = self.terms.machine_detection
        is_told = self.was_machine_found and detection is not None and not detection.url
        found = {"Machine": "true"} if is_told else {}
        return answer_params(self.facts, STATUS[self.state], {**found, **extra})

    def ring_params(self) -> dict[str, str]:
        """Return the parameters of ring_url."""
        return ring_params(self.facts)

    def hangup_params(self) -> dict[str, str]:
        """Return the parameters of hangup_url; the call has ended."""
        assert self.ending is not None
        assert self.ended_wall_ms is not None
        facts = hangup_facts(
            self.ending,
            self.final_status,
            self.keeper.settings,
            seconds=self.call_seconds,
            start_wall_ms=self.terms.initiated_wall_ms,
            answer_wall_ms=self.answered_wall_ms,
            end_wall_ms=self.ended_wall_ms,
        )
        return hangup_params(self.facts, facts)

    @property
    def final_status(self) -> str:
        """Return the last `CallStatus`: an inbound or answered call is `completed` (wire spec 5.3)."""
        assert self.ending is not None
        if self.is_inbound or self.answered_at is not None:
            return "completed"
        # An unanswered outbound call never "completed", whatever ended it: the API, a limit or an error.
        return "cancel" if self.ending.status == "completed" else self.ending.status

    def listen(self, listener: CallListener | None) -> None:
        """Set who runs the call's document; one that comes too late is told `hung_up` at once."""
        self._listener = listener
        if listener is None:
            return
        if self.state is State.ENDED:
            listener.hung_up()
        elif self._transfer is not None:
            (url, method), self._transfer = self._transfer, None
            listener.transfer_requested(url, method)

    def note(self, kind: str, **fields: object) -> None:
        """Record a fact in the call's event log."""
        self.keeper.timeline.record(self.call_uuid, kind, fields)

    async def wait_over(self) -> None:
        """Return when the CDR is written and the call is forgotten."""
        await self._over.wait()

    # ── what can be asked of it ────────────────────────────────────────────────────────────────────────────────────

    async def ring(self) -> None:
        """Send 180 to an inbound caller."""
        if not self.is_over:
            await self.leg.ring()

    async def answer(self) -> None:
        """Answer an inbound call and return when audio can flow; repeating it is harmless.

        Raises:
            RingbackError: the caller gave up, or no audio can flow; the call ends with the cause it knows.
        """
        if not self.is_inbound or self.is_answered:
            return
        if self._answer is None:
            self._answer = asyncio.create_task(self.leg.answer(), name=f"answer {self.call_uuid}")
        await asyncio.shield(self._answer)

    async def pre_answer(self) -> None:
        """Let an unanswered inbound caller hear us (183); repeating it is harmless.

        Raises:
            RingbackError: the caller gave up, or no audio can flow; the call ends with the cause it knows.
        """
        if self.is_inbound and not self.is_answered:
            await self.leg.start_early_media()

    def show_digits(self, are_shown: bool) -> None:
        """Show or hide in the event log which keys the far party presses from now on."""
        self._are_digits_hidden = self.leg.hides_digits = not are_shown

    async def hear(
        self, *, silence_ms: int, beep: BeepRule | None, capture_path: str, capture_max_ms: int, progress_ms: int
    ) -> ListenId:
        """Follow what the far party does; the call's listener is told by `heard`."""
        return await self._media.listen(
            silence_ms=silence_ms,
            beep=beep,
            capture_path=capture_path,
            capture_max_ms=capture_max_ms,
            progress_ms=progress_ms,
        )

    async def stop_hearing(self, listen_id: ListenId) -> None:
        """End what `hear` began; does nothing when the call is over."""
        await self._media.stop_listening(listen_id)

    @cached_property
    def _media(self) -> CallMedia:
        return CallMedia(self.leg)

    @cached_property
    def _facts(self) -> FactWriter:
        return FactWriter(self.call_uuid)

    @cached_property
    def playbacks(self) -> CallPlaybacks:
        """Return what the call plays, for its document and for the API."""
        return CallPlaybacks(self.leg.session_id, self.leg.media, self._media.send_if_alive, self.spawn, self.note)

    async def play(self, path: str, loops: int) -> PlayId:
        """Play a local wav or mp3 file `loops` times, 0 for ever."""
        return await self.playbacks.play(path, loops)

    async def speak(self, speech: Speech, loops: int) -> PlayId:
        """Say something `loops` times, 0 for ever; it must not be empty."""
        clips = SpokenClips(self.keeper.speech, speech, self.note, self.terms.account.main_auth_id)
        return await self.playbacks.play_clips(clips, loops, self._document_play_ended)

    async def stop_play(self, play_id: PlayId) -> None:
        """Stop a playback; does nothing when the call is over."""
        await self.playbacks.stop(play_id)

    def _document_play_ended(self, play_id: PlayId, end: PlayEnd, detail: str) -> None:
        for listener in tuple(self.side_listeners):
            listener.play_ended(play_id, end, detail)
        if self._listener is not None:
            self._listener.play_ended(play_id, end, detail)

    async def detect_machine(self, rules: MachineDetection) -> None:
        """Begin to judge who answered; `CallKeeper.machine_judged` is told.

        Raises:
            RingbackError: the call is over, or the media worker refused.
        """
        await self._media.detect_machine(rules)

    async def send_digits(self, digits: str) -> None:
        """Send telephone events: `0-9*#A-D`, `w` and `W` pauses, `@N` at the end sets the tone length."""
        await self._media.send_digits(digits)

    def report_stream_end(self, stream_id: StreamId, end: StreamEnd) -> None:
        """Tell the call's document that one of its streams is over."""
        if self._listener is not None:
            self._listener.stream_ended(stream_id, end)

    def report_recording_end(self, event: RecordingFinished) -> None:
        """Tell the call's document that one of its recordings is over."""
        if self._listener is not None:
            self._listener.recording_ended(event)

    async def transfer(self, url: str, method: str, *, is_fallback: bool = False) -> None:
        """Give the call another document at once; one that runs none yet begins with it.

        A dialled call leaves its bridge; to have both ends leave, `bridge.detach` it first.
        """
        self.note("call", state="transferred", url=url, method=method)
        if self._listener is not None:
            self._listener.transfer_requested(url, method, is_fallback=is_fallback)
        elif self.terms.is_dialled and not self._is_document_due:
            self._is_document_due = True
            if self.bridge is not None:
                await self.bridge.detach(self)
            self.keeper.start_document(self, url, method)
        else:
            self._transfer = (url, method)

    async def end(self, cause_code: int, source: HangupSource, sip_reject: str = "", detail: str = "") -> None:
        """Hang up, or refuse an unanswered call, and return when the leg is gone; the first reason stands."""
        if self.is_over:
            return
        if self.leg.end is not None:
            # The far party was first; its reason is on its way, behind the release of the media session.
            await self.leg.wait_ended()
            return
        self.ending = hangup(cause_code, source, detail)
        if self.is_inbound and not self.leg.is_answered:
            status, reason = refusal(cause_code, sip_reject)
            await self.leg.reject(status, reason)
        else:
            await self.leg.hangup()

    # ── what the leg reports ───────────────────────────────────────────────────────────────────────────────────────

    def handle_leg_event(self, event: LegEvent) -> None:
        """Take one event of the leg; the leg's listener."""
        match event:
            case LegRinging(_, has_early_media):
                self._rang(has_early_media)
            case LegAnswered():
                self._answered()
            case LegConfirmed() | LegRenegotiated():
                # Of interest to the leg alone, which records them.
                return
            case LegMedia(media_event):
                self._media_reported(media_event)
            case LegEnded(end):
                self._ended(end)
            case _:
                assert_never(event)

    def _rang(self, has_early_media: bool) -> None:
        for watcher in tuple(self.watchers):
            watcher.call_rang(self, has_early_media=has_early_media)
        if has_early_media and self.terms.send_digits and self.terms.send_on_preanswer:
            self._send_agreed_digits()
        if self._advance(Trigger.RING):
            self.store(partial(self.keeper.store_ringing, self))
            if self.terms.hangup_on_ring_s is not None:
                self._timers.start("hangup-on-ring", self.terms.hangup_on_ring_s, Code.CANCELED, HangupSource.API)

    def _answered(self) -> None:
        self._timers.stop("hangup-on-ring")
        if not self._advance(Trigger.ANSWER):
            return
        self.answered_at = clock.now()
        self.answered_wall_ms = clock.wall_ms()
        self._timers.start("max-duration", self.terms.time_limit_s, Code.SCHEDULED_HANGUP, HangupSource.PLATFORM)
        if self._is_media_idle:
            self._timers.start("media", _SILENT_AFTER_ANSWER_S, Code.MEDIA_TIMEOUT, HangupSource.PLATFORM)
        self.keeper.call_answered(self)
        self.store(partial(self.keeper.store_answer, self))
        if self.terms.send_digits:
            # Also with `send_on_preanswer`: a callee without early media has not had them yet.
            self._send_agreed_digits()
        for watcher in tuple(self.watchers):
            watcher.call_answered(self)
        if self._listener is not None:
            self._listener.answered()

    def _send_agreed_digits(self) -> None:
        if not self._have_digits_left:
            self._have_digits_left = True
            self.spawn(self.send_digits(self.terms.send_digits))

    def _media_reported(self, event: object) -> None:
        if (noted := media_note(event)) is not None:
            kind, fields = noted
            self.note(kind, **fields)
        match event:
            case StreamEvent():
                self.keeper.stream_event(self, event)
            case RecordingEvent():
                self.keeper.recording_event(self, event)
            case DigitReceived():
                digit = _HIDDEN if self._are_digits_hidden else event.digit
                self.note("digit", digit=digit, duration_ms=event.duration_ms)
                for watcher in tuple(self.watchers):
                    watcher.digit_pressed(self, event.digit)
                if self._listener is not None:
                    self._listener.digit_pressed(event.digit)
            case ListenEvent():
                for listener in tuple(self.side_listeners):
                    listener.heard(event)
                if self._listener is not None:
                    self._listener.heard(event)
            case MachineJudged():
                self.keeper.machine_judged(self, event)
            case PlayFinished():
                if not self.playbacks.finished(event):
                    self._document_play_ended(event.play_id, event.reason, event.detail)
            case RoomEvent():
                if self.on_room_event is not None:
                    self.on_room_event(self, event)
            case DigitsSent():
                if self._listener is not None:
                    self._listener.digits_sent(event.digits)
            case MediaStarted():
                self._is_media_idle = False
                self._timers.stop("media")
            case MediaTimedOut():
                if not self.is_answered:
                    # A caller who only listens to early media need not send anything before the answer.
                    self._is_media_idle = True
                    return
                self.spawn(self.end(Code.MEDIA_TIMEOUT, HangupSource.PLATFORM, detail="no RTP"))
            case _:
                # The leg acts on some of the rest, statistics feed the metrics in the pool.
                return

    def _ended(self, end: LegEnd) -> None:
        answered = self.answered_at is not None
        reason = self.ending or hangup_of_leg(end, inbound=self.is_inbound, answered=answered)
        self.ending = reason
        self.ended_at = clock.now()
        self.ended_wall_ms = clock.wall_ms()
        self._advance(Trigger.END)
        self._timers.stop_all()
        self.note(
            "call",
            state="ended",
            code=int(reason.code),
            name=reason.name,
            cause=reason.cause,
            source=reason.source.value,
            detail=reason.detail or end.detail,
            leg_end=end.kind.value,
            sip_status=end.sip_status,
            duration_s=self.call_seconds,
        )
        self.keeper.streams_gone(self)
        self.playbacks.call_ended()
        for watcher in tuple(self.watchers):
            watcher.call_ended(self)
        for listener in tuple(self.side_listeners):
            listener.hung_up()
        if self._listener is not None:
            self._listener.hung_up()
        self.spawn(self._finish())

    async def _finish(self) -> None:
        for farewell in tuple(self.farewells):
            with suppress(TimeoutError):
                await asyncio.wait_for(farewell(), _FAREWELL_S)
        try:
            await self._facts.write(partial(self.keeper.store_end, self))
        finally:
            self.keeper.forget(self)
            self._over.set()

    # ── small tools ────────────────────────────────────────────────────────────────────────────────────────────────

    def store(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write a fact of the call beside it: in order, and again for as long as the database refuses."""
        self.spawn(self._facts.write(write))

    def spawn(self, work: Awaitable[None]) -> None:
        """Run `work` beside the call; a refusal of ours is recorded, anything else ends this call alone."""
        self._tasks.start(work)

    @cached_property
    def _tasks(self) -> CallTasks:
        def broken(error: BaseException) -> None:
            if not self.is_over:
                self.spawn(self.end(Code.INTERNAL_ERROR, HangupSource.ERROR, detail=repr(error)))

        return CallTasks(self.call_uuid, self.note, broken)

    def _advance(self, trigger: Trigger) -> bool:
        following = advance(self.state, trigger)
        if following is None:
            return False
        self.state = following
        if following is not State.ENDED:
            self.note("call", state=following.value)
        return True

    @cached_property
    def _timers(self) -> CallTimers:
        def expired(name: str, code: Code, source: HangupSource) -> None:
            self.spawn(self.end(code, source, detail=name))

        return CallTimers(expired)


def _ms(instant: Instant | None) -> int | None:
    return None if instant is None else instant * 1000 // SECOND


CallStarter = Callable[[LiveCall], None]
"""Starts the document of a call; `server.node` registers the call flow here."""

TransferStarter = Callable[[LiveCall, str, str], None]
"""Starts the document at a URL, asked for by a method, as a transfer of the call."""
