"""Turns passages into files: cache first, else the synthesiser process, the passages that callers wait for first."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Container, Coroutine
from dataclasses import dataclass
from pathlib import Path

import msgspec

from ringback import clock
from ringback.machine import MS, Instant
from ringback.speech.cache import SpeechCache
from ringback.speech.errors import EngineFailed, NoVoice, SpeechBusy, SpeechFailed
from ringback.speech.installed import installed_engines
from ringback.speech.messages import Said, Say, Warm
from ringback.speech.passage import Passage
from ringback.speech.process import SynthesiserProcess
from ringback.speech.settings import SpeechSettings
from ringback.speech.voices import Engine, LocalVoice, nearest
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_ATTEMPTS = 2
"""A passage that was with a process that died is tried once more: it may not have been the reason."""
_CROWD = 3
"""Passages that wait or are made; with more, the wait for the next one passes 300 ms (2 cores, a neural voice)."""
_REST_MS = 60_000
"""How long other engines speak in the place of one that failed."""


@dataclass(frozen=True, slots=True)
class Clip:
    """A passage as a file."""

    path: str
    voice: LocalVoice
    speaks_language: bool
    is_cached: bool
    took_ms: int
    fault: str = ""
    """Why a nearer voice did not speak, if one should have."""


@dataclass(slots=True)
class _Job:
    """A passage that waits for the process or is with it."""

    say: Say
    done: asyncio.Future[None]
    attempts: int = 0
    timeout: asyncio.TimerHandle | None = None


class Speaker:
    """All speech of the node.

    State: `start` once; `clip` until `close`. The process is started by the first passage that needs it, or at start
    when a voice takes long to load, and lives until `close`.
    """

    def __init__(
        self,
        folder: Path,
        log_path: Path,
        settings: SpeechSettings,
        count: Callable[[str], None] = lambda outcome: None,
    ) -> None:
        self._settings = settings
        self._count = count
        """Told what became of each passage: `cached`, `made`, `failed` or `refused`."""
        self._cache = SpeechCache(folder, settings.cache_max_bytes)
        self._log_path = log_path
        self._process: SynthesiserProcess | None = None
        self._starting: asyncio.Task[SynthesiserProcess] | None = None
        self._voices: tuple[LocalVoice, ...] = ()
        self._waiting: list[tuple[int, int, _Job]] = []
        self._numbers = itertools.count(1)
        self._running: dict[int, _Job] = {}
        self._by_path: dict[str, asyncio.Future[None]] = {}
        self._failed_at: int | None = None
        self._rests_until: dict[Engine, Instant] = {}
        self._is_closed = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def waiting(self) -> int:
        """Return how many passages wait for the process or are with it."""
        return len(self._waiting) + len(self._running)

    @property
    def is_crowded(self) -> bool:
        """Return whether so many passages wait that a new text should begin with few words."""
        return self.waiting >= _CROWD

    async def start(self) -> None:
        """Load voices that take long to load, beside everything else; returns at once."""
        has_voices_dir = bool(self._settings.synthesiser.voices_dir)
        if self._settings.is_preloaded and Engine.PIPER in installed_engines(has_voices_dir):
            self._spawn(self._warm(), "speech warm-up")

    async def close(self) -> None:
        """End the process; passages that wait fail."""
        self._is_closed = True
        if self._starting is not None:
            await asyncio.gather(self._starting, return_exceptions=True)
        if self._process is not None:
            await self._process.close()
        self._fail_all(SpeechFailed("the server shuts down"))
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._cache.close()

    async def clip(self, passage: Passage, place: int = 0, owner: str = "") -> Clip:
        """Return the passage as a file.

        An engine that gives no audio rests for a minute, and the nearest voice of another one speaks instead.

        Args:
            place: How many passages are said before it; lower ones are synthesised first.
            owner: Who has it said. Nobody can tell from a file that is there what others have had said.
        Raises:
            NoVoice: nothing is installed that speaks.
            SpeechBusy: too many passages wait already.
            SpeechFailed: no engine gave audio.
        """
        started = clock.now()
        if not self._voices:
            await self._started()
        failed: set[Engine] = set()
        fault = ""
        while True:
            choice = nearest(self._usable(failed), passage.style, self._settings.prefer)
            if choice is None:
                raise NoVoice
            try:
                path, is_cached = await self._said_by(choice.voice, passage, place, owner)
            except EngineFailed as error:
                self._count("failed")
                failed.add(choice.voice.engine)
                fault = fault or f"{choice.voice.name}: {error.message}"
                self._rests_until[choice.voice.engine] = Instant(clock.now() + _REST_MS * MS)
                _log.warning("voice failed", engine=choice.voice.engine.value, voice=choice.voice.name)
                if not any(voice.engine not in failed for voice in self._voices):
                    raise SpeechFailed(error.message) from error
                continue
            except SpeechBusy:
                self._count("refused")
                raise
            self._count("cached" if is_cached else "made")
            took_ms = (clock.now() - started) // MS
            return Clip(str(path), choice.voice, choice.speaks_language, is_cached, took_ms, fault)

    def _usable(self, failed: Container[Engine]) -> list[LocalVoice]:
        """Return the voices of engines that do not rest; all that did not fail now when every engine rests."""
        now = clock.now()
        left = [voice for voice in self._voices if voice.engine not in failed]
        return [voice for voice in left if self._rests_until.get(voice.engine, now) <= now] or left

    async def _said_by(self, voice: LocalVoice, passage: Passage, place: int, owner: str) -> tuple[Path, bool]:
        """Return the file of a passage, and whether it was there already."""
        style = passage.style
        say = Say(
            request_id=next(self._numbers),
            path="",
            engine=voice.engine,
            voice=voice.name,
            text=passage.text,
            rate=style.rate,
            pitch=style.pitch,
            gain_db=style.gain_db,
            is_muted=style.is_muted,
            pause_ms=passage.pause_ms,
            phonemes=passage.phonemes if _is_english(voice) else "",
        )
        path = self._cache.path_of(say, voice, owner)
        is_cached = await self._cache.has(path)
        if not is_cached:
            await self._synthesised(say, path, place)
        return path, is_cached

    async def _synthesised(self, say: Say, path: Path, place: int) -> None:
        """Return when the file is there; callers with the same passage share the work."""
        key = str(path)
        done = self._by_path.get(key)
        if done is None:
            if self.waiting >= self._settings.waiting_max:
                raise SpeechBusy(f"{self.waiting} passages wait to be said, at most {self._settings.waiting_max}")
            done = asyncio.get_running_loop().create_future()
            self._by_path[key] = done
            done.add_done_callback(lambda finished: self._finished(key, path, finished))
            job = _Job(msgspec.structs.replace(say, path=key), done)
            heapq.heappush(self._waiting, (place, say.request_id, job))
            # Not awaited: a caller that hangs up meanwhile must not leave the passage behind.
            self._spawn(self._ask_started(), "speech request")
        # A caller that hangs up must not end the work of the others.
        await asyncio.shield(done)

    async def _ask_started(self) -> None:
        try:
            await self._cache.make_folder()
            await self._started()
        except (SpeechFailed, OSError) as error:
            self._fail_all(error if isinstance(error, SpeechFailed) else SpeechFailed(f"no room for audio: {error}"))
        self._hand_out()

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Mark a failure as seen: whoever waits for the passage is told."""
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()

    async def _started(self) -> SynthesiserProcess:
        """Return the running process, starting it when there is none."""
        if self._process is not None:
            return self._process
        if self._is_closed:
            raise SpeechFailed("the server shuts down")
        if self._starting is None:
            self._starting = asyncio.create_task(self._start_process(), name="speech start")
        return await asyncio.shield(self._starting)

    async def _start_process(self) -> SynthesiserProcess:
        try:
            if self._failed_at is not None:
                rest_s = self._settings.restart_pause_ms / 1000 - (clock.now() - self._failed_at) / (1000 * MS)
                await asyncio.sleep(max(0.0, rest_s))
            self._failed_at = int(clock.now())
            process = await SynthesiserProcess.start(self._settings.synthesiser, self._log_path)
            self._failed_at = None
            self._process = process
            self._voices = tuple(listed.voice() for listed in process.voices)
            process.watch(self._said, lambda: self._process_ended(process))
            engines = sorted({voice.engine.value for voice in self._voices})
            _log.info("speech ready", voices=len(self._voices), engines=engines)
            return process
        finally:
            self._starting = None

    async def _warm(self) -> None:
        (await self._started()).ask(Warm())

    def _hand_out(self) -> None:
        """Give the process as many passages as it works on at once, of one voice's program one at a time: what waits
        there cannot be overtaken by a passage that a caller waits for.
        """
        process = self._process
        held: list[tuple[int, int, _Job]] = []
        busy = {job.say.voice for job in self._running.values() if job.say.engine is Engine.PIPER}
        while process is not None and self._waiting and len(self._running) < self._settings.synthesiser.threads:
            place, number, job = heapq.heappop(self._waiting)
            if job.done.done():
                continue
            if job.say.engine is Engine.PIPER:
                if job.say.voice in busy:
                    held.append((place, number, job))
                    continue
                busy.add(job.say.voice)
            job.attempts += 1
            self._running[number] = job
            job.timeout = asyncio.get_running_loop().call_later(self._patience_s, process.kill)
            process.ask(job.say)
        for each in held:
            heapq.heappush(self._waiting, each)

    @property
    def _patience_s(self) -> float:
        """Return after which time the process itself, which has time-outs of its own, counts as hung."""
        settings = self._settings.synthesiser
        return settings.threads * (settings.load_timeout_ms + settings.say_timeout_ms) / 1000

    def _said(self, said: Said) -> None:
        job = self._running.pop(said.request_id, None)
        if job is None:
            return
        if job.timeout is not None:
            job.timeout.cancel()
        if not job.done.done():
            if said.fault:
                job.done.set_exception(EngineFailed(said.fault))
            else:
                job.done.set_result(None)
        self._hand_out()

    def _process_ended(self, process: SynthesiserProcess) -> None:
        if self._process is not process:
            return
        self._process = None
        if self._is_closed:
            self._fail_all(SpeechFailed("the server shuts down"))
            return
        jobs, self._running = list(self._running.values()), {}
        for job in jobs:
            if job.timeout is not None:
                job.timeout.cancel()
        _log.warning("speech process ended", passages=len(jobs))
        self._failed_at = int(clock.now())
        for job in jobs:
            if job.attempts < _ATTEMPTS:
                heapq.heappush(self._waiting, (0, job.say.request_id, job))
            elif not job.done.done():
                job.done.set_exception(SpeechFailed("the speech process ended while it said this"))
        if self._waiting:
            self._spawn(self._ask_started(), "speech restart")

    def _fail_all(self, error: SpeechFailed) -> None:
        jobs = [*self._running.values(), *(job for _, _, job in self._waiting)]
        self._running, self._waiting = {}, []
        for job in jobs:
            if job.timeout is not None:
                job.timeout.cancel()
            if not job.done.done():
                job.done.set_exception(error)

    def _finished(self, key: str, path: Path, done: asyncio.Future[None]) -> None:
        self._by_path.pop(key, None)
        if done.cancelled() or done.exception() is not None or self._is_closed:
            return
        self._spawn(self._cache.added(path), "speech cache")


def _is_english(voice: LocalVoice) -> bool:
    return voice.language.lower().startswith("en")
