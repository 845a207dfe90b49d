"""One audio stream of a leg: Plivo's WebSocket protocol as bytes in and bytes out, without the socket.

How the owner of the socket drives it:

1. `stream = StreamSession(StreamSettings.of(command))`, then `media_session.attach(now, stream)`.
2. Socket open (every time, also after a reconnect): `stream.open(now, wall_ms)`.
3. Each text message: `code = stream.feed_text(now, message)`; a code other than 0 asks to close the socket with it.
   Binary messages are counted by `stream.feed_binary()` and ignored.
4. After every call into the stream or its media session: send `stream.outbox` front first, as one text frame each,
   while the transport's own buffer is below its mark; leave the rest. The outbox is bounded: the oldest `media` frame
   goes first (counted in `dropped_frames`), answers and digits stay.
5. To end it: `stream.stop(now)`, send the outbox, close 1000, `media_session.detach(now, stream_id)`, `stream.closed()`.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

import msgspec

from ringback.ids import SessionId, StreamId
from ringback.machine import Instant
from ringback.media.control.commands import OpenStream
from ringback.media.control.events import StreamClosed
from ringback.media.control.values import AudioFormat, StreamEnd, Track


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is for its whole life."""

    stream_id: StreamId
    call_uuid: str
    account_id: str
    track: Track
    bidirectional: bool
    format: AudioFormat
    extra_headers: str = ""
    send_stop: bool = True
    playout_max_ms: int = 60_000
    uplink_max_ms: int = 2_000
    """Media frames kept in the outbox while the socket is not writable."""
    message_max_bytes: int = 1_048_576
    """A larger text message is answered with `incorrectPayload`."""
    message_hard_max_bytes: int = 2_097_152
    """A larger text message asks for close code 1009."""

    @classmethod
    def of(cls, command: OpenStream) -> StreamSettings:
        """Return the settings that an `OpenStream` command asks for."""
        raise NotImplementedError


class StreamPlayer(Protocol):
    """What a bidirectional stream asks of its leg; `MediaSession` implements it."""

    def queue_audio(self, now: Instant, audio: bytes, format: AudioFormat) -> bool:
        """Queue agent audio; returns `False` when the play queue is full and nothing was taken."""

    def checkpoint(self, now: Instant, name: str) -> bool:
        """Mark the end of the play queue; returns `False` when too many marks wait."""

    def clear_audio(self, now: Instant) -> None:
        """Drop the play queue and its marks."""

    def agent_digits(self, now: Instant, digits: str) -> bool:
        """Send digits to the far party; returns `False` when they cannot be queued."""

    def agent_stop(self, now: Instant, stream_id: StreamId) -> None:
        """The agent asked to end this stream."""

    def stream_fault(self, now: Instant, stream_id: StreamId, reason: str, count: int, detail: str) -> None:
        """Something the agent sent was unusable, or uplink audio was dropped; already limited to 1/s per reason."""


class StreamSession:
    """The protocol state of one stream: counters, frame templates, the recogniser of `playAudio`, the outbox."""

    outbox: deque[bytes]
    """UTF-8 JSON text frames to send, oldest first; the owner pops from the left."""
    sent_frames: int
    """Media frames put into the outbox, those dropped later included."""
    dropped_frames: int
    received_messages: int
    ignored_binary: int

    def __init__(self, settings: StreamSettings) -> None:
        raise NotImplementedError

    @property
    def stream_id(self) -> StreamId:
        """Return the stream's id."""
        raise NotImplementedError

    @property
    def is_open(self) -> bool:
        """Return whether `start` was queued and `stop` was not."""
        raise NotImplementedError

    def open(self, now: Instant, wall_ms: int) -> None:
        """Begin (again) on a fresh socket: the outbox holds `start` alone, counters restart at 1.

        `wall_ms` is the epoch time that labels the first frame; each further frame is labelled 20 ms later.
        """
        raise NotImplementedError

    def feed_text(self, now: Instant, message: bytes) -> int:
        """Take one text message of the agent; returns 0, or the close code the socket must be closed with.

        Commands act before it returns. Bad input is answered with `incorrectPayload` and never raises.
        """
        raise NotImplementedError

    def feed_binary(self) -> None:
        """Count a binary message; they are ignored (spec 1.2)."""
        raise NotImplementedError

    def stop(self, now: Instant) -> None:
        """Queue `stop` (unless switched off) as the last frame; nothing follows it."""
        raise NotImplementedError

    def closed(
        self, now: Instant, session_id: SessionId, reason: StreamEnd, close_code: int = 0, detail: str = ""
    ) -> StreamClosed:
        """Return the final event of this stream with its totals."""
        raise NotImplementedError
