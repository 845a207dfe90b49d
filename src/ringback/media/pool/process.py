"""One worker process as the server sees it: in a session of its own, watched by a descriptor, joined by no pipe."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import msgspec

from ringback.ids import WorkerId
from ringback.media.control.settings import WorkerSettings

_LOG_MAX_BYTES = 4 * 1024 * 1024
_ENVIRONMENT = {
    "PYTHONUTF8": "1",
    # numpy's linear algebra would start a thread per core for work that a 20 ms frame never has.
    "OPENBLAS_NUM_THREADS": "1",
}
_WORKER_MODULE = "ringback.media.worker.main"


class WorkerProcess:
    """A running worker.

    State: `has_exited` turns true once, on the loop, within milliseconds of the death; `release` frees the watch and
    leaves the process alone.
    """

    def __init__(self, pid: int, socket_path: Path, *, is_child: bool) -> None:
        self.pid = pid
        self.socket_path = socket_path
        self._is_child = is_child
        self._exited = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._pidfd = -1
        try:
            self._pidfd = os.pidfd_open(pid)
        except ProcessLookupError:
            self._exited.set()
            return
        self._loop.add_reader(self._pidfd, self._handle_exit)

    @property
    def has_exited(self) -> bool:
        """Whether the process is gone."""
        return self._exited.is_set()

    async def wait(self, timeout_s: float | None = None) -> bool:
        """Return whether the process exited within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._exited.wait()
        except TimeoutError:
            return False
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker and its helpers; a dead worker takes none, nor does another process."""
        if self._pidfd < 0 or self._exited.is_set():
            return
        try:
            if self._is_child:
                os.killpg(self.pid, number)
            else:
                signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def release(self) -> None:
        """Stop watching; idempotent."""
        if self._pidfd >= 0:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = -1

    def remove_socket(self) -> None:
        """Remove the dead worker's socket file."""
        self.socket_path.unlink(missing_ok=True)

    def _handle_exit(self) -> None:
        self.release()
        if self._is_child:
            try:
                os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                # Someone else reaped it: the loop's own child watcher may wait for every child.
                pass
        self._exited.set()


def spawn_worker(
    worker_id: WorkerId,
    socket_path: Path,
    rtp_ports: tuple[int, int],
    settings: WorkerSettings,
    environment: tuple[tuple[str, str], ...],
) -> WorkerProcess:
    """Start a worker in a session of its own; it logs into `<worker_id>.log` beside its socket.

    Neither a signal to the server's group nor the end of a pipe reaches it, so it outlives its server. Its
    environment is `environment` and the module search path, nothing inherited.
    Raises:
        OSError: the process cannot be started or its log cannot be opened.
    """
    log_path = socket_path.with_name(f"{worker_id}.log")
    if log_path.exists() and log_path.stat().st_size > _LOG_MAX_BYTES:
        log_path.replace(log_path.with_suffix(".log.1"))
    argv = [
        sys.executable,
        "-m",
        _WORKER_MODULE,
        "--socket",
        str(socket_path),
        "--worker-id",
        worker_id,
        "--rtp-ports",
        f"{rtp_ports[0]}-{rtp_ports[1]}",
        "--settings",
        msgspec.json.encode(settings).decode(),
    ]
    search_path = os.pathsep.join(entry for entry in sys.path if entry)
    pid = os.posix_spawn(
        sys.executable,
        argv,
        {"PYTHONPATH": search_path, **_ENVIRONMENT, **dict(environment)},
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
        # The server may ignore or block signals that the worker must hear.
        setsigmask=[],
        setsigdef=[signal.SIGTERM, signal.SIGINT, signal.SIGHUP],
    )
    return WorkerProcess(pid, socket_path, is_child=True)
