"""What comes in by a leg's socket: whose it is, and whether it is audio, a key, or nothing of use."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from ringback.machine import MS, Instant
from ringback.media.codecs.g711 import Law
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import MediaDirection
from ringback.media.receive import Receiver
from ringback.media.rtp.latch import Latch
from ringback.media.rtp.packet import HEADER_BYTES, is_rtcp, parse_rtp
from ringback.media.rtp.telephone_event import EventReceiver

SocketAddress = tuple[str, int]
"""Numeric host and port, as the socket gives them (cut IPv6 tuples to two)."""
Datagram = tuple[bytes, SocketAddress]
"""A datagram with its source (received) or its destination (to send)."""

_BACKLOG_MAX = 20
"""Packets of 20 ms: 400 ms, behind which the receiver's grid is moved instead of filled."""
_BACKLOG_KEPT = 2


class Intake:
    """Sorts the datagrams of one leg; audio goes to the receiver.

    State: nothing is let in before the first `agree`; a source is `locked` from its first packet or from `agree` on.
    """

    __slots__ = (
        "_digits",
        "_has_received",
        "_heard_at",
        "_heard_packets",
        "_is_idle_reported",
        "_latch",
        "_locked",
        "_may_receive",
        "_on_digit",
        "_on_first",
        "_on_locked",
        "_receiver",
        "event_type",
        "malformed",
        "refused",
    )

    def __init__(
        self,
        now: Instant,
        receiver: Receiver,
        *,
        on_locked: Callable[[SocketAddress], None],
        on_first: Callable[[SocketAddress], None],
        on_digit: Callable[[Instant, str], None],
    ) -> None:
        """Take who is told of a source that is listened to from now on, of the very first packet, and of keys."""
        self._receiver = receiver
        self._on_locked = on_locked
        self._on_first = on_first
        self._on_digit = on_digit
        self._latch = Latch()
        self._locked: SocketAddress | None = None
        self._digits = EventReceiver()
        self.event_type = -1
        """The payload type of telephone events, -1 without."""
        self.refused = 0
        """Packets from sources, or of types, that are not listened to."""
        self.malformed = 0
        self._has_received = False
        self._may_receive = True
        self._heard_packets = 0
        self._heard_at = now
        self._is_idle_reported = False

    @property
    def destination(self) -> SocketAddress | None:
        """Return where packets for the far party go, `None` while that is unknown."""
        return self._latch.destination

    def agree(self, now: Instant, command: SetRemote, law: Law, types: Mapping[int, Law]) -> None:
        """Apply a negotiation's outcome: from where, and which payload types."""
        self._receiver.set_types(law, types)
        self.event_type = command.dtmf_payload_type
        self._latch.signal(now, command.address, command.latch, command.signalling_host)
        self._locked = self._latch.locked
        self._may_receive = command.direction in (MediaDirection.SENDRECV, MediaDirection.RECVONLY)
        self._heard_at = now

    def listens_to(self, source: SocketAddress) -> bool:
        """Return whether `source` is the one that is listened to, which a flood from elsewhere must not crowd out."""
        return source == self._locked

    def packet(self, now: Instant, data: bytes, source: SocketAddress) -> None:
        """Take one datagram; RTCP and rubbish never raise."""
        if source != self._locked or not self._may_receive or len(data) < HEADER_BYTES:
            self._guarded(now, data, source)
        elif data[1] & 0x7F == self.event_type or 192 <= data[1] <= 223:
            self._special(now, data)
        else:
            self._receiver.packet(now, data)

    def packets(self, now: Instant, datagrams: Iterable[Datagram]) -> None:
        """Take datagrams in arrival order."""
        for data, source in datagrams:
            self.packet(now, data, source)

    def backlog(self, now: Instant, datagrams: Sequence[Datagram]) -> None:
        """Take datagrams that waited while the process stood still, oldest first.

        Of more audio than the receiver would make up for, only the newest is heard: the rest would be heard late. Keys
        and RTCP are taken whatever their age.
        """
        audio = [
            index
            for index, (data, source) in enumerate(datagrams)
            if source == self._locked and len(data) >= HEADER_BYTES and self._receiver.accepts(data[1] & 0x7F)
        ]
        stale = set(audio[:-_BACKLOG_KEPT]) if len(audio) > _BACKLOG_MAX else ()
        for index, (data, source) in enumerate(datagrams):
            if index in stale:
                self._receiver.discard(data)
            else:
                self.packet(now, data, source)

    def _guarded(self, now: Instant, data: bytes, source: SocketAddress) -> None:
        """Take a datagram that is not the locked source's usual traffic."""
        if is_rtcp(data):
            return
        packet = parse_rtp(data)
        if packet is None:
            self.malformed += 1
            return
        if source != self._locked:
            payload_type = packet.payload_type
            if payload_type != self.event_type and not self._receiver.accepts(payload_type):
                self.refused += 1
                return
            if self._receiver.received != self._heard_packets:
                self._latch.last_heard = now
            if not self._latch.admit(now, source, packet.ssrc, packet.sequence):
                self.refused += 1
                return
            self._locked = source
            self._on_locked(source)
        if not self._has_received:
            self._has_received = True
            self._on_first(source)
        # On hold their packets keep the latch, but nothing is heard.
        if self._may_receive:
            self._special(now, data)

    def _special(self, now: Instant, data: bytes) -> None:
        if is_rtcp(data):
            return
        packet = parse_rtp(data)
        if packet is None:
            self.malformed += 1
            return
        if packet.payload_type != self.event_type:
            self._receiver.odd_packet(now, packet)
            return
        digit = self._digits.take(now, packet.ssrc, packet.timestamp, packet.payload)
        self._receiver.hold_fill = True
        self._receiver.odd_packet(now, packet, is_audio=False)
        if digit is not None:
            self._on_digit(now, digit)

    def idle_ms(self, now: Instant, limit_ms: int) -> int:
        """Return for how long nothing came, once per silence that lasts `limit_ms` (0: never); otherwise 0.

        To be asked twice a second, whatever the answer was.
        """
        heard = self._receiver.received
        if heard != self._heard_packets or not self._may_receive:
            self._heard_packets = heard
            self._heard_at = now
            self._latch.last_heard = now
            self._is_idle_reported = False
        elif limit_ms and not self._is_idle_reported and self._latch.destination is not None:
            idle_ms = (now - self._heard_at) // MS
            if idle_ms >= limit_ms:
                self._is_idle_reported = True
                return idle_ms
        return 0
