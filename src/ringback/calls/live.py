"""One call while it lasts: its leg, its state, its document's listener, and the one reason it ends.

`LiveCall` fulfils `callflow.port.FlowCall`. It decides what the customer is told; the leg decides what SIP is told.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Protocol, assert_never

from ringback import clock, ids
from ringback.billing.cdr import billed_duration_s, duration_s
from ringback.calls.hangup import Code, Hangup, HangupSource, hangup, hangup_of_leg
from ringback.calls.playbacks import CallPlaybacks
from ringback.calls.spoken import SpeechSource, SpokenClips
from ringback.calls.state import STATUS, State, Trigger, advance
from ringback.calls.terms import CallTerms as CallTerms
from ringback.calls.views import CallDirection, MachineDetection
from ringback.errors import RingbackError
from ringback.ids import CallUuid, ListenId, PlayId, StreamId
from ringback.machine import SECOND, Instant
from ringback.media.control import commands
from ringback.media.control.events import (
    BeepHeard,
    DigitReceived,
    DigitsSent,
    ListenEvent,
    MachineJudged,
    MediaStarted,
    MediaTimedOut,
    PlayFinished,
    PlayStarted,
    RecordingEvent,
    RecordingFinished,
    RemoteSet,
    RoomEvent,
    SessionClosed,
    SessionOpened,
    SessionStats,
    SilenceReached,
    SpeechCaptured,
    SpeechStarted,
    StreamEvent,
)
from ringback.media.control.values import BeepRule, PlayEnd, StreamEnd
from ringback.signalling.errors import LegOver
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
from ringback.storage.database import StorageUnavailable
from ringback.telemetry.events import EventSink
from ringback.telemetry.logs import get_logger
from ringback.webhooks.payloads import CallFacts, HangupFacts, answer_params, hangup_params, ring_params
from ringback.webhooks.signature import SigningKeys


class CallListener(Protocol):
    """Who runs the call's document; the same methods as `callflow.port.FlowListener`."""

    def answered(self) -> None:
        """The call was answered."""

    def digit_pressed(self, digit: str) -> None:
        """The far party pressed a key."""

    def digits_sent(self, digits: str) -> None:
        """Keys that the document sends have left."""

    def heard(self, event: ListenEvent) -> None:
        """The far party did something that the document listens for."""

    def play_ended(self, play_id: PlayId, end: PlayEnd, detail: str = "") -> None:
        """A playback is over."""

    def stream_ended(self, stream_id: StreamId, end: StreamEnd) -> None:
        """A stream of this call is over."""

    def recording_ended(self, event: RecordingFinished) -> None:
        """A recording of this call is over."""

    def transfer_requested(self, url: str, method: str) -> None:
        """The API asks for another document."""

    def hung_up(self) -> None:
        """The call is gone; nothing follows."""


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
_STORE_PAUSE_S = 0.1
_STORE_PAUSE_MAX_S = 5.0
_STORE_PATIENCE_S = 600
"""How long a fact is kept for a database that refuses; the next start completes what was not stored."""
_SILENT_AFTER_ANSWER_S = 60
"""How long a call may stay without RTP that had none before its answer either (wire spec 5.8, 6020)."""
_HIDDEN = "*"
_REJECT_STATUS = {"rejected": (603, "Decline"), "busy": (486, "Busy Here")}
_UNREACHABLE_CODES = range(7011, 7035)
_INVALID_XML_CODES = range(8011, 8015)


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
    _timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _answer: asyncio.Task[None] | None = None
    _transfer: tuple[str, str] | None = None
    _is_document_due: bool = False
    """A transfer has given a document to a dialled call; later ones replace it, though it may not run yet."""
    _are_digits_hidden: bool = False
    _is_media_idle: bool = False
    _retrying: asyncio.Lock = field(default_factory=asyncio.Lock)
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
        terms = self.terms
        return CallFacts(
            call_uuid=self.call_uuid,
            from_number=terms.from_number,
            to_number=terms.to_number,
            direction=terms.direction.value,
            parent_auth_id=terms.account.main_auth_id,
            session_start_wall_ms=terms.initiated_wall_ms,
            request_uuid="" if self.is_inbound else self.call_uuid,
            caller_name=terms.caller_name,
            forwarded_from=terms.forwarded_from,
            source_ip=terms.source_ip,
            sip_headers=terms.sip_headers,
            custom_headers=terms.custom_headers,
            a_leg_uuid=terms.parent_call_uuid if terms.is_dialled else "",
        )

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
        seconds = self.call_seconds
        return hangup_params(
            self.facts,
            HangupFacts(
                cause=self.ending.cause,
                cause_name=self.ending.name,
                cause_code=int(self.ending.code),
                source=self.ending.source.value,
                call_status=self.final_status,
                duration_s=seconds,
                bill_duration_s=billed_duration_s(seconds),
                start_wall_ms=self.terms.initiated_wall_ms,
                end_wall_ms=self.ended_wall_ms,
                answer_wall_ms=self.answered_wall_ms,
            ),
        )

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
        listen_id = ListenId(ids.new_token())
        await self.leg.media(
            commands.Listen(
                command_id=_command_id(),
                session_id=self.leg.session_id,
                listen_id=listen_id,
                silence_ms=silence_ms,
                beep=beep,
                capture_path=capture_path,
                capture_max_ms=capture_max_ms,
                progress_ms=progress_ms,
            )
        )
        return listen_id

    async def stop_hearing(self, listen_id: ListenId) -> None:
        """End what `hear` began; does nothing when the call is over."""
        await self._media_if_alive(
            commands.StopListening(command_id=_command_id(), session_id=self.leg.session_id, listen_id=listen_id)
        )

    @cached_property
    def playbacks(self) -> CallPlaybacks:
        """Return what the call plays, for its document and for the API."""
        return CallPlaybacks(self.leg.session_id, self.leg.media, self._media_if_alive, self.spawn, self.note)

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
        await self.leg.media(
            commands.DetectMachine(
                command_id=_command_id(),
                session_id=self.leg.session_id,
                total_ms=rules.total_ms,
                initial_silence_ms=rules.initial_silence_ms,
                speech_ms=rules.speech_ms,
                words=rules.words,
                greeting_ms=rules.greeting_ms,
                silence_ms=rules.silence_ms,
            )
        )

    async def send_digits(self, digits: str) -> None:
        """Send telephone events: `0-9*#A-D`, `w` and `W` pauses, `@N` at the end sets the tone length."""
        tones, _, tone_ms = digits.partition("@")
        await self.leg.media(
            commands.SendDigits(
                command_id=_command_id(),
                session_id=self.leg.session_id,
                digits=tones,
                tone_ms=int(tone_ms) if tone_ms else 100,
            )
        )

    def report_stream_end(self, stream_id: StreamId, end: StreamEnd) -> None:
        """Tell the call's document that one of its streams is over."""
        if self._listener is not None:
            self._listener.stream_ended(stream_id, end)

    def report_recording_end(self, event: RecordingFinished) -> None:
        """Tell the call's document that one of its recordings is over."""
        if self._listener is not None:
            self._listener.recording_ended(event)

    async def transfer(self, url: str, method: str) -> None:
        """Give the call another document at once; one that runs none yet begins with it.

        A dialled call leaves its bridge; to have both ends leave, `bridge.detach` it first.
        """
        self.note("call", state="transferred", url=url, method=method)
        if self._listener is not None:
            self._listener.transfer_requested(url, method)
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
            status, reason = self._refusal(cause_code, sip_reject)
            await self.leg.reject(status, reason)
        else:
            await self.leg.hangup()

    def _refusal(self, cause_code: int, sip_reject: str) -> tuple[int, str]:
        if sip_reject in _REJECT_STATUS:
            return _REJECT_STATUS[sip_reject]
        if cause_code in _UNREACHABLE_CODES or cause_code in _INVALID_XML_CODES:
            return 503, "Service Unavailable"
        return 480, "Temporarily Unavailable"

    async def _media_if_alive(self, command: commands.SessionCommand) -> None:
        try:
            await self.leg.media(command)
        except LegOver:
            # The session frees its playbacks and streams when it closes.
            pass

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
                self._media(media_event)
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
                self._after("hangup-on-ring", self.terms.hangup_on_ring_s, Code.CANCELED, HangupSource.API)

    def _answered(self) -> None:
        self._stop_timer("hangup-on-ring")
        if not self._advance(Trigger.ANSWER):
            return
        self.answered_at = clock.now()
        self.answered_wall_ms = clock.wall_ms()
        self._after("max-duration", self.terms.time_limit_s, Code.SCHEDULED_HANGUP, HangupSource.PLATFORM)
        if self._is_media_idle:
            self._after("media", _SILENT_AFTER_ANSWER_S, Code.MEDIA_TIMEOUT, HangupSource.PLATFORM)
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
        if "send-digits" not in self._timers:
            # A handle that never fires marks the digits as sent: a second 183 must not send them again.
            self._timers["send-digits"] = asyncio.get_running_loop().call_later(86_400, _nothing)
            self.spawn(self.send_digits(self.terms.send_digits))

    def _media(self, event: object) -> None:
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
                self._heard(event)
            case MachineJudged():
                self.note("machine", answerer=event.answerer.value, reason=event.reason, after_ms=event.after_ms)
                self.keeper.machine_judged(self, event)
            case PlayStarted():
                self.note("media", event="play started", play_id=event.play_id)
            case PlayFinished():
                self.note(
                    "media",
                    event="play finished",
                    play_id=event.play_id,
                    reason=event.reason.value,
                    played_ms=event.played_ms,
                    detail=event.detail,
                )
                if not self.playbacks.finished(event):
                    self._document_play_ended(event.play_id, event.reason, event.detail)
            case RoomEvent():
                if self.on_room_event is not None:
                    self.on_room_event(self, event)
            case DigitsSent():
                self.note("digit", sent=event.digits)
                if self._listener is not None:
                    self._listener.digits_sent(event.digits)
            case MediaStarted():
                self._is_media_idle = False
                self._stop_timer("media")
                self.note("media", event="first packet", remote=f"{event.remote.host}:{event.remote.port}")
            case MediaTimedOut():
                self.note("media", event="timed out", idle_ms=event.idle_ms)
                if not self.is_answered:
                    # A caller who only listens to early media need not send anything before the answer.
                    self._is_media_idle = True
                    return
                self.spawn(self.end(Code.MEDIA_TIMEOUT, HangupSource.PLATFORM, detail="no RTP"))
            case SessionClosed():
                self.note(
                    "quality",
                    received_packets=event.received_packets,
                    sent_packets=event.sent_packets,
                    lost_packets=event.lost_packets,
                    refused_packets=event.refused_packets,
                    concealed_ms=event.concealed_ms,
                    jitter_us=event.jitter_us,
                    late_packets=event.late_packets,
                    duplicate_packets=event.duplicate_packets,
                    unusable_packets=event.unusable_packets,
                    playout_gaps=event.playout_gaps,
                    playout_cut_ms=event.playout_cut_ms,
                )
            case SessionOpened() | RemoteSet() | SessionStats():
                # The leg acts on the first two; statistics feed the metrics in the pool.
                return

    def _heard(self, event: ListenEvent) -> None:
        match event:
            case SpeechStarted():
                self.note("media", event="speech started", after_ms=event.after_ms)
            case SilenceReached():
                self.note("media", event="silence", silence_ms=event.silence_ms)
            case SpeechCaptured():
                self.note("media", event="speech captured", captured_ms=event.captured_ms)
            case BeepHeard():
                self.note("media", event="beep", pitch_hz=event.pitch_hz, duration_ms=event.duration_ms)
            case _:
                # Progress is for the document alone.
                pass
        for listener in tuple(self.side_listeners):
            listener.heard(event)
        if self._listener is not None:
            self._listener.heard(event)

    def _ended(self, end: LegEnd) -> None:
        answered = self.answered_at is not None
        reason = self.ending or hangup_of_leg(end, inbound=self.is_inbound, answered=answered)
        self.ending = reason
        self.ended_at = clock.now()
        self.ended_wall_ms = clock.wall_ms()
        self._advance(Trigger.END)
        for name in list(self._timers):
            self._stop_timer(name)
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
            await self._stored(partial(self.keeper.store_end, self))
        finally:
            self.keeper.forget(self)
            self._over.set()

    # ── small tools ────────────────────────────────────────────────────────────────────────────────────────────────

    def store(self, write: Callable[[], Awaitable[None]]) -> None:
        """Write a fact of the call beside it: in order, and again for as long as the database refuses."""
        self.spawn(self._stored(write))

    async def _stored(self, write: Callable[[], Awaitable[None]]) -> None:
        if not self._retrying.locked():
            try:
                await write()
            except StorageUnavailable as error:
                _log.warning("fact of a call not stored yet", call_uuid=self.call_uuid, error=str(error))
            else:
                return
        # Facts queue up here behind the first one that was refused.
        async with self._retrying:
            give_up_at = clock.now() + _STORE_PATIENCE_S * SECOND
            pause_s = _STORE_PAUSE_S
            while True:
                try:
                    await write()
                except StorageUnavailable:
                    if clock.now() >= give_up_at:
                        _log.error("fact of a call lost", call_uuid=self.call_uuid)
                        raise
                else:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _STORE_PAUSE_MAX_S)

    def spawn(self, work: Coroutine[None, None, None] | Awaitable[None]) -> None:
        """Run `work` beside the call; a refusal of ours is recorded, anything else ends this call alone."""

        async def guarded() -> None:
            try:
                await work
            except asyncio.CancelledError:
                raise
            except RingbackError as error:
                self.note("call", state="problem", code=error.code, detail=str(error))
            except Exception as error:
                self.note("call", state="problem", code="bug", detail=repr(error))
                _log.error("step of a call failed", call_uuid=self.call_uuid, exc_info=error)
                raise

        task = asyncio.create_task(guarded(), name=f"call {self.call_uuid}")
        self._tasks.add(task)
        task.add_done_callback(self._forget_task)

    def _forget_task(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        if not self.is_over:
            self.spawn(self.end(Code.INTERNAL_ERROR, HangupSource.ERROR, detail=repr(task.exception())))

    def _advance(self, trigger: Trigger) -> bool:
        following = advance(self.state, trigger)
        if following is None:
            return False
        self.state = following
        if following is not State.ENDED:
            self.note("call", state=following.value)
        return True

    def _after(self, name: str, seconds: float, code: Code, source: HangupSource) -> None:
        self._stop_timer(name)
        self._timers[name] = asyncio.get_running_loop().call_later(
            seconds, partial(self._timer_fired, name, code, source)
        )

    def _timer_fired(self, name: str, code: Code, source: HangupSource) -> None:
        self._timers.pop(name, None)
        self.spawn(self.end(code, source, detail=name))

    def _stop_timer(self, name: str) -> None:
        handle = self._timers.pop(name, None)
        if handle is not None:
            handle.cancel()


def _ms(instant: Instant | None) -> int | None:
    return None if instant is None else instant * 1000 // SECOND


def _command_id() -> ids.CommandId:
    return ids.CommandId(ids.new_token())


def _nothing() -> None:
    """Do nothing."""


CallStarter = Callable[[LiveCall], None]
"""Starts the document of a call; `server.node` registers the call flow here."""

TransferStarter = Callable[[LiveCall, str, str], None]
"""Starts the document at a URL, asked for by a method, as a transfer of the call."""
