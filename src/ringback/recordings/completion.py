"""How a recording that has ended becomes a file that can be had, and who is told."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection

from ringback import clock
from ringback.machine import SECOND
from ringback.recordings import store
from ringback.recordings.files import NoAudio, RecordingFiles
from ringback.recordings.payloads import RecordingReport, event_params, finished_params, rest_params
from ringback.recordings.spec import CallbackStyle
from ringback.recordings.transcription import Transcriptions
from ringback.recordings.views import RecordingView, State
from ringback.storage.database import Database, Session, StorageUnavailable
from ringback.telemetry.logs import get_logger
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

_log = get_logger(__name__)

_READY_PATIENCE_S = 10.0
"""How long a request for a file waits while it is being completed."""
_STORE_PAUSE_S = 0.2
_STORE_PATIENCE_S = 600


class Completion:
    """Completes recordings, as many at once as end at once.

    State: one that was announced by `expect` is under way until `complete` has said how it ended.
    """

    def __init__(
        self,
        database: Database,
        files: RecordingFiles,
        url: Callable[[RecordingView], str],
        wake_outbox: Callable[[], None],
        transcriptions: Transcriptions,
    ) -> None:
        self._database = database
        self._files = files
        self._url = url
        self._wake_outbox = wake_outbox
        self._transcriptions = transcriptions
        self._under_way: dict[str, asyncio.Event] = {}

    @property
    def under_way(self) -> Collection[str]:
        """Return the ids of recordings that are being completed."""
        return self._under_way.keys()

    def expect(self, recording_id: str, completed: asyncio.Event) -> None:
        """Count a recording as under way; `completed` is set when its row says how it ended."""
        self._under_way[recording_id] = completed

    async def wait(self, recording_id: str) -> None:
        """Return when a recording is not under way (any more), or after ten seconds."""
        completed = self._under_way.get(recording_id)
        if completed is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_READY_PATIENCE_S):
                    await completed.wait()

    async def complete(
        self,
        view: RecordingView,
        base_params: Callable[..., dict[str, str]],
        digit: str = "",
        *,
        is_worker_gone: bool = False,
    ) -> None:
        """Bring the file into its format, then say in one transaction that it is ready and enqueue its callback."""
        state, detail, file = State.READY, "", None
        try:
            file = await self._files.complete(
                view.account_id, view.recording_id, view.file_format, is_worker_gone=is_worker_gone
            )
        except (NoAudio, OSError) as error:
            state, detail = State.FAILED, str(error)
            _log.warning("recording lost", call_uuid=view.call_uuid, error=detail)
        columns: dict[str, object] = {}
        if (
            file is not None
            and not file.duration_ms
            and view.callback_style is CallbackStyle.XML
            and not view.end_wall_ms
        ):
            # Nobody is told of a message that was never begun. Who asked by REST waits for an answer.
            state, detail, file = State.FAILED, "nothing was recorded", None
            await self._files.remove(view.account_id, view.recording_id)
        if file is not None:
            columns = {"size_bytes": file.size_bytes, "file_format": file.file_format.value}
            if file.duration_ms and abs(file.duration_ms - view.duration_ms) > 1:
                # What is on the disk counts.
                start = view.start_wall_ms or view.created_wall_ms
                columns |= {
                    "duration_ms": file.duration_ms,
                    "start_wall_ms": start,
                    "end_wall_ms": start + file.duration_ms,
                }
        if detail:
            columns["detail"] = detail[:500]

        def work(session: Session) -> RecordingView | None:
            done = store.complete_recording(session, view.recording_id, state, **columns)
            if done is None:
                return None
            is_ready = done.state is State.READY
            if done.callback_url and done.callback_style is CallbackStyle.EVENTS:
                enqueue_event(
                    session, done, self._url(done), RecordingReport.COMPLETED if is_ready else RecordingReport.FAILED
                )
            elif done.callback_url and is_ready:
                enqueue(session, self._ready_callback(done, base_params, digit))
            if is_ready:
                self._transcriptions.admit(session, done)
            return done

        try:
            await self.stored(work)
        finally:
            completed = self._under_way.pop(view.recording_id, None)
            if completed is not None:
                completed.set()
        self._wake_outbox()
        self._transcriptions.wake()

    def _ready_callback(
        self, view: RecordingView, base_params: Callable[..., dict[str, str]], digit: str
    ) -> OutboundCallback:
        url = self._url(view)
        if view.callback_style is CallbackStyle.REST:
            params = rest_params(view, url)
        else:
            params = base_params(
                **finished_params(
                    view.recording_id,
                    url,
                    duration_ms=view.duration_ms,
                    start_wall_ms=view.start_wall_ms,
                    end_wall_ms=view.end_wall_ms,
                    digit=digit,
                )
            )
            # It reports; it asks for no document.
            params.pop("Event", None)
        return OutboundCallback(
            kind=CallbackKind.RECORDING.value,
            account_id=view.account_id,
            call_uuid=view.call_uuid,
            url=view.callback_url,
            method=view.callback_method,
            params=params,
            event_id=f"{view.recording_id}:ready",
        )

    async def stored(self, work: Callable[[Session], object]) -> None:
        """Write a fact, again for as long as the database refuses, up to ten minutes."""
        give_up_at = clock.now() + _STORE_PATIENCE_S * SECOND
        while True:
            try:
                await self._database.write(work)
            except StorageUnavailable:
                if clock.now() >= give_up_at:
                    raise
                await asyncio.sleep(_STORE_PAUSE_S)
            else:
                return


def enqueue_event(session: Session, view: RecordingView, url: str, report: RecordingReport) -> None:
    """Store that a recording's URL is told of an event, with the next number of its own."""
    sequence = store.count_event(session, view.recording_id)
    enqueue(
        session,
        OutboundCallback(
            kind=CallbackKind.RECORDING.value,
            account_id=view.account_id,
            call_uuid=view.call_uuid,
            url=view.callback_url,
            method=view.callback_method,
            params=event_params(view, url, report, clock.wall_ms(), sequence),
            event_id=f"{view.recording_id}:{sequence}",
        ),
    )
