"""A load of real calls: SIP by our own user agent, RTP by raw sockets, every returned frame checked.

In the plain load each frame names its call and its number, so "the audio came back" is exact and the round trip of
every frame is known. Where the stream's format changes the bytes, the load sends tones that spell the call's number
instead, and what came back is decoded after the window.
"""

from __future__ import annotations

import asyncio
import gc
import random
import select
import socket
import struct
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from benchmarks.frames import FRAME_BYTES, FRAME_NS, call_name, frame_of, read_frame
from benchmarks.waiting import until
from ringback import clock
from ringback.media.codecs.g711 import PCMU
from ringback.phones.tones import Samples, decode_number, encode_number
from ringback.sdp.negotiate import LocalAudio, SdpState, apply_answer, make_offer
from ringback.sdp.parser import parse_sdp
from ringback.sip.address import name_addr
from ringback.sip.endpoint import (
    Answered,
    HungUp,
    InviteEnded,
    InviteEvent,
    InviteId,
    OutboundInvite,
    Refused,
    Target,
    Transport,
)
from ringback.sip.settings import SipSettings
from ringback.sip.transport.driver import SipDriver

HOST = "127.0.0.1"
PHASES = 20
"""Callers start their frames at any of so many instants, 1 ms apart: their clocks have nothing to do with ours."""
_PHASE_NS = FRAME_NS // PHASES
_EARLY_NS = 300_000
"""The loop's timers count whole milliseconds: a wake this much early is on time."""
_HEADER = struct.Struct("!BBHII")
_SOCKETS_PER_WAKE = 64
_SO_TIMESTAMPNS = 35
"""Linux's, which `socket` does not name: the time of arrival comes with each packet."""
_TIMESPEC = struct.Struct("qq")
_TAIL_S = 0.4
"""Frames of a window may come back so long after its end."""
_KEPT_BYTES = 8_000 * 4
"""Received audio kept per call for decoding: 4 s."""
_ANSWER_LIMIT_S = 10.0
GOOD_SHARE = 0.98
"""Frames of a good call that come back unaltered; each late agent message costs two (a gap, a cross-fade)."""
GOOD_NUMBERS = 0.9
"""Spoken numbers of a good call that are read in what comes back: of the 13 of a window all but one."""
_SILENT = PCMU.silence

PacketHook = Callable[["Caller", bytes, int], None]
"""Called with the caller, the payload and the time of every packet of the window."""


@dataclass(slots=True, eq=False)
class Caller:
    """One call of the load, and what it saw in the last window."""

    index: int
    sock: socket.socket
    phase: int
    state: SdpState
    local: LocalAudio
    name: bytes
    tones: tuple[bytes, ...] = ()
    """Frames to send in turn instead of named ones."""
    invited: int = 0
    answered: int = 0
    number: int = 0
    sent: int = 0
    returned: int = 0
    """Frames sent in the window that came back exactly."""
    altered: int = 0
    """Frames of other audio than was sent, silence not counted."""
    foreign: int = 0
    """Frames of another call."""
    packets: int = 0
    round_trip_ns: int = 0
    """The last one."""
    refused_status: int = 0
    is_over: bool = False
    was_hung_up: bool = False
    """Whether the far side ended it."""
    sent_at: array[int] = field(default_factory=lambda: array("q"))
    """When each frame was sent, 0 for those outside a window."""
    heard: bytearray = field(default_factory=bytearray)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one call of the last window is judged by."""

    index: int
    sent: int
    packets: int
    returned: int
    """Frames sent in the window that came back exactly."""
    is_broken: bool
    """It heard another call, was refused or was hung up on."""
    tones: bytes | None
    """What it heard, when it spoke tones."""

    def is_good(self, share: float = GOOD_SHARE) -> bool:
        """Return whether its own audio came back and nobody else's. Reading tones takes milliseconds."""
        if self.is_broken or not self.sent:
            return False
        if self.tones is None:
            return self.returned >= share * self.sent
        return self.packets >= share * self.sent and _reads(self.tones, self.index)


@dataclass(slots=True)
class Window:
    """What was measured while the window was open."""

    round_trips_ns: array[int] = field(default_factory=lambda: array("q"))
    arrivals_ns: array[int] = field(default_factory=lambda: array("q"))
    """When each of the round trips ended."""
    packets_ns: dict[int, list[tuple[int, int]]] = field(default_factory=dict)
    """Of each call: the sequence number of every packet and when the kernel took it in, if that was asked for."""
    lateness_ns: array[int] = field(default_factory=lambda: array("q"))
    """How late the load itself sent."""

    def lateness_p99_ms(self) -> float:
        """Return how late 99 % of the load's own wakes were at most."""
        return percentile(self.lateness_ns, 99) / 1e6


def percentile(values: array[int] | list[float], percent: float) -> float:
    """Return a percentile; 0 for no values."""
    return float(np.percentile(np.asarray(values), percent)) if len(values) else 0.0


class Load:
    """Places calls to one number, speaks on all of them, and checks what comes back.

    State: `start`, then `place`, `measure` and `hang_up` in any order, `close` last. In between the process collects no
    garbage: a full collection would hold every caller's frames for 40 ms, which no telephone does.
    """

    def __init__(
        self,
        target: tuple[str, int],
        number: str,
        *,
        speaks_tones: bool = False,
        on_packet: PacketHook | None = None,
        notes_arrivals: bool = False,
    ) -> None:
        self.callers: list[Caller] = []
        self.window = Window()
        self._target = target
        self._number = number
        self._speaks_tones = speaks_tones
        self._on_packet = on_packet
        self._notes_arrivals = notes_arrivals
        self._by_invite: dict[InviteId, Caller] = {}
        self._by_descriptor: dict[int, Caller] = {}
        self._phases: list[list[Caller]] = [[] for _ in range(PHASES)]
        # The same phases in every run.
        self._draw = random.Random(1)
        self._epoll = select.epoll()
        self._sip = SipDriver(
            SipSettings(udp_listeners=((HOST, 0),), tcp_listeners=()),
            on_event=self._handle,
            is_trusted=lambda _host: True,
        )
        self._pacing: asyncio.TimerHandle | None = None
        self._slot = 0
        self._origin = 0
        self._counts_sent = False
        self._counts_returned = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def start(self) -> None:
        """Open the SIP socket and start to pace."""
        gc.collect()
        gc.freeze()
        gc.disable()
        await self._sip.start()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._epoll.fileno(), self._receive)
        self._origin = clock.now() + FRAME_NS
        self._wait_for_slot()

    async def place(self, count: int, per_second: float, *, hold_s: float = 0.0) -> list[Caller]:
        """Place `count` further calls at a steady rate and return them when each is answered or refused.

        With `hold_s` each hangs up so long after its answer.
        """
        loop = asyncio.get_running_loop()
        began = loop.time()
        placed = []
        for offset in range(count):
            await asyncio.sleep(max(0.0, began + offset / per_second - loop.time()))
            placed.append(self._place_one(len(self.callers), hold_s))
        await until(lambda: all(caller.answered or caller.refused_status for caller in placed), _ANSWER_LIMIT_S)
        return placed

    def open_window(self) -> Window:
        """Start to count and return what counts will be in."""
        self.window = Window()
        for caller in self.callers:
            caller.sent = caller.returned = caller.altered = caller.foreign = caller.packets = 0
            # Not emptied: the evidence of the window before has it.
            caller.heard = bytearray()
        self._counts_sent = self._counts_returned = True
        return self.window

    async def close_window(self) -> None:
        """Stop to count what is sent, wait for what is on its way, and stop to count that."""
        self._counts_sent = False
        await asyncio.sleep(_TAIL_S)
        self._counts_returned = False

    async def measure(self, seconds: float) -> Window:
        """Count for so long and return the result."""
        window = self.open_window()
        await asyncio.sleep(seconds)
        await self.close_window()
        return window

    async def hang_up(self, per_second: float = 100.0) -> None:
        """End every call and return when all are over.

        Raises:
            TimeoutError: a call did not end within 15 s.
        """
        for invite_id, caller in list(self._by_invite.items()):
            if not caller.is_over:
                self._sip.hangup(invite_id)
                await asyncio.sleep(1 / per_second)
        async with asyncio.timeout(15):
            await self._idle.wait()

    async def close(self) -> None:
        """Free the sockets."""
        gc.unfreeze()
        gc.enable()
        if self._pacing is not None:
            self._pacing.cancel()
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()
        await self._sip.close()
        for caller in self.callers:
            caller.sock.close()

    def good_calls(self, share: float = GOOD_SHARE) -> int:
        """Return how many calls of the last window had their own audio back, and nobody else's."""
        return sum(each.is_good(share) for each in self.evidence())

    def evidence(self) -> tuple[Evidence, ...]:
        """Return what each call of the last window is judged by, which may be done later: the load goes on."""
        return tuple(
            Evidence(
                index=caller.index,
                sent=caller.sent,
                packets=caller.packets,
                returned=caller.returned,
                is_broken=bool(caller.foreign or caller.was_hung_up or caller.refused_status),
                tones=bytes(caller.heard) if caller.tones else None,
            )
            for caller in self.callers
        )

    def worst_share(self) -> float:
        """Return the smallest share of returned frames of any call."""
        return min((caller.returned / caller.sent if caller.sent else 0.0 for caller in self.callers), default=0.0)

    # -- signalling ----------------------------------------------------------------------------------------------

    def _place_one(self, index: int, hold_s: float) -> Caller:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.bind((HOST, 0))
        if self._notes_arrivals:
            sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        local = LocalAudio(HOST, sock.getsockname()[1], codecs=("PCMU",))
        state, offer = make_offer(SdpState(session_id=str(1000 + index)), local)
        phase = self._draw.randrange(PHASES)
        caller = Caller(index, sock, phase, state, local, call_name(index))
        if self._speaks_tones:
            spoken = PCMU.encode(encode_number(index).tobytes())
            caller.tones = tuple(spoken[at : at + FRAME_BYTES] for at in range(0, len(spoken), FRAME_BYTES))
        self.callers.append(caller)
        self._by_descriptor[sock.fileno()] = caller
        self._epoll.register(sock.fileno(), select.EPOLLIN)
        listener = self._sip.listeners[0]
        uri = f"sip:{self._number}@{self._target[0]}:{self._target[1]}"
        outbound = OutboundInvite(
            request_uri=uri,
            from_=name_addr(f"sip:load{index}@{listener.advertised_host}:{listener.advertised_port}"),
            to=name_addr(uri),
            targets=(Target(Transport.UDP, *self._target),),
            sdp=offer.to_bytes(),
            contact_user=f"load{index}",
        )
        caller.invited = clock.now()
        invite_id = self._sip.invite(outbound)
        self._by_invite[invite_id] = caller
        self._idle.clear()
        if hold_s:
            asyncio.get_running_loop().call_later(hold_s, self._sip.hangup, invite_id)
        return caller

    def _handle(self, event: InviteEvent) -> None:
        caller = self._by_invite.get(event.invite_id)
        if caller is None:
            return
        if isinstance(event, Answered) and event.sdp is not None:
            caller.answered = clock.now()
            remote = apply_answer(caller.state, caller.local, parse_sdp(event.sdp)).remote_address
            if remote is not None:
                caller.sock.connect(remote)
                self._phases[caller.phase].append(caller)
        elif isinstance(event, Refused):
            caller.refused_status = event.status
        elif isinstance(event, HungUp):
            caller.was_hung_up = True
            self._silence(caller)
        elif isinstance(event, InviteEnded):
            caller.is_over = True
            self._silence(caller)
            del self._by_invite[event.invite_id]
            if not self._by_invite:
                self._idle.set()

    def _silence(self, caller: Caller) -> None:
        if caller in self._phases[caller.phase]:
            self._phases[caller.phase].remove(caller)

    # -- audio ---------------------------------------------------------------------------------------------------

    def _wait_for_slot(self) -> None:
        due = self._origin + self._slot * _PHASE_NS
        self._pacing = asyncio.get_running_loop().call_later(max(0, due - clock.now()) / 1e9, self._speak)

    def _speak(self) -> None:
        now = clock.now()
        is_counted = self._counts_sent
        while (due := self._origin + self._slot * _PHASE_NS) <= now + _EARLY_NS:
            if is_counted:
                self.window.lateness_ns.append(max(now - due, 0))
            for caller in self._phases[self._slot % PHASES]:
                self._send(caller, is_counted)
            self._slot += 1
        self._wait_for_slot()

    def _send(self, caller: Caller, is_counted: bool) -> None:
        number = caller.number
        caller.number = number + 1
        header = _HEADER.pack(0x80, 0 if number else 0x80, number & 0xFFFF, number * FRAME_BYTES, caller.index + 1)
        frame = caller.tones[number % len(caller.tones)] if caller.tones else frame_of(caller.name, number)
        caller.sent_at.append(clock.now() if is_counted else 0)
        caller.sent += is_counted
        try:
            caller.sock.send(header + frame)
        except OSError:
            # The far port is closed already: its BYE is on the way.
            return

    def _receive(self) -> None:
        for descriptor, _ in self._epoll.poll(0, _SOCKETS_PER_WAKE):
            caller = self._by_descriptor[descriptor]
            try:
                packet = self._read_noting(caller) if self._notes_arrivals else caller.sock.recv(2_048)
            except OSError:
                continue
            if self._counts_returned:
                self._take(caller, packet[12:], clock.now())

    def _read_noting(self, caller: Caller) -> bytes:
        """Return a packet and note when the kernel took it in: how late this process is to read it does not matter."""
        packet, ancillary, _, _ = caller.sock.recvmsg(2_048, 64)
        if self._counts_returned and ancillary and len(packet) >= _HEADER.size:
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2])
            arrived = seconds * 1_000_000_000 + nanoseconds
            self.window.packets_ns.setdefault(caller.index, []).append((_HEADER.unpack_from(packet)[2], arrived))
        return packet

    def _take(self, caller: Caller, audio: bytes, now: int) -> None:
        caller.packets += 1
        if self._on_packet is not None:
            self._on_packet(caller, audio, now)
        elif caller.tones:
            caller.heard += audio
            if len(caller.heard) > 2 * _KEPT_BYTES:
                del caller.heard[:-_KEPT_BYTES]
        elif audio != _SILENT:
            self._match(caller, audio, now)

    def _match(self, caller: Caller, audio: bytes, now: int) -> None:
        named = read_frame(audio)
        if named is None:
            caller.altered += 1
            return
        call, number = named
        if call != caller.index:
            caller.foreign += 1
            return
        if number < len(caller.sent_at) and caller.sent_at[number]:
            round_trip_ns = now - caller.sent_at[number]
            # A frame that comes back twice counts once.
            caller.sent_at[number] = 0
            caller.returned += 1
            caller.round_trip_ns = round_trip_ns
            self.window.round_trips_ns.append(round_trip_ns)
            self.window.arrivals_ns.append(now)


def _reads(ulaw: bytes, number: int) -> bool:
    """Return whether `number` is spoken again and again in what was heard, and no other."""
    heard: Samples = np.frombuffer(PCMU.decode(ulaw), dtype=np.int16)
    period = len(encode_number(number))
    # Two periods hold one whole number wherever they begin.
    read = [decode_number(heard[at : at + 2 * period]) for at in range(0, len(heard) - 2 * period + 1, period)]
    return {number, None}.issuperset(read) and read.count(number) >= max(GOOD_NUMBERS * len(read), 1)
