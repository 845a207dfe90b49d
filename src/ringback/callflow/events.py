"""What a running document is told: the inputs of the interpreter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from ringback.dials.spec import DialOutcome
from ringback.ids import CallUuid, RecordingId, StreamId
from ringback.media.control.events import RecordingFinished
from ringback.media.control.values import PlayEnd, StreamEnd
from ringback.multiparty.departure import Departure


class Timer(Enum):
    """The timers of a running document; an element arms and stops its own."""

    WAIT = "wait"
    """Armed by `<Wait>` for its length; firing ends the element."""
    FIRST_DIGIT = "first-digit"
    """Armed by `<GetDigits>` when its prompts are over, stopped by a key; firing ends the attempt. Value: `timeout`."""
    NEXT_DIGIT = "next-digit"
    """Armed by each key, stopped by the next; firing ends the input. Value: `digitTimeout`, `digitEndTimeout`."""
    START = "start"
    """Armed by `<GetInput>` when its prompts are over, stopped by a key or speech; firing ends the attempt. Value:
    `startInputTimeout`."""
    EXECUTION = "execution"
    """Armed by `<GetInput>` when its prompts are over; firing ends the attempt. Value: `executionTimeout`."""


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The far party pressed a key: one of `0-9*#A-D`."""

    digit: str


@dataclass(frozen=True, slots=True)
class PlayFinished:
    """The playback asked for by `Play` is over; `detail` says why one failed."""

    end: PlayEnd
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PlayRefused:
    """The file of a `Play` could not be had: not reachable, too large, not audio."""

    detail: str


@dataclass(frozen=True, slots=True)
class DigitsSent:
    """The keys of a `SendDigits` have left."""

    digits: str


@dataclass(frozen=True, slots=True)
class DigitsRefused:
    """The keys of a `SendDigits` cannot be sent; the timeline says why."""

    detail: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The far party speaks."""


@dataclass(frozen=True, slots=True)
class SilenceReached:
    """Nothing was heard for as long as `Listen` asked."""


@dataclass(frozen=True, slots=True)
class BeepHeard:
    """A beep has ended in silence."""


@dataclass(frozen=True, slots=True)
class SpeechGuessed:
    """What seems to have been said so far, while it goes on."""

    text: str
    stability: float


@dataclass(frozen=True, slots=True)
class SpeechRecognised:
    """What was said; empty when it was none of the expected, or no speech."""

    text: str
    confidence: float = 0.0
    detail: str = ""
    """Why nothing could be recognised, if that is somebody's fault."""


@dataclass(frozen=True, slots=True)
class ListenRefused:
    """The `Listen` could not be carried out."""

    detail: str


@dataclass(frozen=True, slots=True)
class StreamStarted:
    """The stream of the last `StartStream` exists; its WebSocket may still be connecting."""

    stream_id: StreamId


@dataclass(frozen=True, slots=True)
class StreamRefused:
    """The stream of the last `StartStream` could not be made; the document goes on."""

    detail: str


@dataclass(frozen=True, slots=True)
class StreamFinished:
    """A stream of this call is over."""

    stream_id: StreamId
    end: StreamEnd


@dataclass(frozen=True, slots=True)
class DialFinished:
    """The dial of the last `StartDial` is over; `b_leg_uuid` is empty when nobody was joined."""

    outcome: DialOutcome
    a_leg_uuid: CallUuid
    b_leg_uuid: CallUuid


@dataclass(frozen=True, slots=True)
class DialRefused:
    """The dial of the last `StartDial` could not begin; the document goes on."""

    detail: str


@dataclass(frozen=True, slots=True)
class ConferenceLeft:
    """The call is out of the conference of the last `EnterConference`; `params` are those of its action URL."""

    params: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ConferenceRefused:
    """The call did not get into the conference; the document goes on."""

    detail: str


@dataclass(frozen=True, slots=True)
class MultipartyLeft:
    """The call is out of the multiparty call of the last `EnterMultiparty`."""

    departure: Departure


@dataclass(frozen=True, slots=True)
class MultipartyRefused:
    """The call did not get into the multiparty call; the document goes on."""

    detail: str


@dataclass(frozen=True, slots=True)
class RecordingBegan:
    """The recording of the last `StartRecording` exists; its file will be at `url`."""

    recording_id: RecordingId
    url: str
    note: str = ""
    """What is different from what was asked for."""


@dataclass(frozen=True, slots=True)
class RecordingRefused:
    """The recording of the last `StartRecording` could not be made; the document goes on."""

    detail: str


@dataclass(frozen=True, slots=True)
class RecordingOver:
    """A recording of this call is over; its file may still be on its way."""

    over: RecordingFinished


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer set by `SetTimer` is due."""

    timer: Timer


Event = (
    BeepHeard
    | ConferenceLeft
    | ConferenceRefused
    | DialFinished
    | DialRefused
    | DigitPressed
    | DigitsRefused
    | DigitsSent
    | ListenRefused
    | MultipartyLeft
    | MultipartyRefused
    | PlayFinished
    | PlayRefused
    | SilenceReached
    | SpeechGuessed
    | SpeechRecognised
    | SpeechStarted
    | RecordingBegan
    | RecordingOver
    | RecordingRefused
    | StreamFinished
    | StreamRefused
    | StreamStarted
    | TimerFired
)
"""Everything an element may be resumed with."""


class Interruption(Enum):
    """Why a document stops before its end."""

    CALL_ENDED = "call-ended"
    """The call is gone: no command has an effect any more."""
    REPLACED = "replaced"
    """A transfer brings another document; the call lives on."""
