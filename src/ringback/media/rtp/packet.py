"""RTP packets as bytes: bounds first, values second.

Spec: RFC 3550 §5.1, §5.3.1. Hot path: the session reads and writes plain headers with `HEADER` directly
(benchmarks/media_session.py); everything unusual goes through `parse_rtp`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

HEADER = struct.Struct("!BBHII")
"""Version, padding, extension and CSRC count; marker and payload type; sequence number; timestamp; SSRC."""
HEADER_BYTES = 12
VERSION_2 = 0x80
MARKER = 0x80
PACKET_MAX_BYTES = 1500

SEQUENCE_MASK = 0xFFFF
TIMESTAMP_MASK = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """One RTP packet, taken apart."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def to_bytes(self) -> bytes:
        """Return the packet with a plain 12-byte header."""
        second = (MARKER if self.marker else 0) | self.payload_type
        return HEADER.pack(VERSION_2, second, self.sequence, self.timestamp, self.ssrc) + self.payload


def is_rtcp(data: bytes) -> bool:
    """Return whether a datagram on a shared port is RTCP (RFC 5761 §4)."""
    return len(data) >= 2 and 192 <= data[1] <= 223


def parse_rtp(data: bytes) -> RtpPacket | None:
    """Return the packet, or `None` when it is not well-formed RTP version 2.

    CSRCs and the header extension are skipped, padding is removed; all of them must fit into the datagram.
    """
    size = len(data)
    if size < HEADER_BYTES or size > PACKET_MAX_BYTES:
        return None
    first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
    if first >> 6 != 2:
        return None
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if first & 0x10:
        if start + 4 > size:
            return None
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4], "big")
    end = size
    if first & 0x20:
        padding = data[-1]
        if padding == 0:
            return None
        end -= padding
    if start > end:
        return None
    return RtpPacket(second & 0x7F, sequence, timestamp, ssrc, data[start:end], bool(second & MARKER))


def sequence_distance(newer: int, older: int) -> int:
    """Return how far `newer` is ahead of `older`, from -32768 to 32767 (RFC 3550 §A.1)."""
    return ((newer - older + 0x8000) & SEQUENCE_MASK) - 0x8000


def timestamp_distance(newer: int, older: int) -> int:
    """Return how many clock units `newer` is ahead of `older`, negative when behind."""
    return ((newer - older + 0x80000000) & TIMESTAMP_MASK) - 0x80000000
