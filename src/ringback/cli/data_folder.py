"""The data folder of a development server: its lock, its token, and `run.json`, by which other commands find it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from ringback.cli.failure import Failure
from ringback.ids import new_secret

RUN_FILE = "run.json"
TOKEN_FILE = "auth_token"
LOCK_FILE = "lock"


@dataclass(frozen=True, slots=True)
class RunFile:
    """What a running server tells other commands; readable by its owner only, since it holds the token."""

    pid: int
    url: str
    sip_host: str
    sip_port: int
    auth_id: str
    auth_token: str
    data_dir: str
    version: str
    agent_pid: int = 0

    def write(self, folder: Path) -> None:
        """Replace the folder's `run.json` at once, never in part."""
        fresh = folder / f".{RUN_FILE}.{self.pid}"
        with _private_file(fresh, os.O_TRUNC) as file:
            file.write(json.dumps(asdict(self), indent=1).encode())
        fresh.replace(folder / RUN_FILE)

    @staticmethod
    def read(folder: Path) -> RunFile | None:
        """Return what a live server wrote, or `None`."""
        try:
            values = json.loads((folder / RUN_FILE).read_text())
            run = RunFile(**values)
        except (OSError, ValueError, TypeError):
            return None
        return run if is_alive(run.pid) else None

    def remove(self, folder: Path) -> None:
        """Delete `run.json` if it is still this server's."""
        if (current := RunFile.read(folder)) is not None and current.pid == self.pid:
            (folder / RUN_FILE).unlink(missing_ok=True)


def is_alive(pid: int) -> bool:
    """Return whether a process with this id exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True


def open_data_folder(folder: Path) -> Path:
    """Make the folder, for its owner only, and return its absolute path.

    Raises:
        Failure: RB5007.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
    except OSError as error:
        raise Failure(
            "RB5007", f"data folder unusable: {error.strerror}", str(folder), "choose another by --data"
        ) from None
    return folder.absolute()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder for one server; the lock goes with the process, however that ends.

    Raises:
        Failure: RB5005 when another server holds it.
    """
    import fcntl

    with _private_file(folder / LOCK_FILE, 0) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            run = RunFile.read(folder)
            owner = f"pid {run.pid} at {run.url}" if run else "another server"
            raise Failure(
                "RB5005", f"data folder in use by {owner}", str(folder), "stop it or choose another by --data"
            ) from None
        yield


def kept_token(folder: Path) -> str:
    """Return the token kept in the folder, made on first use."""
    path = folder / TOKEN_FILE
    try:
        kept = path.read_text().strip()
    except FileNotFoundError:
        kept = ""
    if kept:
        return kept
    token = new_secret()
    with _private_file(path, os.O_TRUNC) as file:
        file.write(token.encode() + b"\n")
    return token


@contextmanager
def _private_file(path: Path, flags: int) -> Iterator[BinaryIO]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        yield file
