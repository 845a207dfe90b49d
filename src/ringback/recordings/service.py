"""Every recording of the node: starting, stopping, completing, keeping, forgetting.

Fulfils `api.ports.RecordingsPort` and `callflow.port.FlowRecordings`. The audio goes from a media worker to a
file; this room sees its life only.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, replace

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.service import CallService
from ringback.errors import Conflict, InvalidParameter, NotFound, RingbackError
from ringback.ids import CallUuid, CommandId, RecordingId
from ringback.media.control.commands import PauseRecording, ResumeRecording, StartRecording, StopRecording
from ringback.media.control.events import RecordingEvent, RecordingFaulted, RecordingFinished, RecordingStarted
from ringback.media.control.port import CommandRejected
from ringback.media.control.values import RecordingEnd
from ringback.recordings import store
from ringback.recordings.completion import Completion, enqueue_event
from ringback.recordings.files import CompletedFile, NoAudio, RecordingFiles
from ringback.recordings.housekeeping import Housekeeping
from ringback.recordings.mp3 import can_encode
from ringback.recordings.party import RecordedParty
from ringback.recordings.payloads import RecordingReport, finished_params
from ringback.recordings.spec import NO_ROOM, CallbackStyle, FileFormat, RecordedRoom, RecordingSpec
from ringback.recordings.transcription import Deaf, RecordingEars, Transcriptions
from ringback.recordings.views import (
    RecordingFilters,
    RecordingView,
    StartedRecording,
    State,
    Transcript,
    Wish,
)
from ringback.signalling.errors import LegOver
from ringback.storage.database import Database, Session
from ringback.telemetry.logs import get_logger
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

_log = get_logger(__name__)

_STOP_PATIENCE_S = 0.5
"""How long a stop request waits for the file, so that an immediate look-up finds it."""
_CLOSE_PATIENCE_S = 5.0
_DISK_PATIENCE_S = 2.0
"""How long a request waits for the recordings' folder: official clients give up after 5 s."""
NO_ENCODER = "mp3 needs the package lameenc, which is not installed: the file is a wav"


@dataclass(frozen=True, slots=True)
class RecordingSettings:
    """Bounds of recordings (reference: reliability.md section 4)."""

    per_call_max: int = 4
    account_max_bytes: int = 10 * 1024**3
    """What an account's recordings may take; the next one is refused."""
    retention_days: int = 0
    """Age at which recordings are deleted; 0 keeps them."""
    has_plus: bool = False
    """Whether callbacks of recordings that an earlier server left write numbers with `+`."""


@dataclass
class LiveRecording:
    """A recording that has not ended."""

    view: RecordingView
    spec: RecordingSpec
    call: RecordedParty
    is_armed: bool = False
    """It waits for a `<Dial>` to be answered; the worker knows nothing of it."""
    is_withdrawn: bool = False
    """The request failed, but a worker that did not answer in time may record: whatever it writes is deleted."""
    is_paused: bool = False
    completed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when its row says how it ended."""


class RecordingService:
    """All recordings of the node.

    State: `start` begins the housekeeping; `close` completes what has ended and leaves the rest to the next server.
    """

    def __init__(
        self,
        database: Database,
        calls: CallService,
        files: RecordingFiles,
        settings: RecordingSettings,
        *,
        base_url: Callable[[], str],
        wake_outbox: Callable[[], None] = lambda: None,
        ears: RecordingEars | None = None,
    ) -> None:
        self.settings = settings
        self._database = database
        self._calls = calls
        self._files = files
        self._base_url = base_url
        self._wake_outbox = wake_outbox
        self._live: dict[RecordingId, LiveRecording] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transcriptions = Transcriptions(database, files, ears or Deaf(), wake_outbox)
        self._completion = Completion(database, files, self.url, wake_outbox, self.transcriptions)
        self.housekeeping = Housekeeping(
            database, files, self._completion, self._live.keys, settings.retention_days, has_plus=settings.has_plus
        )

    @property
    def live_count(self) -> int:
        """Return how many recordings have not ended."""
        return len(self._live)

    def url(self, view: RecordingView) -> str:
        """Return where a recording's file can be had without credentials; the id in it is the secret."""
        return (
            f"{self._base_url().rstrip('/')}/v1/Account/{view.account_id}"
            f"/Recording/{view.recording_id}.{view.file_format.value}"
        )

    def start(self) -> None:
        """Look after what earlier servers left, and after what is too old, from now on."""
        self.housekeeping.start()
        self.transcriptions.start()

    async def close(self) -> None:
        """Complete what has ended, for a moment; the next server does the rest."""
        self.housekeeping.close()
        await self.transcriptions.close()
        if self._tasks:
            _, left = await asyncio.wait(self._tasks, timeout=_CLOSE_PATIENCE_S)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        await self._files.close()

    # ── REST ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def record(
        self, account: Account, call_uuid: CallUuid, spec: RecordingSpec, *, api_id: str = ""
    ) -> StartedRecording:
        """Record a live call of the account.

        Raises:
            NotFound: no such answered call.
            InvalidParameter: the call has all the recordings it may have.
            Conflict: the disk is full, or the account has used its space.
        """
        call = self._calls.find_of(account, call_uuid)
        if call is None or not call.is_answered:
            raise NotFound("not found", hint="recordings start on an answered call")
        return await self._begin(call, replace(spec, api_id=api_id))

    async def stop(self, account: Account, call_uuid: CallUuid, url: str = "") -> None:
        """Stop the recordings of a live call, or only the one whose file `url` will name.

        Raises:
            NotFound: no such live call, or it has no such recording.
        """
        call = self._calls.find_of(account, call_uuid)
        if call is None:
            raise NotFound("not found")
        live = [*self._of(call)]
        if url:
            wanted = url.rpartition("/")[2].partition(".")[0]
            live = [each for each in live if each.view.recording_id == wanted]
            if not live:
                raise NotFound("the call has no recording of this URL")
        for each in live:
            await self._stop(each)
        waiting = [asyncio.create_task(each.completed.wait()) for each in live]
        if waiting:
            _, pending = await asyncio.wait(waiting, timeout=_STOP_PATIENCE_S)
            for task in pending:
                task.cancel()

    async def owner_id(self, recording_id: str) -> str:
        """Return whose recording it is, empty when there is none."""
        return await self._database.read(lambda session: store.owner_of(session, recording_id))

    async def get(self, account: Account, recording_id: str) -> RecordingView | None:
        """Return a recording that is ready, or `None`."""
        view = await self._database.read(lambda session: store.find_recording(session, account.auth_id, recording_id))
        return view if view is not None and view.state is State.READY else None

    async def list(
        self, account: Account, filters: RecordingFilters, limit: int, offset: int
    ) -> tuple[Sequence[RecordingView], int]:
        """Return one page of recordings that are ready, newest first, and how many match in all."""
        now_wall_ms = clock.wall_ms()
        return await self._database.read(
            lambda session: store.list_recordings(session, account.auth_id, filters, now_wall_ms, limit, offset)
        )

    async def delete(self, account: Account, recording_id: str) -> bool:
        """Delete a recording and its file; `False` when there is none that has ended."""
        view = await self._database.write(
            lambda session: store.delete_recording(session, account.auth_id, recording_id)
        )
        if view is None:
            return False
        await self._files.remove(view.account_id, view.recording_id)
        return True

    async def transcribe(self, account: Account, recording_id: str, callback_url: str) -> None:
        """Have a text made of a recording; raises as `Transcriptions.ask` does."""
        await self.transcriptions.ask(account.auth_id, recording_id, callback_url)

    async def transcript(self, account: Account, recording_id: str) -> Transcript | None:
        """Return the text of a recording, or `None` when there is none and none to come."""
        return await self.transcriptions.find(account.auth_id, recording_id)

    async def delete_transcript(self, account: Account, recording_id: str) -> bool:
        """Delete the text of a recording; `False` when there is none and none to come."""
        return await self.transcriptions.forget(account.auth_id, recording_id)

    async def file(self, auth_id: str, recording_id: str, file_format: FileFormat) -> CompletedFile | None:
        """Return a recording's file, or `None`; one that is just being completed is waited for."""
        await self._completion.wait(recording_id)
        view = await self._database.read(lambda session: store.find_recording(session, auth_id, recording_id))
        if view is None or view.state is not State.READY:
            return None
        # One that could not be encoded is a wav under the address that was told when it began.
        if view.file_format is not file_format and view.file_format is not FileFormat.WAV:
            return None
        path = self._files.path(auth_id, recording_id, view.file_format)
        return CompletedFile(path, view.file_format, view.size_bytes, view.duration_ms)

    # ── call flow ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def start_recording(self, call_uuid: CallUuid, spec: RecordingSpec) -> StartedRecording:
        """Record a call for its document.

        Raises:
            RingbackError: the call is gone, or a bound is reached.
        """
        call = self._calls.find(call_uuid)
        if call is None:
            raise NotFound("the call is over")
        return await self._begin(call, spec)

    async def stop_recording(self, call_uuid: CallUuid, recording_id: RecordingId) -> None:
        """Stop a recording; does nothing when it is over."""
        live = self._live.get(recording_id)
        if live is not None and live.call.call_uuid == call_uuid:
            await self._stop(live)

    # ── conferences and multiparty calls ───────────────────────────────────────────────────────────────────────────

    async def record_room(self, party: RecordedParty, spec: RecordingSpec, room: RecordedRoom) -> StartedRecording:
        """Record what the listener of a room hears, or the call of one who is in it.

        Raises:
            RingbackError: it is over, a bound is reached, or the worker refused.
        """
        return await self._begin(party, spec, room)

    async def pause(self, recording_id: RecordingId, *, is_paused: bool) -> bool:
        """Leave out what happens, or record again; `False` when the recording does not run.

        Raises:
            MediaError: the worker refused.
        """
        live = self._live.get(recording_id)
        if live is None or live.is_armed or live.is_withdrawn:
            return False
        if live.is_paused is is_paused:
            return True
        live.is_paused = is_paused
        command = PauseRecording if is_paused else ResumeRecording
        try:
            await live.call.leg.media(
                command(
                    command_id=CommandId(ids.new_token()),
                    session_id=live.call.leg.session_id,
                    recording_id=recording_id,
                )
            )
        except LegOver:
            return False
        except RingbackError:
            live.is_paused = not is_paused
            raise
        what, report = ("paused", RecordingReport.PAUSED) if is_paused else ("resumed", RecordingReport.RESUMED)
        live.call.note("media", event=f"recording {what}", recording_id=recording_id)
        self._tell(live.view, report)
        return True

    async def stop_one(self, recording_id: RecordingId) -> bool:
        """Stop a recording; `False` when it does not run."""
        live = self._live.get(recording_id)
        if live is None:
            return False
        await self._stop(live)
        return True

    def _tell(self, view: RecordingView, report: RecordingReport) -> None:
        """Tell the URL of a recording in the style of events; others are told of the end alone."""
        if not view.callback_url or view.callback_style is not CallbackStyle.EVENTS:
            return

        async def told() -> None:
            await self._completion.stored(lambda session: enqueue_event(session, view, self.url(view), report))
            self._wake_outbox()

        self._spawn(told())

    # ── starting and stopping ──────────────────────────────────────────────────────────────────────────────────────

    def _of(self, call: RecordedParty) -> Sequence[LiveRecording]:
        return [live for live in self._live.values() if live.call is call]

    async def _begin(
        self,
        call: RecordedParty,
        spec: RecordingSpec,
        room: RecordedRoom = NO_ROOM,
    ) -> StartedRecording:
        if call.is_over:
            raise NotFound("not found", hint="the call has ended")
        found = len(self._of(call))
        if found >= self.settings.per_call_max:
            raise InvalidParameter(
                f"the call has {found} recordings already, expected at most {self.settings.per_call_max}",
                hint="stop one first",
            )
        note = ""
        if spec.file_format is FileFormat.MP3 and not can_encode():
            spec = replace(spec, file_format=FileFormat.WAV)
            note = NO_ENCODER
        wish, fault = self._transcription_of(spec)
        note = "; ".join(filter(None, (note, fault)))
        terms = call.terms
        view = RecordingView(
            recording_id=RecordingId(ids.new_uuid()),
            account_id=call.account_id,
            call_uuid=call.call_uuid,
            file_format=spec.file_format,
            channels=spec.channels,
            state=State.RECORDING,
            created_wall_ms=clock.wall_ms(),
            kind=room.kind,
            conference_name=room.name,
            conference_uuid=room.uuid,
            member_id=room.member_id,
            from_number=terms.from_number,
            to_number=terms.to_number,
            callback_url=spec.callback_url,
            callback_method=spec.callback_method,
            callback_style=spec.style,
            api_id=spec.api_id,
        )
        live = LiveRecording(view, spec, call, is_armed=spec.starts_on_dial_answer)
        # Counted before the first wait: requests that come together must not pass the bound together.
        self._live[view.recording_id] = live
        try:
            await self._check_space(call.account_id)
            await self._database.write(lambda session: _insert(session, view, wish))
            if live.is_armed:
                call.on_bridged.append(lambda _partner: self._dial_answered(live))
        except BaseException as error:
            self._never_began(live, str(error))
            raise
        if not live.is_armed:
            await self._command(live)
        call.note(
            "media",
            event="recording asked for",
            recording_id=view.recording_id,
            format=spec.file_format.value,
            channels=spec.channels.value,
            note=note,
        )
        return StartedRecording(view.recording_id, self.url(view), spec.file_format, note)

    def _transcription_of(self, spec: RecordingSpec) -> tuple[Wish | None, str]:
        """Return who is to be told of a recording's text, or why nobody is although somebody wanted it."""
        if not spec.wants_transcription:
            return None, ""
        fault = self.transcriptions.ears.transcription_fault()
        if fault:
            return None, f"nothing is transcribed: {fault}"
        if not spec.transcription_url:
            return None, "nothing is transcribed: there is no transcription URL to tell"
        return Wish(spec.transcription_url, spec.transcription_method), ""

    async def _check_space(self, account_id: str) -> None:
        """Raise when there is no room for a recording; when the disk fills later, the worker ends it."""
        try:
            async with asyncio.timeout(_DISK_PATIENCE_S):
                has_room = await self._files.prepare(account_id)
        except TimeoutError:
            raise Conflict("the disk of this server does not answer") from None
        except OSError as error:
            raise Conflict(f"the recordings' folder cannot be used: {error.strerror or error}") from error
        if not has_room:
            raise Conflict("the disk of this server is full", hint="delete recordings, or set recording.retention_days")
        used = await self._database.read(lambda session: store.stored_bytes(session, account_id))
        if used >= self.settings.account_max_bytes:
            raise Conflict(
                f"the recordings of this account take {used // 1024**2} MB, allowed are "
                f"{self.settings.account_max_bytes // 1024**2}",
                hint="delete recordings, or raise recording.account_max_gb",
            )

    async def _command(self, live: LiveRecording) -> None:
        """Tell the worker to record; what could not begin is forgotten.

        Raises:
            NotFound: the call ended meanwhile.
            MediaError: the worker refused, or did not answer.
        """
        spec, view = live.spec, live.view
        try:
            await live.call.leg.media(
                StartRecording(
                    command_id=CommandId(ids.new_token()),
                    session_id=live.call.leg.session_id,
                    recording_id=view.recording_id,
                    path=str(self._files.path(view.account_id, view.recording_id, FileFormat.WAV)),
                    channels=spec.channels,
                    max_ms=spec.max_length_s * 1000,
                    silence_timeout_ms=spec.silence_s * 1000,
                    finish_digits=spec.finish_digits,
                    starts_with_beep=spec.starts_with_beep,
                )
            )
        except LegOver as error:
            self._never_began(live, str(error))
            raise NotFound("not found", hint="the call has ended") from error
        except CommandRejected as error:
            self._never_began(live, str(error))
            raise
        except BaseException as error:
            # Nobody knows whether the worker has begun.
            self._withdraw(live, str(error))
            raise

    def _dial_answered(self, live: LiveRecording) -> None:
        """Begin a recording that waited for this."""

        async def begin() -> None:
            # Its row and the event log say why it could not begin.
            with contextlib.suppress(RingbackError):
                await self._command(live)

        if live.is_armed:
            live.is_armed = False
            self._spawn(begin())

    def _never_began(self, live: LiveRecording, detail: str) -> None:
        """Forget a recording that the worker never heard of."""
        if self._live.pop(live.view.recording_id, None) is not None:
            self._note_failed(live, detail)

    def _withdraw(self, live: LiveRecording, detail: str) -> None:
        """Tell everybody that a recording has failed, and the worker to stop if it records after all.

        State: it counts as live until the worker reports its end, or the call is gone; then its file is deleted.
        """
        live.is_withdrawn = True
        self._note_failed(live, detail)
        self._spawn(self._stop(live))

    def _note_failed(self, live: LiveRecording, detail: str) -> None:
        live.call.note("media", event="recording refused", recording_id=live.view.recording_id, detail=detail)
        recording_id = live.view.recording_id

        def work(session: Session) -> None:
            store.update_recording(session, recording_id, state=State.FAILED.value, detail=detail[:500])
            store.remove_wish(session, recording_id)

        self._spawn(self._completion.stored(work))
        self._tell(live.view, RecordingReport.FAILED)
        live.completed.set()

    async def _stop(self, live: LiveRecording) -> None:
        if live.is_armed:
            self._never_began(live, "stopped before the dialled party answered")
            return
        try:
            await live.call.leg.media(
                StopRecording(
                    command_id=CommandId(ids.new_token()),
                    session_id=live.call.leg.session_id,
                    recording_id=live.view.recording_id,
                )
            )
        except RingbackError:
            # It has just ended by itself; its end is on its way.
            return

    # ── what the worker reports ────────────────────────────────────────────────────────────────────────────────────

    def handle(self, call: RecordedParty, event: RecordingEvent) -> None:
        """Take one event of a recording of `call`."""
        match event:
            case RecordingStarted():
                live = self._live.get(event.recording_id)
                if live is not None:
                    live.view = replace(live.view, start_wall_ms=event.wall_ms or clock.wall_ms())
                    if not live.is_withdrawn:
                        self._tell(live.view, RecordingReport.INITIATED)
                call.note("media", event="recording started", recording_id=event.recording_id)
            case RecordingFaulted():
                call.note(
                    "media",
                    event="recording fault",
                    recording_id=event.recording_id,
                    dropped_ms=event.dropped_ms,
                    detail="the disk is too slow",
                )
            case RecordingFinished():
                self._finished(call, event)

    def call_gone(self, call: RecordedParty) -> None:
        """End the recordings of a call whose media session is closed and that did not report their end."""
        for live in self._of(call):
            if live.is_armed:
                self._never_began(live, "the dialled party did not answer")
                continue
            event = RecordingFinished(
                session_id=call.leg.session_id,
                recording_id=live.view.recording_id,
                reason=RecordingEnd.FAILED,
                detail="the media session closed",
            )
            self._finished(call, event, is_worker_gone=True)

    def _finished(self, call: RecordedParty, event: RecordingFinished, *, is_worker_gone: bool = False) -> None:
        live = self._live.pop(event.recording_id, None)
        call.note(
            "media",
            event="recording finished",
            recording_id=event.recording_id,
            reason=event.reason.value,
            duration_ms=event.duration_ms,
            digit=event.digit,
            dropped_ms=event.dropped_ms,
            detail=event.detail,
        )
        if live is None:
            return
        if live.is_withdrawn:
            self._spawn(self._discard(live.view, is_worker_gone=is_worker_gone))
            return
        self._completion.expect(live.view.recording_id, live.completed)
        self._spawn(self._finish(live, event, is_worker_gone=is_worker_gone))
        call.report_recording_end(event)

    async def _discard(self, view: RecordingView, *, is_worker_gone: bool) -> None:
        """Delete what was recorded, once the worker has let go of it."""
        with contextlib.suppress(NoAudio, OSError):
            await self._files.complete(
                view.account_id, view.recording_id, FileFormat.WAV, is_worker_gone=is_worker_gone
            )
        await self._files.remove(view.account_id, view.recording_id)

    async def _finish(self, live: LiveRecording, event: RecordingFinished, *, is_worker_gone: bool) -> None:
        view = replace(
            live.view,
            state=State.PROCESSING,
            duration_ms=event.duration_ms,
            start_wall_ms=event.start_wall_ms or live.view.start_wall_ms,
            end_wall_ms=event.end_wall_ms,
        )
        hung_up = self._hangup_callback(live, view, event)

        def work(session: Session) -> None:
            store.update_recording(
                session,
                view.recording_id,
                state=view.state.value,
                duration_ms=view.duration_ms,
                start_wall_ms=view.start_wall_ms,
                end_wall_ms=view.end_wall_ms,
                end_reason=event.reason.value,
                digit=event.digit,
                dropped_ms=event.dropped_ms,
                detail=event.detail[:500],
            )
            if hung_up is not None:
                enqueue(session, hung_up)

        await self._completion.stored(work)
        self._wake_outbox()
        await self._completion.complete(view, live.call.webhook_params, event.digit, is_worker_gone=is_worker_gone)

    def _hangup_callback(
        self, live: LiveRecording, view: RecordingView, event: RecordingFinished
    ) -> OutboundCallback | None:
        """Return what the action of a `<Record>` is told when the caller has hung up instead of finishing."""
        spec = live.spec
        # One who hangs up during the beep has left no message.
        if not spec.hangup_url or event.reason is not RecordingEnd.CALL_ENDED or not event.duration_ms:
            return None
        params = finished_params(
            view.recording_id,
            self.url(view),
            duration_ms=view.duration_ms,
            start_wall_ms=view.start_wall_ms,
            end_wall_ms=view.end_wall_ms,
        )
        return OutboundCallback(
            kind=CallbackKind.ACTION.value,
            account_id=view.account_id,
            call_uuid=view.call_uuid,
            url=spec.hangup_url,
            method=spec.hangup_method,
            params={**live.call.webhook_params(**params), "CallStatus": "completed"},
            event_id=f"{view.recording_id}:action",
        )

    # ── small tools ────────────────────────────────────────────────────────────────────────────────────────────────

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work, name="recording")
        self._tasks.add(task)
        task.add_done_callback(self._task_done)

    def _task_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("recording not completed", exc_info=error)


def _insert(session: Session, view: RecordingView, wish: Wish | None) -> None:
    store.insert_recording(session, view)
    if wish is not None:
        store.insert_wish(session, view.recording_id, wish)
