"""One leg in the worker: the UDP socket, the streams and the files around a `MediaSession`."""

from __future__ import annotations

import ipaddress
import socket
from typing import Protocol

import msgspec

from ringback import clock
from ringback.errors import MediaError
from ringback.ids import CommandId, PlayId, SessionId, StreamId, chance
from ringback.machine import Instant
from ringback.media.codecs.g711 import Law
from ringback.media.control.commands import (
    CloseStream,
    DetectMachine,
    HoldStream,
    Listen,
    OpenSession,
    OpenStream,
    PauseRecording,
    Play,
    ReportDigit,
    ResumeRecording,
    SendDigits,
    SetRemote,
    StartRecording,
    StopListening,
    StopPlay,
    StopRecording,
)
from ringback.media.control.events import (
    AnySessionEvent,
    PlayFinished,
    PlayStarted,
    RemoteSet,
    SessionClosed,
    SessionSnapshot,
    SessionStats,
    StreamClosed,
    StreamConnectFailed,
    StreamDropped,
    StreamFaulted,
    StreamOpened,
)
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import Address, MediaDirection, PlayEnd, RejectCode, SessionEnd, StreamEnd
from ringback.media.place import Place
from ringback.media.recorder import RecorderOver
from ringback.media.session import AgentStopped, Datagram, MediaSession
from ringback.media.settings import MediaSettings
from ringback.media.stream.session import StreamSession, StreamSettings
from ringback.media.worker.close_codes import CLOSE_NORMAL
from ringback.media.worker.files import FilePlayback, PlayFiles
from ringback.media.worker.hold_player import HoldPlayer
from ringback.media.worker.listening import LegListening
from ringback.media.worker.recording_disk import RecordingDisk
from ringback.media.worker.recordings import LegRecordings
from ringback.media.worker.refusal import Refusal
from ringback.media.worker.rtp_socket import PACKET_MAX_BYTES, RtpPoller
from ringback.media.worker.stream_client import StreamClient
from ringback.media.worker.stream_request import UnusableStream, check_stream
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_PACKETS_PER_CHECK_MAX = 250
"""Packets taken from one socket between two checks, one second apart, and as many again from the source that is
listened to; more are read and dropped unparsed. Without the second number a flood would mute the call, and what seems
to be silent may be replaced (reference: reliability.md I-3)."""
_PRIVILEGED_PORTS = 1_024


class LegOwner(Protocol):
    """What a leg tells its worker; all calls come on the loop."""

    def report(self, event: AnySessionEvent) -> None:
        """Keep a state event until the server has it."""

    def move_leg(self, leg: Leg, by_ns: int) -> int:
        """Tick a leg so much later (earlier when negative) from its next tick on; returns by how much it will be."""

    def leg_failed(self, leg: Leg, error: Exception) -> None:
        """A broken promise inside the leg: the owner closes it."""

    def suppress_noise(self, leg: Leg, stream: StreamSession, level: int) -> None:
        """Take the noise out of what a stream carries, as far as engines are installed; reported either way."""

    def client_released(self, client: StreamClient) -> None:
        """The socket of a stream that ended is closed."""

    def client_lingers(self, client: StreamClient) -> None:
        """A stream has ended and its socket is still closing."""


class Leg:
    """One session's sockets and the only driver of its `MediaSession`.

    State: live from construction to `close`; afterwards every method does nothing.
    """

    __slots__ = (
        "_budget",
        "_causes",
        "_clients",
        "_disk",
        "_files",
        "_holds",
        "_is_ipv6",
        "_listening",
        "_opened_at",
        "_out",
        "_owner",
        "_plays",
        "_poll_event",
        "_poller",
        "_receive_packet",
        "_recordings",
        "_reserve",
        "_sendto",
        "_session",
        "_session_tick",
        "_settings",
        "_sock",
        "is_closed",
        "local",
        "port",
        "received_packets",
        "sent_packets",
        "session_id",
    )

    def __init__(
        self,
        owner: LegOwner,
        command: OpenSession,
        sock: socket.socket,
        port: int,
        poller: RtpPoller,
        files: PlayFiles,
        disk: RecordingDisk,
        settings: WorkerSettings,
        now: Instant,
    ) -> None:
        self.session_id: SessionId = command.session_id
        self.local = Address(command.local_host, port)
        self.port = port
        self.is_closed = False
        self.sent_packets = 0
        self.received_packets = 0
        self._owner = owner
        self._files = files
        self._disk = disk
        # Made when it is needed: most legs are not recorded.
        self._recordings: LegRecordings | None = None
        self._listening: LegListening | None = None
        self._settings = settings
        self._opened_at = now
        self._sock = sock
        self._poller = poller
        self._sendto = sock.sendto
        self._session = MediaSession(
            MediaSettings(
                media_idle_ms=command.media_idle_ms, streams_max=settings.streams_max, plays_max=settings.plays_max
            ),
            session_id=command.session_id,
            now=now,
            chance=chance,
        )
        self._session.on_move = lambda by_ns: owner.move_leg(self, by_ns)
        self._receive_packet = self._session.receive_packet
        self._session_tick = self._session.tick
        self._poll_event = self._session.poll_event
        self._out: list[Datagram] = []
        self._budget = self._reserve = _PACKETS_PER_CHECK_MAX
        self._clients: tuple[StreamClient, ...] = ()
        self._plays: dict[PlayId, FilePlayback] = {}
        self._holds: dict[StreamId, HoldPlayer] = {}
        self._causes: dict[PlayId | StreamId, CommandId] = {}
        self._is_ipv6 = sock.family == socket.AF_INET6
        poller.add(sock, self)

    @property
    def streams(self) -> tuple[StreamClient, ...]:
        """Streams that have not ended."""
        return self._clients

    def tick(self, now: Instant) -> None:
        """Make this slot's packets; called by the pacer, never raises."""
        if not self.is_closed:
            # Taken out first: a call through a slot is slower (CPython 3.11), here and below.
            session_tick = self._session_tick
            try:
                session_tick(now, self._out)
            except Exception as error:
                self._owner.leg_failed(self, error)

    def send(self) -> None:
        """Send what `tick` made and what it set free; called by the pacer after all legs of the slot have ticked."""
        if self.is_closed:
            return
        out = self._out
        sendto = self._sendto
        for data, address in out:
            try:
                sendto(data, address)
            except OSError:
                # A full socket buffer or an unreachable route loses one packet, as the network would.
                continue
        out.clear()
        try:
            self._follow_up()
        except Exception as error:
            self._owner.leg_failed(self, error)

    def receive(self, now: Instant, data: bytes, source: tuple[str, int]) -> None:
        """Take one datagram; called by the poller, never raises. Its events wait for the next slot."""
        if len(data) > PACKET_MAX_BYTES or self.is_closed:
            return
        if self._is_ipv6:
            # IPv6 sources come with flow and scope; the session knows host and port.
            source = source[:2]
        self._budget -= 1
        if self._budget < 0 and not self._is_reserved_for(source):
            return
        receive_packet = self._receive_packet
        try:
            receive_packet(now, data, source)
        except Exception as error:
            self._owner.leg_failed(self, error)

    def receive_backlog(self, now: Instant, datagrams: list[Datagram]) -> None:
        """Take what waited in the socket while the worker stood still; called by the poller, never raises."""
        if self.is_closed:
            return
        taken = [
            (data, source[:2] if self._is_ipv6 else source)
            for data, source in datagrams
            if len(data) <= PACKET_MAX_BYTES
        ]
        try:
            self._session.receive_backlog(now, taken)
        except Exception as error:
            self._owner.leg_failed(self, error)

    def _is_reserved_for(self, source: tuple[str, int]) -> bool:
        if not self._session.listens_to(source):
            return False
        self._reserve -= 1
        return self._reserve >= 0

    def flush(self) -> None:
        """Send what streams have ready; called by the poller."""
        for client in self._clients:
            if client.outbox:
                client.flush()

    def check(self, now: Instant) -> None:
        """Renew the packet budget and look after the streams; about once per second."""
        self._budget = self._reserve = _PACKETS_PER_CHECK_MAX
        for client in self._clients:
            client.check(now)

    def stats(self) -> SessionStats:
        """Return the latest quality figures; the packet counts stay readable on the leg."""
        stats = self._session.stats()
        self.sent_packets = stats.sent_packets
        self.received_packets = stats.received_packets
        return stats

    def snapshot(self, now: Instant) -> SessionSnapshot:
        """Return what a server needs to reconcile."""
        return SessionSnapshot(
            self.session_id,
            self.local,
            tuple(client.command.stream_id for client in self._clients),
            (now - self._opened_at) // 1_000_000,
        )

    def set_remote(self, now: Instant, command: SetRemote) -> Refusal | None:
        """Apply a negotiation."""
        fault = _fault_of(command)
        if fault:
            return Refusal(RejectCode.INVALID, found=fault, allowed="a unicast numeric address")
        try:
            self._session.set_remote(now, command)
        except MediaError as error:
            return Refusal(RejectCode.INVALID, found=str(error)[:200])
        self._owner.report(RemoteSet(session_id=self.session_id, caused_by=command.command_id))
        self._follow_up()
        return None

    def play(self, now: Instant, command: Play) -> Refusal | None:
        """Queue a file."""
        play_id = command.play_id
        if play_id in self._plays:
            return Refusal(RejectCode.DUPLICATE, found=f"play {play_id}")
        if len(self._plays) >= self._settings.plays_max:
            return Refusal(RejectCode.LIMIT, found=str(len(self._plays)), allowed=str(self._settings.plays_max))
        playback = self._files.open(command.path, command.loops, lambda detail: self._fail_play(play_id, detail))
        if not self._session.start_play(now, play_id, playback, command.lane, mixes=command.mixes):
            playback.close()
            return Refusal(RejectCode.LIMIT, found=f"{len(self._plays)} plays")
        self._plays[play_id] = playback
        self._causes[play_id] = command.command_id
        self._follow_up()
        return None

    def stop_play(self, now: Instant, command: StopPlay) -> Refusal | None:
        """End a playback; one that is over already needs no ending."""
        self._session.stop_play(now, command.play_id)
        self._follow_up()
        return None

    def send_digits(self, now: Instant, command: SendDigits) -> Refusal | None:
        """Queue telephone events."""
        if not self._session.send_digits(now, command.digits, command.tone_ms, command.gap_ms):
            return Refusal(RejectCode.INVALID, found="digits", allowed="0-9*#A-DwW, within the queue's limit")
        self._follow_up()
        return None

    def report_digit(self, now: Instant, command: ReportDigit) -> Refusal | None:
        """Take a digit that came by signalling."""
        if not self._session.signalled_digit(now, command.digit, command.duration_ms):
            return Refusal(RejectCode.INVALID, found=command.digit[:16], allowed="one of 0-9*#A-D")
        self._follow_up()
        return None

    @property
    def law(self) -> Law:
        """The companding law of the leg."""
        return self._session.law

    def join_room(self, member: Place | None) -> None:
        """Say and hear what is said in a room; `None` leaves."""
        self._session.join_room(member)

    def pass_digit(self, digit: str) -> None:
        """Send a key that someone else in the room pressed; one too many is dropped."""
        self._session.send_digits(clock.now(), digit)

    def start_recording(self, now: Instant, command: StartRecording) -> Refusal | None:
        """Record the leg."""
        if self._recordings is None:
            self._recordings = LegRecordings(self._session, self._disk, self._settings, self._owner.report)
        refusal = self._recordings.start(now, command)
        self._follow_up()
        return refusal

    def stop_recording(self, now: Instant, command: StopRecording) -> Refusal | None:
        """End a recording."""
        if self._recordings is None:
            return Refusal(RejectCode.UNKNOWN_RECORDING, found=f"recording {command.recording_id}")
        refusal = self._recordings.stop(now, command)
        self._follow_up()
        return refusal

    def pause_recording(self, now: Instant, command: PauseRecording | ResumeRecording) -> Refusal | None:
        """Leave out of a recording what happens, or record again."""
        if self._recordings is None:
            return Refusal(RejectCode.UNKNOWN_RECORDING, found=f"recording {command.recording_id}")
        return self._recordings.pause(now, command)

    def listen(self, command: Listen) -> Refusal | None:
        """Report what the far party does."""
        if self._listening is None:
            self._listening = LegListening(self._session, self._disk, self._settings, self._owner.report)
        return self._listening.start(command)

    def detect_machine(self, command: DetectMachine) -> Refusal | None:
        """Report who answered."""
        if self._listening is None:
            self._listening = LegListening(self._session, self._disk, self._settings, self._owner.report)
        return self._listening.detect_machine(command)

    def stop_listening(self, command: StopListening) -> None:
        """End a listening; one that is over already needs no ending."""
        if self._listening is not None:
            self._listening.stop(command)

    def open_stream(self, now: Instant, command: OpenStream) -> Refusal | None:
        """Attach a stream and begin to dial its agent."""
        if any(client.command.stream_id == command.stream_id for client in self._clients):
            return Refusal(RejectCode.DUPLICATE, found=f"stream {command.stream_id}")
        try:
            check_stream(command)
        except UnusableStream as error:
            return Refusal(RejectCode.INVALID, found=str(error.fields["found"]), allowed=str(error.fields["allowed"]))
        stream = StreamSession(StreamSettings.of(command))
        if not self._session.attach(now, stream):
            return Refusal(
                RejectCode.LIMIT,
                found=f"{len(self._clients)} streams",
                allowed=f"{self._settings.streams_max}, one of them bidirectional",
            )
        client = StreamClient(self, command, stream, self._settings)
        self._causes[command.stream_id] = command.command_id
        self._clients = (*self._clients, client)
        if command.noise_level and stream.has_inbound:
            self._owner.suppress_noise(self, stream, command.noise_level)
        if command.hold:
            stream_id = command.stream_id
            hold = HoldPlayer(command, self._session, self._files, lambda detail: self._fail_hold(stream_id, detail))
            self._holds[stream_id] = hold
            hold.away()
        client.start()
        return None

    def hold_stream(self, command: HoldStream) -> Refusal | None:
        """Note the file of a stream's hold sound; a stream without hold sound has no use for it."""
        if not any(client.command.stream_id == command.stream_id for client in self._clients):
            return Refusal(RejectCode.UNKNOWN_STREAM, found=f"stream {command.stream_id}")
        hold = self._holds.get(command.stream_id)
        if hold is not None:
            hold.use(command.path)
        return None

    def close_stream(self, command: CloseStream) -> Refusal | None:
        """End a stream."""
        for client in self._clients:
            if client.command.stream_id == command.stream_id:
                client.close(command.reason)
                return None
        return Refusal(RejectCode.UNKNOWN_STREAM, found=f"stream {command.stream_id}")

    def close(
        self,
        now: Instant,
        reason: SessionEnd,
        *,
        caused_by: CommandId = CommandId(""),  # noqa: B008  # a NewType call is a constant
        close_code: int = CLOSE_NORMAL,
    ) -> None:
        """Free everything; the last event is `SessionClosed`. Idempotent."""
        if self.is_closed:
            return
        self.is_closed = True
        self._poller.remove(self._sock)
        final = SessionClosed(session_id=self.session_id, reason=SessionEnd.FAILED)
        try:
            for client in self._clients:
                client.close(StreamEnd.CALL_ENDED, close_code)
            if self._listening is not None:
                self._listening.close()
            final = self._session.closed(now, reason)
            self._report_events()
        except Exception as error:
            # The server still hears of the end, and the socket below is freed.
            _log.error("leg did not close cleanly", session_id=self.session_id, exc_info=error)
        self._sock.close()
        for playback in tuple(self._plays.values()):
            playback.close()
        self._plays.clear()
        self.sent_packets = final.sent_packets
        self.received_packets = final.received_packets
        self._owner.report(msgspec.structs.replace(final, caused_by=caused_by))

    def stream_opened(self, client: StreamClient, connect_ms: int, attempts: int, subprotocol: str) -> None:
        """Report an open stream; called by its client."""
        hold = self._holds.get(client.command.stream_id)
        if hold is not None:
            hold.back()
        self._owner.report(
            StreamOpened(
                session_id=self.session_id,
                stream_id=client.command.stream_id,
                caused_by=self._causes.get(client.command.stream_id, CommandId("")),
                connect_ms=connect_ms,
                attempts=attempts,
                subprotocol=subprotocol,
            )
        )

    def stream_failed(self, client: StreamClient, attempt: int, detail: str) -> None:
        """Report a failed attempt; called by its client."""
        self._owner.report(
            StreamConnectFailed(
                session_id=self.session_id, stream_id=client.command.stream_id, attempt=attempt, detail=detail
            )
        )

    def stream_dropped(self, client: StreamClient, close_code: int, detail: str) -> None:
        """Report a lost connection that is dialled again; called by its client."""
        hold = self._holds.get(client.command.stream_id)
        if hold is not None:
            hold.away()
        self._owner.report(
            StreamDropped(
                session_id=self.session_id,
                stream_id=client.command.stream_id,
                close_code=close_code,
                detail=detail,
            )
        )

    def stream_ended(self, client: StreamClient, reason: StreamEnd, close_code: int, detail: str) -> None:
        """Detach the stream and report its totals; called by its client."""
        now = clock.now()
        stream_id = client.command.stream_id
        hold = self._holds.pop(stream_id, None)
        if hold is not None:
            hold.close()
        self._clients = tuple(other for other in self._clients if other is not client)
        self._owner.client_lingers(client)
        if client.session.noise is not None:
            client.session.noise.close()
        self._session.detach(now, stream_id)
        self._report_events()
        closed: StreamClosed = client.session.closed(now, self.session_id, reason, close_code, detail)
        self._owner.report(msgspec.structs.replace(closed, caused_by=self._causes.pop(stream_id, CommandId(""))))

    def stream_released(self, client: StreamClient) -> None:
        """Pass on that the stream's socket is gone; called by its client."""
        self._owner.client_released(client)

    def _follow_up(self) -> None:
        """Report what happened and send what streams have ready; after every command and in every slot."""
        poll_event = self._poll_event
        event = poll_event()
        if event is not None:
            self._report_event(event)
            self._report_events()
        for client in self._clients:
            if client.outbox:
                client.flush()

    def _report_events(self) -> None:
        while (event := self._poll_event()) is not None:
            self._report_event(event)

    def _report_event(self, event: AnySessionEvent | AgentStopped | RecorderOver) -> None:
        if isinstance(event, AgentStopped):
            for client in self._clients:
                if client.command.stream_id == event.stream_id:
                    client.close(StreamEnd.AGENT_CLOSED)
            return
        if self._recordings is not None:
            if isinstance(event, RecorderOver):
                self._recordings.over(event)
                return
            if isinstance(event, PlayStarted | PlayFinished) and self._recordings.took_play(
                event.play_id, is_over=isinstance(event, PlayFinished)
            ):
                return
        assert not isinstance(event, RecorderOver)  # recorders come from `_recordings`
        if isinstance(event, PlayFinished):
            playback = self._plays.pop(event.play_id, None)
            if playback is not None:
                playback.close()
            event = msgspec.structs.replace(event, caused_by=self._causes.pop(event.play_id, CommandId("")))
        self._owner.report(event)

    def _fail_hold(self, stream_id: StreamId, detail: str) -> None:
        fault = StreamFaulted(session_id=self.session_id, stream_id=stream_id, reason="hold_unplayable", detail=detail)
        self._owner.report(fault)

    def _fail_play(self, play_id: PlayId, detail: str) -> None:
        if not self.is_closed:
            self._session.stop_play(clock.now(), play_id, PlayEnd.FAILED, detail)
            self._follow_up()


def _fault_of(command: SetRemote) -> str:
    """Return what makes the remote address unusable, empty when it may be sent to."""
    try:
        address = ipaddress.ip_address(command.address.host)
    except ValueError:
        return "a host name"
    if command.direction in (MediaDirection.RECVONLY, MediaDirection.INACTIVE):
        return ""
    if address.is_multicast or address.is_unspecified or str(address) == "255.255.255.255":
        return f"address {address}"
    if not _PRIVILEGED_PORTS <= command.address.port <= 65_535:
        return f"port {command.address.port}"
    return ""
