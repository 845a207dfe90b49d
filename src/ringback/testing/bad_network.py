"""A bad network between a test phone and the platform: loss, jitter, overtaking, duplicates, all from one seed.

Example:

    phone = Phone(make_audio=partial(ProxiedAudio, faults=Faults(loss=0.05), seed=7))

Only RTP passes the proxy; signalling does not. `FaultyPath` is the model alone, for tests on fake time.
"""

from __future__ import annotations

import asyncio
import random  # noqa: TID251  # seeded: a run can be repeated
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from ringback.media.control.commands import SetRemote
from ringback.media.control.events import AnySessionEvent
from ringback.media.control.values import Address
from ringback.phones.audio import Pacer, PhoneAudio

_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class Faults:
    """What happens to packets; shares are of all packets."""

    delay_ms: float = 20.0
    jitter_ms: float = 30.0
    """Added to the delay, evenly between nothing and this: packets overtake each other."""
    loss: float = 0.02
    duplicates: float = 0.01
    late: float = 0.01
    """Packets held back so long that two others overtake them."""
    late_ms: float = 45.0


class FaultyPath:
    """One direction of a path; counts what it did."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._faults = faults
        self._dice = random.Random(seed)
        self.passed = 0
        self.lost = 0
        self.duplicated = 0
        self.held_back = 0

    def arrivals(self, sent_ns: int) -> tuple[int, ...]:
        """Return when a packet that is sent now arrives: never, once, or twice."""
        faults, dice = self._faults, self._dice
        self.passed += 1
        if dice.random() < faults.loss:
            self.lost += 1
            return ()
        times = [self._arrival(sent_ns)]
        if dice.random() < faults.late:
            self.held_back += 1
            times[0] += int(faults.late_ms * _MS)
        if dice.random() < faults.duplicates:
            self.duplicated += 1
            times.append(self._arrival(sent_ns))
        return tuple(times)

    def _arrival(self, sent_ns: int) -> int:
        return sent_ns + int((self._faults.delay_ms + self._dice.random() * self._faults.jitter_ms) * _MS)


class _Side(asyncio.DatagramProtocol):
    """One socket of the proxy."""

    def __init__(self, on_packet: Callable[[bytes], None]) -> None:
        self._on_packet = on_packet

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self._on_packet(data)


class RtpFaultProxy:
    """Stands between a phone's RTP socket and the platform's.

    State: `open` binds both sockets; packets pass once both ends are known; `close` frees them.
    """

    def __init__(self, faults: Faults, seed: int) -> None:
        self.to_platform = FaultyPath(faults, 2 * seed)
        self.to_phone = FaultyPath(faults, 2 * seed + 1)
        self.phone: tuple[str, int] | None = None
        self.platform: tuple[str, int] | None = None
        self._near: asyncio.DatagramTransport | None = None
        self._far: asyncio.DatagramTransport | None = None

    async def open(self, host: str) -> None:
        """Bind both sockets at `host`."""
        loop = asyncio.get_running_loop()
        self._near, _ = await loop.create_datagram_endpoint(lambda: _Side(self._from_phone), local_addr=(host, 0))
        self._far, _ = await loop.create_datagram_endpoint(lambda: _Side(self._from_platform), local_addr=(host, 0))

    @property
    def near(self) -> tuple[str, int]:
        """Return where the phone sends."""
        return _address(self._near)

    @property
    def far(self) -> tuple[str, int]:
        """Return where the platform sends."""
        return _address(self._far)

    def close(self) -> None:
        """Free the sockets; packets on their way are lost. Idempotent."""
        for side in (self._near, self._far):
            if side is not None:
                side.close()
        self._near = self._far = None

    def _from_phone(self, data: bytes) -> None:
        for at in self.to_platform.arrivals(0):
            asyncio.get_running_loop().call_later(at / 1e9, self._send_far, data)

    def _from_platform(self, data: bytes) -> None:
        for at in self.to_phone.arrivals(0):
            asyncio.get_running_loop().call_later(at / 1e9, self._send_near, data)

    def _send_far(self, data: bytes) -> None:
        if self._far is not None and self.platform is not None:
            self._far.sendto(data, self.platform)

    def _send_near(self, data: bytes) -> None:
        if self._near is not None and self.phone is not None:
            self._near.sendto(data, self.phone)


class ProxiedAudio(PhoneAudio):
    """A phone's audio behind an `RtpFaultProxy` of its own, which is the address that the phone offers."""

    def __init__(
        self, pacer: Pacer, on_event: Callable[[AnySessionEvent], None], *, faults: Faults | None = None, seed: int = 1
    ) -> None:
        super().__init__(pacer, on_event)
        self.proxy = RtpFaultProxy(faults or Faults(), seed)

    @property
    def local(self) -> tuple[str, int]:
        """Return the proxy's address towards the platform."""
        return self.proxy.far

    async def open(self, host: str) -> None:
        """Bind the phone's socket and the proxy's."""
        await super().open(host)
        self.proxy.phone = super().local
        await self.proxy.open(host)

    def set_remote(self, command: SetRemote) -> None:
        """Aim the proxy at the platform, and the phone at the proxy."""
        self.proxy.platform = (command.address.host, command.address.port)
        super().set_remote(msgspec.structs.replace(command, address=Address(*self.proxy.near)))

    def close(self) -> None:
        """Free all sockets."""
        super().close()
        self.proxy.close()


def _address(side: asyncio.DatagramTransport | None) -> tuple[str, int]:
    assert side is not None
    host, port = side.get_extra_info("sockname")[:2]
    return str(host), int(port)
