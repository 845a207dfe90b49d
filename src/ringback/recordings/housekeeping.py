"""What is done beside recordings: completing what an earlier server left, deleting what is too old or nobody's."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from functools import partial

from ringback import clock
from ringback.recordings import store
from ringback.recordings.completion import Completion
from ringback.recordings.files import RecordingFiles
from ringback.recordings.views import DAY_MS, RecordingView
from ringback.storage.database import Database
from ringback.telemetry.logs import get_logger
from ringback.webhooks.payloads import spelt

_log = get_logger(__name__)

_SWEEP_S = 15.0
_SWEEPS_PER_HOUR = 240
_ABANDONED_MS = 15_000
"""A recording of an earlier server is completed once nobody has written to its file for so long."""
_STRAY_MS = 3_600_000
_KNOWN_AT_ONCE = 500


class Housekeeping:
    """Looks after the folder and the table of recordings.

    State: works from `start` until `close`.
    """

    def __init__(
        self,
        database: Database,
        files: RecordingFiles,
        completion: Completion,
        live: Callable[[], Collection[str]],
        retention_days: int,
        *,
        has_plus: bool = False,
    ) -> None:
        """Make one that works nowhere yet.

        Args:
            live: Returns the recordings that run here.
            retention_days: Age at which recordings are deleted; 0 keeps them.
            has_plus: Whether callbacks write numbers with `+`.
        """
        self._database = database
        self._files = files
        self._completion = completion
        self._live = live
        self._retention_days = retention_days
        self._has_plus = has_plus
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        self._task = asyncio.create_task(self._keep_house(), name="recordings")

    def close(self) -> None:
        """End; what is half done is done by the next server."""
        if self._task is not None:
            self._task.cancel()

    async def _keep_house(self) -> None:
        turn = 0
        while True:
            try:
                await self.complete_abandoned()
                if turn % _SWEEPS_PER_HOUR == 0:
                    await self.clean_up()
            except Exception as error:
                # The next turn comes; a task that dies here would leave recordings incomplete for ever.
                _log.warning("recordings not looked after", error=repr(error))
            turn += 1
            await asyncio.sleep(_SWEEP_S)

    async def complete_abandoned(self) -> None:
        """Complete what an earlier server left, once no worker writes to it any more."""
        now_wall_ms = clock.wall_ms()
        mine = {*self._live(), *self._completion.under_way}
        left = await self._database.read(
            lambda session: store.incomplete_recordings(session, now_wall_ms - _ABANDONED_MS, mine)
        )
        for view in left:
            if await self._files.is_idle(view.account_id, view.recording_id, _ABANDONED_MS):
                await self._completion.complete(view, _params_of(view, has_plus=self._has_plus), is_worker_gone=True)

    async def clean_up(self) -> None:
        """Delete recordings that are too old, and files that no row knows."""
        if self._retention_days:
            before = clock.wall_ms() - self._retention_days * DAY_MS
            # A busy node adds more in an hour than one look finds.
            while expired := await self._database.read(lambda session: store.expired_recordings(session, before)):
                for view in expired:
                    await self._forget(view)
        await self._remove_strays()

    async def _forget(self, view: RecordingView) -> None:
        await self._database.write(lambda session: store.delete_recording(session, view.account_id, view.recording_id))
        await self._files.remove(view.account_id, view.recording_id)

    async def _remove_strays(self) -> None:
        old = await self._files.old_files(_STRAY_MS)
        names = [*old]
        for at in range(0, len(names), _KNOWN_AT_ONCE):
            part = names[at : at + _KNOWN_AT_ONCE]
            known = await self._database.read(partial(store.known_recordings, recording_ids=part))
            for recording_id in part:
                if recording_id not in known:
                    await self._files.remove(old[recording_id], recording_id)


def _params_of(view: RecordingView, *, has_plus: bool) -> Callable[..., dict[str, str]]:
    """Return what makes callback parameters of a call that an earlier server knew."""

    def params(**extra: str) -> dict[str, str]:
        return {
            "CallUUID": view.call_uuid,
            "From": spelt(view.from_number, has_plus=has_plus),
            "To": spelt(view.to_number, has_plus=has_plus),
            "CallStatus": "completed",
            "ParentAuthID": view.account_id,
            **extra,
        }

    return params
