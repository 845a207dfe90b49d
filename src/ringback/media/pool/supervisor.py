"""Keeps the workers running: starts and attaches them, notices death and hanging, restarts, clears orphans."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol

from ringback import clock
from ringback.errors import ConfigError, MediaError
from ringback.ids import CommandId, Epoch, Incarnation, SessionId, WorkerId, chance, new_token
from ringback.machine import MS, Instant
from ringback.media.control.commands import CloseSession, Drain, Shutdown
from ringback.media.control.events import AnyEvent, SessionSnapshot, WorkerStats
from ringback.media.control.port import CommandRejected
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import RejectCode, SessionEnd
from ringback.media.pool.link import WorkerLink
from ringback.media.pool.process import WorkerProcess, spawn_worker
from ringback.media.pool.reconcile import reconcile
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_CONNECT_RETRY_S = 0.02
_EXIT_AFTER_EOF_S = 0.06
"""A killed process closes its sockets just before it counts as dead."""
_RELINK_ATTEMPTS = 3
_STEADY_LIFE_MS = 60_000
_ORPHANS_MAX = 64
_PORTS_PER_WORKER_MIN = 2


class SlotState(Enum):
    """How a worker slot stands."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    """Takes no new sessions, exits after its last one, is not restarted."""
    DEAD = "dead"
    """Between a death and the next start."""
    TAKEN_OVER = "taken-over"
    """A server with a higher epoch drives the worker."""
    CLOSED = "closed"


@dataclass(slots=True, eq=False)
class WorkerSlot:
    """One place for a worker; its process changes, its id and ports stay."""

    worker_id: WorkerId
    rtp_ports: tuple[int, int]
    state: SlotState = SlotState.STARTING
    process: WorkerProcess | None = None
    link: WorkerLink | None = None
    restarts: int = 0
    stats: WorkerStats | None = None
    link_lost: asyncio.Event = field(default_factory=asyncio.Event)


class SlotOwner(Protocol):
    """What the supervisor tells about its slots; all calls come on the loop and must not raise."""

    def handle_event(self, slot: WorkerSlot, event: AnyEvent) -> None:
        """Take one event of the slot's worker."""

    def handle_stats(self, slot: WorkerSlot, stats: WorkerStats) -> None:
        """Take the newest figures of the slot's worker."""

    def handle_gone(self, slot: WorkerSlot) -> None:
        """The slot's worker is lost with all its sessions."""

    def handle_lost(self, slot: WorkerSlot, session_ids: Iterable[SessionId]) -> None:
        """The worker lives but no longer holds these sessions."""

    def known_sessions(self, slot: WorkerSlot) -> Iterable[SessionId]:
        """Return the sessions that the server believes to be in the slot."""


def slice_ports(low: int, high: int, workers: int) -> list[tuple[int, int]]:
    """Return one inclusive, disjoint port range per worker, each starting at an even port.

    Raises:
        ConfigError: the range is too small.
    """
    first = low + low % 2
    share = (high - first + 1) // workers // 2 * 2
    if share < _PORTS_PER_WORKER_MIN:
        raise ConfigError(
            f"RTP range {low}-{high} leaves {max(share, 0)} ports per worker, "
            f"expected at least {_PORTS_PER_WORKER_MIN}",
            hint="widen media.rtp_ports",
        )
    return [(first + index * share, first + (index + 1) * share - 1) for index in range(workers)]


class Supervisor:
    """Owns every worker process and link.

    State: `start` once; `close` ends it and leaves neither process nor socket, unless asked to keep the workers.
    """

    def __init__(
        self,
        settings: PoolSettings,
        epoch: Epoch,
        owner: SlotOwner,
        commit: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._settings = settings
        self._epoch = epoch
        self._owner = owner
        self._commit = commit
        self._folder = Path(settings.runtime_dir)
        workers = settings.workers or os.cpu_count() or 1
        ports = slice_ports(settings.rtp_port_low, settings.rtp_port_high, workers)
        self.slots = tuple(WorkerSlot(WorkerId(f"media-{index}"), ports[index]) for index in range(workers))
        self._tasks: set[asyncio.Task[None]] = set()
        self._ends: set[asyncio.Task[None]] = set()
        """Work that a forced close waits for: the end of an orphan, and of a process that its slot let go of."""
        self._closing = asyncio.Event()
        self._keeps_workers = False
        self._changed = asyncio.Event()

    async def start(self) -> None:
        """Return once every worker runs.

        Raises:
            MediaError: not all of them came up within the connect time-out.
            OSError: the runtime folder cannot be used.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        for path in sorted(self._folder.glob("*.sock"))[:_ORPHANS_MAX]:
            self._begin(self._ends, self._clear_orphan(path), f"orphan {path.name}")
        for slot in self.slots:
            self._begin(self._tasks, self._run(slot), f"worker {slot.worker_id}")
        try:
            async with asyncio.timeout(self._settings.connect_timeout_ms / 1000 + 1):
                while not all(slot.state is SlotState.RUNNING for slot in self.slots):
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError as error:
            waiting = ", ".join(slot.worker_id for slot in self.slots if slot.state is not SlotState.RUNNING)
            await self.close()
            raise MediaError(
                f"media workers did not start: {waiting}", hint=f"read the worker logs in {self._folder}"
            ) from error

    async def drain(self) -> None:
        """Ask every worker to take no new sessions; each exits after its last one."""
        for slot in self.slots:
            if slot.state is SlotState.RUNNING and slot.link is not None:
                slot.state = SlotState.DRAINING
                slot.link.post(Drain(command_id=CommandId(new_token())))

    async def wait_drained(self) -> None:
        """Return when no draining worker is left."""
        while any(slot.state is SlotState.DRAINING for slot in self.slots):
            self._changed.clear()
            await self._changed.wait()

    async def close(self, *, keep_workers: bool = False) -> None:
        """End all workers, those of an earlier server too and by force if need be, or only let go of them; idempotent.

        Ends within the time-out of a command and twice that of a shutdown.
        """
        if self._is_closing:
            return
        self._keeps_workers = keep_workers
        self._closing.set()
        processes = [slot.process for slot in self.slots if slot.process is not None]
        if not keep_workers:
            for slot in self.slots:
                if slot.link is not None:
                    slot.link.post(Shutdown(command_id=CommandId(new_token())))
                elif slot.process is not None:
                    slot.process.send_signal(signal.SIGTERM)
            await asyncio.gather(*(self._end(process) for process in processes))
        unfinished = (*self._tasks, *self._ends) if keep_workers else tuple(self._tasks)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)
        await asyncio.gather(*self._ends, return_exceptions=True)
        for slot in self.slots:
            self._set_state(slot, SlotState.CLOSED)

    @property
    def _is_closing(self) -> bool:
        return self._closing.is_set()

    async def _end(self, process: WorkerProcess) -> None:
        if await process.wait(self._settings.shutdown_timeout_ms / 1000):
            return
        _log.warning("worker ignored shutdown", pid=process.pid)
        process.send_signal(signal.SIGKILL)
        await process.wait(self._settings.shutdown_timeout_ms / 1000)

    def _begin(
        self, tasks: set[asyncio.Task[None]], work: Coroutine[None, None, None], name: str
    ) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        return task

    def _set_state(self, slot: WorkerSlot, state: SlotState) -> None:
        slot.state = state
        self._changed.set()

    async def _run(self, slot: WorkerSlot) -> None:
        failures = 0
        while not self._is_closing:
            started = clock.now()
            self._set_state(slot, SlotState.STARTING)
            path = self._folder / f"{slot.worker_id}-{new_token(4)}.sock"
            process: WorkerProcess | None = None
            try:
                process = spawn_worker(
                    slot.worker_id, path, slot.rtp_ports, self._settings.worker, self._settings.environment
                )
                slot.process = process
                await self._serve(slot, process)
            except (OSError, MediaError) as error:
                _log.error("worker failed", worker_id=slot.worker_id, reason=str(error))
            finally:
                await self._let_go(slot, process)
            if slot.state in (SlotState.DRAINING, SlotState.TAKEN_OVER):
                if slot.state is SlotState.DRAINING:
                    self._set_state(slot, SlotState.CLOSED)
                return
            self._set_state(slot, SlotState.DEAD)
            failures = 1 if clock.now() - started > _STEADY_LIFE_MS * MS else failures + 1
            slot.restarts += 1
            await asyncio.sleep(self._back_off_s(failures))

    def _back_off_s(self, failures: int) -> float:
        delay_ms = self._settings.restart_delay_min_ms * 2 ** min(failures - 1, 16)
        return float(min(delay_ms, self._settings.restart_delay_max_ms)) / 1000 * (0.75 + 0.5 * chance())

    async def _let_go(self, slot: WorkerSlot, process: WorkerProcess | None) -> None:
        if slot.link is not None:
            slot.link.close()
            slot.link = None
        slot.process = None
        slot.stats = None
        if process is None:
            return
        if (self._is_closing and self._keeps_workers) or slot.state is SlotState.TAKEN_OVER:
            process.release()
            return
        # A close that cancels the slot must not leave the process unreaped and its socket behind.
        await asyncio.shield(self._begin(self._ends, self._bury(process), f"end of {process.pid}"))

    async def _bury(self, process: WorkerProcess) -> None:
        process.send_signal(signal.SIGKILL)
        await process.wait(self._settings.shutdown_timeout_ms / 1000)
        process.release()
        process.remove_socket()

    async def _serve(self, slot: WorkerSlot, process: WorkerProcess) -> None:
        """Drive one process from its first breath to its loss."""
        await self._attach_first(slot, process)
        self._set_state(slot, SlotState.RUNNING)
        _log.info("worker running", worker_id=slot.worker_id, pid=process.pid, restarts=slot.restarts)
        try:
            while await self._watch(slot, process):
                await self._relink(slot, process)
        finally:
            if not (self._is_closing and self._keeps_workers):
                slot.link = None
                if slot.state is SlotState.RUNNING:
                    self._set_state(slot, SlotState.DEAD)
                self._owner.handle_gone(slot)
        is_expected = self._is_closing or slot.state is SlotState.DRAINING
        report = _log.info if is_expected else _log.warning
        report("worker gone", worker_id=slot.worker_id, pid=process.pid)

    async def _attach_first(self, slot: WorkerSlot, process: WorkerProcess) -> None:
        deadline = Instant(clock.now() + self._settings.connect_timeout_ms * MS)
        while True:
            if process.has_exited:
                raise MediaError(
                    f"worker {slot.worker_id} exited while starting",
                    hint=f"read {slot.worker_id}.log in {self._folder}",
                )
            if clock.now() > deadline:
                raise MediaError(f"worker {slot.worker_id} does not listen on {process.socket_path}")
            if process.socket_path.exists():
                try:
                    # It listens early and may still be loading: it has as long to answer as to start.
                    await self._connect(slot, process.socket_path, 0, timeout_ms=self._settings.connect_timeout_ms)
                    return
                except OSError:
                    # Bound but not listening yet, or still being set up.
                    pass
            await asyncio.sleep(_CONNECT_RETRY_S)

    async def _connect(
        self,
        slot: WorkerSlot,
        path: Path,
        last_seq: int,
        incarnation: Incarnation | None = None,
        *,
        timeout_ms: int = 0,
    ) -> tuple[SessionSnapshot, ...]:
        lost = asyncio.Event()
        link = WorkerLink(
            slot.worker_id,
            self._epoch,
            self._settings,
            on_event=lambda event: self._take_event(slot, event),
            on_lost=lost.set,
            commit=self._commit,
        )
        try:
            snapshot = await link.connect(path, last_seq=last_seq, timeout_ms=timeout_ms)
        except BaseException:
            link.close()
            raise
        if incarnation is not None and link.incarnation != incarnation:
            link.close()
            raise MediaError(f"worker {slot.worker_id} is another process now")
        slot.link = link
        slot.link_lost = lost
        return snapshot

    async def _watch(self, slot: WorkerSlot, process: WorkerProcess) -> bool:
        """Return when the link is lost: whether the process still lives and deserves another try."""
        missed = 0
        while not slot.link_lost.is_set():
            try:
                async with asyncio.timeout(self._settings.ping_interval_ms / 1000):
                    await slot.link_lost.wait()
            except TimeoutError:
                # A stalled server runs this once after the stall, so its own pause never counts more than one ping.
                if slot.link is None or slot.link.ping():
                    missed = 0
                else:
                    missed += 1
                if missed >= self._settings.pings_missed_max:
                    _log.error("worker hangs", worker_id=slot.worker_id, pid=process.pid, missed=missed)
                    return False
        return not self._is_closing and not await process.wait(_EXIT_AFTER_EOF_S)

    async def _relink(self, slot: WorkerSlot, process: WorkerProcess) -> None:
        before = slot.link
        assert before is not None
        for attempt in range(_RELINK_ATTEMPTS):
            try:
                snapshot = await self._connect(slot, process.socket_path, before.last_seq, before.incarnation)
            except CommandRejected as error:
                if error.reject is RejectCode.STALE_EPOCH:
                    self._set_state(slot, SlotState.TAKEN_OVER)
                raise
            except OSError:
                if attempt == _RELINK_ATTEMPTS - 1 or process.has_exited:
                    raise
                await asyncio.sleep(_CONNECT_RETRY_S)
            else:
                break
        _log.warning("worker link restored", worker_id=slot.worker_id)
        outcome = reconcile(self._owner.known_sessions(slot), snapshot)
        self._owner.handle_lost(slot, outcome.lost)
        assert slot.link is not None
        for unknown in outcome.unknown:
            slot.link.post(CloseSession(command_id=CommandId(new_token()), session_id=unknown.session_id))

    def _take_event(self, slot: WorkerSlot, event: AnyEvent) -> None:
        if isinstance(event, WorkerStats):
            slot.stats = event
            self._owner.handle_stats(slot, event)
        else:
            self._owner.handle_event(slot, event)

    async def _clear_orphan(self, path: Path) -> None:
        """End a worker that an earlier server left, after giving its unknown sessions a grace."""
        lost = asyncio.Event()
        name = WorkerId(f"orphan {path.stem}")
        link = WorkerLink(name, self._epoch, self._settings, on_event=_ignore_event, on_lost=lost.set)
        process: WorkerProcess | None = None
        try:
            snapshot = await link.connect(path)
            process = WorkerProcess(link.pid, path, is_child=False)
            outcome = reconcile((), snapshot)
            _log.warning("found a worker of an earlier server", path=str(path), pid=link.pid, sessions=len(snapshot))
            if outcome.unknown:
                await self._wait_grace()
            for session in outcome.unknown:
                link.post(
                    CloseSession(
                        command_id=CommandId(new_token()),
                        session_id=session.session_id,
                        reason=SessionEnd.ORPHANED,
                    )
                )
            link.post(Shutdown(command_id=CommandId(new_token())))
            if not await process.wait(self._settings.shutdown_timeout_ms / 1000):
                process.send_signal(signal.SIGKILL)
                await process.wait(self._settings.shutdown_timeout_ms / 1000)
            process.remove_socket()
        except (FileNotFoundError, ConnectionRefusedError):
            _remove(path)
        except CommandRejected as error:
            _log.warning("worker belongs to a newer server", path=str(path), reason=error.reject.value)
        except (OSError, MediaError) as error:
            _log.warning("orphan not cleared", path=str(path), reason=str(error))
        finally:
            link.close()
            if process is not None:
                process.release()

    async def _wait_grace(self) -> None:
        """Return after the grace of an orphan's sessions, or at once when the server itself ends."""
        try:
            async with asyncio.timeout(self._settings.orphan_grace_ms / 1000):
                await self._closing.wait()
        except TimeoutError:
            return


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)


def _ignore_event(event: AnyEvent) -> None:
    """Events of sessions that no one knows concern no one."""
