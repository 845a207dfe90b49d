"""The stream's states as one table.

Spec: wire spec 3.2 (`status`), section 8 items 15 and 32, 1.5 (a drop is reported, then dialled again).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from ringback.media.control.values import StreamEnd


class State(Enum):
    """Where a stream is in its life; the value is the REST `status`."""

    INITIATED = "initiated"
    """Asked for, or dropped and dialled again: the agent's WebSocket is not open yet."""
    IN_PROGRESS = "in-progress"
    COMPLETED = "completed"
    FAILED = "failed"
    """It never connected, or the connection was lost."""


class Trigger(Enum):
    """What moves a stream."""

    OPEN = "open"
    DROP = "drop"
    """The connection was lost and is dialled again."""
    END = "end"
    FAIL = "fail"


class Next(NamedTuple):
    """The outcome of a transition: the state, and the status callback it causes (spec 2.5), if any."""

    state: State
    callback: str


TABLE: Mapping[tuple[State, Trigger], Next] = MappingProxyType(
    {
        (State.INITIATED, Trigger.OPEN): Next(State.IN_PROGRESS, "StartStream"),
        (State.INITIATED, Trigger.END): Next(State.COMPLETED, "StopStream"),
        (State.INITIATED, Trigger.FAIL): Next(State.FAILED, "DroppedStream"),
        (State.IN_PROGRESS, Trigger.DROP): Next(State.INITIATED, "DroppedStream"),
        (State.IN_PROGRESS, Trigger.END): Next(State.COMPLETED, "StopStream"),
        (State.IN_PROGRESS, Trigger.FAIL): Next(State.FAILED, "DroppedStream"),
    }
)

IGNORED: Mapping[tuple[State, Trigger], str] = MappingProxyType(
    {
        (State.INITIATED, Trigger.DROP): "a repeated event after a server restart",
        (State.IN_PROGRESS, Trigger.OPEN): "a repeated event after a server restart",
        **{
            (state, trigger): "the first end stands" for state in (State.COMPLETED, State.FAILED) for trigger in Trigger
        },
    }
)

LOST_DETAIL = "connection disconnected with the remote service"
"""How the `Error` of a DroppedStream callback begins when an open connection was lost (spec 2.5)."""
_FAILURES = frozenset({StreamEnd.CONNECT_FAILED, StreamEnd.CONNECTION_LOST, StreamEnd.INVALID_CONTENT_TYPE})


def trigger_of(end: StreamEnd) -> Trigger:
    """Return whether `end` completes a stream or fails it."""
    return Trigger.FAIL if end in _FAILURES else Trigger.END


def status_reason(end: StreamEnd) -> str:
    """Return the `StatusReason` of a status callback (spec 2.5)."""
    match end:
        case StreamEnd.TIMEOUT:
            return "timeout"
        case StreamEnd.CONNECT_FAILED:
            return "connection_failed"
        case StreamEnd.CONNECTION_LOST:
            return "connection_lost"
        case StreamEnd.INVALID_CONTENT_TYPE:
            return "invalid_content_type"
        case StreamEnd.CALL_ENDED | StreamEnd.API_REQUEST | StreamEnd.AGENT_CLOSED | StreamEnd.TRANSFERRED:
            return "completed"
