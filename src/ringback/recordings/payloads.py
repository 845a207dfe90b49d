"""The parameters of a recording's callbacks and of the action of `<Record>`.

Spec: wire spec 4.9 (REST: snake case), 6.10 (XML).
"""

from __future__ import annotations

from ringback.recordings.views import RecordingView

UNKNOWN = "-1"
"""Length and times of a recording that goes on (wire spec 6.10)."""


def action_params(recording_id: str, url: str) -> dict[str, str]:
    """Return the parameters of the action of a recording that goes on in the background."""
    return {
        "RecordUrl": url,
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
