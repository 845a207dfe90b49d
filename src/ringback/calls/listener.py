"""Who runs a call's document, as the call sees it."""

from __future__ import annotations

from typing import Protocol

from ringback.ids import PlayId, StreamId
from ringback.media.control.events import ListenEvent, RecordingFinished
from ringback.media.control.values import PlayEnd, StreamEnd


class CallListener(Protocol):
    """Takes what happens to a call; every method returns at once and never raises.

    State: `hung_up` is the last call. Methods are called in the event loop's thread, also from inside a method of
    `LiveCall`.
    """

    def answered(self) -> None:
        """The call was answered, by whatever cause."""

    def digit_pressed(self, digit: str) -> None:
        """The far party pressed a key."""

    def digits_sent(self, digits: str) -> None:
        """Keys given to `LiveCall.send_digits` have left."""

    def heard(self, event: ListenEvent) -> None:
        """The far party did something that `LiveCall.hear` asked to be told of."""

    def play_ended(self, play_id: PlayId, end: PlayEnd, detail: str = "") -> None:
        """A playback started by `LiveCall.play` is over."""

    def stream_ended(self, stream_id: StreamId, end: StreamEnd) -> None:
        """A stream of this call is over, whoever started it (element or REST)."""

    def recording_ended(self, event: RecordingFinished) -> None:
        """A recording of this call is over, whoever started it (element or REST)."""

    def transfer_requested(self, url: str, method: str, *, is_fallback: bool = False) -> None:
        """Another document is asked for, at once; the newest request wins.

        A fallback, which a lost stream asks for, gives way to a transfer that waits already.
        """

    def hung_up(self) -> None:
        """The call is gone; the flow stops and asks nothing more of the call."""
