"""Audio files of customers' URLs, kept on disk: fetched once, revalidated, and bounded in number and size.

A file is named by its content, so that two URLs of one recording share it and a path never changes its meaning while a
worker plays it.
Spec: wire spec 6.3 (wav and mp3, 10 MB), 5.5 (media time-outs); reference reliability.md 5.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, TypeVar

from ringback import clock
from ringback.egress.errors import EgressFailed, ExchangeFailed, FailureClass
from ringback.egress.http import HttpClient, HttpReply, HttpRequest
from ringback.machine import MS, Instant

T = TypeVar("T")

_WRITE_BYTES = 262_144
_FRESH_MAX_MS = 3_600_000
_INCOMING, _UNFINISHED = "incoming-", ".part"


class MediaKind(Enum):
    """The audio files that exist; the value is the file's suffix."""

    WAV = "wav"
    MP3 = "mp3"


@dataclass(frozen=True, slots=True)
class MediaSettings:
    """Bounds of the cache.

    Time-outs are fixed for media (wire spec 5.5): 2 s to connect, 120 s to read, one repetition on any failure.
    """

    file_max_bytes: int = 10_485_760
    total_max_bytes: int = 1_073_741_824
    urls_max: int = 10_000
    connect_ms: int = 2_000
    read_ms: int = 120_000
    retries: int = 1
    fresh_ms: int = 5_000
    """How long a copy is used without asking, unless the server says otherwise (at most an hour)."""


@dataclass(slots=True)
class _Entry:
    """What is known of one URL."""

    path: Path
    etag: str
    last_modified: str
    fresh_until: Instant


class MediaCache:
    """Local copies of audio files.

    State: make it inside a running loop; the folder is made if need be, and what it holds is used up by the bound on
    its size, oldest first. `close` frees the thread that writes files.
    """

    def __init__(self, http: HttpClient, folder: Path | str, settings: MediaSettings | None = None) -> None:
        self._http = http
        self._folder = Path(folder).absolute()
        self._settings = settings or MediaSettings()
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._running: dict[str, asyncio.Task[Path]] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="media-cache")
        self._disk.submit(_sweep, self._folder)

    @property
    def running_fetches(self) -> int:
        """Return how many URLs are being fetched."""
        return len(self._running)

    async def fetch(self, url: str) -> str:
        """Return the path of a copy of the wav or mp3 at `url`.

        Requests for one URL at the same time share one fetch. A copy that cannot be revalidated because its server
        fails is used as it is.

        Raises:
            EgressFailed: it cannot be had, is larger than allowed, or is neither wav nor mp3.
        """
        url = url.partition("#")[0]
        entry = self._entries.get(url)
        if entry is not None and clock.now() < entry.fresh_until and await self._exists(entry.path):
            self._entries.move_to_end(url)
            return str(entry.path)
        task = self._running.get(url)
        if task is None:
            task = asyncio.create_task(self._refresh(url), name="media-fetch")
            self._running[url] = task
            task.add_done_callback(lambda done: self._finished(url, done))
        # A caller that hangs up must not end the fetch for the others.
        return str(await asyncio.shield(task))

    async def close(self) -> None:
        """Give up running fetches and free the thread."""
        tasks = list(self._running.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._disk.shutdown(wait=True)

    def _finished(self, url: str, task: asyncio.Task[Path]) -> None:
        self._running.pop(url, None)
        if not task.cancelled():
            # Marks a failure as seen when every caller has gone.
            task.exception()

    async def _refresh(self, url: str) -> Path:
        entry = self._entries.get(url)
        if entry is not None and not await self._exists(entry.path):
            entry = None
        try:
            return await self._download(url, entry)
        except EgressFailed:
            if entry is None:
                raise
            entry.fresh_until = Instant(clock.now() + self._settings.fresh_ms * MS)
            return entry.path

    async def _download(self, url: str, entry: _Entry | None) -> Path:
        for attempt in range(self._settings.retries + 1):
            try:
                return await self._download_once(url, entry)
            except EgressFailed as error:
                is_final = error.failure in (FailureClass.FORBIDDEN, FailureClass.TOO_LARGE, FailureClass.ENCODING)
                if is_final or attempt == self._settings.retries:
                    raise
        raise ExchangeFailed("no attempt is left", FailureClass.BROKEN)

    async def _download_once(self, url: str, entry: _Entry | None) -> Path:
        conditions: list[tuple[str, str]] = []
        if entry is not None and entry.etag:
            conditions.append(("If-None-Match", entry.etag))
        if entry is not None and entry.last_modified:
            conditions.append(("If-Modified-Since", entry.last_modified))
        request = HttpRequest(
            method="GET",
            url=url,
            headers_for=lambda method, hop_url: conditions,
            connect_ms=self._settings.connect_ms,
            read_ms=self._settings.read_ms,
            total_ms=self._settings.connect_ms + self._settings.read_ms,
            body_max_bytes=self._settings.file_max_bytes,
            lane="media",
        )
        incoming = _Incoming(self._folder, self._disk)
        try:
            reply = await self._http.download(request, incoming.write)
            if reply.status == 304 and entry is not None:
                entry.fresh_until = self._fresh_until(reply)
                self._entries.move_to_end(url)
                return entry.path
            if not 200 <= reply.status < 300:
                raise ExchangeFailed(f"answered with status {reply.status}", FailureClass.BROKEN)
            path = await incoming.keep()
        finally:
            await incoming.discard()
        self._entries[url] = _Entry(
            path, reply.headers.get("etag", ""), reply.headers.get("last-modified", ""), self._fresh_until(reply)
        )
        self._entries.move_to_end(url)
        while len(self._entries) > self._settings.urls_max:
            self._entries.popitem(last=False)
        await self._on_disk(_shrink, self._folder, self._settings.total_max_bytes, path)
        return path

    def _fresh_until(self, reply: HttpReply) -> Instant:
        control = reply.headers.get("cache-control", "").lower()
        fresh_ms = self._settings.fresh_ms
        for part in control.split(","):
            name, _, value = part.strip().partition("=")
            if name in ("no-store", "no-cache"):
                fresh_ms = 0
                break
            if name == "max-age" and value.isascii() and value.isdigit():
                fresh_ms = min(int(value[:9]) * 1000, _FRESH_MAX_MS)
        return Instant(clock.now() + fresh_ms * MS)

    async def _exists(self, path: Path) -> bool:
        return await self._on_disk(_touch, path)

    async def _on_disk(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)


class _Incoming:
    """A file while it arrives: hashed, written in large pieces by the cache's thread, renamed when whole."""

    def __init__(self, folder: Path, disk: ThreadPoolExecutor) -> None:
        self._folder = folder
        self._disk = disk
        self._waiting = bytearray()
        self._start = b""
        self._digest = hashlib.sha256()
        self._file: IO[bytes] | None = None

    async def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        if len(self._start) < 12:
            self._start += chunk[:12]
        self._digest.update(chunk)
        self._waiting += chunk
        if len(self._waiting) >= _WRITE_BYTES:
            await self._flush()

    async def keep(self) -> Path:
        """Return the finished file.

        Raises:
            ExchangeFailed: it is neither wav nor mp3, or the disk refuses it.
        """
        kind = kind_of(self._start)
        if kind is None:
            hint = "it looks like a web page" if self._start.lstrip().startswith(b"<") else ""
            raise ExchangeFailed("file is neither wav nor mp3", FailureClass.ENCODING, hint=hint)
        await self._flush()
        path = self._folder / f"{self._digest.hexdigest()}.{kind.value}"
        if self._file is not None:
            try:
                await asyncio.get_running_loop().run_in_executor(self._disk, _rename, self._file, path)
            except OSError as error:
                raise ExchangeFailed(f"file cannot be kept: {error.strerror}", FailureClass.BROKEN) from None
            self._file = None
        return path

    async def discard(self) -> None:
        """Remove what was not kept."""
        if self._file is not None:
            file, self._file = self._file, None
            await asyncio.get_running_loop().run_in_executor(self._disk, _remove, file)

    async def _flush(self) -> None:
        data, self._waiting = bytes(self._waiting), bytearray()
        loop = asyncio.get_running_loop()
        try:
            if self._file is None:
                self._file = await loop.run_in_executor(self._disk, _open, self._folder)
            await loop.run_in_executor(self._disk, self._file.write, data)
        except OSError as error:
            raise ExchangeFailed(f"file cannot be kept: {error.strerror}", FailureClass.BROKEN) from None


def kind_of(start: bytes) -> MediaKind | None:
    """Return what the first 12 bytes of a file say it is."""
    if start[:4] == b"RIFF" and start[8:12] == b"WAVE":
        return MediaKind.WAV
    if start[:3] == b"ID3":
        return MediaKind.MP3
    # An MPEG audio frame: 11 sync bits, layer III.
    if len(start) >= 2 and start[0] == 0xFF and start[1] & 0xE6 == 0xE2:
        return MediaKind.MP3
    return None


def _sweep(folder: Path) -> None:
    """Remove what a server that was killed had begun to write."""
    for path in folder.glob(f"{_INCOMING}*{_UNFINISHED}"):
        path.unlink(missing_ok=True)


def _open(folder: Path) -> IO[bytes]:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return NamedTemporaryFile(dir=folder, prefix=_INCOMING, suffix=_UNFINISHED, delete=False)


def _rename(file: IO[bytes], path: Path) -> None:
    file.flush()
    os.fchmod(file.fileno(), 0o600)
    file.close()
    os.replace(file.name, path)


def _remove(file: IO[bytes]) -> None:
    with contextlib.suppress(OSError):
        # A full disk does not take what is still to be written.
        file.close()
    Path(file.name).unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    """Return whether the file exists, and mark it as used."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _shrink(folder: Path, total_max_bytes: int, newest: Path) -> None:
    """Remove the files that were not used for longest until the folder is within its bound."""
    found = []
    for path in folder.iterdir():
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in found)
    for _, size, path in sorted(found):
        if total <= total_max_bytes:
            return
        if path != newest and path.suffix != _UNFINISHED:
            # A worker that plays the file keeps it open; removing its name does not stop it.
            path.unlink(missing_ok=True)
            total -= size
