"""A bare RTP endpoint for tests: sends PCMU frames on a 20 ms grid and keeps what comes back."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import cast

_HEADER = struct.Struct("!BBHII")
FRAME_BYTES = 160


@dataclass(frozen=True)
class RtpPacket:
    """One received packet and when it came, in loop seconds."""

    at: float
    payload_type: int
    sequence: int
    timestamp: int
    marker: bool
    payload: bytes


def numbered_frame(number: int) -> bytes:
    """Return a µ-law frame whose bytes say which one it is; never silence."""
    return bytes((number * 7 + 3 * position) % 113 + 1 for position in range(FRAME_BYTES))


class RtpCaller(asyncio.DatagramProtocol):
    """State: sends from `start_sending` until `stop_sending`; `packets` grows with what arrives."""

    def __init__(self) -> None:
        self.packets: list[RtpPacket] = []
        self.sent = 0
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._remote = ("127.0.0.1", 0)
        self._next_at = 0.0
        self._make: Callable[[int], bytes] = numbered_frame

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The loops' datagram transports do not all derive from asyncio's.
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        first, second, sequence, timestamp, _ = _HEADER.unpack_from(data)
        assert first >> 6 == 2
        now = asyncio.get_running_loop().time()
        self.packets.append(RtpPacket(now, second & 127, sequence, timestamp, second > 127, data[12:]))

    def start_sending(self, port: int, make: Callable[[int], bytes] = numbered_frame) -> None:
        """Send frame 0, 1, 2 ... to the worker's port, one per 20 ms."""
        self._remote = ("127.0.0.1", port)
        self._make = make
        self._next_at = asyncio.get_running_loop().time()
        self._send_next()

    def stop_sending(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def send(self, frame: bytes, payload_type: int = 0) -> None:
        """Send one packet now."""
        assert self._transport is not None
        header = _HEADER.pack(0x80, payload_type, self.sent & 0xFFFF, self.sent * FRAME_BYTES & 0xFFFFFFFF, 0x1234)
        self._transport.sendto(header + frame, self._remote)
        self.sent += 1

    @property
    def audio(self) -> bytes:
        """Return all received PCMU payload, in order of arrival."""
        return b"".join(packet.payload for packet in self.packets if packet.payload_type == 0)

    def _send_next(self) -> None:
        self.send(self._make(self.sent))
        loop = asyncio.get_running_loop()
        self._next_at += 0.02
        self._timer = loop.call_at(self._next_at, self._send_next)


@asynccontextmanager
async def rtp_caller() -> AsyncIterator[RtpCaller]:
    """Bind a caller on a free loopback port."""
    loop = asyncio.get_running_loop()
    transport, caller = await loop.create_datagram_endpoint(RtpCaller, local_addr=("127.0.0.1", 0))
    try:
        yield caller
    finally:
        caller.stop_sending()
        transport.close()
