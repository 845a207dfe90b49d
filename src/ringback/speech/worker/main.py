"""The process: reads requests, says them in a few threads, answers; it ends when its server's pipe ends."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import BinaryIO, assert_never

import msgspec
import numpy as np

from ringback import clock
from ringback.errors import RingbackError
from ringback.machine import MS
from ringback.speech import messages
from ringback.speech.messages import Ready, Said, Say, Warm
from ringback.speech.settings import SynthesiserSettings
from ringback.speech.voices import Engine
from ringback.speech.worker.engine import Synthesiser, SynthesisFailed
from ringback.speech.worker.espeak import Espeak
from ringback.speech.worker.flite import Flite
from ringback.speech.worker.piper import Piper
from ringback.speech.worker.sound import RATE_HZ, fit, write_wav

_NICENESS = 5
"""Speech that comes a little later is heard by nobody; a packet that does is heard by everybody."""


class Process:
    """The engines and the threads that use them."""

    def __init__(self, settings: SynthesiserSettings, out: BinaryIO) -> None:
        made: dict[Engine, Synthesiser] = {
            Engine.PIPER: Piper(settings),
            Engine.FLITE: Flite(settings),
            Engine.ESPEAK: Espeak(settings),
        }
        self._engines = {engine: made[engine] for engine in settings.engines}
        self._out = out
        self._speaking = Lock()
        self._threads = ThreadPoolExecutor(settings.threads, thread_name_prefix="say")

    def run(self, lines: Iterable[bytes]) -> None:
        """Say what voices there are, then carry out every line; returns when there are no more."""
        voices = [voice for engine in self._engines.values() for voice in engine.voices()]
        self._answer(Ready(voices=tuple(voices)))
        for line in lines:
            request = messages.decode_request(line)
            match request:
                case Say():
                    self._threads.submit(self._say, request)
                case Warm():
                    self._threads.submit(self._warm)
                case _:
                    assert_never(request)

    def close(self) -> None:
        """End every program; what was not said is not said."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for engine in self._engines.values():
            engine.close()

    def _warm(self) -> None:
        for engine in self._engines.values():
            try:
                engine.warm()
            except RingbackError:
                # The text that needs this voice will say why it cannot be had.
                continue

    def _say(self, request: Say) -> None:
        started = clock.now()
        fault, length_ms = "", 0
        try:
            length_ms = self._synthesise(request)
        except RingbackError as error:
            fault = str(error)
        except Exception as error:
            fault = f"synthesis failed: {error!r}"
        took_ms = (clock.now() - started) // MS
        self._answer(Said(request_id=request.request_id, fault=fault[:500], length_ms=length_ms, took_ms=took_ms))

    def _synthesise(self, request: Say) -> int:
        samples, rate_hz, rate = np.zeros(0, dtype=np.float32), RATE_HZ, 1.0
        if request.text:
            engine = self._engines.get(request.engine)
            if engine is None:
                raise SynthesisFailed(f"engine {request.engine.value} is not used here")
            samples, rate_hz, rate = engine.say(request.voice, request.text, request.rate, request.phonemes)
        audio = fit(
            samples,
            rate_hz,
            rate=rate,
            pitch=request.pitch,
            gain_db=request.gain_db,
            is_muted=request.is_muted,
            pause_ms=request.pause_ms,
        )
        write_wav(Path(request.path), audio)
        return 1000 * len(audio) // RATE_HZ

    def _answer(self, answer: messages.Answer) -> None:
        with self._speaking:
            try:
                self._out.write(messages.encode(answer) + b"\n")
                self._out.flush()
            except OSError:
                # The server is gone; the end of its pipe is on its way.
                pass


def main(arguments: list[str]) -> int:
    """Run until the server's pipe ends; `arguments` hold the settings as JSON."""
    settings = msgspec.json.decode(arguments[0], type=SynthesiserSettings) if arguments else SynthesiserSettings()
    os.nice(_NICENESS)
    # Programs of ours must not write into the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    process = Process(settings, out)
    try:
        process.run(sys.stdin.buffer)
    finally:
        process.close()
    return 0


if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stderr.flush()
    # A thread may still wait for a program that was just ended.
    os._exit(code)
