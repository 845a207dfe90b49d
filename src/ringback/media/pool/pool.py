"""`MediaPool`: the media plane as the server holds it, a `MediaPort` over worker processes."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from ringback.errors import Bug
from ringback.ids import CommandId, Epoch, SessionId, WorkerId, new_token
from ringback.media.control.commands import CloseSession, OpenSession, SessionCommand
from ringback.media.control.events import (
    AnyEvent,
    AnySessionEvent,
    SessionClosed,
    SessionEvent,
    SessionOpened,
    WorkerStats,
)
from ringback.media.control.port import CommandRejected, SessionListener, WorkerGone, WorkerLost
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import RejectCode
from ringback.media.pool.link import CommandTimedOut
from ringback.media.pool.load import UNBOUNDED, LoadState, WorkerLoad
from ringback.media.pool.placement import Affinities, Candidate, choose_worker
from ringback.media.pool.supervisor import SlotState, Supervisor, WorkerSlot
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_TRY_ELSEWHERE = frozenset({RejectCode.LIMIT, RejectCode.NO_PORT, RejectCode.LEDGER_FULL, RejectCode.DRAINING})


@dataclass(frozen=True, slots=True)
class WorkerView:
    """One worker for metrics, health and people."""

    worker_id: WorkerId
    state: SlotState
    is_accepting: bool
    """Whether it takes new sessions."""
    pid: int
    sessions: int
    restarts: int
    stats: WorkerStats | None
    load: LoadState = LoadState.OPEN
    late_share: float = 0.0
    """Of its slots in the last second."""
    busy_share: float = 0.0
    """Of the last second, in which its loop ran or waited for a core."""
    spare: int = 0
    """New calls that it takes before its next figures."""


@dataclass(slots=True, eq=False)
class _Session:
    slot: WorkerSlot
    listener: SessionListener
    affinity: str
    opened: asyncio.Future[SessionOpened]


class MediaPool:
    """Implements `media.control.port.MediaPort` with worker processes.

    State: `start`, then commands, then `close`. All methods run on one loop.
    Args of the constructor:
        epoch: higher than that of every server that ran on this runtime folder before.
        commit: awaited after listeners ran and before the workers may forget those events; `None` acknowledges at
            once.
    """

    def __init__(
        self, settings: PoolSettings, epoch: Epoch, *, commit: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        self._settings = settings
        self._supervisor = Supervisor(settings, epoch, self, commit)
        self._sessions: dict[SessionId, _Session] = {}
        self._affinities = Affinities()
        self._counts: Counter[WorkerId] = Counter()
        """Sessions by worker."""
        self._loads: dict[WorkerId, WorkerLoad] = {}

    async def start(self) -> None:
        """Return once every worker runs; see `Supervisor.start` for what it raises."""
        await self._supervisor.start()

    async def drain(self) -> None:
        """Take no new sessions and return when the last one is over and the workers have exited."""
        await self._supervisor.drain()
        await self._supervisor.wait_drained()

    async def close(self, *, keep_workers: bool = False) -> None:
        """End every worker, or with `keep_workers` only the links, so that a next server finds the calls alive."""
        await self._supervisor.close(keep_workers=keep_workers)

    @property
    def is_ready(self) -> bool:
        """Whether at least one worker takes new sessions."""
        return any(slot.state is SlotState.RUNNING for slot in self._supervisor.slots)

    @property
    def session_count(self) -> int:
        """Sessions that are open or being opened."""
        return len(self._sessions)

    def workers(self) -> tuple[WorkerView, ...]:
        """Return the state of every slot."""
        return tuple(
            WorkerView(
                worker_id=slot.worker_id,
                state=slot.state,
                is_accepting=_is_accepting(slot),
                pid=slot.process.pid if slot.process is not None else 0,
                sessions=self._counts[slot.worker_id],
                restarts=slot.restarts,
                stats=slot.stats,
                load=self._load(slot).state,
                late_share=self._load(slot).late_share,
                busy_share=self._load(slot).busy_share,
                spare=self._load(slot).spare(self._counts[slot.worker_id]) if _is_accepting(slot) else 0,
            )
            for slot in self._supervisor.slots
        )

    def spare_sessions(self) -> int:
        """Return how many new calls the workers take now; see `MediaPort`."""
        accepting = [slot for slot in self._supervisor.slots if _is_accepting(slot)]
        if not accepting:
            # Workers that are gone are no load: who tries to open a session is told so.
            return UNBOUNDED
        return sum(self._load(slot).spare(self._counts[slot.worker_id]) for slot in accepting)

    def new_command_id(self) -> CommandId:
        """Return a fresh command id."""
        return CommandId(new_token())

    def worker_of(self, session_id: SessionId) -> WorkerId | None:
        """Return the worker that holds the session, or `None`."""
        session = self._sessions.get(session_id)
        return session.slot.worker_id if session is not None else None

    async def open_session(
        self, command: OpenSession, listener: SessionListener, *, affinity: str = ""
    ) -> SessionOpened:
        """Place the session on a worker and return once RTP is bound; see `MediaPort`.

        A worker that has no room is passed over, unless `affinity` binds the session to it.
        """
        if command.session_id in self._sessions:
            raise CommandRejected(f"session {command.session_id} is open already", reject=RejectCode.DUPLICATE)
        refused: set[WorkerId] = set()
        while True:
            slot = self._choose(affinity, refused)
            try:
                return await self._open_on(slot, command, listener, affinity)
            except CommandRejected as error:
                if error.reject not in _TRY_ELSEWHERE or self._bound_to(affinity) is not None:
                    raise
                refused.add(slot.worker_id)
                if len(refused) == len(self._supervisor.slots):
                    raise

    async def send(self, command: SessionCommand) -> None:
        """Deliver a command to the session's worker and return when it is accepted; see `MediaPort`."""
        if isinstance(command, OpenSession):
            raise Bug("sessions are opened with open_session")
        session = self._sessions.get(command.session_id)
        if session is None:
            raise CommandRejected(f"no session {command.session_id}", reject=RejectCode.UNKNOWN_SESSION)
        if session.slot.link is None:
            raise WorkerLost(f"worker {session.slot.worker_id} is not connected")
        await session.slot.link.send(command)

    def handle_stats(self, slot: WorkerSlot, stats: WorkerStats) -> None:
        """Judge a worker's figures; called by the supervisor."""
        load = self._load(slot)
        if not load.take(stats):
            return
        report = _log.warning if load.state is LoadState.FULL else _log.info
        report(
            "worker load",
            worker_id=slot.worker_id,
            state=load.state.value,
            sessions=stats.sessions,
            late_percent=round(100 * load.late_share),
            busy_percent=round(100 * load.busy_share),
            bound=load.bound,
        )

    def handle_event(self, slot: WorkerSlot, event: AnyEvent) -> None:
        """Hand a session's event to its listener; called by the supervisor."""
        if not isinstance(event, SessionEvent):
            return
        session = self._sessions.get(event.session_id)
        if session is None or session.slot is not slot:
            return
        if isinstance(event, SessionOpened) and not session.opened.done():
            session.opened.set_result(event)
        if isinstance(event, SessionClosed):
            self._forget(event.session_id)
        self._tell(session, event)

    def handle_gone(self, slot: WorkerSlot) -> None:
        """End every session of the slot with `WorkerGone`; called by the supervisor."""
        self._loads.pop(slot.worker_id, None)
        self.handle_lost(slot, self.known_sessions(slot))

    def handle_lost(self, slot: WorkerSlot, session_ids: Iterable[SessionId]) -> None:
        """End these sessions with `WorkerGone`; called by the supervisor."""
        gone = WorkerGone(slot.worker_id)
        for session_id in tuple(session_ids):
            session = self._sessions.get(session_id)
            if session is None:
                continue
            self._forget(session_id)
            if not session.opened.done():
                # The caller of open_session hears of it there; a listener hears only of sessions that were open.
                session.opened.set_exception(WorkerLost(f"worker {slot.worker_id} died"))
            else:
                self._tell(session, gone)

    def known_sessions(self, slot: WorkerSlot) -> tuple[SessionId, ...]:
        """Return the sessions placed in the slot; called by the supervisor."""
        return tuple(session_id for session_id, session in self._sessions.items() if session.slot is slot)

    def _choose(self, affinity: str, refused: set[WorkerId]) -> WorkerSlot:
        candidates = [
            Candidate(
                slot.worker_id,
                self._counts[slot.worker_id],
                _is_accepting(slot) and slot.worker_id not in refused,
                self._load(slot).state,
                self._load(slot).spare(self._counts[slot.worker_id]) > 0,
            )
            for slot in self._supervisor.slots
        ]
        worker_id = choose_worker(candidates, bound_to=self._bound_to(affinity))
        for slot in self._supervisor.slots:
            if slot.worker_id == worker_id:
                return slot
        raise WorkerLost("no media worker takes new sessions")

    def _bound_to(self, affinity: str) -> WorkerId | None:
        """Return the worker of the session that `affinity` names, else of those that were opened with the same one."""
        named = self._sessions.get(SessionId(affinity))
        return named.slot.worker_id if named is not None else self._affinities.holder_of(affinity)

    async def _open_on(
        self, slot: WorkerSlot, command: OpenSession, listener: SessionListener, affinity: str
    ) -> SessionOpened:
        assert slot.link is not None
        opened: asyncio.Future[SessionOpened] = asyncio.get_running_loop().create_future()
        self._sessions[command.session_id] = _Session(slot, listener, affinity, opened)
        self._counts[slot.worker_id] += 1
        self._load(slot).opened()
        self._affinities.bind(affinity, slot.worker_id)
        is_open = False
        try:
            await slot.link.send(command)
            async with asyncio.timeout(self._settings.command_timeout_ms / 1000):
                answer = await opened
            is_open = True
            return answer
        except TimeoutError as error:
            raise CommandTimedOut(f"worker {slot.worker_id} did not open session {command.session_id}") from error
        except CommandRejected:
            self._abandon(command.session_id, opened)
            raise
        finally:
            # The worker may have opened it all the same, even told us so: after a stall of ours the time-out and the
            # answer come together. A session whose caller does not learn of it must not linger.
            if not is_open and self._abandon(command.session_id, opened) and slot.link is not None:
                slot.link.post(CloseSession(command_id=self.new_command_id(), session_id=command.session_id))

    def _abandon(self, session_id: SessionId, opened: asyncio.Future[SessionOpened]) -> bool:
        session = self._sessions.get(session_id)
        if session is None or session.opened is not opened:
            return False
        self._forget(session_id)
        return True

    def _forget(self, session_id: SessionId) -> None:
        session = self._sessions.pop(session_id)
        self._counts[session.slot.worker_id] -= 1
        self._affinities.release(session.affinity)

    def _load(self, slot: WorkerSlot) -> WorkerLoad:
        load = self._loads.get(slot.worker_id)
        if load is None:
            load = self._loads[slot.worker_id] = WorkerLoad(self._settings.load)
        return load

    def _tell(self, session: _Session, event: AnySessionEvent | WorkerGone) -> None:
        try:
            session.listener(event)
        except Exception:
            # A listener's fault costs its own session's event, never the link or the next session.
            _log.exception("session listener failed", event_type=type(event).__name__)


def _is_accepting(slot: WorkerSlot) -> bool:
    return slot.state is SlotState.RUNNING and slot.link is not None
