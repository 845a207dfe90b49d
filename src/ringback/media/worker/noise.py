"""Noise suppression for the streams of a worker: cheap engines at once, dear ones in a thread of their own.

No packet of any call waits for an engine: a frame goes to the thread and comes back in a later slot, in order. When
the thread falls behind, frames pass as they came until it has caught up.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue

from ringback.media.control.settings import WorkerSettings
from ringback.media.noise.engine import EngineKind, EngineMissing
from ringback.media.noise.engines import DTLN, KINDS, SPEEX, make_engine
from ringback.media.noise.suppressor import Suppressor
from ringback.media.stream.session import StreamSession
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

AUTO = "auto"
WAITING_MAX = 25
"""Frames (500 ms) of one stream that may be with the thread; further ones pass as they came, behind those."""
_CLOSE_S = 1.0


class StreamNoise:
    """The suppression of one stream.

    State: `take` every frame in order until `close`; frames given to the thread come back by `on_clean`.
    """

    def __init__(self, room: NoiseRoom, kind: EngineKind, suppressor: Suppressor, level: int) -> None:
        self.engine = kind.name
        self.level = level
        self.lag_ms = round(suppressor.lag_ms) + (0 if kind.is_cheap else 10)
        """How late the audio becomes: the engine's lag, and the slots that the thread may take."""
        self.passed_frames = 0
        """Frames that passed as they came, because the thread was behind or the engine failed."""
        self.on_clean: Callable[[bytes], None] | None = None
        self.waiting = 0
        self.suppressor = suppressor
        self.has_failed = False
        self._room = room
        self._is_cheap = kind.is_cheap

    def take(self, pcm: bytes) -> bytes | None:
        """Take 20 ms of native audio; returns it without noise, or `None` when it comes by `on_clean`."""
        if self._is_cheap:
            return self._at_once(pcm)
        is_passed = self.has_failed or self.waiting >= WAITING_MAX
        self.passed_frames += is_passed
        self.waiting += 1
        self._room.give(self, pcm, is_passed)
        return None

    def close(self) -> None:
        """End it: what is still with the thread is dropped."""
        self.on_clean = None
        self._room.leave(self)

    def _at_once(self, pcm: bytes) -> bytes:
        if not self.has_failed:
            try:
                return self.suppressor.process(pcm)
            except Exception as error:
                _log.error("noise engine failed", engine=self.engine, exc_info=error)
                self.has_failed = True
        self.passed_frames += 1
        return pcm


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish for suppression."""

    engine: str
    """Empty when there is none."""
    lag_ms: int
    detail: str
    """Why it is not what was wished, empty when it is."""


class NoiseRoom:
    """All suppressors of the worker.

    State: `open` at any time; `deliver` once per slot hands back what the thread has done; after `close` nothing comes.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings = settings
        self._streams: set[StreamNoise] = set()
        self._given: SimpleQueue[tuple[StreamNoise, bytes, bool] | None] = SimpleQueue()
        self._done: deque[tuple[StreamNoise, bytes]] = deque()
        self._thread: threading.Thread | None = None

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def dear_streams(self) -> int:
        """Return how many streams use the thread."""
        return sum(stream.engine != SPEEX.name for stream in self._streams)

    def open(self, stream: StreamSession, level: int, flush: Callable[[], None]) -> Outcome:
        """Take the noise out of a stream's uplink, as far as engines are installed; `flush` sends what came back."""
        kind, detail = self._choose()
        other = SPEEX if kind is DTLN else DTLN
        for candidate in (kind, other):
            if not self._has_room_for(candidate):
                continue
            try:
                noise = self._make(candidate, level)
            except EngineMissing as error:
                detail = str(error)
                continue

            def come_back(pcm: bytes) -> None:
                stream.push_clean(pcm)
                flush()

            noise.on_clean = come_back
            stream.noise = noise
            return Outcome(noise.engine, noise.lag_ms, detail)
        return Outcome("", 0, detail)

    def _choose(self) -> tuple[EngineKind, str]:
        wished = self._settings.noise_engine
        kind = KINDS.get(wished, DTLN)
        if not self._has_room_for(kind):
            return SPEEX, f"{self._settings.noise_streams_max} streams of this worker use {kind.name} already"
        return kind, ""

    def _has_room_for(self, kind: EngineKind) -> bool:
        return kind.is_cheap or self.dear_streams < self._settings.noise_streams_max

    def _make(self, kind: EngineKind, level: int) -> StreamNoise:
        stream = StreamNoise(self, kind, Suppressor(kind, make_engine(kind), level), level)
        if not kind.is_cheap and self._thread is None:
            self._thread = threading.Thread(target=self._work, name="noise", daemon=True)
            self._thread.start()
        self._streams.add(stream)
        return stream

    def give(self, stream: StreamNoise, pcm: bytes, is_passed: bool) -> None:
        """Hand a frame to the thread; called by streams."""
        self._given.put((stream, pcm, is_passed))

    def leave(self, stream: StreamNoise) -> None:
        """Forget a stream; called by it."""
        self._streams.discard(stream)

    def deliver(self) -> None:
        """Hand what the thread has done to the streams."""
        done = self._done
        while done:
            stream, pcm = done.popleft()
            stream.waiting -= 1
            if stream.on_clean is not None:
                stream.on_clean(pcm)

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._given.put(None)
            self._thread.join(_CLOSE_S)
            self._thread = None

    def _work(self) -> None:
        while (item := self._given.get()) is not None:
            stream, pcm, is_passed = item
            if not is_passed:
                try:
                    pcm = stream.suppressor.process(pcm)
                except Exception as error:
                    _log.error("noise engine failed", engine=stream.engine, exc_info=error)
                    stream.has_failed = True
            self._done.append((stream, pcm))
