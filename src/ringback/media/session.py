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

from ringback.ids import PlayId, SessionId, StreamId
from ringback.machine import MS, Instant
from ringback.media.agent_audio import AgentAudio
from ringback.media.agent_audio import AgentStopped as AgentStopped  # part of this module's interface
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
)
from ringback.media.control.values import (
    Address,
    MediaDirection,
    PlayEnd,
    PlayLane,
    RecordingEnd,
    SessionEnd,
)
from ringback.media.digit_merger import DigitMerger, DigitSource
from ringback.media.digits import SentDigits
from ringback.media.errors import NoCommonCodec as NoCommonCodec  # part of this module's interface
from ringback.media.errors import RemoteRefused as RemoteRefused
from ringback.media.figures import quality_of, stats_of, totals_of
from ringback.media.hold import HoldSound
from ringback.media.intake import Datagram as Datagram  # part of this module's interface
from ringback.media.intake import Intake, SocketAddress
from ringback.media.losses import Losses
from ringback.media.mix import mixed
from ringback.media.place import Place
from ringback.media.playback import PcmSource as PcmSource  # part of this module's interface
from ringback.media.playback import Playback, Playbacks
from ringback.media.playout import SAMPLES_PER_MS, Playout
from ringback.media.receive import Receiver
from ringback.media.recorder import Recorder, RecorderOver
from ringback.media.rtp.latch import is_forbidden_target
from ringback.media.rtp.sender import RtpSender
from ringback.media.rtp.telephone_event import DIGITS
from ringback.media.settings import MediaSettings
from ringback.media.stats import Quality
from ringback.media.stream.session import StreamSession
from ringback.media.stream.truth import AudioReport

FRAME_MS = 20
SAMPLE_RATE_HZ = 8000

_FRAME_NS = FRAME_MS * MS
_STALL_NS = 30 * MS
"""A tick that is later than this against the grid of slots comes after missed ones."""
_STALL_GUARD_SLOTS = 3
"""Slots after a stall in which packets may still wait in the socket, so that nothing is made up for them."""
_HOUSEKEEPING_SLOTS = 25
_SAME_DIGIT_MS = 200
_EVENTS_MAX = 10_000


class MediaSession:
    """One leg: RTP in and out, playout of agent audio and files, digits, attached streams."""

    __slots__ = (
        "_agent",
        "_digit_merger",
        "_digits_out",
        "_events",
        "_has_ticked",
        "_hold",
        "_inbound",
        "_intake",
        "_is_busy",
        "_is_full_second",
        "_law",
        "_losses",
        "_marks",
        "_outbound",
        "_playout",
        "_plays",
        "_receiver",
        "_recorders",
        "_room",
        "_sender",
        "_settings",
        "_slot_at",
        "_slots_left",
        "_stall_guard",
        "_streams",
        "on_move",
        "receive_packet",
        "session_id",
        "tap",
    )

    receive_packet: Callable[[Instant, bytes, SocketAddress], None]
    """Takes one datagram from the leg's socket; RTCP and rubbish never raise. The intake's own method: the hot path."""
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
        self._receiver = Receiver(
            now,
            PCMU,
            self._deliver,
            window_ms=settings.reorder_window_ms,
            window_max_ms=settings.reorder_window_max_ms,
        )
        self._intake = Intake(
            now, self._receiver, on_locked=self._source_locked, on_first=self._first_packet, on_digit=self._rtp_digit
        )
        self.receive_packet = self._intake.packet
        self._digit_merger = DigitMerger(_SAME_DIGIT_MS)
        # Streams.
        self._streams: dict[StreamId, StreamSession] = {}
        self._recorders: tuple[Recorder, ...] = ()
        self._inbound: tuple[StreamSession | Recorder, ...] = ()
        self._outbound: tuple[StreamSession | Recorder, ...] = ()
        self._hold = HoldSound()
        self._losses = Losses()
        # Sending.
        self._playout = Playout(PCMU, settings.playout_max_ms, self._move_slots)
        self._agent = AgentAudio(
            session_id, self._playout, emit=self._emit, on_stop=self._events.append, send_digits=self.send_digits
        )
        self._marks = self._agent.marks
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
        self._intake.agree(now, command, law, types)
        self._sender.configure(command.codec.payload_type, command.ptime_ms)
        self._sender.aim(self._intake.destination)
        self._sender.allow(command.direction in (MediaDirection.SENDRECV, MediaDirection.SENDONLY))
        self._note_audible()

    # -- receiving -----------------------------------------------------------------------------------------------

    def listens_to(self, source: SocketAddress) -> bool:
        """Return whether `source` is the one that is listened to, which a flood from elsewhere must not crowd out."""
        return self._intake.listens_to(source)

    def receive(self, now: Instant, datagrams: Iterable[Datagram]) -> None:
        """Take datagrams in arrival order."""
        self._intake.packets(now, datagrams)

    def receive_backlog(self, now: Instant, datagrams: Sequence[Datagram]) -> None:
        """Take datagrams that waited while the process stood still, oldest first; what is too old is not heard."""
        self._intake.backlog(now, datagrams)

    def _source_locked(self, source: SocketAddress) -> None:
        self._sender.aim(source)
        self._note_audible()

    def _first_packet(self, source: SocketAddress) -> None:
        self._events.append(MediaStarted(session_id=self.session_id, remote=Address(host=source[0], port=source[1])))

    def _rtp_digit(self, now: Instant, digit: str) -> None:
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
        elif self._agent.awaits_first:
            self._agent.first_audio(now)
        self._sender.send_frame(frame, out)
        self._sender.advance()
        for stream in self._outbound:
            stream.push_outbound(frame)
        if self._marks.next_position <= self._playout.position:
            self._agent.acknowledge()

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
            frame, complete = self._digits_out.send_slot(self._law, self._sender, self._intake.event_type, out)
            if complete:
                self._emit(DigitsSent(session_id=self.session_id, digits=complete))
        else:
            was_alone = self._plays.is_alone
            pcm = self._plays.take()
            if self._plays.is_alone is not was_alone:
                self._note_audible()
            agent = self._playout.take(now)
            if agent is not None and self._agent.awaits_first:
                self._agent.first_audio(now)
            if self._hold.is_on:
                pcm = self._hold.under(pcm, is_free=agent is None and self._room is None)
            frame = mixed(self._law, pcm, agent, self._room, is_alone=self._plays.is_alone)
            self._sender.send_frame(frame, out)
        self._sender.advance()
        for stream in self._outbound:
            stream.push_outbound(frame)
        if self._marks.next_position <= self._playout.position:
            self._agent.acknowledge()
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
            if self._agent.stream is not None:
                return False
            self._agent.join(stream)
            self._note_audible()
        self._streams[stream.stream_id] = stream
        stream.join(self._agent, self._law)
        self._sort_streams()
        return True

    def detach(self, now: Instant, stream_id: StreamId) -> None:
        """Part with a stream; a bidirectional one takes its queued audio with it. Unknown ids are ignored."""
        stream = self._streams.pop(stream_id, None)
        if stream is None:
            return
        if stream is self._agent.stream:
            self._tell_losses(now)
            self._agent.part()
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
        self._agent.set_audible(self._sender.is_audible and not self._plays.is_alone)
        for recorder in self._recorders:
            recorder.is_audible = self._is_heard

    @property
    def _is_heard(self) -> bool:
        """Return whether what is made reaches someone; a session that has no far party at all is there to be heard."""
        return self._sender.is_audible or self._intake.destination is None

    def _tell_losses(self, now: Instant) -> None:
        """Tell each stream what was dropped since the last time; about once a second."""
        losses = self._losses.since(self._playout, self._receiver)
        for stream in self._streams.values():
            if stream.has_inbound:
                stream.note_late_packets(losses.late_packets)
            if stream is self._agent.stream:
                stream.note_agent_losses(now, losses.cut_ms, losses.incomplete_samples)
            stream.report_dropped(now)

    def audio_report(self) -> AudioReport:
        """Return what the far party has heard of the agent's audio, and what it has not."""
        return self._agent.audio_report()

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
        idle_ms = self._intake.idle_ms(now, self._settings.media_idle_ms)
        if idle_ms:
            self._emit(MediaTimedOut(session_id=self.session_id, idle_ms=idle_ms))
        self._agent.ease()
        self._is_full_second = not self._is_full_second
        if self._is_full_second:
            self._tell_losses(now)

    def quality(self) -> Quality:
        """Return every figure of the leg so far."""
        return quality_of(
            self._receiver, self._sender, self._playout, malformed=self._intake.malformed, refused=self._intake.refused
        )

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
            malformed=self._intake.malformed,
            refused=self._intake.refused,
        )
