"""The recognising process as the server sees it: started when it is first needed, asked, watched, replaced.

A process that dies or hangs costs the utterances it was asked for; the next one starts another.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import msgspec

from ringback import clock, ids
from ringback.helper_process import kill_helper, start_helper
from ringback.machine import SECOND, Instant
from ringback.recognition import messages
from ringback.recognition.heard import Recognition
from ringback.recognition.installed import fault_of, transcription_fault
from ringback.recognition.messages import Text, Utterance
from ringback.recognition.settings import RecognizerSettings
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_MODULE = "ringback.recognition.worker.main"
_RESTART_PAUSE_NS = 1 * SECOND
_END_TIMEOUT_S = 2.0
_LATE_S = 2.0
_LONG_TIMEOUT_MS = 60_000
_LONG_FACTOR = 3
"""A whole recording may take its own length so many times, and a minute."""


class Recognizer:
    """Recognises speech in files.

    State: `close` ends the process; later utterances are not recognised.
    """

    def __init__(
        self, folder: Path, log_path: Path, settings: RecognizerSettings, *, is_background: bool = False
    ) -> None:
        """Make one without a process.

        Args:
            is_background: Its process gives way to others: nobody waits for the answers on the telephone.
        """
        self._folder = folder.absolute()
        self._log_path = log_path
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._number = 0
        self._ended_at: Instant | None = None
        self._warming: asyncio.Task[None] | None = None
        self._is_closed = False
        self._arguments = ["background"] if is_background else []

    @property
    def waiting(self) -> int:
        """Return how many utterances wait or are being recognised."""
        return self._waiting

    def fault(self, language: str) -> str:
        """Return why speech in this language cannot be recognised here and what to do; empty when it can."""
        return fault_of(self._settings.engine, language)

    def transcription_fault(self) -> str:
        """Return why whole recordings cannot be transcribed here and what to do; empty when they can."""
        return transcription_fault(self._settings.engine)

    def warm(self) -> None:
        """Start the process beside what goes on, so that it is ready when somebody has spoken."""
        if self._process is None and self._warming is None and not self._is_closed:
            self._warming = asyncio.create_task(self._warm(), name="recognizer start")

    async def _warm(self) -> None:
        try:
            async with self._turn:
                with contextlib.suppress(_Fault):
                    await self._started()
        finally:
            self._warming = None

    def new_path(self) -> str:
        """Return the path of a file to come, for one utterance."""
        self._tidy()
        return str(self._folder / f"{ids.new_token()}.wav")

    def discard(self, path: str) -> None:
        """Delete the file of an utterance, finished or not, if there is one."""
        if path:
            _unlink(path)
            # A media worker may just be giving it its name.
            asyncio.get_running_loop().call_later(_LATE_S, _unlink, path)

    async def recognize(self, path: str, language: str, hints: tuple[str, ...], *, is_partial: bool) -> Recognition:
        """Return what is said in a wav file; never raises for what it contains.

        A partial one that would have to wait is not recognised: the next is on its way.
        """
        if self._is_closed or self._waiting >= (1 if is_partial else self._settings.waiting_max):
            return Recognition("", detail="too many utterances wait to be recognised")
        self._waiting += 1
        try:
            async with self._turn:
                asked = Utterance(0, path, language, hints, is_partial)
                return await self._ask(asked, self._settings.timeout_ms)
        except _Fault as fault:
            return Recognition("", detail=str(fault))
        finally:
            self._waiting -= 1

    async def transcribe(self, path: str, duration_ms: int) -> Recognition:
        """Return what is said in a whole recording, wav or mp3; never raises for what it contains."""
        if self._is_closed:
            return Recognition("", detail="the server shuts down")
        try:
            async with self._turn:
                asked = Utterance(0, path, "en-US", is_long=True)
                return await self._ask(asked, _LONG_TIMEOUT_MS + _LONG_FACTOR * duration_ms)
        except _Fault as fault:
            return Recognition("", detail=str(fault))

    async def rest(self) -> None:
        """End the process until it is needed again."""
        async with self._turn:
            await self._end()

    async def close(self) -> None:
        """End the process and return when it is gone; files of utterances are deleted."""
        self._is_closed = True
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.gather(self._warming, return_exceptions=True)
        await self._end()
        # Whoever was just starting one, or waited to, sees that this one is closed before the turn comes here.
        async with self._turn:
            await self._end()
        self._tidy(keep_ms=0)

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            if process.stdin is not None:
                process.stdin.close()
            try:
                async with asyncio.timeout(_END_TIMEOUT_S):
                    await process.wait()
            except TimeoutError:
                kill_helper(process)
                await process.wait()

    async def _ask(self, wanted: Utterance, timeout_ms: int) -> Recognition:
        process = await self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        self._number += 1
        asked = msgspec.structs.replace(wanted, number=self._number)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                process.stdin.write(messages.encode(asked) + b"\n")
                await process.stdin.drain()
                answer = Text(0)
                # Answers to those who gave up waiting come first.
                while answer.number != asked.number:
                    line = await process.stdout.readline()
                    if not line:
                        raise EOFError
                    answer = messages.decode_text(line)
        except (TimeoutError, EOFError, ValueError, OSError) as error:
            await self._give_up(process)
            raise _Fault(f"the recogniser failed: {type(error).__name__}") from error
        return Recognition(answer.text, answer.confidence, answer.detail)

    async def _started(self) -> asyncio.subprocess.Process:
        if self._is_closed:
            raise _Fault("the server shuts down")
        if self._process is not None and self._process.returncode is None:
            return self._process
        if self._ended_at is not None and clock.now() - self._ended_at < _RESTART_PAUSE_NS:
            raise _Fault("the recogniser has just failed")
        try:
            process = await start_helper(
                _MODULE,
                (self._settings.engine, *self._arguments),
                self._log_path,
                line_max_bytes=messages.LINE_MAX_BYTES,
                environment={"OMP_NUM_THREADS": "1"},
            )
        except OSError as error:
            raise _Fault(f"the recogniser cannot be started: {error.strerror or error}") from error
        assert process.stdout is not None
        if self._is_closed:
            await self._give_up(process)
            raise _Fault("the server shuts down")
        self._process = process
        try:
            async with asyncio.timeout(self._settings.start_timeout_ms / 1000):
                messages.decode_ready(await process.stdout.readline())
        except (TimeoutError, ValueError) as error:
            await self._give_up(process)
            _log.warning("recogniser not started", log=self._log_path.name)
            raise _Fault(f"the recogniser did not start, see {self._log_path.name}") from error
        except BaseException:
            self._process = None
            kill_helper(process)
            raise
        return process

    async def _give_up(self, process: asyncio.subprocess.Process) -> None:
        self._process = None
        self._ended_at = clock.now()
        kill_helper(process)
        await process.wait()

    def _tidy(self, keep_ms: int | None = None) -> None:
        """Delete the files of utterances that nobody came back for."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        oldest_s = (clock.wall_ms() - (self._settings.keep_files_ms if keep_ms is None else keep_ms)) / 1000
        for path in self._folder.glob("*.wav*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime <= oldest_s:
                    path.unlink()


class _Fault(Exception):
    """An utterance cannot be recognised, for a reason of ours."""


def _unlink(path: str) -> None:
    for name in (path, path + ".part"):
        with contextlib.suppress(OSError):
            os.unlink(name)
