"""The receive side of a leg: packets in, an unbroken row of 20 ms frames out.

In-order audio is given out at once. What is missing is waited for within the reorder window, then made up, so that
every 20 ms of time gives exactly one frame, also through silence, loss, a new SSRC and odd packet lengths.

The grid: `_front` is the instant at which the next frame is nominally due. Each frame given out moves it 20 ms on.
A frame that is not there one window after its instant is made up. Frames that keep coming earlier or later than the
grid (a sender's clock runs fast or slow, the path got shorter or longer) cause one frame to be skipped or inserted, so
neither delay nor the stream's clock drifts by more than 20 ms.

Audio is in the leg's law throughout; another negotiated law is translated byte by byte.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from ringback.machine import MS, SECOND, Instant
from ringback.media.codecs.comfort_noise import PAYLOAD_TYPE as COMFORT_NOISE_TYPE
from ringback.media.codecs.comfort_noise import ComfortNoise, noise_level
from ringback.media.codecs.concealment import Concealer, shortened
from ringback.media.codecs.g711 import FRAME_SAMPLES, Law
from ringback.media.rtp.jitter import HELD_MAX, Order, ReorderWindow
from ringback.media.rtp.packet import (
    HEADER,
    TIMESTAMP_MASK,
    RtpPacket,
    parse_rtp,
    sequence_distance,
    timestamp_distance,
)

FRAME_NS = 20 * MS
_SAMPLE_NS = SECOND // 8000
_PLAIN_BYTES = 12 + FRAME_SAMPLES

_JUMP_SAMPLES = 3200
"""A larger step of the timestamp (400 ms) is a new time base, not a gap to fill."""
_LATE_RUN_MAX = 10
"""So many late packets in sequence are a time base that went back."""
_IDLE_FRAMES = 10
"""After so many made-up frames in a row (200 ms) the sender counts as silent and the grid as free."""
_DRIFT_WINDOW = 50
"""Frames over which earliness and lateness are judged (1 s)."""
_DRIFT_NS = 25 * MS
_AHEAD_MAX_NS = 200 * MS
"""Frames further ahead of the grid than this are a flood and dropped."""
_AHEAD_AFTER_GAP_NS = 40 * MS
"""The same in the first second after a gap that was filled: what the path held back comes at once, is old, and would
stay in the queue of an agent that answers frame by frame."""
_FILL_PER_TICK = 2
_FAR_NS = 10 * SECOND
_RESYNC_NS = 400 * MS
"""A grid further behind than this (the process was stopped) is moved to now; the lost time is not made up."""
_WINDOW_CALM_NS = 5 * SECOND
_WINDOW_STEP_NS = 10 * MS
_HISTORY_FRAMES = 3

_NO_TIMESTAMP = -1


class Receiver:
    """One leg's receive state; gives frames of 160 law bytes to `emit`, in order.

    State: `packet` for each datagram of the locked source, `tick` once per slot when `now >= deadline`.
    """

    __slots__ = (
        "_ahead_max",
        "_calm_since",
        "_concealer",
        "_drift_left",
        "_emit",
        "_fast_ts",
        "_front",
        "_had_loss",
        "_history",
        "_is_flowing",
        "_is_warming",
        "_jitter_16",
        "_late_run",
        "_law",
        "_least_late",
        "_lost_before",
        "_made_up_run",
        "_merge",
        "_next_ts",
        "_noise",
        "_noise_level",
        "_order",
        "_pending",
        "_phase",
        "_plain_type",
        "_ssrc",
        "_transit",
        "_types",
        "_wait",
        "_window",
        "_window_max",
        "_window_min",
        "concealed_samples",
        "deadline",
        "duplicates",
        "flooded",
        "hold_fill",
        "inserted_frames",
        "late",
        "received",
        "restarts",
        "skipped_frames",
        "unusable",
    )

    def __init__(
        self, now: Instant, law: Law, emit: Callable[[bytes], None], *, window_ms: int, window_max_ms: int
    ) -> None:
        self.received = 0
        """Well-formed packets of the locked source."""
        self.late = 0
        self.duplicates = 0
        self.unusable = 0
        """Packets of an unknown payload type, or strays."""
        self.flooded = 0
        """Packets dropped because they came much faster than real time, or waited too long in our socket."""
        self.concealed_samples = 0
        self.skipped_frames = 0
        self.inserted_frames = 0
        self.restarts = 0
        """New SSRCs and restarted sequences after the first."""
        self.deadline = Instant(now + FRAME_NS)
        """When `tick` has something to make up."""
        self.hold_fill = False
        """Set when a key is pressed, until audio comes again: missing audio is silence, not an extended vowel."""
        self._emit = emit
        self._law = law
        self._types: dict[int, bytes | None] = {}
        self._plain_type = -1
        self._ssrc = -1
        self._order = ReorderWindow(0)
        self._lost_before = 0
        self._next_ts = 0
        self._fast_ts = _NO_TIMESTAMP
        self._pending = b""
        self._ahead_max = _AHEAD_MAX_NS
        self._front = now + FRAME_NS
        self._is_flowing = False
        self._made_up_run = 0
        self._late_run = 0
        self._window = self._window_min = window_ms * MS
        self._window_max = window_max_ms * MS
        self._calm_since = int(now)
        self._transit = 0
        self._jitter_16 = 0
        self._drift_left = _DRIFT_WINDOW
        self._is_warming = True
        self._least_late = _FAR_NS
        self._phase = 0
        self._wait = 0
        self._merge = b""
        self._had_loss = False
        self._history: deque[bytes] = deque(maxlen=_HISTORY_FRAMES)
        self._concealer = Concealer()
        self._noise = ComfortNoise()
        self._noise_level = 127

    @property
    def lost(self) -> int:
        """Return how many packets never came."""
        return self._lost_before + self._order.lost

    @property
    def jitter_us(self) -> int:
        """Return the interarrival jitter (RFC 3550 §6.4.1)."""
        return (self._jitter_16 >> 4) * 125

    @property
    def window_ms(self) -> int:
        """Return how long a missing packet is waited for now."""
        return self._window // MS

    def set_types(self, law: Law, types: Mapping[int, Law]) -> None:
        """Apply a negotiation: the leg's law, and the law of each payload type the peer may send."""
        if law is not self._law:
            self._history = deque((frame.translate(law.from_other) for frame in self._history), _HISTORY_FRAMES)
            self._pending = self._pending.translate(law.from_other)
            self._merge = self._merge.translate(law.from_other)
            self._law = law
        self._types = {number: None if theirs is law else law.from_other for number, theirs in types.items()}
        self._plain_type = next((number for number, theirs in types.items() if theirs is law), -1)

    def accepts(self, payload_type: int) -> bool:
        """Return whether audio of this payload type is expected."""
        return payload_type in self._types or payload_type == COMFORT_NOISE_TYPE

    def packet(self, now: Instant, data: bytes) -> None:
        """Take one datagram of the locked source, 12 bytes or more; whatever is wrong with it is only counted."""
        first, second, sequence, timestamp, ssrc = HEADER.unpack_from(data)
        order = self._order
        if not (
            timestamp == self._fast_ts
            and sequence == order.expected
            and ssrc == self._ssrc
            and second == self._plain_type
            and len(data) == _PLAIN_BYTES
            and first == 0x80
        ):
            packet = parse_rtp(data)
            if packet is None:
                self.unusable += 1
            else:
                self.odd_packet(now, packet)
            return
        # The usual packet, in order, 20 ms: measured in benchmarks/media_session.py.
        self.received += 1
        order.expected = (sequence + 1) & 0xFFFF
        self._fast_ts = self._next_ts = (timestamp + FRAME_SAMPLES) & TIMESTAMP_MASK
        transit = now // _SAMPLE_NS - timestamp
        step = transit - self._transit
        self._transit = transit
        self._jitter_16 += (step if step >= 0 else -step) - ((self._jitter_16 + 8) >> 4)
        late = now - self._front
        if late < self._least_late:
            self._least_late = late
        self._drift_left -= 1
        if self._drift_left <= 0 or late < -self._ahead_max:
            self._give(now, data[12:])
            return
        self._front = front = self._front + FRAME_NS
        self.deadline = Instant(front + self._wait)
        frame = data[12:]
        self._history.append(frame)
        # Taken out first: a call through a slot is slower (CPython 3.11).
        emit = self._emit
        emit(frame)

    def discard(self, data: bytes) -> None:
        """Take a datagram of the locked source that is too old to be heard: only its place in the sequence counts."""
        packet = parse_rtp(data)
        if packet is None or packet.ssrc != self._ssrc:
            self.unusable += 1
            return
        self.received += 1
        self.flooded += 1
        if sequence_distance(packet.sequence, self._order.expected) >= 0:
            self._order.pass_over(packet.sequence)
        # The time base starts anew with the next packet.
        self._is_flowing = False
        self._fast_ts = _NO_TIMESTAMP

    def odd_packet(self, now: Instant, packet: RtpPacket, *, is_audio: bool = True) -> None:
        """Take a parsed packet; with `is_audio` false (a telephone event) only its place in the sequence counts."""
        if is_audio and not self.accepts(packet.payload_type):
            self.unusable += 1
            return
        self.received += 1
        if packet.ssrc != self._ssrc:
            self._restart(packet)
            self._process(now, packet, is_audio=is_audio, is_restart=True)
            return
        match self._order.classify(packet):
            case Order.NEXT:
                self._measure(now, packet)
                self._process(now, packet, is_audio=is_audio, is_restart=False)
                self._drain(now)
            case Order.HELD:
                self._fast_ts = _NO_TIMESTAMP
                self._measure(now, packet)
                if not is_audio:
                    self._order.held[packet.sequence] = _without_audio(packet)
                if len(self._order.held) > HELD_MAX:
                    self._give_up(now)
            case Order.LATE:
                self.late += 1
                self._widen(now, packet)
            case Order.DUPLICATE:
                self.duplicates += 1
            case Order.RESTART:
                self.restarts += 1
                self._process(now, packet, is_audio=is_audio, is_restart=True)
            case Order.STRAY:
                self.unusable += 1

    def tick(self, now: Instant, *, has_stalled: bool = False) -> None:
        """Make up what is overdue: held packets are released first, then at most two frames are filled in.

        `has_stalled`: our own process missed slots, so packets may wait in the socket: nothing is made up yet.
        """
        if now < self.deadline or (has_stalled and self._is_flowing):
            return
        self._resync(now)
        if self._order.held:
            self._give_up(now)
        for _ in range(_FILL_PER_TICK):
            if now >= self.deadline:
                self._fill_frame()

    # -- sequence ------------------------------------------------------------------------------------------------

    def _restart(self, packet: RtpPacket) -> None:
        if self._ssrc >= 0:
            self.restarts += 1
        self._ssrc = packet.ssrc
        self._fast_ts = _NO_TIMESTAMP
        self._lost_before += self._order.lost
        self._order = ReorderWindow((packet.sequence + 1) & 0xFFFF)

    def _drain(self, now: Instant) -> None:
        while self._order.held:
            packet = self._order.pop_next()
            if packet is None:
                return
            self._process(now, packet, is_audio=packet.payload_type >= 0, is_restart=False)
        self._settle()

    def _give_up(self, now: Instant) -> None:
        if self._order.give_up():
            self._had_loss = True
        self._drain(now)

    def _widen(self, now: Instant, packet: RtpPacket) -> None:
        """Wait longer in future: this packet missed its place by less than the window's bound."""
        nominal = self._front - timestamp_distance(self._next_ts, packet.timestamp) * _SAMPLE_NS
        needed = now - nominal + FRAME_NS
        if self._window < needed <= self._window_max + FRAME_NS:
            self._window = min(needed, self._window_max)
            self._wait = self._phase + self._window
        self._calm_since = now

    def _measure(self, now: Instant, packet: RtpPacket) -> None:
        transit = now // _SAMPLE_NS - packet.timestamp
        step = abs(transit - self._transit)
        self._transit = transit
        if step < _JUMP_SAMPLES * 10:
            self._jitter_16 += step - ((self._jitter_16 + 8) >> 4)

    # -- timeline ------------------------------------------------------------------------------------------------

    def _process(self, now: Instant, packet: RtpPacket, *, is_audio: bool, is_restart: bool) -> None:
        if not is_audio:
            return
        if packet.payload_type == COMFORT_NOISE_TYPE and COMFORT_NOISE_TYPE not in self._types:
            self._noise_level = noise_level(packet.payload)
            return
        if packet.payload_type not in self._types:
            # Held before a renegotiation that dropped its type.
            self.unusable += 1
            return
        audio = packet.payload
        table = self._types[packet.payload_type]
        if table is not None:
            audio = audio.translate(table)
        if is_restart or not self._is_flowing:
            self._anchor(now, packet.timestamp)
            self._transit = now // _SAMPLE_NS - packet.timestamp
        gap = timestamp_distance(packet.timestamp, self._next_ts)
        if abs(gap) > _JUMP_SAMPLES:
            self._anchor(now, packet.timestamp)
        elif gap > 0:
            # A gap in time without a gap in sequence is a sender that was silent on purpose.
            self._fill(now, gap, is_loss=self._had_loss)
        elif gap < 0:
            if -gap < len(audio):
                audio = audio[-gap:]
            elif self._late_run < _LATE_RUN_MAX:
                self._drop_late(now, packet)
                return
            else:
                self._anchor(now, packet.timestamp)
        self._had_loss = False
        self._late_run = 0
        self._made_up_run = 0
        self._noise_level = 127
        self.hold_fill = False
        if not audio:
            return
        if self._concealer.is_active:
            audio = self._law.encode(self._concealer.recover(self._law.decode(audio)))
        self._next_ts = (packet.timestamp + len(packet.payload)) & TIMESTAMP_MASK
        self._append(now, audio)
        self._settle()

    def _drop_late(self, now: Instant, packet: RtpPacket) -> None:
        self.late += 1
        self._late_run += 1
        self._widen(now, packet)

    def _resync(self, now: Instant) -> None:
        if now - self._front > _RESYNC_NS:
            self._front = now - FRAME_NS
            self._is_flowing = False
            self._wait = 0
            self.deadline = Instant(self._front)

    def _anchor(self, now: Instant, timestamp: int) -> None:
        """Start a time base: the next sample is `timestamp`, and the grid is brought up to `now`."""
        self._resync(now)
        if self._pending:
            self._append(now, self._make_up(FRAME_SAMPLES - len(self._pending), is_loss=True))
        while now - self._front >= FRAME_NS:
            self._fill_frame()
        if self._made_up_run >= _IDLE_FRAMES:
            self._ahead_max = _AHEAD_AFTER_GAP_NS
        self._is_flowing = True
        self._is_warming = True
        self._drift_left = _DRIFT_WINDOW
        self._least_late = _FAR_NS
        self._phase = now - self._front
        self._wait = self._phase + self._window
        self._next_ts = timestamp
        self._late_run = 0
        self._made_up_run = 0

    def _settle(self) -> None:
        """Allow the quick path again if nothing unusual is going on."""
        plain = not self._pending and not self._order.held and not self._concealer.is_active and not self._merge
        self._fast_ts = self._next_ts if plain else _NO_TIMESTAMP

    def _append(self, now: Instant, audio: bytes) -> None:
        pending = self._pending + audio if self._pending else audio
        at = 0
        end = len(pending) - FRAME_SAMPLES
        while at <= end:
            self._give(now, pending[at : at + FRAME_SAMPLES])
            at += FRAME_SAMPLES
        self._pending = pending[at:]

    def _give(self, now: Instant, frame: bytes) -> None:
        """Give out one frame of real audio, with the grid kept: skipped, doubled or dropped if need be."""
        late = now - self._front
        if late < -self._ahead_max:
            self.flooded += 1
            return
        if late < self._least_late:
            self._least_late = late
        self._drift_left -= 1
        correction = self._judge_drift(now) if self._drift_left <= 0 else 0
        if self._merge:
            frame = self._law.encode(shortened(self._law.decode(self._merge + frame), FRAME_SAMPLES))
            self._merge = b""
        elif correction < 0:
            # Skipped by merging it into the next frame, so that no speech is cut with a click.
            self.skipped_frames += 1
            self._merge = frame
            self._fast_ts = _NO_TIMESTAMP
            return
        elif correction > 0:
            self.inserted_frames += 1
            self._concealer.begin(self._past())
            self._put(self._law.encode(self._concealer.make(FRAME_SAMPLES)))
            frame = self._law.encode(self._concealer.recover(self._law.decode(frame)))
        self._put(frame)

    def _put(self, frame: bytes) -> None:
        self._history.append(frame)
        self._front += FRAME_NS
        self.deadline = Instant(self._front + self._wait)
        self._emit(frame)

    def _judge_drift(self, now: Instant) -> int:
        """Compare the last second with the grid; returns -1 to skip a frame, 1 to insert one, else 0."""
        least_late = self._least_late - self._phase
        self._drift_left = _DRIFT_WINDOW
        self._least_late = _FAR_NS
        if self._window > self._window_min and now - self._calm_since > _WINDOW_CALM_NS:
            self._window = max(self._window - _WINDOW_STEP_NS, self._window_min)
            self._calm_since = now
        if self._is_warming:
            # The first packet of a time base may have been late itself: the earliest of the first second is the base.
            self._is_warming = False
            self._ahead_max = _AHEAD_MAX_NS
            self._phase += min(least_late, 0)
            least_late = 0
        self._wait = self._phase + self._window
        return -1 if least_late < -_DRIFT_NS else 1 if least_late > _DRIFT_NS else 0

    # -- what is missing -----------------------------------------------------------------------------------------

    def _past(self) -> bytes:
        return self._law.decode(b"".join(self._history))

    def _make_up(self, count: int, *, is_loss: bool) -> bytes:
        """Return `count` samples in place of missing ones: an echo of the past, noise, or silence."""
        if self.hold_fill:
            return self._law.silence[:1] * count
        if not is_loss and not self._concealer.is_active:
            if self._noise_level == 127:
                return self._law.silence[:1] * count
            return self._law.encode(self._noise.take(count, self._noise_level))
        if not self._concealer.is_active:
            self._concealer.begin(self._past())
        self.concealed_samples += count
        return self._law.encode(self._concealer.make(count))

    def _fill(self, now: Instant, count: int, *, is_loss: bool) -> None:
        """Fill a known gap of `count` samples, at most 400 ms."""
        self._append(now, self._make_up(count, is_loss=is_loss))
        self._next_ts = (self._next_ts + count) & TIMESTAMP_MASK

    def _fill_frame(self) -> None:
        """Give out one frame in place of one that did not come."""
        missing = FRAME_SAMPLES - len(self._pending)
        is_loss = self._is_flowing and self._noise_level == 127
        made_up = self._pending + self._make_up(missing, is_loss=is_loss)
        self._pending = b""
        self._next_ts = (self._next_ts + missing) & TIMESTAMP_MASK
        self._fast_ts = _NO_TIMESTAMP
        self._made_up_run += 1
        if self._is_flowing and self._made_up_run >= _IDLE_FRAMES:
            self._is_flowing = False
            self._wait = 0
            self._concealer.is_active = False
            self._merge = b""
        self._put(self._law.silence if made_up == self._law.silence else made_up)


def _without_audio(packet: RtpPacket) -> RtpPacket:
    return RtpPacket(-1, packet.sequence, packet.timestamp, packet.ssrc, b"")
