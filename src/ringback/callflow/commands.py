"""What a running document asks for: the outputs of the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from ringback.callflow.events import Timer
from ringback.calls.hangup import HangupSource
from ringback.conferences.spec import ConferenceSpec
from ringback.dials.spec import DialSpec
from ringback.ids import RecordingId, StreamId
from ringback.media.control.values import BeepRule, StreamEnd
from ringback.multiparty.spec import MultipartySpec
from ringback.recordings.spec import RecordingSpec
from ringback.speech.passage import Speech
from ringback.streams.spec import StreamSpec


class DocumentKind(Enum):
    """How a document came to be wanted; each has its own hang-up codes (wire spec 5.8)."""

    ANSWER = "answer"
    ACTION = "action"
    TRANSFER = "transfer"
    REDIRECT = "redirect"
    PROMPT = "prompt"
    """Sounds beside the call's document; its end or fault does not end the call."""


class SipReject(Enum):
    """How an unanswered inbound call is refused by `<Hangup reason>`."""

    REJECTED = "rejected"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer the inbound call; given once, before the first element that needs audio."""


@dataclass(frozen=True, slots=True)
class Play:
    """Fetch a wav or mp3 and play it; resumed by `PlayFinished` or `PlayRefused`."""

    url: str
    loops: int
    """How often; 0 repeats until stopped."""


@dataclass(frozen=True, slots=True)
class Speak:
    """Say something that is not empty; resumed by `PlayFinished`."""

    speech: Speech
    loops: int
    """How often; 0 repeats until stopped."""


class Sound(Enum):
    """Sounds that the platform brings along; the value is the file's name."""

    BEEP = "beep"
    """Asks the caller to speak or to press keys: 1 kHz for 0.2 s."""


@dataclass(frozen=True, slots=True)
class PlaySound:
    """Play a sound of the platform once; resumed like `Play`."""

    sound: Sound


@dataclass(frozen=True, slots=True)
class StopPlay:
    """Stop the current playback, if there is one."""


@dataclass(frozen=True, slots=True)
class StartStream:
    """Open an audio stream; resumed by `StreamStarted` or `StreamRefused`.

    An unknown content type is left to the streams room, which ends such a stream as failed (wire spec 2.2).
    """

    spec: StreamSpec


@dataclass(frozen=True, slots=True)
class StopStream:
    """Close an audio stream."""

    stream_id: StreamId
    reason: StreamEnd


@dataclass(frozen=True, slots=True)
class StartDial:
    """Ring parties and join the first that answers; resumed by `DialFinished` or `DialRefused`."""

    spec: DialSpec


@dataclass(frozen=True, slots=True)
class StopDial:
    """End the dial with every party that it still has."""


@dataclass(frozen=True, slots=True)
class EnterConference:
    """Take the call into a conference; resumed by `ConferenceLeft` once it is out, or by `ConferenceRefused`."""

    spec: ConferenceSpec


@dataclass(frozen=True, slots=True)
class LeaveConference:
    """Take the call out of its conference, if it is in one."""


@dataclass(frozen=True, slots=True)
class EnterMultiparty:
    """Take the call into a multiparty call; resumed by `MultipartyLeft` once it is out, or by `MultipartyRefused`."""

    spec: MultipartySpec


@dataclass(frozen=True, slots=True)
class LeaveMultiparty:
    """Take the call out of its multiparty call, if it is in one."""


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record the call; resumed by `RecordingBegan` or `RecordingRefused`, later by `RecordingOver`."""

    spec: RecordingSpec


@dataclass(frozen=True, slots=True)
class StopRecording:
    """End a recording."""

    recording_id: RecordingId


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Arm a timer of the document; firing resumes the element with `TimerFired`."""

    timer: Timer
    after_ms: int


@dataclass(frozen=True, slots=True)
class StopTimer:
    """Disarm a timer."""

    timer: Timer


@dataclass(frozen=True, slots=True)
class ScheduleHangup:
    """End the call later, whatever document runs then (`<Hangup schedule>`)."""

    after_ms: int


@dataclass(frozen=True, slots=True)
class SpeechQuery:
    """What the caller may say, and in which language."""

    language: str = "en-US"
    hints: tuple[str, ...] = ()
    """Phrases to expect; with some, one of them is heard (or nothing)."""
    wants_guesses: bool = False
    """Whether `SpeechGuessed` tells what seems to be said while it is being said."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Follow what the far party does: `SpeechStarted`, `SilenceReached`, `BeepHeard`; one listening at a time.

    With `speech` the first utterance is recognised: `SpeechRecognised` is then the last event. `ListenRefused` says
    that it cannot be.
    """

    silence_ms: int = 0
    """Silence that counts, from the start or from the last sound; 0 is never."""
    beep: BeepRule | None = None
    speech: SpeechQuery | None = None


@dataclass(frozen=True, slots=True)
class StopListening:
    """End the listening; with `is_heard` what was said so far is recognised, else it is forgotten."""

    is_heard: bool = False


@dataclass(frozen=True, slots=True)
class StartEarlyMedia:
    """Let an unanswered inbound caller hear us (183); nothing for a call that is answered."""


@dataclass(frozen=True, slots=True)
class SendDigits:
    """Send keys to the far party: `0-9*#A-D`, `w` waits 0.5 s, `W` 1 s; resumed by `DigitsSent` or `DigitsRefused`."""

    digits: str


@dataclass(frozen=True, slots=True)
class ShowDigits:
    """Show the keys that the far party presses in the call's event log, or hide them from it (`log="false"`)."""

    are_shown: bool


@dataclass(frozen=True, slots=True)
class SendCallback:
    """Tell the customer something beside the document, by a request whose reply changes nothing.

    It carries the call's base parameters and `params`; with `is_private` the event log leaves out what the caller has
    pressed or said.
    """

    kind: str
    """What it is for, in the timeline: `action`, `interim-speech`."""
    url: str
    method: str
    params: Mapping[str, str] = field(default_factory=dict)
    is_private: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Record something for the call's timeline, such as an unknown attribute."""

    text: str
    element: str = ""
    line: int = 0
    is_warning: bool = True


@dataclass(frozen=True, slots=True)
class ElementStarted:
    """An element begins."""

    element: str
    line: int
    attributes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ElementFinished:
    """An element is over."""

    element: str
    line: int


@dataclass(frozen=True, slots=True)
class ReplaceDocument:
    """Go on with another document and discard the rest of this one; the last output of a document."""

    kind: DocumentKind
    url: str
    method: str
    params: Mapping[str, str] = field(default_factory=dict)
    """Parameters besides the base set."""
    is_private: bool = False
    """Whether the event log leaves out what the caller has pressed or said (`log="false"`)."""


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call by `<Hangup>`: the interpreter makes an `EndCall` of it, which refuses a call not yet answered."""

    reason: SipReject | None = None


@dataclass(frozen=True, slots=True)
class EndCall:
    """Hang up; the last output of a document."""

    cause_code: int
    source: HangupSource
    reject: SipReject | None = None
    detail: str = ""


Command = (
    Answer
    | Play
    | PlaySound
    | Speak
    | StopPlay
    | StartStream
    | StopStream
    | EnterConference
    | EnterMultiparty
    | LeaveConference
    | LeaveMultiparty
    | StartRecording
    | StopRecording
    | StartDial
    | StopDial
    | SetTimer
    | StopTimer
    | ScheduleHangup
    | StartEarlyMedia
    | Listen
    | StopListening
    | SendDigits
    | ShowDigits
    | SendCallback
    | Note
    | ElementStarted
    | ElementFinished
    | ReplaceDocument
    | HangUp
    | EndCall
)
"""Everything an element may ask for; timers and `HangUp` stay inside the interpreter."""
