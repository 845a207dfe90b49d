"""Files for `Play`: wav and mp3, decoded to 8000 Hz mono in a small thread pool a few seconds ahead of playback."""

from __future__ import annotations

import asyncio
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import miniaudio
import numpy as np
import soxr

from ringback import clock
from ringback.errors import MediaError
from ringback.machine import MS
from ringback.media.control.settings import WorkerSettings

_RATE_HZ = 8_000
_CHUNK_MS = 2_000
_CHUNKS_AHEAD = 2
_THREADS = 2
_CLIP_MAX_BYTES = 1024 * 1024
"""Decoded audio of a longer file (65 s) is not cached."""
_FORMATS = frozenset({miniaudio.FileFormat.WAV, miniaudio.FileFormat.MP3})


class UnplayableFile(MediaError):
    """The file is missing, too large, or no audio that can be decoded."""

    default_code = "unplayable-file"


class FileKey(NamedTuple):
    """Names one version of a file."""

    path: str
    modified_ns: int
    size_bytes: int


class _Pass:
    """One decoding of a file from its start; `next_chunk` runs in a pool thread, one call at a time."""

    def __init__(self, path: str, settings: WorkerSettings) -> None:
        self._settings = settings
        try:
            stat = os.stat(path)
            if stat.st_size > settings.play_max_bytes:
                raise UnplayableFile(f"file has {stat.st_size} bytes, expected at most {settings.play_max_bytes}")
            info = miniaudio.get_file_info(path)
        except OSError as error:
            raise UnplayableFile(f"file cannot be read: {error.strerror}") from error
        except (miniaudio.MiniaudioError, ValueError) as error:
            raise UnplayableFile(f"file cannot be decoded: {error}", hint="play wav or mp3") from error
        if info.file_format not in _FORMATS:
            raise UnplayableFile(f"file is {info.file_format.name.lower()}", hint="play wav or mp3")
        if info.duration * 1000 > settings.play_max_ms:
            raise UnplayableFile(f"file lasts {info.duration:.0f} s, expected at most {settings.play_max_ms // 1000}")
        if not 1_000 <= info.sample_rate <= 384_000:
            raise UnplayableFile(f"file has {info.sample_rate} samples per second")
        self.key = FileKey(path, stat.st_mtime_ns, stat.st_size)
        self._played_ms = 0
        self._is_over = False
        self._resampler = (
            soxr.ResampleStream(info.sample_rate, _RATE_HZ, 1, dtype="int16", quality="HQ")
            if info.sample_rate != _RATE_HZ
            else None
        )
        self._chunks: Iterator[object] = miniaudio.stream_file(
            path,
            output_format=miniaudio.SampleFormat.SIGNED16,
            nchannels=1,
            sample_rate=info.sample_rate,
            frames_to_read=info.sample_rate * _CHUNK_MS // 1000,
        )

    def next_chunk(self) -> bytes:
        """Return the next audio, empty at the end."""
        if self._is_over:
            return b""
        started = clock.now()
        try:
            decoded = next(self._chunks, None)
        except miniaudio.MiniaudioError as error:
            raise UnplayableFile(f"file cannot be decoded: {error}") from error
        self._is_over = decoded is None
        samples = np.frombuffer(decoded if decoded is not None else b"", dtype=np.int16)  # type: ignore[call-overload]  # an array is a buffer
        if self._resampler is not None:
            samples = self._resampler.resample_chunk(samples, last=decoded is None)
        pcm: bytes = samples.astype("<i2", copy=False).tobytes()
        self._played_ms += len(pcm) // (2 * _RATE_HZ // 1000)
        if self._played_ms > self._settings.play_max_ms:
            raise UnplayableFile(f"file lasts longer than {self._settings.play_max_ms // 1000} s")
        if clock.now() - started > self._settings.play_decode_per_minute_ms * MS * _CHUNK_MS // 60_000:
            raise UnplayableFile("file takes too long to decode")
        # A resampler may hold back everything of a short chunk: that is not the end yet.
        return pcm or self.next_chunk()


class FilePlayback:
    """A `PcmSource` over one file, `loops` times (0 for ever).

    State: `take` never blocks; `on_failed` is called at most once, on the loop; `close` stops decoding.
    """

    def __init__(self, files: PlayFiles, path: str, loops: int, on_failed: Callable[[str], None]) -> None:
        self._files = files
        self._path = path
        self._passes_left = loops if loops > 0 else -1
        self._on_failed = on_failed
        self._pass: _Pass | None = None
        self._pass_bytes = 0
        self._collected: list[bytes] | None = []
        self._clip: bytes | None = None
        self._chunk = b""
        self._at = 0
        self._waiting: deque[bytes] = deque()
        self._is_finished = False
        self._is_closed = False
        self._is_busy = False
        self._work_ahead()

    def take(self, samples: int) -> bytes | None:
        """Return up to `samples` samples, fewer when decoding lags, `None` at the end."""
        wanted = 2 * samples
        taken = b""
        while len(taken) < wanted:
            if self._at >= len(self._chunk):
                if not self._waiting:
                    if self._is_finished:
                        return taken or None
                    break
                self._chunk = self._waiting.popleft()
                self._at = 0
                self._work_ahead()
            piece = self._chunk[self._at : self._at + wanted - len(taken)]
            self._at += len(piece)
            taken = taken + piece if taken else piece
        return taken

    def close(self) -> None:
        """Stop decoding; idempotent."""
        if not self._is_closed:
            self._is_closed = True
            self._is_finished = True
            self._waiting.clear()
            self._files.forget(self)

    def _work_ahead(self) -> None:
        while not (self._is_finished or self._is_busy) and len(self._waiting) < _CHUNKS_AHEAD:
            if self._clip is not None:
                self._waiting.append(self._clip)
                self._end_pass()
            else:
                self._is_busy = True
                self._files.run(self._decode, self._take_result)

    def _decode(self) -> bytes:
        if self._pass is None:
            self._pass = _Pass(self._path, self._files.settings)
            clip = self._files.cached(self._pass.key)
            if clip is not None:
                self._clip = clip
                return clip
        return self._pass.next_chunk()

    def _take_result(self, result: asyncio.Future[bytes]) -> None:
        self._is_busy = False
        if self._is_closed or result.cancelled():
            result.cancelled() or result.exception()
            return
        error = result.exception()
        if error is not None:
            self.close()
            self._on_failed(str(error) if isinstance(error, MediaError) else f"decoder failed: {error!r}")
            return
        self._take_chunk(result.result())
        self._work_ahead()

    def _take_chunk(self, chunk: bytes) -> None:
        if self._clip is not None:
            self._waiting.append(chunk)
            self._end_pass()
        elif chunk:
            self._pass_bytes += len(chunk)
            self._waiting.append(chunk)
            if self._collected is not None:
                self._collected.append(chunk)
                if self._pass_bytes > _CLIP_MAX_BYTES:
                    self._collected = None
        elif not self._pass_bytes:
            self.close()
            self._on_failed("file holds no audio")
        else:
            self._keep_clip()
            self._end_pass()

    def _keep_clip(self) -> None:
        if self._collected is not None and self._pass is not None:
            self._clip = b"".join(self._collected)
            self._files.keep(self._pass.key, self._clip)

    def _end_pass(self) -> None:
        self._pass = None
        self._pass_bytes = 0
        self._collected = []
        if self._passes_left > 0:
            self._passes_left -= 1
        if self._passes_left == 0:
            self._is_finished = True


class PlayFiles:
    """The worker's decoder pool and its cache of short files."""

    def __init__(self, settings: WorkerSettings, loop: asyncio.AbstractEventLoop) -> None:
        self.settings = settings
        self._loop = loop
        self._pool: ThreadPoolExecutor | None = None
        self._open: set[FilePlayback] = set()
        self._cache: OrderedDict[FileKey, bytes] = OrderedDict()
        self._cached_bytes = 0

    @property
    def open_count(self) -> int:
        """Playbacks that are not closed."""
        return len(self._open)

    @property
    def cached_bytes(self) -> int:
        """Decoded audio in memory."""
        return self._cached_bytes

    def open(self, path: str, loops: int, on_failed: Callable[[str], None]) -> FilePlayback:
        """Return a source that starts decoding at once; faults of the file reach `on_failed`."""
        playback = FilePlayback(self, path, loops, on_failed)
        self._open.add(playback)
        return playback

    def close(self) -> None:
        """End every playback and the pool's threads."""
        for playback in tuple(self._open):
            playback.close()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
            self._pool = None

    def forget(self, playback: FilePlayback) -> None:
        """Drop a closed playback."""
        self._open.discard(playback)

    def run(self, work: Callable[[], bytes], take_result: Callable[[asyncio.Future[bytes]], None]) -> None:
        """Run `work` in the pool and hand its result to `take_result` on the loop."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="decode")
        self._loop.run_in_executor(self._pool, work).add_done_callback(take_result)

    def cached(self, key: FileKey) -> bytes | None:
        """Return the decoded audio of a file version; safe from any thread."""
        return self._cache.get(key)

    def keep(self, key: FileKey, clip: bytes) -> None:
        """Cache decoded audio, forgetting what was kept longest; a clip beyond the whole cache is not kept."""
        if key in self._cache or len(clip) > self.settings.play_cache_bytes:
            return
        self._cache[key] = clip
        self._cached_bytes += len(clip)
        while self._cached_bytes > self.settings.play_cache_bytes:
            _, dropped = self._cache.popitem(last=False)
            self._cached_bytes -= len(dropped)
