"""Synthesised passages on disk, each named by all that its sound depends on; bounded, the longest unused goes first."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from ringback.speech.messages import FORMAT_VERSION, Say
from ringback.speech.voices import LocalVoice

T = TypeVar("T")
_KEPT_SHARE = 0.9
"""How full the cache is after it was shrunk, so that it is not shrunk for every file."""


class SpeechCache:
    """The folder of passages.

    State: `close` frees the thread that touches the disk.
    """

    def __init__(self, folder: Path, total_max_bytes: int) -> None:
        self._folder = folder.absolute()
        self._total_max_bytes = total_max_bytes
        self._total_bytes: int | None = None
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="speech-cache")
        self._disk.submit(_sweep, self._folder)

    def path_of(self, say: Say, voice: LocalVoice, owner: str) -> Path:
        """Return where the audio of a request is, or will be; each owner has its own."""
        parts = (
            *(owner, FORMAT_VERSION, voice.engine.value, voice.name, voice.version, say.text),
            *(say.rate, say.pitch, say.gain_db, say.is_muted, say.pause_ms, say.phonemes),
        )
        return self._folder / f"{hashlib.sha256(msgspec.json.encode(parts)).hexdigest()[:40]}.wav"

    async def has(self, path: Path) -> bool:
        """Return whether the file is there, and count it as used."""
        return await self._on_disk(_touch, path)

    async def make_folder(self) -> None:
        """Make the folder if need be."""
        await self._on_disk(_make_folder, self._folder)

    async def added(self, path: Path) -> None:
        """Take note of a new file, and make room if the bound is passed."""
        self._total_bytes = await self._on_disk(_account, self._folder, path, self._total_bytes, self._total_max_bytes)

    def close(self) -> None:
        """Free the thread."""
        self._disk.shutdown(wait=True)

    async def _on_disk(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)


def _sweep(folder: Path) -> None:
    """Remove what a process that was killed had begun to write."""
    for path in folder.glob("*.part"):
        path.unlink(missing_ok=True)


def _touch(path: Path) -> bool:
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _account(folder: Path, newest: Path, total_bytes: int | None, total_max_bytes: int) -> int:
    """Return how many bytes the folder holds, after removing what is too much."""
    try:
        total = total_bytes + newest.stat().st_size if total_bytes is not None else total_max_bytes + 1
    except OSError:
        return total_bytes or 0
    if total <= total_max_bytes:
        return total
    found = []
    for path in folder.iterdir():
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((status.st_mtime_ns, status.st_size, path))
    total = sum(size for _, size, _ in found)
    if total <= total_max_bytes:
        return total
    for _, size, path in sorted(found):
        if total <= total_max_bytes * _KEPT_SHARE:
            break
        if path != newest and path.suffix == ".wav":
            # A worker that plays the file keeps it open; removing its name does not stop it.
            path.unlink(missing_ok=True)
            total -= size
    return total
