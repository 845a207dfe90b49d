"""Calls that wait for their turn: stored before they wait, started once, in order, also after a restart.

The row in `call_queue` is the intent. One transaction before the INVITE takes it out and marks the call as dialled: a
server that dies between the two gives the call its record, and never lets a phone ring twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ringback import clock
from ringback.accounts.account import Account
from ringback.accounts.store import find_account
from ringback.calls import store
from ringback.calls.hangup import Code, Hangup, HangupSource, hangup
from ringback.calls.lanes import Lanes, Place
from ringback.calls.settings import CallSettings
from ringback.calls.views import MakeCall
from ringback.ids import CallUuid
from ringback.machine import MS, SECOND, Instant, after_ms
from ringback.numbers.trunks import Trunk
from ringback.storage.database import Database, Session, StorageUnavailable
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_ROOM_LOOK_S = 1.0
"""How long a call may stand before a full node or trunk that nobody reported empty again."""
_STORE_PAUSE_S = 1.0
_ENDED_TOGETHER = 100
"""Records written in one transaction when many waiting calls are cancelled: others want to write too."""


@dataclass
class QueuedCall:
    """A call that waits for its turn, or is on its way to being dialled."""

    place: Place
    account: Account
    request: MakeCall
    queued_wall_ms: int
    is_cancelled: bool = False
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the call is dialled, or has its record."""

    @property
    def call_uuid(self) -> CallUuid:
        """Return the call's id."""
        return self.place.call_uuid


Dialler = Callable[[QueuedCall], Awaitable[Hangup | None]]
"""Dials a call whose row says so; returns why it could not, or `None`."""


class CallQueue:
    """The node's waiting calls.

    State: `start` loads what an earlier server left; `close` lets what is being dialled finish and leaves the rest to
    the next server.
    """

    def __init__(
        self,
        database: Database,
        settings: CallSettings,
        trunks: Iterable[Trunk],
        dial: Dialler,
        has_room: Callable[[str], bool],
        ended: Callable[[QueuedCall, Hangup], None],
    ) -> None:
        """Make an empty queue.

        Args:
            dial: Dials a call that was taken out.
            has_room: Whether a trunk, or the node for an empty name, can carry one more call.
            ended: Told of each call that got its record without having been dialled.
        """
        self._database = database
        self._settings = settings
        self._lanes = Lanes(settings.outbound_per_second, {trunk.name: trunk.max_cps for trunk in trunks})
        self._dial = dial
        self._has_room = has_room
        self._ended = ended
        self.starting: Counter[str] = Counter()
        """Calls that were taken out and have no leg yet, by trunk."""
        self._queued: dict[CallUuid, QueuedCall] = {}
        self._tickets = itertools.count(1)
        self._wake = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._queued)

    def find(self, call_uuid: CallUuid) -> QueuedCall | None:
        """Return a waiting call of any account, or `None`."""
        return self._queued.get(call_uuid)

    def of_account(self, account_id: str) -> list[QueuedCall]:
        """Return an account's waiting calls, oldest first."""
        return [call for call in self._queued.values() if call.place.account_id == account_id]

    def start_at_once(self, account_id: str, trunk: str) -> bool:
        """Count the start of a call that need not wait; `False` when it must."""
        return self._lanes.start_at_once(account_id, trunk, clock.now())

    def reserve_leg(self, trunk: str, patience_ms: int) -> tuple[Instant, int] | None:
        """Count the start of a leg that a document dials; return its moment and how many ms it must wait for that.

        It stands before the calls that wait here, because a caller listens. `None`, and it must not start, when its
        turn would come after `patience_ms`.
        """
        now = clock.now()
        at = self._lanes.reserve(trunk, now, after_ms(now, patience_ms))
        return None if at is None else (at, -(-(at - now) // MS))

    def give_back_leg(self, trunk: str, at: Instant) -> None:
        """Let another leg have the moment of one that is not dialled."""
        self._lanes.give_back(trunk, at)

    def place(self, call_uuid: CallUuid, account_id: str, trunk: str) -> Place:
        """Return the next place; the call waits once its row is stored and `join` was called."""
        return Place(call_uuid, account_id, trunk, next(self._tickets))

    def join(self, calls: Sequence[QueuedCall]) -> None:
        """Let stored calls wait."""
        for call in calls:
            self._queued[call.call_uuid] = call
            self._lanes.add(call.place)
        self.wake()

    def wake(self) -> None:
        """Look again whether a call may start: room has become free."""
        self._wake.set()

    async def start(self) -> None:
        """Load the calls that an earlier server left waiting, and begin to start calls."""
        now_wall_ms = clock.wall_ms()
        found = await self._database.write(lambda session: _load(session, now_wall_ms, self._settings))
        self.join(
            [
                QueuedCall(
                    self.place(CallUuid(waiting.call_uuid), account.auth_id, waiting.trunk),
                    account,
                    waiting.request,
                    waiting.queued_wall_ms,
                )
                for waiting, account in found
            ]
        )
        self._runner = asyncio.create_task(self._run(), name="call-queue")

    async def close(self) -> None:
        """Start no more calls; return when those that were taken out have been dialled."""
        if self._runner is not None:
            self._runner.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._runner
            self._runner = None
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=5)

    async def cancel(self, calls: Sequence[QueuedCall], reason: Hangup) -> None:
        """Give waiting calls their records, and return when they have them; one that is being dialled ends right after.

        Raises:
            StorageUnavailable: the records could not be written; calls without one wait as before.
        """
        waiting = []
        for call in calls:
            if self._lanes.remove(call.call_uuid):
                waiting.append(call)
            else:
                call.is_cancelled = True
        for start in range(0, len(waiting), _ENDED_TOGETHER):
            try:
                await self._store_ends(waiting[start : start + _ENDED_TOGETHER], reason)
            except StorageUnavailable:
                for call in waiting[start:]:
                    self._lanes.add(call.place)
                self.wake()
                raise
        for call in calls:
            await call.settled.wait()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._give_up_stale()
                self._begin_due()
            except Exception as error:
                # The queue of every account stands on this loop: it goes on whatever one call brings.
                _log.error("turn of the queue failed", exc_info=error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), self._pause_s())

    def _begin_due(self) -> None:
        while (place := self._lanes.next(clock.now(), self._has_room)) is not None:
            self.starting[place.trunk] += 1
            task = asyncio.create_task(self._begin(self._queued[place.call_uuid]), name=f"dial {place.call_uuid}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _pause_s(self) -> float | None:
        now = clock.now()
        next_at = self._lanes.next_at(now)
        if next_at is None:
            return None
        # A call whose pace allows its start stands before a full node or trunk.
        return (next_at - now) / SECOND if next_at > now else _ROOM_LOOK_S

    async def _give_up_stale(self) -> None:
        oldest_wall_ms = clock.wall_ms() - self._settings.queue_patience_s * 1000
        stale = [
            call
            for call in itertools.takewhile(lambda each: each.queued_wall_ms < oldest_wall_ms, self._queued.values())
            if self._lanes.holds(call.call_uuid)
        ]
        if stale:
            waited = f"waited {self._settings.queue_patience_s} s for its turn"
            try:
                await self.cancel(stale, hangup(Code.CANCELED, HangupSource.PLATFORM, waited))
            except StorageUnavailable as error:
                _log.warning("waiting calls not given up yet", calls=len(stale), error=str(error))
                # What is still stale woke the queue: without a rest the next turn would fail at once.
                await asyncio.sleep(_STORE_PAUSE_S)

    async def _begin(self, call: QueuedCall) -> None:
        try:
            await self._take_and_dial(call)
        except Exception as error:
            _log.error("waiting call not dialled", call_uuid=call.call_uuid, exc_info=error)
            self._settle(call)
        finally:
            self.starting[call.place.trunk] -= 1
            self.wake()

    async def _take_and_dial(self, call: QueuedCall) -> None:
        try:
            is_taken = await self._database.write(
                lambda session: store.take_from_queue(session, call.call_uuid, clock.wall_ms())
            )
        except StorageUnavailable as error:
            _log.warning("waiting call not taken out yet", call_uuid=call.call_uuid, error=str(error))
            await asyncio.sleep(_STORE_PAUSE_S)
            self._lanes.add(call.place)
            return
        if not is_taken:
            self._settle(call)
            return
        reason = hangup(Code.CANCELED, HangupSource.API) if call.is_cancelled else await self._dial(call)
        if reason is not None:
            # A record that cannot be written now is written by the next server: the call is open, and waits no more.
            with contextlib.suppress(StorageUnavailable):
                await self._store_ends([call], reason)
        self._settle(call)

    async def _store_ends(self, calls: Sequence[QueuedCall], reason: Hangup) -> None:
        now_wall_ms = clock.wall_ms()

        def end(session: Session) -> None:
            for call in calls:
                store.end_undialled(session, call.call_uuid, reason, now_wall_ms, self._settings)

        await self._database.write(end)
        for call in calls:
            self._settle(call)
            self._ended(call, reason)

    def _settle(self, call: QueuedCall) -> None:
        self._queued.pop(call.call_uuid, None)
        call.settled.set()


def _load(session: Session, now_wall_ms: int, settings: CallSettings) -> list[tuple[store.WaitingCall, Account]]:
    """Return the waiting calls whose accounts may call; the others get their records."""
    found = []
    waiting, unreadable = store.load_queue(session)
    for call in waiting:
        account = find_account(session, call.account_id)
        if account is not None and account.is_enabled:
            found.append((call, account))
        else:
            unreadable.append(call.call_uuid)
    for call_uuid in unreadable:
        reason = hangup(Code.INTERNAL_ERROR, HangupSource.ERROR, "its account or its request is gone")
        store.end_undialled(session, call_uuid, reason, now_wall_ms, settings)
    return found
