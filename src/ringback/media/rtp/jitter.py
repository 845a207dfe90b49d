"""The reorder window: which packet is next, which is late, double or lost. Also interarrival jitter.

Packets in order pass at once; after a gap packets are held until the hole is filled or given up by the receiver.
Spec: RFC 3550 §A.1 (sequence restart), §A.8 (jitter).
"""

from __future__ import annotations

from enum import Enum

from ringback.media.rtp.packet import SEQUENCE_MASK, RtpPacket, sequence_distance

HELD_MAX = 25
"""Packets held behind a hole; one more gives the hole up."""
DROPOUT_MAX = 3000
"""A jump ahead of more packets is a restarted sender (RFC 3550 §A.1)."""
MISORDER_MAX = 100
"""A packet further behind is from a restarted sender (RFC 3550 §A.1)."""
_MISSING_MAX = 256


class Order(Enum):
    """What a sequence number means to the window."""

    NEXT = "next"
    HELD = "held"
    LATE = "late"
    """It was given up before."""
    DUPLICATE = "duplicate"
    RESTART = "restart"
    """The second consecutive packet of a restarted sender; the window starts with it."""
    STRAY = "stray"
    """Far from the window; either noise or the first packet of a restarted sender."""


class ReorderWindow:
    """The sequence state of one SSRC."""

    __slots__ = ("_missing", "_restart", "expected", "held", "lost")

    def __init__(self, expected: int, lost: int = 0) -> None:
        self.expected = expected
        """The next sequence number in order."""
        self.held: dict[int, RtpPacket] = {}
        """Packets behind a hole, by sequence number."""
        self.lost = lost
        """Packets given up and never seen."""
        self._missing: dict[int, None] = {}
        self._restart = -1

    def classify(self, packet: RtpPacket) -> Order:
        """Return what the packet is; `HELD` ones are kept, `NEXT` ones advance the window."""
        distance = sequence_distance(packet.sequence, self.expected)
        if distance == 0:
            self.expected = (packet.sequence + 1) & SEQUENCE_MASK
            self._restart = -1
            return Order.NEXT
        if -MISORDER_MAX <= distance < 0:
            if packet.sequence in self._missing:
                del self._missing[packet.sequence]
                self.lost -= 1
                return Order.LATE
            return Order.DUPLICATE
        if 0 < distance <= DROPOUT_MAX:
            if packet.sequence in self.held:
                return Order.DUPLICATE
            self.held[packet.sequence] = packet
            return Order.HELD
        if packet.sequence == self._restart:
            self.expected = (packet.sequence + 1) & SEQUENCE_MASK
            self._restart = -1
            self.held.clear()
            self._missing.clear()
            return Order.RESTART
        self._restart = (packet.sequence + 1) & SEQUENCE_MASK
        return Order.STRAY

    def pass_over(self, sequence: int) -> None:
        """Go on behind a packet that is not wanted; what is held before it is forgotten."""
        self.held = {number: packet for number, packet in self.held.items() if sequence_distance(number, sequence) > 0}
        self.expected = (sequence + 1) & SEQUENCE_MASK

    def pop_next(self) -> RtpPacket | None:
        """Return the held packet that is next in order, or `None` when it is missing."""
        packet = self.held.pop(self.expected, None)
        if packet is not None:
            self.expected = (self.expected + 1) & SEQUENCE_MASK
        return packet

    def give_up(self) -> int:
        """Advance to the first held packet and return how many were given up; 0 when nothing is held."""
        if not self.held:
            return 0
        first = min(self.held, key=lambda sequence: sequence_distance(sequence, self.expected))
        count = sequence_distance(first, self.expected)
        self.lost += count
        for step in range(max(0, count - _MISSING_MAX), count):
            self._missing[(self.expected + step) & SEQUENCE_MASK] = None
        while len(self._missing) > _MISSING_MAX:
            del self._missing[next(iter(self._missing))]
        self.expected = first
        return count
