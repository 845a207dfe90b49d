"""Recordings as text: one after the other, beside everything else, told by the outbox.

The wish is a row from the moment a recording is asked for, so neither it nor a text that is being made is lost with the
server: the next one begins it again.
Spec: wire spec 6.10 (names of the callback).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Protocol

from ringback import ids
from ringback.errors import Conflict, LimitReached, NotFound
from ringback.recognition.heard import Recognition
from ringback.recordings import store
from ringback.recordings.files import RecordingFiles
from ringback.recordings.views import RecordingView, State, Transcript, Wish
from ringback.storage.database import Database, Session, StorageUnavailable
from ringback.telemetry.logs import get_logger
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

_log = get_logger(__name__)

WAITING_MAX = 1_000
"""Recordings that may wait for their text; that of one more is told as an error."""
ATTEMPTS_MAX = 3
"""Attempts at a recording that fail unforeseen; then its text is told as an error and the next one has its turn."""
_NOTHING_CHARGED = "0.00000"
_STORE_PAUSE_S = 1.0
_FAULT_PAUSE_S = 1.5


class RecordingEars(Protocol):
    """Makes text of files; `recognition.recognizer.Recognizer` does."""

    def transcription_fault(self) -> str:
        """Return why there are no transcriptions here and what to do; empty when there are."""

    async def transcribe(self, path: str, duration_ms: int) -> Recognition:
        """Return what is said in a whole file; never raises for what it contains."""

    async def rest(self) -> None:
        """Free what is only needed while there is something to transcribe."""


class Deaf:
    """A node that transcribes nothing."""

    def transcription_fault(self) -> str:
        """Return that."""
        return "transcription is not available"

    async def transcribe(self, path: str, duration_ms: int) -> Recognition:
        """Return nothing."""
        return Recognition("", detail=self.transcription_fault())

    async def rest(self) -> None:
        """Do nothing."""


class Transcriptions:
    """Makes text of recordings that are ready.

    State: works from `start` until `close`; `wake` when there may be a new one.
    """

    def __init__(
        self, database: Database, files: RecordingFiles, ears: RecordingEars, wake_outbox: Callable[[], None]
    ) -> None:
        self.ears = ears
        self._database = database
        self._files = files
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._wake_outbox = wake_outbox
        self._tried_id = ""
        self._faults = 0
        """Attempts at `_tried_id` that failed unforeseen."""

    def start(self) -> None:
        """Begin, with what an earlier server left."""
        self._task = asyncio.create_task(self._run(), name="transcriptions")

    def wake(self) -> None:
        """Look for work."""
        self._wake.set()

    async def close(self) -> None:
        """Give up what is being transcribed; the next server does it."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def ask(self, account_id: str, recording_id: str, url: str) -> None:
        """Have a text made of a recording that is ready, and its URL told; one that is being made is not made twice.

        Raises:
            NotFound: the account has no such recording whose file can be had.
            Conflict: nothing is transcribed here, or the text is being made for somebody else.
            LimitReached: too many recordings wait.
        """
        if fault := self.ears.transcription_fault():
            raise Conflict(f"nothing is transcribed: {fault}")

        def work(session: Session) -> None:
            view = store.find_recording(session, account_id, recording_id)
            if view is None or view.state is not State.READY:
                raise NotFound("recording not found")
            known = store.find_wish(session, recording_id)
            if known is not None:
                if url not in ("", known.url):
                    raise Conflict("the recording is being transcribed", hint="ask again when that is done")
                return
            if (waiting := store.count_ready_wishes(session)) >= WAITING_MAX:
                raise LimitReached(f"{waiting} recordings wait to be transcribed")
            store.insert_wish(session, recording_id, Wish(url))
            store.make_wish_ready(session, recording_id)

        await self._database.write(work)
        self.wake()

    async def find(self, account_id: str, recording_id: str) -> Transcript | None:
        """Return the text of a recording of the account, or `None` when there is none and none to come."""

        def work(session: Session) -> Transcript | None:
            view = store.find_recording(session, account_id, recording_id)
            return None if view is None else store.find_transcript(session, view)

        return await self._database.read(work)

    async def forget(self, account_id: str, recording_id: str) -> bool:
        """Delete the text of a recording of the account; `False` when there is none and none to come."""

        def work(session: Session) -> bool:
            view = store.find_recording(session, account_id, recording_id)
            return view is not None and store.remove_transcript(session, recording_id)

        return await self._database.write(work)

    def admit(self, session: Session, view: RecordingView) -> None:
        """Queue a recording that is ready, in the transaction that says so, if its text is wanted."""
        wish = store.find_wish(session, view.recording_id)
        if wish is None:
            return
        waiting = store.count_ready_wishes(session)
        if waiting < WAITING_MAX:
            store.make_wish_ready(session, view.recording_id)
            return
        enqueue(session, _callback(view, wish, Recognition("", detail=f"{waiting} recordings wait to be transcribed")))
        store.remove_wish(session, view.recording_id)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                if await self._next():
                    continue
            except StorageUnavailable:
                await asyncio.sleep(_STORE_PAUSE_S)
                continue
            except Exception as error:
                # The next one may do better; a task that dies here would transcribe nothing any more.
                _log.error("transcription failed", exc_info=error)
                await asyncio.sleep(_STORE_PAUSE_S)
                continue
            await self.ears.rest()
            await self._wake.wait()

    async def _next(self) -> bool:
        """Transcribe the recording that waits longest; `False` when there is none."""
        found = await self._database.read(store.first_ready_wish)
        if found is None:
            return False
        view, wish = found
        if view.recording_id != self._tried_id:
            self._tried_id, self._faults = view.recording_id, 0
        try:
            await self._transcribe(view, wish)
        except StorageUnavailable:
            raise
        except Exception as error:
            self._faults += 1
            if self._faults < ATTEMPTS_MAX:
                raise
            _log.error("recording given up", call_uuid=view.call_uuid, exc_info=error)
            await self._give_up(view, wish, f"the transcription failed {ATTEMPTS_MAX} times: {type(error).__name__}")
        return True

    async def _transcribe(self, view: RecordingView, wish: Wish) -> None:
        path = self._files.path(view.account_id, view.recording_id, view.file_format)
        heard = await self.ears.transcribe(str(path), view.duration_ms)
        if heard.detail:
            _log.warning("recording not transcribed", call_uuid=view.call_uuid, error=heard.detail)
        await self._tell(view, wish, heard)
        if heard.detail:
            # The fault may have been the process's, which takes a second to be replaced.
            await asyncio.sleep(_FAULT_PAUSE_S)

    async def _tell(self, view: RecordingView, wish: Wish, heard: Recognition) -> None:
        def work(session: Session) -> None:
            # A recording that was deleted meanwhile has no text.
            if store.remove_wish(session, view.recording_id):
                store.put_transcript(session, view.recording_id, heard.text, heard.detail)
                if wish.url:
                    enqueue(session, _callback(view, wish, heard))

        await self._database.write(work)
        self._wake_outbox()

    async def _give_up(self, view: RecordingView, wish: Wish, detail: str) -> None:
        try:
            await self._tell(view, wish, Recognition("", detail=detail))
        except StorageUnavailable:
            raise
        except Exception as error:
            # It is the telling that fails: without its wish it holds up nobody.
            _log.error("transcription not told", call_uuid=view.call_uuid, exc_info=error)
            await self._database.write(lambda session: store.remove_wish(session, view.recording_id))


def _callback(view: RecordingView, wish: Wish, heard: Recognition) -> OutboundCallback:
    return OutboundCallback(
        kind=CallbackKind.TRANSCRIPTION.value,
        account_id=view.account_id,
        call_uuid=view.call_uuid,
        url=wish.url,
        method=wish.method,
        params={
            "transcription": heard.text,
            "transcription_charge": _NOTHING_CHARGED,
            "transcription_rate": _NOTHING_CHARGED,
            "duration": str(view.duration_s),
            "call_uuid": view.call_uuid,
            "recording_id": view.recording_id,
            "error": heard.detail,
        },
        event_id=f"{view.recording_id}:transcription:{ids.new_token(4)}",
        is_private=True,
    )
