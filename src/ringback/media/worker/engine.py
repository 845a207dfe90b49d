"""All legs of the worker: carries out session commands, keeps their events, looks after each leg once per second."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, assert_never

from ringback import clock
from ringback.ids import SessionId, chance
from ringback.machine import Instant
from ringback.media.control.commands import (
    CloseSession,
    CloseStream,
    DetectMachine,
    HoldStream,
    JoinRoom,
    LeaveRoom,
    Listen,
    OpenSession,
    OpenStream,
    PauseRecording,
    Play,
    ReportDigit,
    ResumeRecording,
    SendDigits,
    SessionCommand,
    SetMember,
    SetRemote,
    StartRecording,
    StopListening,
    StopPlay,
    StopRecording,
)
from ringback.media.control.events import (
    AnyEvent,
    SessionOpened,
    SessionSnapshot,
    SessionStats,
    WorkerStats,
)
from ringback.media.control.ledger import Ledger
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RejectCode, SessionEnd
from ringback.media.stream.session import StreamSession
from ringback.media.worker.close_codes import CLOSE_GOING_AWAY, CLOSE_NORMAL
from ringback.media.worker.files import PlayFiles
from ringback.media.worker.hold import LoopHold
from ringback.media.worker.leg import Leg
from ringback.media.worker.pacer import SLOT_NS, Pacer
from ringback.media.worker.ports import PortRange
from ringback.media.worker.recording_disk import RecordingDisk
from ringback.media.worker.refusal import Refusal
from ringback.media.worker.relay import RelayHub
from ringback.media.worker.rooms import Rooms
from ringback.media.worker.rtp_socket import RtpPoller, bind_rtp_socket
from ringback.media.worker.stream_client import StreamClient
from ringback.telemetry.logs import get_logger

if TYPE_CHECKING:
    from ringback.media.worker.noise import NoiseRoom

_log = get_logger(__name__)

_SLOTS_PER_SECOND = 200
_PAGE_BYTES = 4_096


class Engine:
    """The worker's sessions.

    State: `execute` answers at once and never raises; outcomes go into `ledger`, after each of which `on_news` is
    called. `close_all` ends every session; `is_idle` is true when no socket of any session is left.
    """

    def __init__(
        self,
        rtp_ports: tuple[int, int],
        settings: WorkerSettings,
        on_news: Callable[[], None],
        *,
        worker_id: str = "",
        relay_folder: Path | None = None,
    ) -> None:
        self.ledger = Ledger(settings.ledger_max_items, settings.ledger_max_bytes)
        self.is_draining = False
        self.on_stats: Callable[[SessionStats], None] | None = None
        self.on_idle: Callable[[], None] | None = None
        """Called when the last session is closed and its port free."""
        self._settings = settings
        self._on_news = on_news
        self._loop = asyncio.get_running_loop()
        self._ports = PortRange(*rtp_ports, settings.port_rest_ms, settings.port_rest_min_ms)
        self._poller = RtpPoller()
        self._hold = LoopHold()
        self._pacer = Pacer(
            self._loop, self._hold.hold, self._poller.collect, self._look_after, late_ms=settings.late_slot_ms
        )
        self._files = PlayFiles(settings, self._loop)
        self._disk = RecordingDisk(settings, self._loop)
        self._relays = RelayHub(relay_folder, worker_id, self._pacer.add, self._pacer.remove)
        self._rooms = Rooms(settings, self.report, self._relays)
        self._legs: dict[SessionId, Leg] = {}
        self._round: deque[Leg] = deque()
        self._round_credit = 0
        self._noise: NoiseRoom | None = None
        self._lingering: set[StreamClient] = set()
        self._sent_before = 0
        self._received_before = 0

    @property
    def session_count(self) -> int:
        """Open sessions."""
        return len(self._legs)

    @property
    def is_idle(self) -> bool:
        """Whether neither a session nor the socket of an ended stream is left."""
        return not self._legs and not self._lingering

    def execute(self, command: SessionCommand) -> Refusal | None:
        """Carry out a command; returns why not."""
        self._pacer.stir()
        now = clock.now()
        if isinstance(command, OpenSession):
            return self._open(now, command)
        leg = self._legs.get(command.session_id)
        if leg is None:
            return Refusal(RejectCode.UNKNOWN_SESSION, found=f"session {command.session_id}")
        try:
            return self._execute_on(now, leg, command)
        except Exception as error:
            self.leg_failed(leg, error)
            return Refusal(RejectCode.INVALID, found="a fault of the worker; the session is closed")

    def snapshot(self) -> list[SessionSnapshot]:
        """Return what every open session is."""
        now = clock.now()
        return [leg.snapshot(now) for leg in self._legs.values()]

    def stats(self) -> WorkerStats:
        """Return the worker's figures; percentiles since the call before."""
        streams = [client for leg in self._legs.values() for client in leg.streams]
        late_p50_us, late_p99_us = self._pacer.lateness.take()
        loop_cpu_ns, loop_wait_ns = _read_loop_times_ns()
        return WorkerStats(
            wall_ms=clock.wall_ms(),
            sessions=len(self._legs),
            streams=len(streams),
            cpu_ns=clock.process_cpu_ns(),
            tick_late_p99_us=late_p99_us,
            rss_bytes=_read_rss_bytes(),
            open_ports=self._ports.taken,
            sent_packets=self._sent_before + sum(leg.sent_packets for leg in self._legs.values()),
            received_packets=self._received_before + sum(leg.received_packets for leg in self._legs.values()),
            ledger=len(self.ledger),
            at_ns=clock.now(),
            tick_late_p50_us=late_p50_us,
            slots=self._pacer.due_slots,
            late_slots=self._pacer.late_slots,
            loop_cpu_ns=loop_cpu_ns,
            loop_wait_ns=loop_wait_ns,
            stream_backlog=sum(len(client.outbox) for client in streams),
        )

    def close_all(self, reason: SessionEnd, *, close_code: int = CLOSE_NORMAL) -> None:
        """Close every session."""
        now = clock.now()
        for leg in tuple(self._legs.values()):
            self._close(now, leg, reason, close_code=close_code)

    def close(self) -> None:
        """Close every session and the decoder pool: the worker ends."""
        self.close_all(SessionEnd.RELEASED, close_code=CLOSE_GOING_AWAY)
        self._relays.close()
        self._files.close()
        if self._noise is not None:
            self._noise.close()
        self._disk.close()
        self._poller.close()
        self._hold.close()

    def watch(self, descriptor: int) -> None:
        """Let what arrives here be taken at once, not at the next slot."""
        self._hold.watch(descriptor)

    def report(self, event: AnyEvent) -> None:
        """Keep a state event until the server has it; called by legs."""
        self.ledger.append(event, clock.wall_ms())
        self._pacer.stir()
        self._on_news()

    def move_leg(self, leg: Leg, by_ns: int) -> int:
        """Tick a leg earlier or later by whole slots; called by legs."""
        return self._pacer.move(leg, by_ns // SLOT_NS) * SLOT_NS

    def leg_failed(self, leg: Leg, error: Exception) -> None:
        """Close a leg over a broken promise of ours; its neighbours notice nothing."""
        _log.error("leg failed", session_id=leg.session_id, exc_info=error)
        self._close(clock.now(), leg, SessionEnd.FAILED)

    def suppress_noise(self, leg: Leg, stream: StreamSession, level: int) -> None:
        """Take the noise out of what a stream carries; called by legs."""
        if self._noise is None:
            # Most workers never need an engine and its libraries.
            from ringback.media.worker.noise import NoiseRoom

            self._noise = NoiseRoom(self._settings, self.report)
        self._noise.open(leg.session_id, stream, level, leg.flush)

    def client_lingers(self, client: StreamClient) -> None:
        """Count a stream's closing socket; called by legs."""
        self._lingering.add(client)

    def client_released(self, client: StreamClient) -> None:
        """Count a closing socket as closed; called by legs."""
        self._lingering.discard(client)
        self._on_news()

    def _open(self, now: Instant, command: OpenSession) -> Refusal | None:
        if command.session_id in self._legs:
            return Refusal(RejectCode.DUPLICATE, found=f"session {command.session_id}")
        if self.is_draining:
            return Refusal(RejectCode.DRAINING)
        if self.ledger.is_full:
            return Refusal(RejectCode.LEDGER_FULL, found=f"{len(self.ledger)} unacknowledged events")
        if len(self._legs) >= self._settings.sessions_max:
            return Refusal(
                RejectCode.LIMIT, found=f"{len(self._legs)} sessions", allowed=str(self._settings.sessions_max)
            )
        try:
            bound = bind_rtp_socket(self._ports, command.local_host, now, chance)
        except ValueError:
            return Refusal(RejectCode.INVALID, found=command.local_host[:64], allowed="a numeric address")
        except OSError as error:
            return Refusal(RejectCode.NO_PORT, found=(error.strerror or str(error)).lower())
        if bound is None:
            return Refusal(RejectCode.NO_PORT, found=f"{self._ports.taken} ports in use")
        sock, port = bound
        leg = Leg(self, command, sock, port, self._poller, self._files, self._disk, self._settings, now)
        self._legs[command.session_id] = leg
        self._round.append(leg)
        self._pacer.add(leg)
        self.report(SessionOpened(session_id=leg.session_id, caused_by=command.command_id, local=leg.local))
        return None

    def _execute_on(self, now: Instant, leg: Leg, command: SessionCommand) -> Refusal | None:
        match command:
            case OpenSession():
                return None
            case SetRemote():
                return leg.set_remote(now, command)
            case CloseSession():
                self._close(now, leg, command.reason, command)
                return None
            case Play():
                return leg.play(now, command)
            case StopPlay():
                return leg.stop_play(now, command)
            case SendDigits():
                return leg.send_digits(now, command)
            case ReportDigit():
                return leg.report_digit(now, command)
            case OpenStream():
                return leg.open_stream(now, command)
            case CloseStream():
                return leg.close_stream(command)
            case HoldStream():
                return leg.hold_stream(command)
            case StartRecording():
                return leg.start_recording(now, command)
            case StopRecording():
                return leg.stop_recording(now, command)
            case PauseRecording() | ResumeRecording():
                return leg.pause_recording(now, command)
            case Listen():
                return leg.listen(command)
            case DetectMachine():
                return leg.detect_machine(command)
            case StopListening():
                leg.stop_listening(command)
                return None
            case JoinRoom() | SetMember() | LeaveRoom():
                return self._rooms.execute(leg, command)
            case _:
                assert_never(command)

    def _close(
        self,
        now: Instant,
        leg: Leg,
        reason: SessionEnd,
        command: CloseSession | None = None,
        *,
        close_code: int = CLOSE_NORMAL,
    ) -> None:
        if self._legs.pop(leg.session_id, None) is None:
            return
        self._pacer.remove(leg)
        self._round.remove(leg)
        self._rooms.close(leg)
        if command is not None:
            leg.close(now, reason, caused_by=command.command_id)
        else:
            leg.close(now, reason, close_code=close_code)
        self._ports.release(now, leg.port)
        self._sent_before += leg.sent_packets
        self._received_before += leg.received_packets
        if not self._legs and self.on_idle is not None:
            self.on_idle()

    def _look_after(self, now: Instant) -> None:
        """Give each leg its turn about once per second, spread over the slots so that no slot pays for all."""
        if self._noise is not None:
            self._noise.deliver()
        self._round_credit += len(self._round)
        while self._round_credit >= _SLOTS_PER_SECOND and self._round:
            self._round_credit -= _SLOTS_PER_SECOND
            leg = self._round[0]
            self._round.rotate(-1)
            leg.check(now)
            stats = leg.stats()
            if self.on_stats is not None:
                self.on_stats(stats)


def _read_rss_bytes() -> int:
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


def _read_loop_times_ns() -> tuple[int, int]:
    """Return how long the main thread, whose the loop is, has run, and how long it has waited for a core."""
    try:
        with open("/proc/self/schedstat", "rb") as file:
            ran, waited, _ = file.read().split()
            return int(ran), int(waited)
    except (OSError, ValueError):
        return clock.process_cpu_ns(), 0
