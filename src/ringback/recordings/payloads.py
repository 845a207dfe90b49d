"""The parameters of a recording's callbacks and of the action of `<Record>`.

Spec: wire spec 4.9 (REST: snake case), 6.10 (XML), 6.12 (events of multiparty calls).
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import Enum

from ringback.recordings.views import RecordingView

UNKNOWN = "-1"
"""Length and times of a recording that goes on (wire spec 6.10)."""


def action_params(recording_id: str, url: str) -> dict[str, str]:
    """Return the parameters of the action of a recording that goes on in the background."""
    return {
        "RecordUrl": url,
        "RecordFile": url,
        "RecordingID": recording_id,
        "RecordingDuration": UNKNOWN,
        "RecordingDurationMs": UNKNOWN,
        "RecordingStartMs": UNKNOWN,
        "RecordingEndMs": UNKNOWN,
        "Digits": "",
    }


def finished_params(
    recording_id: str, url: str, *, duration_ms: int, start_wall_ms: int, end_wall_ms: int, digit: str = ""
) -> dict[str, str]:
    """Return the parameters of the action, or of the callback, of a recording that is over."""
    return {
        "RecordUrl": url,
        "RecordFile": url,
        "RecordingID": recording_id,
        "RecordingDuration": str(-(-duration_ms // 1000)),
        "RecordingDurationMs": str(duration_ms),
        "RecordingStartMs": str(start_wall_ms),
        "RecordingEndMs": str(end_wall_ms),
        "Digits": digit,
    }


def rest_params(view: RecordingView, url: str) -> dict[str, str]:
    """Return the parameters of the callback of a recording that REST asked for."""
    return {
        "api_id": view.api_id,
        "record_url": url,
        "call_uuid": view.call_uuid,
        "recording_id": view.recording_id,
        "recording_duration": str(view.duration_s),
        "recording_duration_ms": str(view.duration_ms),
        "recording_start_ms": str(view.start_wall_ms),
        "recording_end_ms": str(view.end_wall_ms),
    }


class RecordingReport(Enum):
    """What a URL in the style of events is told; the value ends `EventName`."""

    INITIATED = "RecordingInitiated"
    PAUSED = "RecordingPaused"
    RESUMED = "RecordingResumed"
    COMPLETED = "RecordingCompleted"
    FAILED = "RecordingFailed"


def event_params(view: RecordingView, url: str, report: RecordingReport, wall_ms: int, sequence: int) -> dict[str, str]:
    """Return the parameters of one event of a recording of a multiparty call, or of one participant of it."""
    params = {
        "EventName": f"{'Participant' if view.member_id else 'MPC'}{report.value}",
        "EventTimestamp": moment(wall_ms),
        "MPCName": view.conference_name,
        "MPCUUID": view.conference_uuid,
        "RecordingDuration": str(view.duration_s),
        "RecordingEndTime": moment(view.end_wall_ms),
        "RecordingFormat": view.file_format.value,
        "RecordingResourceURL": url.removesuffix(f".{view.file_format.value}") + "/",
        "RecordingStartTime": moment(view.start_wall_ms),
        "RecordingURL": url,
        "RecordingUUID": view.recording_id,
        "SequenceNumber": str(sequence),
    }
    return {**params, "MemberID": view.member_id} if view.member_id else params


def moment(wall_ms: int) -> str:
    """Return `2023-06-21 13:23:44+00:00`, empty for a time that is not known yet."""
    return datetime.fromtimestamp(wall_ms // 1000, UTC).isoformat(" ") if wall_ms else ""
