"""The sending half of an RTP stream: one SSRC, one clock, packets of the negotiated length."""

from __future__ import annotations

from ringback.media.rtp.packet import HEADER, MARKER, SEQUENCE_MASK, TIMESTAMP_MASK, VERSION_2

SocketAddress = tuple[str, int]
Datagram = tuple[bytes, SocketAddress]

FRAME_SAMPLES = 160
SAMPLES_PER_MS = 8
PTIMES_MS = (10, 20, 30, 40)
DEFAULT_PTIME_MS = 20


class RtpSender:
    """Numbers and stamps the packets of one leg.

    State: `send_frame` or `send_event` at most once each per slot, `advance` once per slot whatever was sent, so the
    clock runs on through events, holds and missed slots. The first packet after any of these carries the marker.
    """

    __slots__ = (
        "_destination",
        "_marker",
        "_may_send",
        "_pending",
        "_ptime_ms",
        "_sequence",
        "is_plain",
        "payload_type",
        "sent",
        "ssrc",
        "suppressed",
        "timestamp",
    )

    def __init__(self, ssrc: int, sequence: int, timestamp: int) -> None:
        self.ssrc = ssrc & 0xFFFFFFFF
        self.timestamp = timestamp & TIMESTAMP_MASK
        """RTP time of the current slot."""
        self.payload_type = 0
        self.sent = 0
        self.suppressed = 0
        """Frames that were not sent: on hold, or no remote yet."""
        self.is_plain = False
        """Whether a frame may be sent now and is exactly one packet."""
        self._sequence = sequence & SEQUENCE_MASK
        self._marker = MARKER
        self._destination: SocketAddress | None = None
        self._may_send = False
        self._ptime_ms = DEFAULT_PTIME_MS
        self._pending = b""

    @property
    def is_audible(self) -> bool:
        """Return whether frames are sent rather than suppressed."""
        return self._may_send and self._destination is not None

    def configure(self, payload_type: int, ptime_ms: int) -> None:
        """Apply a negotiation; an odd packet length becomes 20 ms."""
        self.payload_type = payload_type
        self._ptime_ms = ptime_ms if ptime_ms in PTIMES_MS else DEFAULT_PTIME_MS
        self._pending = b""
        self._update()

    def allow(self, may_send: bool) -> None:
        """Set whether the negotiated direction lets us send."""
        if may_send and not self._may_send:
            self._marker = MARKER
        self._may_send = may_send
        self._update()

    def aim(self, destination: SocketAddress | None) -> None:
        """Set where packets go, `None` for nowhere."""
        self._destination = destination
        self._update()

    def send_frame(self, frame: bytes, out: list[Datagram]) -> None:
        """Append the packets that this slot's 160 law bytes complete: none, one or two."""
        destination = self._destination
        if not self.is_plain or destination is None:
            self._send_odd(frame, out)
            return
        self._sequence = sequence = (self._sequence + 1) & SEQUENCE_MASK
        header = HEADER.pack(VERSION_2, self.payload_type | self._marker, sequence, self.timestamp, self.ssrc)
        out.append((header + frame, destination))
        self._marker = 0
        self.sent += 1

    def send_event(
        self, payload_type: int, timestamp: int, payload: bytes, out: list[Datagram], *, marker: bool
    ) -> None:
        """Append one packet of another payload type; the next audio packet starts a new talk spurt.

        Audio that waits for the rest of its packet leaves before it, in a shorter one.
        """
        pending, self._pending = self._pending, b""
        destination = self._destination
        if not self._may_send or destination is None:
            self.suppressed += 1
            return
        if pending:
            self._send(self.payload_type, self.timestamp - len(pending), pending, destination, out)
        self._marker = MARKER if marker else 0
        self._send(payload_type, timestamp, payload, destination, out)
        self._marker = MARKER

    def advance(self, slots: int = 1) -> None:
        """Let the clock run on."""
        self.timestamp = (self.timestamp + slots * FRAME_SAMPLES) & TIMESTAMP_MASK

    def _update(self) -> None:
        self.is_plain = self._may_send and self._destination is not None and self._ptime_ms == DEFAULT_PTIME_MS

    def _send_odd(self, frame: bytes, out: list[Datagram]) -> None:
        destination = self._destination
        if not self._may_send or destination is None:
            self.suppressed += 1
            self._pending = b""
            return
        size = self._ptime_ms * SAMPLES_PER_MS
        pending = self._pending + frame
        # The first pending sample is older than this slot by what was kept back.
        timestamp = self.timestamp - len(self._pending)
        at = 0
        while len(pending) - at >= size:
            self._send(self.payload_type, timestamp + at, pending[at : at + size], destination, out)
            at += size
        self._pending = pending[at:]

    def _send(
        self, payload_type: int, timestamp: int, payload: bytes, destination: SocketAddress, out: list[Datagram]
    ) -> None:
        self._sequence = sequence = (self._sequence + 1) & SEQUENCE_MASK
        second = payload_type | self._marker
        header = HEADER.pack(VERSION_2, second, sequence, timestamp & TIMESTAMP_MASK, self.ssrc)
        out.append((header + payload, destination))
        self._marker = 0
        self.sent += 1
