"""What the REST layer is given about audio streams; what it asks for is a `spec.StreamSpec`."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.ids import CallUuid, StreamId
from ringback.media.control.values import Track
from ringback.streams.state import State


@dataclass(frozen=True, slots=True)
class StreamView:
    """An audio stream, live or ended (specification 3.2); times are `wall_ms`, `None` before they happen."""

    stream_id: StreamId
    call_uuid: CallUuid
    service_url: str
    bidirectional: bool
    audio_track: Track
    content_type: str
    status: State
    created_wall_ms: int
    started_wall_ms: int | None = None
    ended_wall_ms: int | None = None
    bill_duration_s: int = 0
    rounded_bill_duration_s: int = 0
    billed_amount: str = "0.00000"
    status_callback_url: str = ""
