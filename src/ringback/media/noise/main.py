"""The noise process of a media worker: `python -m ringback.media.noise.main DESCRIPTOR ENGINE`.

Engines keep Python's lock while they compute, so they would hold up the worker's packets even from a thread
(docs/noise.md). Here they can hold up each other at most. The process ends with its worker, whose socket it holds.
"""

from __future__ import annotations

import gc
import os
import signal
import socket
import sys
from typing import assert_never

from ringback import clock
from ringback.media.noise.engine import EngineMissing
from ringback.media.noise.engines import KINDS, make_engine
from ringback.media.noise.messages import (
    MESSAGE_MAX_BYTES,
    Answered,
    CleanFrame,
    CleanFrames,
    CloseVoice,
    Frame,
    Frames,
    OpenVoice,
    VoiceFailed,
    decode_asked,
    encode,
)
from ringback.media.noise.suppressor import Suppressor
from ringback.telemetry.logs import configure_logs, get_logger

_log = get_logger(__name__)

_NICENESS = 5
"""Packets come first: a frame that is late is heard as it came, a packet that is late is not heard."""
_HAND_BACK_NS = 1_000_000
"""Done frames wait so long at most for those that are done after them: a message each would cost more."""


def serve(link: socket.socket) -> None:
    """Take the noise out of what comes until the other end is closed."""
    voices = Voices()
    while data := link.recv(MESSAGE_MAX_BYTES):
        message = decode_asked(data)
        match message:
            case OpenVoice():
                failed = voices.open(message)
                if failed is not None:
                    _send(link, failed)
            case CloseVoice():
                voices.close(message.key)
            case Frames():
                _process(link, voices, message.frames)
            case _:
                assert_never(message)


class Voices:
    """The suppressors of a worker's voices.

    State: `process` takes the frames of a voice in order, from `open` until `close`.
    """

    def __init__(self) -> None:
        self._suppressors: dict[int, Suppressor] = {}

    def open(self, asked: OpenVoice) -> VoiceFailed | None:
        """Make the engine of a voice; returns why there is none."""
        kind = KINDS[asked.engine]
        try:
            self._suppressors[asked.key] = Suppressor(kind, make_engine(kind), asked.level)
        except EngineMissing as error:
            return VoiceFailed(asked.key, str(error))
        except Exception as error:
            _log.error("noise engine cannot be made", engine=asked.engine, exc_info=error)
            return VoiceFailed(asked.key, f"noise engine {asked.engine} cannot be made: {error!r}")
        return None

    def close(self, key: int) -> None:
        """Forget a voice."""
        self._suppressors.pop(key, None)

    def process(self, frame: Frame) -> CleanFrame | VoiceFailed | None:
        """Return a frame without noise, or nothing for a voice that has no engine."""
        suppressor = self._suppressors.get(frame.key)
        if suppressor is None:
            return None
        before = clock.process_cpu_ns()
        try:
            pcm = suppressor.process(frame.pcm)
        except Exception as error:
            _log.error("noise engine failed", exc_info=error)
            self.close(frame.key)
            return VoiceFailed(frame.key, f"noise engine failed: {error!r}")
        return CleanFrame(frame.key, frame.number, clock.process_cpu_ns() - before, pcm)


def _process(link: socket.socket, voices: Voices, frames: list[Frame]) -> None:
    done: list[CleanFrame] = []
    began = clock.now()
    for frame in frames:
        result = voices.process(frame)
        if isinstance(result, CleanFrame):
            done.append(result)
        elif result is not None:
            _send(link, result)
        if done and clock.now() - began > _HAND_BACK_NS:
            _send(link, CleanFrames(done))
            done, began = [], clock.now()
    if done:
        _send(link, CleanFrames(done))


def _send(link: socket.socket, message: Answered) -> None:
    link.send(encode(message))


def warm(engine: str) -> None:
    """Load what voices will want, so that none waits for another's libraries later."""
    for kind in KINDS.values():
        if engine in (kind.name, "auto"):
            try:
                Suppressor(kind, make_engine(kind), 100).process(bytes(320))
            except EngineMissing:
                # Whoever wants it is told.
                continue


def main() -> int:
    """Run until the worker ends; returns the exit status."""
    configure_logs("json", "info")
    # Signals to the worker's group are the worker's business; it lets go of the socket in the end.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    os.nice(_NICENESS)
    with socket.socket(fileno=int(sys.argv[1])) as link:
        warm(sys.argv[2])
        gc.collect()
        gc.freeze()
        try:
            serve(link)
        except (BrokenPipeError, ConnectionResetError):
            # The worker was killed.
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
