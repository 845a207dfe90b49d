"""The synthesiser process as the server sees it: started, asked, watched, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import msgspec

from ringback.speech import messages
from ringback.speech.errors import SpeechFailed
from ringback.speech.messages import Ready, Request, Said, VoiceListed
from ringback.speech.settings import SynthesiserSettings

_MODULE = "ringback.speech.worker.main"
_START_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 2.0
_LOG_MAX_BYTES = 4 * 1024 * 1024


class SynthesiserProcess:
    """A running process.

    State: `start` returns it ready; `on_said` gets every answer, `on_end` is called once when it is gone, also after
    `close`. Both are called on the loop.
    """

    def __init__(self, process: asyncio.subprocess.Process, voices: tuple[VoiceListed, ...]) -> None:
        self.voices = voices
        self._process = process
        self._reading: asyncio.Task[None] | None = None

    @staticmethod
    async def start(settings: SynthesiserSettings, log_path: Path) -> SynthesiserProcess:
        """Return a new process that has said what voices it has.

        Raises:
            SpeechFailed: it cannot be started.
        """
        environment = {
            "PATH": os.pathsep.join(os.get_exec_path()),
            "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry),
            "PYTHONUTF8": "1",
        }
        try:
            with _open_log(log_path) as log:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", _MODULE, msgspec.json.encode(settings).decode()),
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    env=environment,
                    limit=messages.LINE_MAX_BYTES,
                    # Control-C in a terminal is for the server, which ends this process by its pipe.
                    start_new_session=True,
                )
        except OSError as error:
            raise SpeechFailed(f"the speech process cannot be started: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                answer = messages.decode_answer(await _line(process))
            if not isinstance(answer, Ready):
                raise SpeechFailed("the speech process began with an answer")
        except (TimeoutError, ValueError, EOFError) as error:
            _kill(process)
            await process.wait()
            raise SpeechFailed("the speech process did not start", hint=f"see {log_path.name}") from error
        except BaseException:
            _kill(process)
            raise
        return SynthesiserProcess(process, answer.voices)

    def watch(self, on_said: Callable[[Said], None], on_end: Callable[[], None]) -> None:
        """Begin to read answers."""
        self._reading = asyncio.create_task(self._read(on_said, on_end), name="speech answers")

    def ask(self, request: Request) -> None:
        """Send one request; one that a dying process does not get is known by `on_end`."""
        if self._process.stdin is not None and not self._process.stdin.is_closing():
            self._process.stdin.write(messages.encode(request) + b"\n")

    def kill(self) -> None:
        """End it at once, with its programs."""
        _kill(self._process)

    async def close(self) -> None:
        """End it politely and return when it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            _kill(self._process)
            await self._process.wait()
        if self._reading is not None:
            await asyncio.gather(self._reading, return_exceptions=True)

    async def _read(self, on_said: Callable[[Said], None], on_end: Callable[[], None]) -> None:
        try:
            while True:
                answer = messages.decode_answer(await _line(self._process))
                if isinstance(answer, Said):
                    on_said(answer)
        except (EOFError, ValueError):
            # Its end, or something that is no answer: it is of no use any more.
            _kill(self._process)
            await self._process.wait()
        finally:
            on_end()


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    return line


def _open_log(path: Path) -> IO[bytes]:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if path.exists() and path.stat().st_size > _LOG_MAX_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _kill(process: asyncio.subprocess.Process) -> None:
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
