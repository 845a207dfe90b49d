"""Noise suppression for the streams of a worker: engines run in a process of their own, and nothing waits for them.

A frame goes to the process at the end of its slot and comes back three slots (15 ms) later, to the slot: what the
engine made of it, or, if that is not there yet, the frame as it came, as late as the engine would have made it. So the
order is exact, the delay constant, and a slow, hanging or dead engine costs its streams noise and no packet of any call
anything. Engines share Python's lock with nobody here: `speexdsp-ns` does not let go of it, so a thread would gain
nothing.

Bounds: five frames of a stream are with the process at most (100 ms); further ones pass as they came.
"""

from __future__ import annotations

import atexit
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import NamedTuple, Protocol, assert_never

import msgspec

from ringback.ids import SessionId
from ringback.media.control.events import AnyEvent, NoiseSuppressionEnded, NoiseSuppressionSet
from ringback.media.control.settings import WorkerSettings
from ringback.media.noise.engine import EngineKind
from ringback.media.noise.engines import DTLN, KINDS, SPEEX, fault_of
from ringback.media.noise.messages import (
    FRAMES_MAX,
    MESSAGE_MAX_BYTES,
    CleanFrames,
    CloseVoice,
    Frame,
    Frames,
    OpenVoice,
    VoiceFailed,
    decode_answered,
    encode,
)
from ringback.media.noise.suppressor import DryPath
from ringback.media.stream.session import StreamSession
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

WAIT_SLOTS = 3
"""Slots after which a frame goes on, with or without its noise."""
SLOT_MS = 5
AWAY_MAX = 5
"""Frames of one stream that may be with the process."""
RESTART_SLOTS = 1_000
"""A process that ended is replaced 5 s later."""
_MESSAGES_PER_SLOT = 256
_MODULE = "ringback.media.noise.main"
_CLOSE_S = 1.0
"""A process that has not ended so long after it was let go of is killed."""


class EngineProcess(Protocol):
    """The process that the engines run in."""

    @property
    def link(self) -> socket.socket:
        """Return this end of the socket pair; it keeps the bounds of messages and never blocks."""

    def close(self) -> None:
        """Let go of it: the process ends."""


class StreamNoise:
    """The suppression of one stream.

    State: `take` every frame in order until `close`; each comes back by `push_clean` of the stream.
    """

    __slots__ = (
        "_dry",
        "_room",
        "away",
        "cpu_ns",
        "detail",
        "done_frames",
        "engine",
        "flush",
        "given_frames",
        "is_closed",
        "key",
        "lag_ms",
        "level",
        "passed_frames",
        "returned",
        "session_id",
        "stream",
    )

    def __init__(
        self,
        room: NoiseRoom,
        kind: EngineKind,
        key: int,
        level: int,
        session_id: SessionId,
        stream: StreamSession,
        flush: Callable[[], None],
    ) -> None:
        self.engine = kind.name
        self.key = key
        self.level = level
        self.lag_ms = round(kind.lag_samples / 8) + WAIT_SLOTS * SLOT_MS
        """How late the audio becomes: the engine's lag, and the slots that it may take."""
        self.session_id = session_id
        self.stream = stream
        self.flush = flush
        self.detail = ""
        """Why it has no engine any more."""
        self.away = 0
        """Frames that are with the process."""
        self.given_frames = 0
        self.done_frames = 0
        """Frames that went on to the stream."""
        self.passed_frames = 0
        """Frames that passed as they came, because the engine was late, missing or broken."""
        self.cpu_ns = 0
        self.returned: dict[int, bytes] = {}
        self.is_closed = False
        self._dry = DryPath(kind.lag_samples)
        self._room = room

    def take(self, pcm: bytes) -> None:
        """Take 20 ms of native audio."""
        self._room.give(self, pcm, self._dry.process(pcm))

    def close(self) -> None:
        """End it: what has not come back is dropped."""
        if not self.is_closed:
            self.is_closed = True
            self._room.leave(self)


class _Waiting(NamedTuple):
    """A frame that has not come back."""

    due_slot: int
    noise: StreamNoise
    number: int
    dry: bytes


class NoiseRoom:
    """All suppressors of the worker.

    State: `open` at any time; `deliver` at the end of every slot; after `close` nothing comes.
    """

    def __init__(
        self,
        settings: WorkerSettings,
        report: Callable[[AnyEvent], None],
        start: Callable[[str], EngineProcess] | None = None,
    ) -> None:
        self._settings = settings
        self._report = report
        self._start = start if start is not None else _Process
        self._process: EngineProcess | None = None
        self._streams: dict[int, StreamNoise] = {}
        self._frames: list[Frame] = []
        self._untold: deque[OpenVoice | CloseVoice] = deque()
        """What the process must be told before it gets further frames; two for each stream at most."""
        self._waiting: deque[_Waiting] = deque()
        self._slot = 0
        self._restart_at = 0
        self._next_key = 0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def dear_streams(self) -> int:
        """Return how many streams use the dear engine."""
        return sum(noise.engine == DTLN.name for noise in self._streams.values())

    def open(self, session_id: SessionId, stream: StreamSession, level: int, flush: Callable[[], None]) -> None:
        """Take the noise out of a stream's uplink, as far as engines are installed; `flush` sends what came back.

        What it comes to is reported, now and at its end.
        """
        kind, detail = self._choose()
        if kind is None:
            self._tell(session_id, stream, "", level, 0, detail)
            return
        self._next_key += 1
        noise = StreamNoise(self, kind, self._next_key, level, session_id, stream, flush)
        self._streams[noise.key] = noise
        stream.noise = noise
        if self._process is None and self._slot >= self._restart_at:
            self._begin()
        else:
            self._untold.append(_open_of(noise))
        self._tell(session_id, stream, noise.engine, level, noise.lag_ms, detail)

    def _choose(self) -> tuple[EngineKind | None, str]:
        """Return the engine for one more stream, and why it is not the one wished for."""
        wished = KINDS.get(self._settings.noise_engine, DTLN)
        detail = ""
        for kind in (wished, SPEEX if wished is DTLN else DTLN):
            if kind is DTLN and self.dear_streams >= self._settings.noise_streams_max:
                found = f"{self._settings.noise_streams_max} streams of this worker use {kind.name} already"
            else:
                found = fault_of(kind)
                if not found:
                    return kind, detail
            detail = f"{detail}; {found}" if detail else found
        return None, detail

    # -- for streams ---------------------------------------------------------------------------------------------

    def give(self, noise: StreamNoise, pcm: bytes, dry: bytes) -> None:
        """Hand over a frame; called by streams."""
        number = noise.given_frames
        noise.given_frames = number + 1
        self._waiting.append(_Waiting(self._slot + 1 + WAIT_SLOTS, noise, number, dry))
        if self._process is not None and not noise.detail and noise.away < AWAY_MAX:
            noise.away += 1
            self._frames.append(Frame(noise.key, number, pcm))

    def leave(self, noise: StreamNoise) -> None:
        """Forget a stream and report what it cost; called by it."""
        if self._streams.pop(noise.key, None) is None:
            return
        if self._process is not None:
            self._untold.append(CloseVoice(noise.key))
        self._report(
            NoiseSuppressionEnded(
                session_id=noise.session_id,
                stream_id=noise.stream.stream_id,
                engine=noise.engine,
                frames=noise.given_frames,
                passed_frames=noise.passed_frames,
                cpu_us=noise.cpu_ns // 1_000,
            )
        )

    # -- for the pacer -------------------------------------------------------------------------------------------

    def deliver(self) -> None:
        """Hand what came in this slot to the process, and what is due to the streams; all packets are sent."""
        self._slot += 1
        if not (self._streams or self._waiting or self._untold):
            return
        if self._process is None and self._streams and self._slot >= self._restart_at:
            self._begin()
        while self._untold and self._send(self._untold[0]):
            self._untold.popleft()
        if self._frames:
            frames, self._frames = self._frames, []
            for at in range(0, len(frames), FRAMES_MAX):
                self._send_frames(frames[at : at + FRAMES_MAX])
        self._collect()
        waiting, slot = self._waiting, self._slot
        while waiting and waiting[0].due_slot <= slot:
            _, noise, number, dry = waiting.popleft()
            clean = noise.returned.pop(number, None)
            noise.done_frames = number + 1
            if noise.is_closed:
                continue
            if clean is None:
                noise.passed_frames += 1
                clean = dry
            noise.stream.push_clean(clean)
            noise.flush()

    def close(self) -> None:
        """End the process."""
        self._is_closed = True
        process, self._process = self._process, None
        if process is not None:
            process.close()

    # -- the process ---------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self._is_closed:
            return
        self._restart_at = self._slot + RESTART_SLOTS
        self._untold.clear()
        try:
            self._process = self._start(self._settings.noise_engine)
        except (OSError, RuntimeError) as error:
            # No descriptor or thread is left: streams go on as they come until it is tried again.
            _log.error("noise process cannot be started", exc_info=error)
            return
        self._untold.extend(_open_of(noise) for noise in self._streams.values() if not noise.detail)

    def _send_frames(self, frames: list[Frame]) -> None:
        if self._untold or not self._send(Frames(frames)):
            for frame in frames:
                noise = self._streams.get(frame.key)
                if noise is not None:
                    noise.away = max(noise.away - 1, 0)

    def _send(self, message: OpenVoice | CloseVoice | Frames) -> bool:
        """Return whether the process takes it: a message is taken whole or not at all."""
        if self._process is None:
            return False
        try:
            self._process.link.send(encode(message))
        except BlockingIOError:
            return False
        except OSError:
            self._lose()
            return False
        return True

    def _collect(self) -> None:
        for _ in range(_MESSAGES_PER_SLOT):
            if self._process is None:
                return
            try:
                data = self._process.link.recv(MESSAGE_MAX_BYTES)
                if not data:
                    self._lose()
                    return
                self._handle(data)
            except BlockingIOError:
                return
            except (OSError, msgspec.MsgspecError):
                self._lose()
                return

    def _handle(self, data: bytes) -> None:
        message = decode_answered(data)
        match message:
            case CleanFrames(frames):
                for key, number, cpu_ns, pcm in frames:
                    noise = self._streams.get(key)
                    if noise is not None:
                        noise.away = max(noise.away - 1, 0)
                        noise.cpu_ns += cpu_ns
                        # What comes too late was heard as it came.
                        if number >= noise.done_frames:
                            noise.returned[number] = pcm
            case VoiceFailed(key, detail):
                failed = self._streams.get(key)
                if failed is not None:
                    self._fail(failed, detail)
            case _:
                assert_never(message)

    def _fail(self, noise: StreamNoise, detail: str) -> None:
        noise.detail = detail
        noise.away = 0
        _log.error("noise engine failed", engine=noise.engine, reason=detail)
        self._tell(noise.session_id, noise.stream, "", noise.level, noise.lag_ms, detail)

    def _lose(self) -> None:
        """Go on without the process; another is started later, and voices begin anew there."""
        process, self._process = self._process, None
        if process is None:
            return
        _log.error("noise process ended", streams=len(self._streams))
        process.close()
        self._frames.clear()
        self._untold.clear()
        for noise in self._streams.values():
            noise.away = 0

    def _tell(
        self, session_id: SessionId, stream: StreamSession, engine: str, level: int, lag_ms: int, detail: str
    ) -> None:
        self._report(
            NoiseSuppressionSet(
                session_id=session_id,
                stream_id=stream.stream_id,
                engine=engine,
                level=level,
                lag_ms=lag_ms,
                detail=detail,
            )
        )


def _open_of(noise: StreamNoise) -> OpenVoice:
    return OpenVoice(noise.key, noise.engine, noise.level)


_running: set[_Process] = set()
"""Processes that are to end with this one."""


class _Process:
    """A started process; what is sent before it runs waits in the socket."""

    def __init__(self, engine: str) -> None:
        # Sequenced packets: bounds are kept, a full buffer takes all or nothing, and the end of a process is told.
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.setblocking(False)
        self._is_closing = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(theirs, engine), name="noise process", daemon=True)
        _running.add(self)
        # To start a process takes longer than packets can wait.
        try:
            self._thread.start()
        except RuntimeError:
            _running.discard(self)
            self.link.close()
            theirs.close()
            raise

    def _run(self, theirs: socket.socket, engine: str) -> None:
        try:
            with theirs:
                child = subprocess.Popen(
                    [sys.executable, "-m", _MODULE, str(theirs.fileno()), engine],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            # A child that ends by itself is noticed at its socket, and let go of.
            self._is_closing.wait()
            try:
                child.wait(_CLOSE_S)
            except subprocess.TimeoutExpired:
                # It is stuck in an engine and sees neither signals nor the end of its socket.
                child.kill()
                child.wait()
        except OSError as error:
            _log.error("noise process cannot be started", exc_info=error)
        finally:
            _running.discard(self)

    def close(self) -> None:
        self.link.close()
        self._is_closing.set()

    def join(self) -> None:
        self._thread.join(2 * _CLOSE_S)


def _end_all() -> None:
    """Let no process outlive this one; returns within seconds, when nothing else runs here any more."""
    processes = tuple(_running)
    for process in processes:
        process.close()
    for process in processes:
        process.join()


atexit.register(_end_all)
