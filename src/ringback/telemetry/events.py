"""The seam through which every room reports facts about one call; the event log behind it belongs to `storage`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class EventSink(Protocol):
    """Takes facts about calls, in the order in which they happen.

    `ringback.storage.event_log.EventLog` writes them to the database; `NullEventSink` forgets them.
    """

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Note one fact of `kind` about a call; returns at once and never raises.

        Shape: `kind` is one of `sip`, `webhook`, `element`, `stream`, `digit`, `leg`, `call`, `media`, `quality`.
        `fields` holds plain values (str, int, float, bool, None, lists and dicts of them) and is not changed later.
        """


class NullEventSink:
    """An `EventSink` that keeps nothing: for parts that run without a database."""

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Forget the fact."""
