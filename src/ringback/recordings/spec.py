"""What a recording shall be, checked; made by `<Record>`, by REST, and by conferences."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.media.control.values import RecordingChannels

MAX_LENGTH_S = 86_400
DEFAULT_MAX_LENGTH_S = 60
DEFAULT_SILENCE_S = 15


class FileFormat(Enum):
    """File formats; the value is also the file's suffix."""

    MP3 = "mp3"
    WAV = "wav"


class CallbackStyle(Enum):
    """How the parameters of a recording's callback are spelled (wire spec 4.9, 6.10)."""

    XML = "xml"
    """`RecordUrl`, `RecordingID` …, beside the call's base set."""
    REST = "rest"
    """`record_url`, `recording_id` …, and nothing else."""
    EVENTS = "events"
    """`EventName`, `RecordingUUID` …: told of the beginning, of pauses and of the end (wire spec 6.12)."""


class RecordingKind(Enum):
    """What was recorded; the value is `recording_type` on the wire."""

    CALL = "call"
    CONFERENCE = "conference"
    MULTIPARTY = "mpc"


@dataclass(frozen=True, slots=True)
class RecordedRoom:
    """The conference or multiparty call that is recorded."""

    kind: RecordingKind
    name: str
    uuid: str
    member_id: str = ""
    """The one participant who is recorded; empty for the whole room."""


NO_ROOM = RecordedRoom(RecordingKind.CALL, "", "")


@dataclass(frozen=True, slots=True)
class RecordingSpec:
    """A recording that is wanted."""

    file_format: FileFormat = FileFormat.MP3
    channels: RecordingChannels = RecordingChannels.MONO
    max_length_s: int = DEFAULT_MAX_LENGTH_S
    silence_s: int = 0
    """Silence of the far party that ends it; 0 is never."""
    finish_digits: str = ""
    """Keys that end it."""
    starts_with_beep: bool = False
    starts_on_dial_answer: bool = False
    """Nothing is recorded until the call is joined with another one by `<Dial>`."""
    callback_url: str = ""
    """Told when the file can be had."""
    callback_method: str = "POST"
    style: CallbackStyle = CallbackStyle.XML
    api_id: str = ""
    """The `api_id` of the request that asked for it."""
    hangup_url: str = ""
    """Told when the call ends while the recording runs: the action of a `<Record>` that nobody is left to follow."""
    hangup_method: str = "POST"
    wants_transcription: bool = False
    """Whether a text of it was asked for, with or without a URL."""
    transcription_url: str = ""
    """Told the text."""
    transcription_method: str = "POST"
