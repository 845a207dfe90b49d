"""What the call flow needs from a call and from the rooms below it; `server.node` brings them together.

The call reports by calling methods with plain values, so that `calls` and `streams` need not import this room.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ringback.calls.hangup import HangupSource
from ringback.calls.listener import CallListener
from ringback.conferences.spec import ConferenceSpec
from ringback.dials.spec import DialOutcome, DialSpec
from ringback.errors import NotAllowed
from ringback.ids import CallUuid, ListenId, PlayId, RecordingId, StreamId
from ringback.media.control.values import BeepRule, StreamEnd
from ringback.multiparty.departure import Departure
from ringback.multiparty.spec import MultipartySpec
from ringback.recognition.heard import Recognition
from ringback.recordings.spec import RecordingSpec
from ringback.recordings.views import StartedRecording
from ringback.speech.passage import Speech
from ringback.streams.spec import StreamSpec
from ringback.telemetry.events import EventSink
from ringback.webhooks.fetcher import Callback, FetchedDocument
from ringback.webhooks.signature import SigningKeys


class FlowCall(Protocol):
    """A live call as its document sees it.

    State: every method may be called until `hung_up` was reported; later calls do nothing.
    """

    @property
    def call_uuid(self) -> CallUuid:
        """The name of the call on the wire."""

    @property
    def account_id(self) -> str:
        """The account that pays; its egress budget is used."""

    @property
    def is_inbound(self) -> bool:
        """Whether the caller dialled us."""

    @property
    def is_answered(self) -> bool:
        """Whether the call is in progress."""

    @property
    def signing(self) -> SigningKeys:
        """The tokens that sign this call's webhooks."""

    def webhook_params(self, **extra: str) -> dict[str, str]:
        """Return the base parameters of wire spec 5.2 as the call is now (`Event=StartApp`), then `extra`."""

    def listen(self, listener: CallListener | None) -> None:
        """Set who is told from now on; `None` forgets the listener. A call that is gone reports `hung_up` at once."""

    async def ring(self) -> None:
        """Tell an inbound caller that it rings (180); does nothing once rung or answered."""

    async def answer(self) -> None:
        """Answer an inbound call; does nothing once answered.

        Raises:
            RingbackError: no audio can flow. The call may have ended itself with the cause it knows; the flow then
                calls `end` with 5010, which changes nothing for a call that has ended.
        """

    async def pre_answer(self) -> None:
        """Let an unanswered inbound caller hear us (183); does nothing once it does, or is answered.

        Raises:
            RingbackError: no audio can flow; as for `answer`.
        """

    async def hear(
        self, *, silence_ms: int, beep: BeepRule | None, capture_path: str, capture_max_ms: int, progress_ms: int
    ) -> ListenId:
        """Follow what the far party does (`media.control.commands.Listen`); `heard` tells.

        Raises:
            RingbackError: the media worker refused.
        """

    async def stop_hearing(self, listen_id: ListenId) -> None:
        """End it; does nothing when it is over."""

    async def send_digits(self, digits: str) -> None:
        """Send keys to the far party; `digits_sent` follows.

        Raises:
            RingbackError: the media worker refused.
        """

    def show_digits(self, are_shown: bool) -> None:
        """Show or hide in the event log which keys the far party presses from now on."""

    async def play(self, path: str, loops: int) -> PlayId:
        """Play a local wav or mp3 file `loops` times (0: until stopped); the end comes by `play_ended`.

        Raises:
            RingbackError: the media worker refused.
        """

    async def speak(self, speech: Speech, loops: int) -> PlayId:
        """Say something that is not empty `loops` times (0: until stopped) and return before it is synthesised.

        What becomes of it comes by `play_ended`, also that it could not be said.
        """

    async def stop_play(self, play_id: PlayId) -> None:
        """Stop a playback; `play_ended` follows."""

    async def end(self, cause_code: int, source: HangupSource, sip_reject: str = "", detail: str = "") -> None:
        """Hang up, or refuse an unanswered call; the first reason stands.

        Args:
            sip_reject: `rejected` or `busy` for an unanswered call that the XML refuses, else empty.
            detail: For the timeline, not for the wire.
        """


class FlowStreams(Protocol):
    """Audio streams as the call flow needs them; the end of a stream is reported to the call's `CallListener`."""

    async def start_stream(self, call_uuid: CallUuid, spec: StreamSpec) -> StreamId:
        """Start a stream of an answered call and return at once, before its WebSocket is open.

        An unknown `spec.content_type` makes a stream that fails (`StreamEnd.INVALID_CONTENT_TYPE`), not an error.

        Raises:
            RingbackError: the call is gone, the combination is not allowed, or a bound is reached.
        """

    async def stop_stream(self, call_uuid: CallUuid, stream_id: StreamId, reason: StreamEnd) -> None:
        """Stop a stream; does nothing when it is over."""


class FlowDials(Protocol):
    """Dialling as the call flow needs it; `dials.service.DialService` has it."""

    def start(self, call_uuid: CallUuid, spec: DialSpec, on_end: Callable[[DialOutcome, CallUuid], None]) -> None:
        """Dial for an answered call and return at once; `on_end` gets the outcome and the winner's call, or "".

        Raises:
            RingbackError: the call is gone.
        """

    async def stop(self, call_uuid: CallUuid) -> None:
        """End the call's dial; return when the call's audio is its own again."""


class NoDials:
    """A `FlowDials` that refuses, for flows without a telephone network."""

    def start(self, call_uuid: CallUuid, spec: DialSpec, on_end: Callable[[DialOutcome, CallUuid], None]) -> None:
        """Refuse."""
        raise NotAllowed("nothing can be dialled here")

    async def stop(self, call_uuid: CallUuid) -> None:
        """Find nothing to stop."""


class FlowConferences(Protocol):
    """Conferences as the call flow needs them; `conferences.service.ConferenceService` fulfils it."""

    def enter(self, call_uuid: CallUuid, spec: ConferenceSpec, on_left: Callable[[Mapping[str, str]], None]) -> str:
        """Take an answered call into a conference and return its member id.

        `on_left` is called once when the call is out, with the parameters of the action URL.

        Raises:
            RingbackError: the call is gone, or a bound is reached.
        """

    def leave(self, call_uuid: CallUuid) -> None:
        """Take a call out that gets another document; does nothing when it is in no conference."""


class NoConferences:
    """A `FlowConferences` that nobody enters."""

    def enter(self, call_uuid: CallUuid, spec: ConferenceSpec, on_left: Callable[[Mapping[str, str]], None]) -> str:
        """Refuse."""
        raise NotAllowed("there are no conferences here")

    def leave(self, call_uuid: CallUuid) -> None:
        """Do nothing."""


class FlowMultiparty(Protocol):
    """Multiparty calls as the call flow needs them; `multiparty.service.MultipartyService` fulfils it."""

    def enter(self, call_uuid: CallUuid, spec: MultipartySpec, on_left: Callable[[Departure], None]) -> str:
        """Take an answered call into a multiparty call and return its member id.

        `on_left` is called once when the call is out.

        Raises:
            RingbackError: the call is gone, or a bound is reached.
        """

    def leave(self, call_uuid: CallUuid) -> None:
        """Take a call out that gets another document; does nothing when it is in no multiparty call."""


class NoMultiparty:
    """A `FlowMultiparty` that nobody enters."""

    def enter(self, call_uuid: CallUuid, spec: MultipartySpec, on_left: Callable[[Departure], None]) -> str:
        """Refuse."""
        raise NotAllowed("there are no multiparty calls here")

    def leave(self, call_uuid: CallUuid) -> None:
        """Do nothing."""


class FlowRecordings(Protocol):
    """Recordings as the call flow needs them; their end is reported to the call's `CallListener`."""

    async def start_recording(self, call_uuid: CallUuid, spec: RecordingSpec) -> StartedRecording:
        """Record an answered call; with `starts_on_dial_answer` nothing is recorded before its `<Dial>` is answered.

        Raises:
            RingbackError: the call is gone, a bound is reached, or the disk is full.
        """

    async def stop_recording(self, call_uuid: CallUuid, recording_id: RecordingId) -> None:
        """Stop a recording; does nothing when it is over."""


class NoRecordings:
    """A `FlowRecordings` that records nothing, for flows without a disk."""

    async def start_recording(self, call_uuid: CallUuid, spec: RecordingSpec) -> StartedRecording:
        """Refuse."""
        raise NotAllowed("this server does not record")

    async def stop_recording(self, call_uuid: CallUuid, recording_id: RecordingId) -> None:
        """Do nothing: there is none."""


class DocumentSource(Protocol):
    """Fetches documents; `webhooks.fetcher.WebhookFetcher` is one."""

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document at `callback`, else the one at `fallback`.

        Raises:
            UnreachableUrl: neither could be had.
        """


class MediaSource(Protocol):
    """Fetches audio files; `egress.download.MediaCache` is one."""

    async def fetch(self, url: str) -> str:
        """Return the path of a local copy of the wav or mp3 at `url`.

        Raises:
            EgressError: it could not be had.
        """


class SpeechPort(Protocol):
    """Recognises speech in files; `recognition.recognizer.Recognizer` is one."""

    def fault(self, language: str) -> str:
        """Return why speech in this language cannot be recognised here and what to do; empty when it can."""

    def warm(self) -> None:
        """Make ready what takes long to load: somebody is about to speak."""

    def new_path(self) -> str:
        """Return the path of a file to come, for one utterance."""

    def discard(self, path: str) -> None:
        """Delete the file of an utterance, finished or not, if there is one."""

    async def recognize(self, path: str, language: str, hints: tuple[str, ...], *, is_partial: bool) -> Recognition:
        """Return what is said in a wav file, at the latest after a few seconds; never raises for what it contains.

        Args:
            is_partial: The file still grows, under its name with `.part` behind it.
        """


class NoSpeech:
    """A `SpeechPort` without an engine."""

    def fault(self, language: str) -> str:
        """Return that there is none."""
        return "speech recognition is not available in this flow"

    def warm(self) -> None:
        """Do nothing."""

    def new_path(self) -> str:
        """Return no path."""
        return ""

    def discard(self, path: str) -> None:
        """Do nothing."""

    async def recognize(self, path: str, language: str, hints: tuple[str, ...], *, is_partial: bool) -> Recognition:
        """Return nothing."""
        return Recognition("", detail=self.fault(language))


class CallbackPort(Protocol):
    """Takes callbacks for delivery; `server.node` brings the outbox."""

    async def send(self, callback: Callback) -> None:
        """Make a callback durable and return; it is delivered in the order of the call's callbacks.

        Raises:
            RingbackError: it could not be stored.
        """


class NoCallbacks:
    """A `CallbackPort` that sends nothing, for flows without customers."""

    async def send(self, callback: Callback) -> None:
        """Drop it."""


@dataclass(frozen=True, slots=True)
class FirstRequest:
    """Where a call gets its first document: the application's or the API call's answer URL."""

    url: str
    method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    is_transfer: bool = False
    """The call runs no document yet and a transfer gives it one (hang-up codes 7013, 8013)."""
    is_prompt: bool = False
    """It is a document of sounds beside the call's own."""


@dataclass(frozen=True, slots=True)
class FlowSettings:
    """Bounds and choices of one call's flow (reference: reliability.md section 4)."""

    replacements_per_minute: int = 20
    """Redirects and transfers in any 60 s; one more ends the call with 2060."""
    replacements_max: int = 200
    transfers_max: int = 70
    """Wire spec 4.8: more than 70 transfers is a loop (2060)."""
    fetches_per_minute: int = 50
    """Documents asked for in any 60 s; one more ends the call with the code of an unreachable URL."""
    does_wait_ring: bool = False
    """Whether a `<Wait>` before everything else lets the call ring instead of answering it."""
    events_max: int = 1_000
    """Events that may wait for a call's document; further digits are dropped."""
    has_late_transfers: bool = False
    """Whether a transfer waits for the end of the stream that holds the document (wire spec section 8, item 39)."""


@dataclass(frozen=True, slots=True)
class FlowServices:
    """The rooms below that documents use."""

    documents: DocumentSource
    media: MediaSource
    streams: FlowStreams
    timeline: EventSink
    settings: FlowSettings = field(default_factory=FlowSettings)
    callbacks: CallbackPort = field(default_factory=NoCallbacks)
    recordings: FlowRecordings = field(default_factory=NoRecordings)
    dials: FlowDials = field(default_factory=NoDials)
    speech: SpeechPort = field(default_factory=NoSpeech)
    conferences: FlowConferences = field(default_factory=NoConferences)
    multiparty: FlowMultiparty = field(default_factory=NoMultiparty)
