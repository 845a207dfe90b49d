"""The audio of a phone: one RTP socket per call, one pacer for all calls of a phone, what was sent and heard.

The only asyncio code that touches `media.session` on the phone's side.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import numpy as np

from ringback import clock, ids
from ringback.errors import MediaError
from ringback.ids import PlayId, SessionId
from ringback.machine import MS, Instant
from ringback.media.control.commands import SetRemote
from ringback.media.control.events import AnySessionEvent
from ringback.media.control.values import SessionEnd
from ringback.media.recorder import RecorderOver
from ringback.media.session import AgentStopped, Datagram, MediaSession
from ringback.media.settings import MediaSettings
from ringback.phones.arrivals import mark_arrivals, receive
from ringback.phones.checks import RATE_HZ, Take
from ringback.phones.tones import Samples

FRAME_MS = 20
_RECORD_MAX_BYTES = 2 * RATE_HZ * 3_600
_PORT_TRIES = 200
_WAITED_NS = 5 * MS
"""A packet that has waited longer in the socket came while this process stood still: more of them wait behind it."""
_PAUSE_NS = 60 * MS
"""Packets further apart have been sent late: a far side that has audio sends it without a pause."""


class Pacer:
    """Ticks every 20 ms on a fixed grid while there is anything to tick.

    `lateness_ms` lists how late recent ticks were: a phone that is late itself measures nothing.
    """

    def __init__(self) -> None:
        self._phones: list[PhoneAudio] = []
        self._origin = Instant(0)
        self._slot = 0
        self._handle: asyncio.TimerHandle | None = None
        self.worst_lateness_ms = 0.0
        self.late_ticks = 0
        self.ticks = 0
        self.missed_ms = 0
        """For how long nothing was sent, all in all, because nobody ticked."""
        self.pauses_ns = 0
        """For how long nothing came, all in all, from far sides that send without a pause."""

    @property
    def is_ticking(self) -> bool:
        """Return whether any call has audio."""
        return self._handle is not None

    @property
    def stood_still_ms(self) -> int:
        """Return for how long calls were without audio in either direction, added up."""
        return self.missed_ms + self.pauses_ns // MS

    def join(self, audio: PhoneAudio) -> None:
        """Tick `audio` from the next slot on."""
        self._phones.append(audio)
        if self._handle is None:
            self._origin, self._slot = clock.now(), 0
            self._arm()

    def leave(self, audio: PhoneAudio) -> None:
        """Stop ticking `audio`."""
        with contextlib.suppress(ValueError):
            self._phones.remove(audio)
        if not self._phones and self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        wait_ns = self._origin + self._slot * FRAME_MS * MS - clock.now()
        self._handle = asyncio.get_running_loop().call_later(max(wait_ns, 0) / 1e9, self._tick)

    def _tick(self) -> None:
        now = clock.now()
        late_ms = (now - self._origin) / MS - self._slot * FRAME_MS
        self.ticks += 1
        self.late_ticks += late_ms > 5
        self.worst_lateness_ms = max(self.worst_lateness_ms, late_ms)
        is_late = late_ms > _WAITED_NS / MS
        for audio in tuple(self._phones):
            audio.tick(now, is_late=is_late)
        # After a stall the missed slots are skipped; RTP timestamps jump over them.
        due = max(self._slot + 1, int((clock.now() - self._origin) // (FRAME_MS * MS)) + 1)
        self.missed_ms += (due - self._slot - 1) * FRAME_MS
        self._slot = due
        self._arm()


class SampleSource:
    """A `PcmSource` over an array; notes when its first sample was taken."""

    def __init__(self, samples: Samples) -> None:
        self.samples = samples
        self.started: Instant | None = None
        self._bytes = samples.astype("<i2").tobytes()
        self._at = 0

    def take(self, samples: int) -> bytes | None:
        """Return the next samples, `None` at the end."""
        if self._at >= len(self._bytes):
            return None
        if self.started is None:
            self.started = clock.now()
        part = self._bytes[self._at : self._at + 2 * samples]
        self._at += len(part)
        return part


class PhoneAudio:
    """One call's audio both ways.

    State: `open` binds the socket; audio flows from `set_remote` until `close`. `take_heard` is everything that was
    heard so far, at most an hour. Packets count as of the instant at which the kernel took them, so what arrives while
    this process gets no processor is heard like anything else.
    """

    def __init__(self, pacer: Pacer, on_event: Callable[[AnySessionEvent], None]) -> None:
        self.session_id = SessionId(ids.new_token())
        self._pacer = pacer
        self._on_event = on_event
        self._session = MediaSession(MediaSettings(), session_id=self.session_id, now=clock.now(), chance=ids.chance)
        self._session.tap = self._hear
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heard = bytearray()
        self._heard_start: Instant | None = None
        self._hears_at = clock.now()
        self._missed_before_ms = pacer.missed_ms
        self._heard_at: Instant | None = None
        self._pauses_ns = 0
        self._source: SampleSource | None = None
        self._out: list[Datagram] = []

    @property
    def local(self) -> tuple[str, int]:
        """Return the address that RTP is received at."""
        assert self._socket is not None
        host, port = self._socket.getsockname()[:2]
        return str(host), int(port)

    @property
    def stood_still_ms(self) -> int:
        """Return for how long this phone sent nothing though it should, and the far side too, added up.

        Late processes show in it, and so does a call on hold. What a test expects to hear may lack as much.
        """
        return self._pacer.missed_ms - self._missed_before_ms + self._pauses_ns // MS

    async def open(self, host: str) -> None:
        """Bind an even port at `host` (RFC 3550 §11).

        Raises:
            MediaError: no port is free.
        """
        self._loop = asyncio.get_running_loop()
        for bound in _even_sockets(host):
            mark_arrivals(bound)
            self._socket = bound
            self._loop.add_reader(bound, self._receive)
            return
        raise MediaError(f"found no free even UDP port at {host}")

    def set_remote(self, command: SetRemote) -> None:
        """Apply the outcome of an offer and answer; the first call starts the audio."""
        self._session.set_remote(clock.now(), command)
        self._pacer.leave(self)
        self._pacer.join(self)

    def play(self, samples: Samples) -> None:
        """Play samples once, behind what plays already."""
        self._source = SampleSource(samples)
        self._session.start_play(clock.now(), PlayId(ids.new_token()), self._source)
        self._deliver()

    def send_digits(self, digits: str) -> bool:
        """Send digits; `False` if they are unusable."""
        return self._session.send_digits(clock.now(), digits)

    def tick(self, now: Instant, *, is_late: bool = False) -> None:
        """Send this slot's packets; called by the pacer. Before a late slot, what waits in the socket is taken."""
        if is_late:
            self._receive(everything=True)
        self._hears_at = now
        self._session.tick(now, self._out)
        if self._socket is not None:
            for data, target in self._out:
                # Lost like any packet: a full buffer, or the far side's port may open a moment later.
                with contextlib.suppress(OSError):
                    self._socket.sendto(data, target)
        self._out.clear()
        self._deliver()

    def _receive(self, *, everything: bool = False) -> None:
        """Take a packet from the socket; all that are there if they have waited, or if that is wanted."""
        while self._socket is not None:
            try:
                data, source, arrived = receive(self._socket)
            except OSError:
                # Nothing there (any more), or an ICMP error.
                break
            if self._heard_at is not None and arrived - self._heard_at > _PAUSE_NS:
                pause_ns = arrived - self._heard_at - FRAME_MS * MS
                self._pauses_ns += pause_ns
                self._pacer.pauses_ns += pause_ns
            self._hears_at = self._heard_at = arrived
            self._session.receive_packet(arrived, data, source)
            self._deliver()
            if not everything and clock.now() - arrived < _WAITED_NS:
                break

    def take_sent(self) -> Take | None:
        """Return what was played last and when it began."""
        if self._source is None or self._source.started is None:
            return None
        return Take(self._source.samples, self._source.started)

    def take_heard(self) -> Take | None:
        """Return what was heard and when it began."""
        if self._heard_start is None:
            return None
        return Take(np.frombuffer(bytes(self._heard), dtype="<i2").astype(np.int16), self._heard_start)

    def close(self) -> None:
        """Free the socket and stop ticking, once what has arrived is heard; repeatable."""
        self._pacer.leave(self)
        self._receive(everything=True)
        if self._socket is not None and self._loop is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            self._on_event(self._session.closed(clock.now(), SessionEnd.RELEASED))

    def _hear(self, frame: bytes) -> None:
        if self._heard_start is None:
            self._heard_start = self._hears_at
        if len(self._heard) < _RECORD_MAX_BYTES:
            self._heard += frame

    def _deliver(self) -> None:
        while (event := self._session.poll_event()) is not None:
            if not isinstance(event, AgentStopped | RecorderOver):
                self._on_event(event)


def _even_sockets(host: str) -> Iterator[socket.socket]:
    """Yield one bound socket on an even port, if there is any."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for _ in range(_PORT_TRIES):
        bound = socket.socket(family, socket.SOCK_DGRAM)
        bound.setblocking(False)
        bound.bind((host, 0))
        if bound.getsockname()[1] % 2 == 0:
            yield bound
            return
        bound.close()
