"""What is known of a recording, and how lists of them are asked for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.calls.views import After, Bound
from ringback.ids import CallUuid, RecordingId
from ringback.media.control.values import RecordingChannels
from ringback.recordings.spec import CallbackStyle, FileFormat, RecordingKind

DAY_MS = 86_400_000
ROUNDING_S = 60


class State(Enum):
    """Where a recording is; customers see those that are ready."""

    RECORDING = "recording"
    PROCESSING = "processing"
    """It is over and its file is being completed."""
    READY = "ready"
    FAILED = "failed"
    """There is no audio: the disk took none."""


@dataclass(frozen=True, slots=True)
class RecordingView:
    """One recording; times are `wall_ms`, 0 before they are known."""

    recording_id: RecordingId
    account_id: str
    call_uuid: CallUuid
    file_format: FileFormat
    channels: RecordingChannels
    state: State
    created_wall_ms: int
    kind: RecordingKind = RecordingKind.CALL
    conference_name: str = ""
    conference_uuid: str = ""
    from_number: str = ""
    to_number: str = ""
    start_wall_ms: int = 0
    end_wall_ms: int = 0
    duration_ms: int = 0
    size_bytes: int = 0
    callback_url: str = ""
    callback_method: str = "POST"
    callback_style: CallbackStyle = CallbackStyle.XML
    api_id: str = ""
    detail: str = ""
    member_id: str = ""

    @property
    def duration_s(self) -> int:
        """Return the length in whole seconds, rounded up: nothing recorded is 0."""
        return -(-self.duration_ms // 1000)

    @property
    def rounded_duration_s(self) -> int:
        """Return the length in started minutes, in seconds."""
        return -(-self.duration_s // ROUNDING_S) * ROUNDING_S


@dataclass(frozen=True, slots=True)
class Wish:
    """Who is told of a recording's text."""

    url: str
    method: str = "POST"


class TextState(Enum):
    """Where the text of a recording is; the value is `status` on the wire."""

    IN_PROGRESS = "in-progress"
    SUCCESS = "success"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of a recording, or why there is none."""

    recording: RecordingView
    state: TextState
    text: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class StartedRecording:
    """What whoever asked for a recording is told at once."""

    recording_id: RecordingId
    url: str
    file_format: FileFormat
    note: str = ""
    """What is different from what was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordingFilters:
    """Which recordings are wanted; empty values do not filter (wire spec 7.6)."""

    call_uuid: str = ""
    from_number: str = ""
    to_number: str = ""
    conference_name: str = ""
    conference_uuid: str = ""
    kind: RecordingKind | None = None
    mpc_name: str = ""
    mpc_uuid: str = ""
    added_wall_ms: tuple[Bound, ...] = ()
    age_days: tuple[Bound, ...] = ()
    """Whole days since it was added."""
    after: After | None = None
    """Leaves out what stands before, without counting less."""
