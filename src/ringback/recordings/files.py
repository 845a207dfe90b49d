"""The folder of recordings: where the worker writes, how a file is completed, found and removed.

Shape: `FOLDER/<account>/<recording>.wav` and `.mp3`, folders 0700, files 0600. A name appears when the whole file is on
the disk; before that it ends in `.part`.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import struct
import sys
import wave
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, TypeVarTuple

from ringback import clock
from ringback.errors import RingbackError
from ringback.ids import RecordingId
from ringback.machine import MS, after_ms
from ringback.recordings.spec import FileFormat
from ringback.telemetry.logs import get_logger

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
_log = get_logger(__name__)

PART_SUFFIX = ".part"
_HEADER_BYTES = 44
_POLL_S = 0.02
_SCAN_MAX = 100_000
_SHOWN_CHARS = 8
_BYTES_PER_SAMPLE = 2


class NoAudio(RingbackError):
    """A recording of which the disk holds nothing."""

    default_code = "no-audio"


@dataclass(frozen=True, slots=True)
class FileSettings:
    """Bounds of the folder."""

    free_min_bytes: int = 1024**3
    """Free space below which no recording begins, or 5 % of the disk if that is less."""
    encoders_max: int = 2
    """mp3 encoders that run at once."""
    worker_patience_ms: int = 10_000
    """How long the worker may take to bring a finished file to the disk before what is there is taken."""
    encode_max_s: int = 600


@dataclass(frozen=True, slots=True)
class CompletedFile:
    """A file as it is kept."""

    path: Path
    file_format: FileFormat
    size_bytes: int
    duration_ms: int


class RecordingFiles:
    """The folder and the processes that work in it.

    State: `close` ends encoders that run; what they did not finish is taken up at the next start.
    """

    def __init__(self, folder: Path, settings: FileSettings | None = None) -> None:
        self.folder = folder.absolute()
        self._settings = settings or FileSettings()
        self._encoders = asyncio.Semaphore(self._settings.encoders_max)
        self._running: set[asyncio.subprocess.Process] = set()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="recordings")

    def path(self, account_id: str, recording_id: str, file_format: FileFormat) -> Path:
        """Return where a complete file is or will be."""
        return self.folder / account_id / f"{recording_id}.{file_format.value}"

    async def prepare(self, account_id: str) -> bool:
        """Make the account's folder; `False` when the disk is too full for another recording."""
        return await self._run(self._prepare, account_id)

    def _prepare(self, account_id: str) -> bool:
        folder = self.folder / account_id
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        usage = shutil.disk_usage(folder)
        return usage.free >= min(self._settings.free_min_bytes, usage.total // 20)

    async def complete(
        self, account_id: str, recording_id: RecordingId, wanted: FileFormat, *, is_worker_gone: bool = False
    ) -> CompletedFile:
        """Return the finished file in the wanted format; as wav when it cannot be encoded.

        Args:
            is_worker_gone: Nobody writes the file any more, so that it is taken as it is.
        Raises:
            NoAudio: there is none.
        """
        wav = self.path(account_id, recording_id, FileFormat.WAV)
        mp3 = self.path(account_id, recording_id, FileFormat.MP3)
        if wanted is FileFormat.MP3 and mp3.exists() and not wav.exists():
            # An earlier server got that far.
            return await self._run(self._describe, mp3, 0)
        deadline = after_ms(clock.now(), 0 if is_worker_gone else self._settings.worker_patience_ms)
        while not await self._run(wav.exists):
            if clock.now() >= deadline:
                await self._run(self._rescue, wav)
                break
            await asyncio.sleep(_POLL_S)
        described = await self._run(self._describe, wav, 0)
        if wanted is FileFormat.WAV:
            return described
        if not await self._encode(wav, mp3):
            return described
        return await self._run(self._exchange, wav, mp3, described.duration_ms)

    def _rescue(self, wav: Path) -> None:
        """Take what a worker left behind: its audio as far as it was written."""
        part = wav.with_name(wav.name + PART_SUFFIX)
        try:
            with part.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(0)
                header = bytearray(file.read(_HEADER_BYTES))
                if len(header) < _HEADER_BYTES:
                    raise NoAudio("the recording's file has no header")
                frame = _BYTES_PER_SAMPLE * int.from_bytes(header[22:24], "little")
                data = (size - _HEADER_BYTES) // frame * frame
                struct.pack_into("<I", header, 4, _HEADER_BYTES - 8 + data)
                struct.pack_into("<I", header, 40, data)
                file.seek(0)
                file.write(header)
                file.flush()
                os.fsync(file.fileno())
            part.rename(wav)
        except OSError as error:
            raise NoAudio(f"the recording's file cannot be read: {error.strerror or error}") from error

    def _describe(self, path: Path, duration_ms: int) -> CompletedFile:
        try:
            size = path.stat().st_size
            if path.suffix == ".wav":
                with wave.open(str(path)) as file:
                    duration_ms = file.getnframes() * 1000 // file.getframerate()
        except (OSError, EOFError, wave.Error) as error:
            raise NoAudio(f"the recording's file cannot be read: {error}") from error
        return CompletedFile(path, FileFormat(path.suffix[1:]), size, duration_ms)

    async def _encode(self, wav: Path, mp3: Path) -> bool:
        """Return whether the encoder has made `mp3` with `.part` behind its name."""
        part = mp3.with_name(mp3.name + PART_SUFFIX)
        async with self._encoders:
            try:
                fault = await self._run_encoder(wav, part)
            except OSError as error:
                fault = str(error)
        if fault:
            # Not the whole name: it is the secret in the file's address.
            _log.warning("recording kept as wav", file=wav.name[:_SHOWN_CHARS], error=fault)
        return not fault

    async def _run_encoder(self, wav: Path, target: Path) -> str:
        """Return what went wrong, empty for nothing."""
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "ringback.recordings.mp3", str(wav), str(target)),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            # Nothing inherited: no secret of the server reaches it.
            env={"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._running.add(process)
        try:
            async with asyncio.timeout(self._settings.encode_max_s):
                _, errors = await process.communicate()
        except TimeoutError:
            return "it takes too long"
        finally:
            self._running.discard(process)
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode == 0:
            return ""
        last = errors.decode(errors="replace").strip().splitlines()[-1:]
        return f"exit code {process.returncode} {''.join(last)}".strip()

    def _exchange(self, wav: Path, mp3: Path, duration_ms: int) -> CompletedFile:
        mp3.with_name(mp3.name + PART_SUFFIX).rename(mp3)
        wav.unlink(missing_ok=True)
        return self._describe(mp3, duration_ms)

    async def remove(self, account_id: str, recording_id: str) -> None:
        """Delete every file of a recording; those that are gone already are no fault."""
        await self._run(self._remove, account_id, recording_id)

    def _remove(self, account_id: str, recording_id: str) -> None:
        for file_format in FileFormat:
            path = self.path(account_id, recording_id, file_format)
            path.unlink(missing_ok=True)
            path.with_name(path.name + PART_SUFFIX).unlink(missing_ok=True)

    async def is_idle(self, account_id: str, recording_id: str, idle_ms: int) -> bool:
        """Return whether nobody has written to a recording's files for so long."""
        return await self._run(self._is_idle, account_id, recording_id, idle_ms)

    def _is_idle(self, account_id: str, recording_id: str, idle_ms: int) -> bool:
        wav = self.path(account_id, recording_id, FileFormat.WAV)
        try:
            changed_ms = wav.with_name(wav.name + PART_SUFFIX).stat().st_mtime_ns // MS
        except OSError:
            return True
        return clock.wall_ms() - changed_ms >= idle_ms

    async def old_files(self, older_than_ms: int) -> dict[str, str]:
        """Return ids of recordings that have files not written to for so long, with their accounts."""
        return await self._run(self._old_files, older_than_ms)

    def _old_files(self, older_than_ms: int) -> dict[str, str]:
        found: dict[str, str] = {}
        before = clock.wall_ms() - older_than_ms
        for path in self.folder.glob("*/*.*"):
            try:
                if path.stat().st_mtime_ns // MS < before:
                    found[path.name.partition(".")[0]] = path.parent.name
            except OSError:
                continue
            if len(found) >= _SCAN_MAX:
                break
        return found

    async def close(self) -> None:
        """End the encoders that run and the thread."""
        for process in tuple(self._running):
            try:
                process.kill()
            except ProcessLookupError:
                continue
        self._disk.shutdown(wait=False, cancel_futures=True)

    async def _run(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """Return the result of `work`, done in the thread: a disk may be slow."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)
