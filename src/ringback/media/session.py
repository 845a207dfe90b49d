"""One leg's audio in both directions, without socket, loop or clock.

How the owner (worker, phone) drives it:

1. `session = MediaSession(settings, session_id=..., now=..., chance=...)`, bind a socket.
2. `session.set_remote(now, command)` after each offer/answer exchange.
3. Every datagram: `session.receive_packet(now, data, source)`, or a batch: `session.receive(now, datagrams)`.
4. Once per 20 ms slot, on a fixed grid: `session.tick(now, out)`, then send what was appended to `out`. Skipped slots
   need no make-up calls: the RTP clock jumps over them.
5. After 3 and 4, and after every command: `while (event := session.poll_event())`, and send the outboxes of attached
   streams (`StreamSession.outbox`).

Example:
    >>> from ringback.ids import SessionId
    >>> from ringback.machine import Instant
    >>> session = MediaSession(MediaSettings(), session_id=SessionId("s"), now=Instant(0), chance=lambda: 0.5)
    >>> out: list[Datagram] = []
    >>> session.tick(Instant(20_000_000), out)   # no remote yet: nothing to send
    >>> out
    []
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ringback.ids import PlayId, SessionId, StreamId
from ringback.machine import MS, Instant
from ringback.media.checkpoint import Checkpoints
from ringback.media.codecs.convert import unit_bytes
from ringback.media.codecs.g711 import PCMU, Law, law_named
from ringback.media.codecs.l16 import to_stream
from ringback.media.control.commands import SetRemote
from ringback.media.control.events import (
    AnySessionEvent,
    DigitReceived,
    DigitsSent,
    MediaStarted,
    MediaTimedOut,
    PlayFinished,
    PlayStarted,
    SessionClosed,
    SessionStats,
    StreamCheckpointPlayed,
    StreamCleared,
    StreamDegraded,
    StreamFaulted,
    StreamFirstAudio,
)
from ringback.media.control.values import (
    Address,
    AudioFormat,
    MediaDirection,
    PlayEnd,
    PlayLane,
    RecordingEnd,
    SessionEnd,
)
from ringback.media.degraded import DegradedLevels
from ringback.media.digit_merger import DigitMerger, DigitSource
from ringback.media.digits import SentDigits
from ringback.media.errors import NoCommonCodec as NoCommonCodec  # part of this module's interface
from ringback.media.errors import RemoteRefused as RemoteRefused
from ringback.media.figures import quality_of, stats_of, totals_of
from ringback.media.hold import HoldSound
from ringback.media.losses import Losses
from ringback.media.mix import mixed
from ringback.media.place import Place
from ringback.media.playback import PcmSource as PcmSource  # part of this module's interface
from ringback.media.playback import Playback, Playbacks
from ringback.media.played import PlayedAudio
from ringback.media.playout import SAMPLES_PER_MS, Playout
from ringback.media.receive import Receiver
from ringback.media.recorder import Recorder, RecorderOver
from ringback.media.rtp.latch import Latch, is_forbidden_target
from ringback.media.rtp.packet import HEADER_BYTES, is_rtcp, parse_rtp
from ringback.media.rtp.sender import RtpSender
from ringback.media.rtp.telephone_event import DIGITS, EventReceiver
from ringback.media.settings import MediaSettings
from ringback.media.stats import Quality
from ringback.media.stream.session import StreamSession
from ringback.media.stream.truth import AudioReport

SocketAddress = tuple[str, int]
"""Numeric host and port, as the socket gives them (cut IPv6 tuples to two)."""
Datagram = tuple[bytes, SocketAddress]
"""A datagram with its source (received) or its destination (to send)."""

FRAME_MS = 20
SAMPLE_RATE_HZ = 8000

_FRAME_NS = FRAME_MS * MS
_STALL_NS = 30 * MS
"""A tick that is later than this against the grid of slots comes after missed ones."""
_STALL_GUARD_SLOTS = 3
"""Slots after a stall in which packets may still wait in the socket, so that nothing is made up for them."""
_BACKLOG_MAX = 20
"""Packets of 20 ms: 400 ms, behind which the receiver's grid is moved instead of filled."""
_BACKLOG_KEPT = 2
_HOUSEKEEPING_SLOTS = 25
_SAME_DIGIT_MS = 200
_EVENTS_MAX = 10_000


class AgentStopped(msgspec.Struct, frozen=True):
    """The agent sent `stop`: the owner of the socket ends the stream as `StreamEnd.AGENT_CLOSED`."""

    stream_id: StreamId


class MediaSession:
    """One leg: RTP in and out, playout of agent audio and files, digits, attached streams."""

    __slots__ = (
        "_agent",
        "_awaits_first_audio",
        "_degraded",
        "_digit_merger",
        "_digits_in",
        "_digits_out",
        "_event_type",
        "_events",
        "_has_received",
        "_has_ticked",
        "_heard_at",
        "_heard_packets",
        "_hold",
        "_inbound",
        "_is_busy",
        "_is_full_second",
        "_is_idle_reported",
        "_latch",
        "_law",
        "_locked",
        "_losses",
        "_malformed",
        "_marks",
        "_may_receive",
        "_outbound",
        "_played",
        "_playout",
        "_plays",
        "_receiver",
        "_recorders",
        "_refused",
        "_room",
        "_rtcp",
        "_sender",
        "_settings",
        "_slot_at",
        "_slots_left",
        "_stall_guard",
        "_streams",
        "on_move",
        "session_id",
        "tap",
    )

    tap: Callable[[bytes], None] | None
    """Called with every received 20 ms frame in order: 320 bytes, 8000 Hz, signed 16-bit little-endian."""
    on_move: Callable[[int], int] | None
    """Called within `tick` when agent audio would wait less, or run dry less, if all later ticks came so many
    nanoseconds later (earlier when negative; up to 15 ms); returns by how many they will."""

    def __init__(
        self, settings: MediaSettings, *, session_id: SessionId, now: Instant, chance: Callable[[], float]
    ) -> None:
        self.tap = None
        self.on_move = None
        self.session_id = session_id
        self._settings = settings
        self._law: Law = PCMU
        self._events: deque[AnySessionEvent | AgentStopped | RecorderOver] = deque()
        # Receiving.
        self._latch = Latch()
        self._locked: SocketAddress | None = None
        self._receiver = Receiver(
            now,
            PCMU,
            self._deliver,
            window_ms=settings.reorder_window_ms,
            window_max_ms=settings.reorder_window_max_ms,
        )
        self._digits_in = EventReceiver()
        self._event_type = -1
        self._digit_merger = DigitMerger(_SAME_DIGIT_MS)
        self._has_received = False
        self._refused = 0
        self._malformed = 0
        self._rtcp = 0
        self._may_receive = True
        self._heard_packets = 0
        self._heard_at = now
        self._is_idle_reported = False
        # Streams.
        self._streams: dict[StreamId, StreamSession] = {}
        self._recorders: tuple[Recorder, ...] = ()
        self._inbound: tuple[StreamSession | Recorder, ...] = ()
        self._outbound: tuple[StreamSession | Recorder, ...] = ()
        self._agent: StreamSession | None = None
        self._awaits_first_audio = False
        self._degraded = DegradedLevels()
        self._hold = HoldSound()
        self._losses = Losses()
        # Sending.
        self._playout = Playout(PCMU, settings.playout_max_ms, self._move_slots)
        self._marks = Checkpoints()
        self._played = PlayedAudio(0, 0, is_audible=False)
        self._plays = Playbacks(settings.plays_max, on_start=self._play_started, on_end=self._play_ended)
        self._digits_out = SentDigits(settings.digits_max)
        self._room: Place | None = None
        self._is_busy = False
        self._sender = RtpSender(int(chance() * 0x1_0000_0000), int(chance() * 0x8000), int(chance() * 0x1_0000_0000))
        self._has_ticked = False
        self._slot_at = -_STALL_NS - 1
        self._stall_guard = 0
        self._is_full_second = False
        self._slots_left = _HOUSEKEEPING_SLOTS

    # -- negotiation ---------------------------------------------------------------------------------------------

    def set_remote(self, now: Instant, command: SetRemote) -> None:
        """Apply a negotiation's outcome; streams, queues and counters carry on. The first call starts sending.

        Raises:
            NoCommonCodec: `command.codec` is neither PCMU nor PCMA at 8000 Hz; nothing changed.
            RemoteRefused: the address is multicast, broadcast, link-local, or its port below 1024; nothing changed.
        """
        law = law_named(command.codec.name)
        if law is None or command.codec.clock_hz != SAMPLE_RATE_HZ:
            raise NoCommonCodec(f"read codec {command.codec.name}/{command.codec.clock_hz}, expected PCMU or PCMA/8000")
        if is_forbidden_target(command.address):
            raise RemoteRefused(f"read address {command.address.host}:{command.address.port}, which is never sent to")
        types = {command.codec.payload_type: law}
        for codec in command.receive_codecs:
            theirs = law_named(codec.name)
            if theirs is not None and codec.clock_hz == SAMPLE_RATE_HZ:
                types[codec.payload_type] = theirs
        if law is not self._law:
            self._law = law
            self._playout.set_law(law)
            for stream in self._streams.values():
                stream.set_law(law)
            for recorder in self._recorders:
                recorder.set_law(law)
            if self._room is not None:
                self._room.set_law(law)
        self._receiver.set_types(law, types)
        self._sender.configure(command.codec.payload_type, command.ptime_ms)
        self._event_type = command.dtmf_payload_type
        self._latch.signal(now, command.address, command.latch, command.signalling_host)
        self._locked = self._latch.locked
        self._sender.aim(self._latch.destination)
        self._sender.allow(command.direction in (MediaDirection.SENDRECV, MediaDirection.SENDONLY))
        self._note_audible()
        self._may_receive = command.direction in (MediaDirection.SENDRECV, MediaDirection.RECVONLY)
        self._heard_at = now

    # -- receiving -----------------------------------------------------------------------------------------------

    def listens_to(self, source: SocketAddress) -> bool:
        """Return whether `source` is the one that is listened to, which a flood from elsewhere must not crowd out."""
        return source == self._locked

    def receive_packet(self, now: Instant, data: bytes, source: SocketAddress) -> None:
        """Take one datagram from the leg's socket; RTCP and rubbish are counted, never raise."""
        if source != self._locked or not self._may_receive or len(data) < HEADER_BYTES:
            self._receive_guarded(now, data, source)
        elif data[1] & 0x7F == self._event_type or 192 <= data[1] <= 223:
            self._receive_special(now, data)
        else:
            self._receiver.packet(now, data)

    def receive(self, now: Instant, datagrams: Iterable[Datagram]) -> None:
        """Take datagrams in arrival order."""
        for data, source in datagrams:
            self.receive_packet(now, data, source)

    def receive_backlog(self, now: Instant, datagrams: Sequence[Datagram]) -> None:
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
                self.receive_packet(now, data, source)

    def _receive_guarded(self, now: Instant, data: bytes, source: SocketAddress) -> None:
        """Take a datagram that is not the locked source's usual traffic."""
        if is_rtcp(data):
            self._rtcp += 1
            return
        packet = parse_rtp(data)
        if packet is None:
            self._malformed += 1
            return
        if source != self._locked:
            payload_type = packet.payload_type
            if payload_type != self._event_type and not self._receiver.accepts(payload_type):
                self._refused += 1
                return
            if self._receiver.received != self._heard_packets:
                self._latch.last_heard = now
            if not self._latch.admit(now, source, packet.ssrc, packet.sequence):
                self._refused += 1
                return
            self._locked = source
            self._sender.aim(source)
            self._note_audible()
        if not self._has_received:
            self._has_received = True
            self._events.append(
                MediaStarted(session_id=self.session_id, remote=Address(host=source[0], port=source[1]))
            )
        # On hold their packets keep the latch, but nothing is heard.
        if self._may_receive:
            self._receive_special(now, data)

    def _receive_special(self, now: Instant, data: bytes) -> None:
        if is_rtcp(data):
            self._rtcp += 1
            return
        packet = parse_rtp(data)
        if packet is None:
            self._malformed += 1
            return
        if packet.payload_type != self._event_type:
            self._receiver.odd_packet(now, packet)
            return
        digit = self._digits_in.take(now, packet.ssrc, packet.timestamp, packet.payload)
        self._receiver.hold_fill = True
        self._receiver.odd_packet(now, packet, is_audio=False)
        if digit is not None:
            self._note_digit(now, DigitSource.RTP, digit)

    def signalled_digit(self, now: Instant, digit: str, duration_ms: int = 0) -> bool:
        """Take a digit that came by SIP INFO; returns whether it is one. One that RTP brings too counts once."""
        digit = digit.upper()
        if len(digit) != 1 or digit not in DIGITS:
            return False
        self._note_digit(now, DigitSource.INFO, digit, duration_ms)
        return True

    def _note_digit(self, now: Instant, source: DigitSource, digit: str, duration_ms: int = 0) -> None:
        if not self._digit_merger.counts(now, source, digit):
            return
        self._emit(DigitReceived(session_id=self.session_id, digit=digit, duration_ms=duration_ms))
        for stream in self._inbound:
            stream.push_digit(digit)
        if self._room is not None:
            self._room.push_digit(digit)

    def _deliver(self, frame: bytes) -> None:
        """Hand one received frame to everyone who listens."""
        for stream in self._inbound:
            stream.push_inbound(frame)
        if self._room is not None:
            self._room.push(frame)
        if self.tap is not None:
            self.tap(to_stream(self._law.decode(frame)))

    # -- the slot ------------------------------------------------------------------------------------------------

    def tick(self, now: Instant, out: list[Datagram]) -> None:
        """Append this slot's packets (0 to 2 of audio, or one telephone event) to `out`; fill the receive grid.

        `now` is best the slot's own instant; real time will do if ticks are less than 30 ms late.
        """
        if now - self._slot_at > _STALL_NS:
            self._jump(now)
        self._slot_at += _FRAME_NS
        if now >= self._receiver.deadline:
            self._receiver.tick(now, has_stalled=self._stall_guard > 0)
        self._slots_left -= 1
        if self._slots_left <= 0 or self._stall_guard:
            self._keep_house(now)
        if self._is_busy:
            self._tick_busy(now, out)
            return
        # The usual slot: measured in benchmarks/media_session.py.
        frame = self._playout.take(now)
        if frame is None:
            frame = self._law.silence
        elif self._awaits_first_audio:
            self._note_first_audio(now)
        self._sender.send_frame(frame, out)
        self._sender.advance()
        for stream in self._outbound:
            stream.push_outbound(frame)
        if self._marks.next_position <= self._playout.position:
            self._acknowledge()

    def _jump(self, now: Instant) -> None:
        """Let the RTP clock run on over slots that were missed, so that the far side's buffer does not grow."""
        if self._has_ticked:
            missed = (now - self._slot_at + _FRAME_NS // 2) // _FRAME_NS
            self._sender.advance(missed)
            self._playout.skip_slot(missed)
            for recorder in self._recorders:
                recorder.skip(missed)
            self._stall_guard = _STALL_GUARD_SLOTS
        self._has_ticked = True
        self._slot_at = int(now)

    def _move_slots(self, by_ns: int) -> int:
        if self.on_move is None:
            return 0
        moved = self.on_move(by_ns)
        self._slot_at += moved
        return moved

    def _tick_busy(self, now: Instant, out: list[Datagram]) -> None:
        """A slot with digits to send, a playback to mix in, or a room to hear."""
        if self._digits_out.is_busy:
            if self._room is not None:
                # What is said meanwhile is not heard later.
                self._room.hear_frame()
            self._playout.skip_slot()
            frame, complete = self._digits_out.send_slot(self._law, self._sender, self._event_type, out)
            if complete:
                self._emit(DigitsSent(session_id=self.session_id, digits=complete))
        else:
            was_alone = self._plays.is_alone
            pcm = self._plays.take()
            if self._plays.is_alone is not was_alone:
                self._note_audible()
            agent = self._playout.take(now)
            if agent is not None and self._awaits_first_audio:
                self._note_first_audio(now)
            if self._hold.is_on:
                pcm = self._hold.under(pcm, is_free=agent is None and self._room is None)
            frame = mixed(self._law, pcm, agent, self._room, is_alone=self._plays.is_alone)
            self._sender.send_frame(frame, out)
        self._sender.advance()
        for stream in self._outbound:
            stream.push_outbound(frame)
        if self._marks.next_position <= self._playout.position:
            self._acknowledge()
        self._note_busy()

    def _note_busy(self) -> None:
        self._is_busy = len(self._plays) > 0 or self._digits_out.is_busy or self._room is not None or self._hold.is_on

    # -- digits out ----------------------------------------------------------------------------------------------

    def send_digits(self, now: Instant, digits: str, tone_ms: int = 100, gap_ms: int = 70) -> bool:
        """Queue telephone events (`0-9*#A-D`, `w` 0.5 s, `W` 1 s); `False` when unusable or too many wait.

        Without negotiated telephone-event they are sent as tones. Agent audio and playbacks stand still meanwhile. The
        outcome is `DigitsSent`.
        """
        if not self._digits_out.queue(digits, tone_ms, gap_ms):
            return False
        self._is_busy = True
        return True

    # -- room ----------------------------------------------------------------------------------------------------

    @property
    def law(self) -> Law:
        """Return the leg's companding law."""
        return self._law

    @property
    def room(self) -> Place | None:
        """Return the session's place in a room, `None` when it is in none."""
        return self._room

    def join_room(self, member: Place | None) -> None:
        """Say what the far party says in a room, and hear that room under agent audio and playbacks; `None` leaves."""
        self._room = member
        if member is not None:
            member.set_law(self._law)
        self._note_busy()

    # -- playbacks -----------------------------------------------------------------------------------------------

    def start_play(
        self,
        now: Instant,
        play_id: PlayId,
        source: PcmSource,
        lane: PlayLane = PlayLane.DOCUMENT,
        *,
        mixes: bool = True,
    ) -> bool:
        """Queue a playback towards the far party; `False` when too many wait.

        Unless it `mixes` with it, agent audio runs on meanwhile as on hold: neither heard nor counted as heard.
        Outcomes: `PlayStarted` when its first sample leaves, `PlayFinished` exactly once.
        """
        if not self._plays.add(play_id, source, lane, mixes=mixes):
            return False
        self._is_busy = True
        return True

    def stop_play(self, now: Instant, play_id: PlayId, reason: PlayEnd = PlayEnd.STOPPED, detail: str = "") -> bool:
        """End a playback at once; `PlayFinished` carries `reason`. `False` when there is none of that id."""
        play = self._plays.remove(play_id)
        if play is None:
            return False
        self._finish_play(play, reason, detail)
        return True

    def hold(self, source: PcmSource | None) -> None:
        """Let the far party hear `source` whenever nothing else is to be heard; `None` ends that."""
        self._hold.play(source)
        self._is_busy = True

    def _play_started(self, play: Playback) -> None:
        self._emit(PlayStarted(session_id=self.session_id, play_id=play.play_id))

    def _play_ended(self, play: Playback) -> None:
        self._finish_play(play, PlayEnd.COMPLETED)

    def _finish_play(self, play: Playback, reason: PlayEnd, detail: str = "") -> None:
        self._emit(
            PlayFinished(
                session_id=self.session_id,
                play_id=play.play_id,
                reason=reason,
                played_ms=play.played_samples // SAMPLES_PER_MS,
                detail=detail,
            )
        )

    # -- streams -------------------------------------------------------------------------------------------------

    def attach(self, now: Instant, stream: StreamSession) -> bool:
        """Join a stream; audio flows once it is open. `False` when too many, or a second bidirectional one."""
        if len(self._streams) >= self._settings.streams_max or stream.stream_id in self._streams:
            return False
        if stream.is_bidirectional:
            if self._agent is not None:
                return False
            self._agent = stream
            self._playout.delay_policy = stream.settings.delay_policy
            self._playout.max_samples = stream.settings.playout_max_ms * SAMPLES_PER_MS
            self._played = PlayedAudio(self._playout.position, self._playout.trimmed_samples, is_audible=False)
            self._note_audible()
            self._awaits_first_audio = True
            self._degraded.bound(self._playout.max_samples)
        self._streams[stream.stream_id] = stream
        stream.join(self, self._law)
        self._sort_streams()
        return True

    def detach(self, now: Instant, stream_id: StreamId) -> None:
        """Part with a stream; a bidirectional one takes its queued audio with it. Unknown ids are ignored."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        if stream is self._agent:
            self._tell_losses(now)
            self._drop_queue()
            stream.played_ms = self._played.played // SAMPLES_PER_MS
            self._agent = None
            self._awaits_first_audio = False
        stream.report_rest(now)
        stream.join(None, self._law)
        self._sort_streams()

    def _sort_streams(self) -> None:
        streams, recorders = self._streams.values(), self._recorders
        self._inbound = (*(stream for stream in streams if stream.has_inbound), *recorders)
        self._outbound = (*(stream for stream in streams if stream.has_outbound), *recorders)

    def attach_recorder(self, recorder: Recorder) -> None:
        """Let a recorder hear the leg until it is over; `poll_event` then gives its `RecorderOver`."""
        recorder.set_law(self._law)
        recorder.is_audible = self._is_heard
        recorder.on_over = self._recorder_over
        self._recorders = (*self._recorders, recorder)
        self._sort_streams()

    def _recorder_over(self, over: RecorderOver) -> None:
        self._recorders = tuple(each for each in self._recorders if not each.is_over)
        self._sort_streams()
        self._events.append(over)

    def _note_audible(self) -> None:
        """Book what was due until now; from now on it is heard or not as the sender may send."""
        self._settle()
        self._played.is_audible = self._sender.is_audible and not self._plays.is_alone
        for recorder in self._recorders:
            recorder.is_audible = self._is_heard

    @property
    def _is_heard(self) -> bool:
        """Return whether what is made reaches someone; a session that has no far party at all is there to be heard."""
        return self._sender.is_audible or self._latch.destination is None

    def _settle(self) -> None:
        self._played.settle(self._playout.position, self._playout.trimmed_samples)

    def _drop_queue(self) -> tuple[int, int]:
        """Drop the play queue and its marks; returns how many samples and marks that was."""
        self._settle()
        dropped, marks = self._playout.clear(), self._marks.clear()
        self._played.clear(dropped, marks)
        return dropped, marks

    def _note_first_audio(self, now: Instant) -> None:
        self._awaits_first_audio = False
        agent = self._agent
        if agent is not None:
            opened_at = agent.opened_at
            after_ms = (now - opened_at) // MS if opened_at is not None else 0
            self._emit(StreamFirstAudio(session_id=self.session_id, stream_id=agent.stream_id, after_open_ms=after_ms))

    def _acknowledge(self) -> None:
        while self._marks.next_position <= self._playout.position:
            self._checkpoint_played(self._marks.pop())

    def _checkpoint_played(self, name: str) -> None:
        agent = self._agent
        if agent is not None:
            self._played.played_checkpoints += 1
            agent.push_played(name)
            self._emit(StreamCheckpointPlayed(session_id=self.session_id, stream_id=agent.stream_id, name=name))

    # -- what a stream asks (StreamPlayer) -----------------------------------------------------------------------

    def queue_audio(self, now: Instant, audio: bytes, format: AudioFormat) -> bool:
        """Queue agent audio; `False` when it does not fit."""
        playout = self._playout
        was_empty = playout.level == 0
        if not playout.queue(now, audio, format):
            self._played.refuse(len(audio) // unit_bytes(format))
            return False
        if was_empty and playout.level and self._played.begins_utterance(playout.silent_slots):
            self._settle()
            self._played.begin_utterance()
        if playout.level >= self._degraded.next_level:
            self._note_degraded()
        return True

    def checkpoint(self, now: Instant, name: str) -> bool:
        """Mark the end of the play queue; one behind nothing is acknowledged at once."""
        if self._playout.level == 0 and not len(self._marks):
            self._checkpoint_played(name)
            return True
        return self._marks.add(self._playout.end_position, name)

    def clear_audio(self, now: Instant) -> None:
        """Drop the play queue and its marks, and acknowledge."""
        dropped, marks = self._drop_queue()
        self._degraded.reset()
        if self._agent is not None:
            self._agent.push_cleared()
            self._emit(
                StreamCleared(
                    session_id=self.session_id,
                    stream_id=self._agent.stream_id,
                    dropped_ms=dropped // SAMPLES_PER_MS,
                    dropped_checkpoints=marks,
                )
            )

    def audio_report(self) -> AudioReport:
        """Return what the far party has heard of the agent's audio, and what it has not."""
        self._settle()
        played = self._played
        return AudioReport(
            played_ms=played.played // SAMPLES_PER_MS,
            utterance_ms=(played.played - played.utterance_start) // SAMPLES_PER_MS,
            dropped_ms=played.dropped // SAMPLES_PER_MS,
            queued_ms=self._playout.level_ms,
            played_checkpoints=played.played_checkpoints,
            dropped_checkpoints=played.dropped_checkpoints,
            queued_checkpoints=len(self._marks),
        )

    def agent_digits(self, now: Instant, digits: str) -> bool:
        """Send digits that an agent asked for; `w` and `W` are not part of that command."""
        return all(digit in DIGITS for digit in digits) and self.send_digits(now, digits)

    def agent_stop(self, now: Instant, stream_id: StreamId) -> None:
        """Report that the agent wants its stream ended."""
        self._events.append(AgentStopped(stream_id))

    def stream_fault(
        self, now: Instant, stream_id: StreamId, reason: str, count: int, detail: str, ms: int = 0
    ) -> None:
        """Report a fault of a stream, or something that was dropped."""
        self._emit(
            StreamFaulted(
                session_id=self.session_id, stream_id=stream_id, reason=reason, count=count, detail=detail, ms=ms
            )
        )

    def _note_degraded(self) -> None:
        """Report the highest threshold of the play queue that was passed."""
        percent = self._degraded.reached(self._playout.level)
        if percent and self._agent is not None:
            self._emit(
                StreamDegraded(
                    session_id=self.session_id,
                    stream_id=self._agent.stream_id,
                    percent=percent,
                    queued_ms=self._playout.level_ms,
                )
            )

    def _tell_losses(self, now: Instant) -> None:
        """Tell each stream what was dropped since the last time; about once a second."""
        losses = self._losses.since(self._playout, self._receiver)
        for stream in self._streams.values():
            if stream.has_inbound:
                stream.note_late_packets(losses.late_packets)
            if stream is self._agent:
                stream.note_agent_losses(now, losses.cut_ms, losses.incomplete_samples)
            stream.report_dropped(now)

    # -- events and figures --------------------------------------------------------------------------------------

    def poll_event(self) -> AnySessionEvent | AgentStopped | RecorderOver | None:
        """Return the next event, or `None`. `seq`, `wall_ms` and `caused_by` are left for the owner to fill in."""
        return self._events.popleft() if self._events else None

    def _emit(self, event: AnySessionEvent) -> None:
        # The owner takes events after each call; a larger backlog means that nobody does.
        if len(self._events) < _EVENTS_MAX:
            self._events.append(event)

    def _keep_house(self, now: Instant) -> None:
        """Twice a second: media idle, re-armed thresholds; once a second: dropped uplink."""
        if self._stall_guard:
            self._stall_guard -= 1
            if self._slots_left > 0:
                return
        self._slots_left = _HOUSEKEEPING_SLOTS
        heard = self._receiver.received
        if heard != self._heard_packets or not self._may_receive:
            self._heard_packets = heard
            self._heard_at = now
            self._latch.last_heard = now
            self._is_idle_reported = False
        elif self._settings.media_idle_ms and not self._is_idle_reported and self._latch.destination is not None:
            idle_ms = (now - self._heard_at) // MS
            if idle_ms >= self._settings.media_idle_ms:
                self._is_idle_reported = True
                self._emit(MediaTimedOut(session_id=self.session_id, idle_ms=idle_ms))
        self._degraded.eased(self._playout.level)
        self._is_full_second = not self._is_full_second
        if self._is_full_second:
            self._tell_losses(now)

    def quality(self) -> Quality:
        """Return every figure of the leg so far."""
        return quality_of(self._receiver, self._sender, self._playout, malformed=self._malformed, refused=self._refused)

    def stats(self) -> SessionStats:
        """Return the quality figures so far."""
        return stats_of(self.session_id, self._receiver, self._sender, self._playout)

    def closed(self, now: Instant, reason: SessionEnd) -> SessionClosed:
        """End playbacks and recordings (which come out of `poll_event`) and return the final event with totals."""
        for recorder in self._recorders:
            recorder.finish(RecordingEnd.CALL_ENDED)
        for play in self._plays.remove_all():
            self._finish_play(play, PlayEnd.STOPPED)
        return totals_of(
            self.session_id,
            reason,
            self._receiver,
            self._sender,
            self._playout,
            malformed=self._malformed,
            refused=self._refused,
        )
