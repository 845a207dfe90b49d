"""One leg's audio in both directions, without socket, loop or clock.

How the owner (worker, phone) drives it:

1. `session = MediaSession(settings, session_id=..., now=..., chance=...)`, bind a socket.
2. `session.set_remote(now, command)` after each offer/answer exchange.
3. Every datagram: `session.receive_packet(now, data, source)`, or a batch: `session.receive(now, datagrams)`.
4. Once per 20 ms slot, on a fixed grid: `session.tick(now, out)`, then send what was appended to `out`. Skipped slots
   need no make-up calls: the RTP clock jumps over them.
5. After 3 and 4, and after every command: `while (event := session.poll_event())`, and send the outboxes of attached
   streams (`StreamSession.outbox`).

Example:
    >>> from ringback.ids import SessionId
    >>> from ringback.machine import Instant
    >>> session = MediaSession(MediaSettings(), session_id=SessionId("s"), now=Instant(0), chance=lambda: 0.5)
    >>> out: list[Datagram] = []
    >>> session.tick(Instant(20_000_000), out)   # no remote yet: nothing to send
    >>> out
    []
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import msgspec

from ringback.ids import PlayId, SessionId, StreamId
from ringback.machine import Instant
from ringback.media.control.commands import SetRemote
from ringback.media.control.events import AnySessionEvent, SessionClosed, SessionStats
from ringback.media.control.values import PlayEnd, SessionEnd
from ringback.media.stream.session import StreamSession

SocketAddress = tuple[str, int]
"""Numeric host and port, as the socket gives them (cut IPv6 tuples to two)."""
Datagram = tuple[bytes, SocketAddress]
"""A datagram with its source (received) or its destination (to send)."""

FRAME_MS = 20
SAMPLE_RATE_HZ = 8000


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and waits of every leg."""

    media_idle_ms: int = 60_000
    """RTP silence after which `MediaTimedOut` is reported once; 0 is never."""
    reorder_window_ms: int = 60
    """How long a missing packet is waited for before its audio is concealed."""
    reorder_window_max_ms: int = 200
    """Bound of the window's growth on a jittery path."""
    playout_max_ms: int = 60_000
    streams_max: int = 5
    digits_max: int = 128
    plays_max: int = 64


class AgentStopped(msgspec.Struct, frozen=True):
    """The agent sent `stop`: the owner of the socket ends the stream as `StreamEnd.AGENT_CLOSED`."""

    stream_id: StreamId


class PcmSource(Protocol):
    """Audio of a playback: 8000 Hz, mono, signed 16-bit little-endian."""

    def take(self, samples: int) -> bytes | None:
        """Return up to `samples` samples, fewer or none when not ready yet, `None` when exhausted. Must not block."""


class MediaSession:
    """One leg: RTP in and out, playout of agent audio and files, digits, attached streams."""

    tap: Callable[[bytes], None] | None
    """Called with every received 20 ms frame in order: 320 bytes, 8000 Hz, signed 16-bit little-endian."""

    def __init__(
        self, settings: MediaSettings, *, session_id: SessionId, now: Instant, chance: Callable[[], float]
    ) -> None:
        raise NotImplementedError

    def set_remote(self, now: Instant, command: SetRemote) -> None:
        """Apply a negotiation's outcome; streams, queues and counters carry on. The first call starts sending.

        Raises:
            NoCommonCodec: `command.codec` is neither PCMU nor PCMA at 8000 Hz; nothing changed.
        """
        raise NotImplementedError

    def receive_packet(self, now: Instant, data: bytes, source: SocketAddress) -> None:
        """Take one datagram from the leg's socket; RTCP and rubbish are counted, never raise."""
        raise NotImplementedError

    def receive(self, now: Instant, datagrams: Iterable[Datagram]) -> None:
        """Take datagrams in arrival order."""
        raise NotImplementedError

    def tick(self, now: Instant, out: list[Datagram]) -> None:
        """Append this slot's packets (0 to 2 of audio, or one telephone event) to `out`; fill the receive grid."""
        raise NotImplementedError

    def poll_event(self) -> AnySessionEvent | AgentStopped | None:
        """Return the next event, or `None`. `seq`, `wall_ms` and `caused_by` are left for the owner to fill in."""
        raise NotImplementedError

    def start_play(self, now: Instant, play_id: PlayId, source: PcmSource) -> bool:
        """Queue a playback towards the far party, mixed with agent audio; `False` when too many wait.

        Outcomes: `PlayStarted` when its first sample leaves, `PlayFinished` exactly once.
        """
        raise NotImplementedError

    def stop_play(self, now: Instant, play_id: PlayId, reason: PlayEnd = PlayEnd.STOPPED, detail: str = "") -> bool:
        """End a playback at once; `PlayFinished` carries `reason`. `False` when there is none of that id."""
        raise NotImplementedError

    def send_digits(self, now: Instant, digits: str, tone_ms: int = 100, gap_ms: int = 70) -> bool:
        """Queue telephone events (`0-9*#A-D`, `w` 0.5 s, `W` 1 s); `False` when unusable or too many wait.

        Without negotiated telephone-event they are sent as tones. The outcome is `DigitsSent`.
        """
        raise NotImplementedError

    def signalled_digit(self, now: Instant, digit: str) -> None:
        """Take a digit that came by SIP INFO; the same digit by RTP within 200 ms counts once."""
        raise NotImplementedError

    def attach(self, now: Instant, stream: StreamSession) -> bool:
        """Join a stream to this leg; `False` when too many, or a second bidirectional one. Audio flows once it is open."""
        raise NotImplementedError

    def detach(self, now: Instant, stream_id: StreamId) -> None:
        """Part with a stream; a bidirectional one takes its queued audio with it. Unknown ids are ignored."""
        raise NotImplementedError

    def stats(self) -> SessionStats:
        """Return the quality figures so far."""
        raise NotImplementedError

    def closed(self, now: Instant, reason: SessionEnd) -> SessionClosed:
        """End every playback (their `PlayFinished` come out of `poll_event`) and return the final event with totals."""
        raise NotImplementedError
