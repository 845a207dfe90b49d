"""Recordings on disk: one thread writes what the loop hands over, so that a slow disk never holds up audio.

A file is a whole wav after every write: its header is brought up to date with the audio. A worker that is killed loses
what waited in memory, half a second as a rule.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import struct
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import NamedTuple

from ringback.media.control.settings import WorkerSettings
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

RATE_HZ = 8_000
HEADER_BYTES = 44
PART_SUFFIX = ".part"
_FILE_MODE = 0o600
_SPACE_CHECK_BYTES = 256 * 1024
"""Audio between two looks at the free space."""
_FREE_MIN_PERCENT = 5
_DATA_MAX_BYTES = 0xFFFFFFFF - HEADER_BYTES
_CLOSE_PATIENCE_S = 2.0
_SHOWN_CHARS = 8


class DiskFault(NamedTuple):
    """Why a file is not written on."""

    is_full: bool
    detail: str


class RecordingFile:
    """One recording's file, as the loop sees it.

    State: `write` until `finish`; both return at once. `on_fault` is called at most once, on the loop.
    """

    __slots__ = ("_disk", "_is_finished", "_owed_bytes", "_writer", "accepted_bytes", "dropped_bytes", "queued_bytes")

    def __init__(self, disk: RecordingDisk, writer: _Writer) -> None:
        self._disk = disk
        self._writer = writer
        self._is_finished = False
        self._owed_bytes = 0
        self.accepted_bytes = 0
        """Audio so far, silence in place of dropped audio included."""
        self.dropped_bytes = 0
        self.queued_bytes = 0

    @property
    def waiting_bytes(self) -> int:
        """Return how much audio has not reached the disk."""
        return self.queued_bytes - self._writer.done_bytes

    def write(self, pcm: bytes) -> bool:
        """Append audio; `False` when the disk is so slow that it is dropped: silence will stand in its place."""
        if self._is_finished:
            return False
        size = len(pcm)
        self.accepted_bytes += size
        if not self._disk.has_room(self, size):
            self.dropped_bytes += size
            self._owed_bytes += size
            return False
        self.queued_bytes += size
        self._put(pcm)
        return True

    def finish(self) -> None:
        """Bring everything to the disk, then give the file its name; what fails is logged."""
        if not self._is_finished:
            self._is_finished = True
            self._put(None)

    def discard(self) -> None:
        """End without a file: nobody will read it."""
        if not self._is_finished:
            self._is_finished = True
            self._writer.is_unwanted = True
            self._put(None)

    def _put(self, pcm: bytes | None) -> None:
        self._disk.put(_Piece(self._writer, self._owed_bytes, pcm))
        self._owed_bytes = 0


class _Piece(NamedTuple):
    """What the loop hands to the thread: audio, or `None` for the end of a file."""

    writer: _Writer
    silent_bytes: int
    """Silence in front of it, for audio that was dropped."""
    pcm: bytes | None


class _Writer:
    """The same file, as the thread sees it."""

    __slots__ = (
        "_fd",
        "_free_min",
        "_next_check",
        "_on_fault",
        "_path",
        "_size",
        "channels",
        "done_bytes",
        "failed",
        "is_unwanted",
    )

    def __init__(self, path: str, channels: int, free_min: int, on_fault: Callable[[DiskFault], None]) -> None:
        self.channels = channels
        self.done_bytes = 0
        self.failed = False
        self.is_unwanted = False
        self._path = path
        self._fd = -1
        self._size = 0
        self._next_check = 0
        self._free_min = free_min
        self._on_fault = on_fault

    def append(self, silent_bytes: int, pcm: bytes) -> None:
        """Write silence, then a piece."""
        try:
            if not self.failed:
                self._append(silent_bytes, pcm)
        except OSError as error:
            self._fail(error)
        finally:
            self.done_bytes += len(pcm)

    def finish(self, silent_bytes: int) -> None:
        """Close the file under its own name, behind so much silence; one that nobody wants is removed."""
        try:
            if self.is_unwanted:
                self._remove()
                return
            if self._fd < 0 and not self.failed:
                self._open()
            if self._fd >= 0:
                if silent_bytes and not self.failed:
                    self._leave_silence(silent_bytes)
                    os.ftruncate(self._fd, HEADER_BYTES + self._size)
                self._write_header()
                os.fsync(self._fd)
                os.close(self._fd)
                self._fd = -1
                os.rename(self._path + PART_SUFFIX, self._path)
                _sync_folder(self._path)
        except OSError as error:
            self._fail(error)
        finally:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _remove(self) -> None:
        if self._fd >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path + PART_SUFFIX)

    def _append(self, silent_bytes: int, pcm: bytes) -> None:
        if self._fd < 0:
            self._open()
        if self._size >= self._next_check:
            self._next_check = self._size + _SPACE_CHECK_BYTES
            self._check_space()
        if self._size + silent_bytes + len(pcm) > _DATA_MAX_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        if silent_bytes:
            self._leave_silence(silent_bytes)
        self._write(pcm)
        self._write_header()

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
        self._fd = os.open(self._path + PART_SUFFIX, flags, _FILE_MODE)
        self._write_header()
        os.lseek(self._fd, HEADER_BYTES, os.SEEK_SET)

    def _leave_silence(self, size: int) -> None:
        # A hole in the file reads as silence.
        self._size += size
        os.lseek(self._fd, HEADER_BYTES + self._size, os.SEEK_SET)

    def _write(self, pcm: bytes) -> None:
        view = memoryview(pcm)
        while view:
            written = os.write(self._fd, view)
            self._size += written
            view = view[written:]

    def _write_header(self) -> None:
        # A disk that was full may have taken half a sample.
        whole = self._size - self._size % (2 * self.channels)
        os.pwrite(self._fd, wav_header(whole, self.channels), 0)

    def _check_space(self) -> None:
        stat = os.fstatvfs(self._fd)
        free, whole = stat.f_bavail * stat.f_frsize, stat.f_blocks * stat.f_frsize
        if free < min(self._free_min, whole * _FREE_MIN_PERCENT // 100):
            raise OSError(errno.ENOSPC, f"{free // 1024**2} MB are free")

    def _fail(self, error: OSError) -> None:
        if not self.failed:
            self.failed = True
            is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            self._on_fault(DiskFault(is_full, (error.strerror or str(error)).lower()))


class RecordingDisk:
    """The worker's thread for recordings.

    State: the thread runs from the first file until `close`, which waits for it a moment: it runs at the worker's end.
    """

    def __init__(self, settings: WorkerSettings, loop: asyncio.AbstractEventLoop) -> None:
        self._settings = settings
        self._loop = loop
        self._queue: SimpleQueue[_Piece | None] = SimpleQueue()
        self._thread: threading.Thread | None = None
        self._queued_bytes = 0
        self._done_bytes = 0

    def open(self, path: str, channels: int, on_fault: Callable[[DiskFault], None]) -> RecordingFile:
        """Return a file that is made with its first audio; faults of the disk reach `on_fault`."""

        def report(fault: DiskFault) -> None:
            # Not the whole name: it is the secret in the file's address.
            _log.warning("recording not written", file=os.path.basename(path)[:_SHOWN_CHARS], detail=fault.detail)
            with contextlib.suppress(RuntimeError):  # the loop is closed: the worker ends
                self._loop.call_soon_threadsafe(on_fault, fault)

        return RecordingFile(self, _Writer(path, channels, self._settings.recording_free_min_bytes, report))

    def has_room(self, file: RecordingFile, size: int) -> bool:
        """Return whether so much more audio of a file may wait."""
        return (
            file.waiting_bytes + size <= self._settings.recording_queue_bytes
            and self._queued_bytes - self._done_bytes + size <= self._settings.recording_queues_bytes
        )

    def put(self, piece: _Piece) -> None:
        """Hand a piece to the thread."""
        if self._thread is None:
            # A daemon: a disk that never answers must not keep the worker from ending.
            self._thread = threading.Thread(target=self._run, name="recordings", daemon=True)
            self._thread.start()
        self._queued_bytes += len(piece.pcm or b"")
        self._queue.put(piece)

    def close(self) -> None:
        """End the thread when everything is written, or after two seconds."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(_CLOSE_PATIENCE_S)

    def _run(self) -> None:
        while (piece := self._queue.get()) is not None:
            writer, silent_bytes, pcm = piece
            try:
                if pcm is None:
                    writer.finish(silent_bytes)
                else:
                    writer.append(silent_bytes, pcm)
            except Exception as error:
                # One file's fault must not end the others' thread.
                writer.failed = True
                _log.error("recording failed", exc_info=error)
            self._done_bytes += len(pcm or b"")


def wav_header(data_bytes: int, channels: int) -> bytes:
    """Return the 44 bytes in front of 16-bit audio at 8000 Hz."""
    frame = 2 * channels
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF", 36 + data_bytes, b"WAVE",
        b"fmt ", 16, 1, channels, RATE_HZ, RATE_HZ * frame, frame, 16,
        b"data", data_bytes,
    )  # fmt: skip


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
