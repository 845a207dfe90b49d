"""The media side of a scripted SIP peer: an RTP endpoint that sings a melody to whoever sends to it, and listens.

Symmetric: its peer is the source of the first packet, so nobody needs to read SDP. Codecs are those of the standard
library, not ours.
"""

from __future__ import annotations

import asyncio
import audioop
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import numpy as np

from ringback.testing import tones
from tests.support.echo_judge import assert_echo

_HEADER = struct.Struct("!BBHII")
_FRAME_SAMPLES = 160
PCMU, PCMA = 0, 8
MELODY_MS = 12_000


class RtpParty(asyncio.DatagramProtocol):
    """One RTP port.

    State: from the first packet on it sends `melody`, then silence, in frames of 20 ms to its latest source until the
    block ends.
    """

    def __init__(self, seed: int, payload_type: int, *, sings: bool) -> None:
        self.port = 0
        self.payload_types: list[int] = []
        self.melody = tones.melody(seed, MELODY_MS) if sings else tones.silence(MELODY_MS)
        self.sources: set[tuple[str, int]] = set()
        self.last_at = 0.0
        """When the last packet came, by the loop's clock."""
        self._payload_type = payload_type
        self._received: list[tuple[int, bytes]] = []
        self._transport: asyncio.DatagramTransport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._sent = 0
        self._next_at = 0.0
        self._peer = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # The loops' datagram transports do not all derive from asyncio's.
        self._transport = cast(asyncio.DatagramTransport, transport)
        self.port = int(transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        first, second, _, _, _ = _HEADER.unpack_from(data)
        assert first >> 6 == 2, "not RTP"
        self.sources.add(addr)
        self.last_at = asyncio.get_running_loop().time()
        self.payload_types.append(second & 127)
        self._received.append((second & 127, data[_HEADER.size :]))
        self._peer = addr
        if self._timer is None:
            self._next_at = asyncio.get_running_loop().time()
            self._send_next()

    def heard(self) -> tones.Samples:
        """Return all audio received so far."""
        decoders = {PCMU: audioop.ulaw2lin, PCMA: audioop.alaw2lin}
        parts = [decoders[kind](payload, 2) for kind, payload in self._received if kind in decoders]
        return np.frombuffer(b"".join(parts), dtype=np.int16)

    def assert_echo(self) -> None:
        """Check that the melody was coming back at the end."""
        assert_echo(self.melody, self.heard())

    def stop(self) -> None:
        """Send no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _send_next(self) -> None:
        assert self._transport is not None
        start = self._sent * _FRAME_SAMPLES
        frame = self.melody[start : start + _FRAME_SAMPLES]
        if len(frame) < _FRAME_SAMPLES:
            frame = tones.silence(20)
        encode = audioop.lin2alaw if self._payload_type == PCMA else audioop.lin2ulaw
        fields = _HEADER.pack(0x80, self._payload_type, self._sent & 0xFFFF, start & 0xFFFFFFFF, id(self) & 0xFFFFFFFF)
        self._transport.sendto(fields + encode(frame.tobytes(), 2), self._peer)
        self._sent += 1
        self._next_at += 0.02
        self._timer = asyncio.get_running_loop().call_at(self._next_at, self._send_next)


@asynccontextmanager
async def rtp_party(seed: int = 1, payload_type: int = PCMU, *, sings: bool = True) -> AsyncIterator[RtpParty]:
    """Bind a party on a free loopback port."""
    loop = asyncio.get_running_loop()
    transport, party = await loop.create_datagram_endpoint(
        lambda: RtpParty(seed, payload_type, sings=sings), local_addr=("127.0.0.1", 0)
    )
    try:
        yield party
    finally:
        party.stop()
        transport.close()
