"""The synthesiser process as the server sees it: started, asked, watched, ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec

from ringback.helper_process import kill_helper, start_helper
from ringback.speech import messages
from ringback.speech.errors import SpeechFailed
from ringback.speech.messages import Ready, Request, Said, VoiceListed
from ringback.speech.settings import SynthesiserSettings

_MODULE = "ringback.speech.worker.main"
_START_TIMEOUT_S = 20.0
_END_TIMEOUT_S = 2.0


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
        try:
            process = await start_helper(
                _MODULE,
                (msgspec.json.encode(settings).decode(),),
                log_path,
                line_max_bytes=messages.LINE_MAX_BYTES,
            )
        except OSError as error:
            raise SpeechFailed(f"the speech process cannot be started: {error.strerror or error}") from error
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                answer = messages.decode_answer(await _line(process))
            if not isinstance(answer, Ready):
                raise SpeechFailed("the speech process began with an answer")
        except (TimeoutError, ValueError, EOFError) as error:
            kill_helper(process)
            await process.wait()
            raise SpeechFailed("the speech process did not start", hint=f"see {log_path.name}") from error
        except BaseException:
            kill_helper(process)
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
        kill_helper(self._process)

    async def close(self) -> None:
        """End it politely and return when it is gone."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            async with asyncio.timeout(_END_TIMEOUT_S):
                await self._process.wait()
        except TimeoutError:
            kill_helper(self._process)
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
            kill_helper(self._process)
            await self._process.wait()
        finally:
            on_end()


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise EOFError
    return line
