"""Who runs a call's document, as the call sees it."""

from __future__ import annotations

from typing import Protocol

from ringback.ids import PlayId, StreamId
from ringback.media.control.events import ListenEvent, RecordingFinished
from ringback.media.control.values import PlayEnd, StreamEnd


class CallListener(Protocol):
    """Who runs the call's document; the same methods as `callflow.port.FlowListener`."""

    def answered(self) -> None:
        """The call was answered."""

    def digit_pressed(self, digit: str) -> None:
        """The far party pressed a key."""

    def digits_sent(self, digits: str) -> None:
        """Keys that the document sends have left."""

    def heard(self, event: ListenEvent) -> None:
        """The far party did something that the document listens for."""

    def play_ended(self, play_id: PlayId, end: PlayEnd, detail: str = "") -> None:
        """A playback is over."""

    def stream_ended(self, stream_id: StreamId, end: StreamEnd) -> None:
        """A stream of this call is over."""

    def recording_ended(self, event: RecordingFinished) -> None:
        """A recording of this call is over."""

    def transfer_requested(self, url: str, method: str) -> None:
        """The API asks for another document."""

    def hung_up(self) -> None:
        """The call is gone; nothing follows."""
