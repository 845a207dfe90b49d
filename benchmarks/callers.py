"""A load of real calls: SIP by our own user agent, RTP by raw sockets, every returned frame checked.

A frame of the plain load names its call and its number in its bytes, so that "the audio came back" is exact and the
round trip of every frame is known. Where the stream's format changes the bytes, the load sends tones that spell the
call's number instead, and what came back is decoded after the run.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from array import array
from dataclasses import dataclass, field

from ringback import clock
from ringback.media.codecs.g711 import encode_ulaw
from ringback.phones.tones import decode_number, encode_number
from ringback.sdp.negotiate import LocalAudio, SdpState, apply_answer, make_offer
from ringback.sdp.parser import parse_sdp
from ringback.sip.address import name_addr
from ringback.sip.endpoint import Answered, InviteEnded, InviteEvent, InviteId, OutboundInvite, Refused, Target, Transport
from ringback.sip.settings import SipSettings
from ringback.sip.transport.driver import SipDriver

HOST = "127.0.0.1"
FRAME_BYTES = 160
FRAME_NS = 20_000_000
PHASES = 4
_HEADER = struct.Struct("!BBHII")
_KEPT_BYTES = 8_000 * 4
"""Received audio kept per call for decoding: 4 s."""
_READS_PER_WAKE = 16


def frame_of(call: int, number: int) -> bytes:
    """Return a frame whose bytes name its call and number; none of them is µ-law silence."""
    name = bytes((call // 100 + 1, call % 100 + 1, number // 10_000 + 1, number // 100 % 100 + 1, number % 100 + 1))
    return name * (FRAME_BYTES // 5)


@dataclass(slots=True, eq=False)
class Caller:
    """One call of the load."""

    index: int
    sock: socket.socket
    state: SdpState
    speaks_tones: bool
    invited: int = 0
    answered: int = 0
    remote: tuple[str, int] | None = None
    number: int = 0
    returned: int = 0
    """Frames that came back while the window was open."""
    sent: int = 0
    foreign: int = 0
    is_over: bool = False
    refused_status: int = 0
    sent_at: array[int] = field(default_factory=lambda: array("q"))
    heard: bytearray = field(default_factory=bytearray)
    tones: bytes = b""


@dataclass(slots=True)
class Window:
    """What was measured while the window was open."""

    round_trips_ns: array[int] = field(default_factory=lambda: array("q"))
    arrivals_ns: array[int] = field(default_factory=lambda: array("q"))
    is_open: bool = False


class Load:
    """Places calls to one number, speaks on all of them, and checks what comes back."""

    def __init__(self, target: tuple[str, int], number: str, *, speaks_tones: bool = False) -> None:
        self.callers: list[Caller] = []
        self.window = Window()
        self.lateness_ns: array[int] = array("q")
        self._target = target
        self._number = number
        self._speaks_tones = speaks_tones
        self._by_invite: dict[InviteId, Caller] = {}
        self._active: list[list[Caller]] = [[] for _ in range(PHASES)]
        self._sip = SipDriver(
            SipSettings(udp_listeners=((HOST, 0),), tcp_listeners=()),
            on_event=self._event,
            is_trusted=lambda _host: True,
        )
        self._pacing: asyncio.TimerHandle | None = None
        self._slot = 0
        self._origin = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Open the SIP socket and start to pace."""
        await self._sip.start()
        self._origin = clock.now() + FRAME_NS
        self._next_slot()

    async def place(self, count: int, per_second: float) -> None:
        """Place `count` further calls at a steady rate; return when each is answered or refused."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        first = len(self.callers)
        for offset in range(count):
            await asyncio.sleep(max(0.0, began + offset / per_second - loop.time()))
            self._place_one(first + offset)
        deadline = loop.time() + 10
        while loop.time() < deadline and any(not (c.answered or c.refused_status) for c in self.callers[first:]):
            await asyncio.sleep(0.05)

    async def measure(self, seconds: float) -> Window:
        """Open the window for `seconds` and return it."""
        self.window = Window()
        self.lateness_ns = array("q")
        for caller in self.callers:
            caller.sent = caller.returned = caller.foreign = 0
            caller.heard.clear()
        self.window.is_open = True
        await asyncio.sleep(seconds)
        self.window.is_open = False
        return self.window

    async def hang_up(self, per_second: float = 100.0) -> None:
        """End every call and return when all are over."""
        for invite_id, caller in list(self._by_invite.items()):
            if not caller.is_over:
                self._sip.hangup(invite_id)
                await asyncio.sleep(1 / per_second)
        async with asyncio.timeout(15):
            await self._idle.wait()

    async def close(self) -> None:
        """Free the sockets."""
        if self._pacing is not None:
            self._pacing.cancel()
        await self._sip.close()
        loop = asyncio.get_running_loop()
        for caller in self.callers:
            loop.remove_reader(caller.sock.fileno())
            caller.sock.close()

    def good_calls(self) -> int:
        """Return how many calls of the last window had their audio back: all but 1 % of frames, nobody else's."""
        return sum(self._is_good(caller) for caller in self.callers)

    def worst_share(self) -> float:
        """Return the smallest share of returned frames of any call."""
        return min((caller.returned / caller.sent for caller in self.callers if caller.sent), default=0.0)

    def setup_ms(self) -> list[float]:
        """Return the times from INVITE to 200 of all answered calls, sorted."""
        return sorted((caller.answered - caller.invited) / 1e6 for caller in self.callers if caller.answered)

    def _is_good(self, caller: Caller) -> bool:
        if caller.foreign or not caller.sent or caller.refused_status:
            return False
        if self._speaks_tones:
            samples = _decoded(bytes(caller.heard))
            return decode_number(samples) == caller.index
        # The last frames of a window are still on their way when it closes.
        return caller.returned >= 0.99 * caller.sent - 4

    def _place_one(self, index: int) -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((HOST, 0))
        sock.setblocking(False)
        port = sock.getsockname()[1]
        state, offer = make_offer(SdpState(session_id=str(1000 + index)), LocalAudio(HOST, port, codecs=("PCMU",)))
        caller = Caller(index, sock, state, self._speaks_tones)
        if self._speaks_tones:
            caller.tones = encode_ulaw(encode_number(index).tobytes())
        self.callers.append(caller)
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, caller)
        host, own_port = self._sip.listeners[0].advertised_host, self._sip.listeners[0].advertised_port
        uri = f"sip:{self._number}@{self._target[0]}:{self._target[1]}"
        caller.invited = clock.now()
        invite_id = self._sip.invite(
            OutboundInvite(
                request_uri=uri,
                from_=name_addr(f"sip:load{index}@{host}:{own_port}"),
                to=name_addr(uri),
                targets=(Target(Transport.UDP, *self._target),),
                sdp=offer.to_bytes(),
                contact_user=f"load{index}",
            )
        )
        self._by_invite[invite_id] = caller
        self._idle.clear()

    def _event(self, event: InviteEvent) -> None:
        caller = self._by_invite.get(event.invite_id)
        if caller is None:
            return
        if isinstance(event, Answered) and not caller.answered and event.sdp is not None:
            caller.answered = clock.now()
            outcome = apply_answer(
                caller.state, LocalAudio(HOST, caller.sock.getsockname()[1], codecs=("PCMU",)), parse_sdp(event.sdp)
            )
            caller.remote = (outcome.remote_host, outcome.remote_port)
            caller.sock.connect(caller.remote)
            self._active[caller.index % PHASES].append(caller)
        elif isinstance(event, Refused):
            caller.refused_status = event.status
        elif isinstance(event, InviteEnded):
            caller.is_over = True
            if caller in self._active[caller.index % PHASES]:
                self._active[caller.index % PHASES].remove(caller)
            del self._by_invite[event.invite_id]
            if not self._by_invite:
                self._idle.set()

    def _next_slot(self) -> None:
        due = self._origin + self._slot * FRAME_NS // PHASES
        delay_s = (due - clock.now()) / 1e9
        self._pacing = asyncio.get_running_loop().call_later(max(0.0, delay_s), self._speak)

    def _speak(self) -> None:
        due = self._origin + self._slot * FRAME_NS // PHASES
        now = clock.now()
        if now < due:
            self._next_slot()
            return
        is_open = self.window.is_open
        if is_open:
            self.lateness_ns.append(now - due)
        for caller in self._active[self._slot % PHASES]:
            number = caller.number
            caller.number = number + 1
            header = _HEADER.pack(0x80, 0x80 if number == 0 else 0, number & 0xFFFF, number * 160, caller.index + 1)
            if caller.speaks_tones:
                at = number * FRAME_BYTES % len(caller.tones)
                frame = (caller.tones[at : at + FRAME_BYTES] + caller.tones)[:FRAME_BYTES]
            else:
                frame = frame_of(caller.index, number)
            caller.sent_at.append(clock.now() if is_open else 0)
            caller.sent += is_open
            try:
                caller.sock.send(header + frame)
            except OSError:
                # The far port is closed already: the BYE is on its way.
                continue
        self._slot += 1
        self._next_slot()

    def _readable(self, caller: Caller) -> None:
        for _ in range(_READS_PER_WAKE):
            try:
                packet = caller.sock.recv(2048)
            except (BlockingIOError, ConnectionError):
                return
            if not self.window.is_open:
                continue
            if caller.speaks_tones:
                caller.returned += 1
                caller.heard += packet[12:]
                if len(caller.heard) > 2 * _KEPT_BYTES:
                    del caller.heard[:-_KEPT_BYTES]
                continue
            self._take(caller, packet)

    def _take(self, caller: Caller, packet: bytes) -> None:
        high, low, a, b, c = packet[12:17]
        if high == 0xFF or low == 0xFF:
            return
        if (high - 1) * 100 + low - 1 != caller.index:
            caller.foreign += 1
            return
        number = (a - 1) * 10_000 + (b - 1) * 100 + c - 1
        if 0 <= number < len(caller.sent_at) and caller.sent_at[number]:
            now = clock.now()
            caller.returned += 1
            self.window.round_trips_ns.append(now - caller.sent_at[number])
            self.window.arrivals_ns.append(now)


def _decoded(ulaw: bytes) -> object:
    import numpy as np

    from ringback.media.codecs.g711 import decode_ulaw

    return np.frombuffer(decode_ulaw(ulaw), dtype=np.int16)
