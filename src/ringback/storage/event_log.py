"""The event log: what happened in each call, in order, readable within 100 ms and while it happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from ringback.storage.database import Database


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """One fact about a call."""

    event_id: int
    """Grows along a call; pass it as `after_id` to go on."""
    call_uuid: str
    wall_ms: int
    at_ms: int
    """Monotonic milliseconds since the call's first event."""
    kind: str
    fields: Mapping[str, object]


class EventLog:
    """Takes events without waiting and writes them in batches; fulfils `telemetry.events.EventSink`."""

    def __init__(self, database: Database) -> None:
        raise NotImplementedError

    def start(self) -> None:
        """Start the task that writes; needs a running loop."""

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Take one event; never blocks, never raises. When the queue is full the event is counted in `dropped`."""

    async def read(self, call_uuid: str, after_id: int = 0, limit: int = 500) -> list[LoggedEvent]:
        """Return events of a call with ids above `after_id`, oldest first."""
        raise NotImplementedError

    async def wait(self, call_uuid: str, after_id: int, timeout_ms: int) -> None:
        """Return when the call may have events above `after_id`, or after `timeout_ms`."""

    def subscribe(self, call_uuid: str, after_id: int = 0) -> AsyncIterator[LoggedEvent]:
        """Yield the call's events above `after_id`, first those that are stored, then new ones as they happen."""
        raise NotImplementedError

    async def flush(self) -> None:
        """Return when everything recorded so far is durable."""

    async def close(self) -> None:
        """Write what waits and stop."""
