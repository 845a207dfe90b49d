"""Calls and streams in memory: what the REST layer needs, without a platform behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls.in_call import DigitsRequest, PlayRequest, SpeakRequest
from ringback.calls.views import (
    CallDirection,
    CallRecord,
    CdrFilters,
    LiveCallFilters,
    LiveCallView,
    LiveStatus,
    MadeCall,
    MakeCall,
    Transfer,
)
from ringback.conferences.views import ConferenceView, MemberView
from ringback.errors import Conflict, InvalidParameter, NotFound
from ringback.ids import CallUuid, RecordingId, StreamId
from ringback.media.control.values import RecordingChannels
from ringback.recordings.files import CompletedFile
from ringback.recordings.spec import FileFormat, RecordingSpec
from ringback.recordings.views import RecordingFilters, RecordingView, StartedRecording, TextState, Transcript
from ringback.recordings.views import State as RecordingState
from ringback.speech.passage import Speech
from ringback.streams.spec import StreamSpec
from ringback.streams.state import State
from ringback.streams.views import StreamView


@dataclass
class FakeCalls:
    """Calls that live until they are hung up."""

    live: dict[CallUuid, LiveCallView] = field(default_factory=dict)
    records: list[CallRecord] = field(default_factory=list)
    made: list[MakeCall] = field(default_factory=list)
    transfers: list[tuple[CallUuid, Transfer]] = field(default_factory=list)
    bridged: set[CallUuid] = field(default_factory=set)
    """Calls that have a B leg."""
    asked: list[CdrFilters | LiveCallFilters] = field(default_factory=list)
    owners: dict[str, str] = field(default_factory=dict)
    """Accounts by call; a call without an entry is everybody's."""
    failure: Exception | None = None
    """Raised by `make_calls` after the calls were made."""
    is_queueing: bool = False
    """Whether calls must wait for their turn."""

    async def make_calls(self, account: Account, requests: Sequence[MakeCall]) -> MadeCall:
        made = []
        for request in requests:
            self.made.append(request)
            call_uuid = CallUuid(ids.new_uuid())
            self.add(
                call_uuid,
                LiveStatus.QUEUED if self.is_queueing else LiveStatus.IN_PROGRESS,
                from_number=request.from_number,
                to_number=request.to,
                caller_name=request.caller_name,
            )
            self.owners[call_uuid] = account.auth_id
            made.append(call_uuid)
        if self.failure:
            raise self.failure
        if len(made) > 1:
            return MadeCall(tuple(made), "calls fired")
        return MadeCall(tuple(made), "call queued" if self.is_queueing else "call fired")

    def add(self, call_uuid: CallUuid | str = "", status: LiveStatus = LiveStatus.IN_PROGRESS, **fields: str) -> str:
        call_uuid = CallUuid(call_uuid or ids.new_uuid())
        view = LiveCallView(
            call_uuid=call_uuid,
            status=status,
            direction=CallDirection.OUTBOUND,
            from_number=fields.get("from_number", "14150000001"),
            to_number=fields.get("to_number", "14150000002"),
            started_wall_ms=1_495_459_069_050,
            caller_name=fields.get("caller_name", ""),
        )
        self.live[call_uuid] = view
        return call_uuid

    def is_of(self, account: Account, call_uuid: CallUuid) -> bool:
        return self.owners.get(call_uuid, account.auth_id) == account.auth_id

    async def live_call_uuids(self, account: Account, filters: LiveCallFilters) -> list[CallUuid]:
        self.asked.append(filters)
        found = [
            view.call_uuid
            for view in reversed(self.live.values())
            if self.is_of(account, view.call_uuid)
            and (view.status is LiveStatus.QUEUED) == filters.queued
            and filters.direction in (None, view.direction)
            and view.from_number.startswith(filters.from_number)
        ]
        return found[filters.offset : filters.offset + filters.limit]

    async def live_call(self, account: Account, call_uuid: CallUuid) -> LiveCallView | None:
        return self.live.get(call_uuid) if self.is_of(account, call_uuid) else None

    async def owner_of(self, account: Account, call_uuid: CallUuid) -> Account:
        return account

    async def has_call(self, account: Account, call_uuid: CallUuid) -> bool:
        is_live = call_uuid in self.live and self.is_of(account, call_uuid)
        return is_live or await self.cdr(account, call_uuid) is not None

    async def is_nobodys(self, call_uuid: CallUuid) -> bool:
        is_recorded = any(record.call_uuid == call_uuid for record in self.records)
        return call_uuid not in self.live and not is_recorded

    async def hangup_call(self, account: Account, call_uuid: CallUuid) -> bool:
        if not self.is_of(account, call_uuid) or (view := self.live.pop(call_uuid, None)) is None:
            return False
        self.records.insert(0, record_of(view))
        return True

    async def hangup_all(self, account: Account) -> int:
        return sum([await self.hangup_call(account, call_uuid) for call_uuid in list(self.live)])

    async def cancel_request(self, account: Account, request_uuid: CallUuid) -> bool:
        view = self.live.get(request_uuid)
        if view is None or view.status is LiveStatus.IN_PROGRESS:
            return False
        return await self.hangup_call(account, request_uuid)

    async def transfer(self, account: Account, call_uuid: CallUuid, transfer: Transfer) -> None:
        if call_uuid not in self.live or not self.is_of(account, call_uuid):
            raise NotFound("no live call of this id")
        if transfer.legs != "aleg" and call_uuid not in self.bridged:
            raise InvalidParameter("legs parameter is invalid: the call has no B leg")
        self.transfers.append((call_uuid, transfer))

    async def cdr(self, account: Account, call_uuid: CallUuid) -> CallRecord | None:
        mine = (record for record in self.records if self.is_of(account, record.call_uuid))
        return next((record for record in mine if record.call_uuid == call_uuid), None)

    async def cdrs(
        self, account: Account, filters: CdrFilters, limit: int, offset: int
    ) -> tuple[Sequence[CallRecord], int]:
        self.asked.append(filters)
        mine = [record for record in self.records if self.is_of(account, record.call_uuid)]
        if filters.after is not None:
            offset = [record.call_uuid for record in mine].index(CallUuid(filters.after.name)) + 1
        return mine[offset : offset + limit], len(mine)


def record_of(view: LiveCallView) -> CallRecord:
    """Return the record of a call that was answered after 5 s and hung up by API after 924 s."""
    start = view.started_wall_ms
    return CallRecord(
        call_uuid=view.call_uuid,
        direction=view.direction,
        from_number=view.from_number,
        to_number=view.to_number,
        initiated_wall_ms=start,
        answered_wall_ms=start + 5_000,
        ended_wall_ms=start + 929_000,
        call_duration_s=924,
        bill_duration_s=924,
        billed_duration_s=960,
        hangup_cause_code=4000,
        hangup_cause_name="Normal Hangup",
        hangup_source="API Request",
        call_state="ANSWER",
    )


@dataclass
class FakeStreams:
    """Streams that live until they are stopped."""

    calls: FakeCalls
    streams: dict[StreamId, StreamView] = field(default_factory=dict)
    started: list[StreamSpec] = field(default_factory=list)

    async def start(self, account: Account, call_uuid: CallUuid, spec: StreamSpec) -> StreamId:
        if call_uuid not in self.calls.live or not self.calls.is_of(account, call_uuid):
            raise NotFound("no live call of this id")
        if any(view.service_url == spec.url and view.status is not State.COMPLETED for view in self._of(call_uuid)):
            raise InvalidParameter("service_url parameter is invalid: the call streams to it already")
        self.started.append(spec)
        stream_id = StreamId(ids.new_uuid())
        self.streams[stream_id] = StreamView(
            stream_id=stream_id,
            call_uuid=call_uuid,
            service_url=spec.url,
            bidirectional=spec.bidirectional,
            audio_track=spec.audio_track,
            content_type=spec.content_type,
            status=State.INITIATED,
            created_wall_ms=1_687_353_824_136,
            status_callback_url=spec.status_callback_url,
        )
        return stream_id

    async def get(self, account: Account, call_uuid: CallUuid, stream_id: StreamId) -> StreamView | None:
        view = self.streams.get(stream_id)
        return view if view and view.call_uuid == call_uuid and self.calls.is_of(account, call_uuid) else None

    async def list(
        self, account: Account, call_uuid: CallUuid, limit: int, offset: int
    ) -> tuple[Sequence[StreamView], int]:
        if not self.calls.is_of(account, call_uuid) or (call_uuid not in self.calls.live and not self._of(call_uuid)):
            raise NotFound("call not found")
        found = self._of(call_uuid)
        return found[offset : offset + limit], len(found)

    async def stop(self, account: Account, call_uuid: CallUuid, stream_id: StreamId) -> bool:
        view = await self.get(account, call_uuid, stream_id)
        if view is None or view.status is State.COMPLETED:
            return False
        self.streams[stream_id] = replace(
            view,
            status=State.COMPLETED,
            started_wall_ms=1_687_353_796_000,
            ended_wall_ms=1_687_353_823_000,
            bill_duration_s=27,
            rounded_bill_duration_s=60,
        )
        return True

    async def stop_all(self, account: Account, call_uuid: CallUuid) -> int:
        if call_uuid not in self.calls.live or not self.calls.is_of(account, call_uuid):
            raise NotFound("no live call of this id")
        return sum([await self.stop(account, call_uuid, view.stream_id) for view in self._of(call_uuid)])

    def _of(self, call_uuid: CallUuid) -> Sequence[StreamView]:
        return [view for view in reversed(self.streams.values()) if view.call_uuid == call_uuid]


@dataclass
class FakeConferences:
    """Conferences that are changed by nothing but requests; `asked` holds them."""

    live: dict[str, ConferenceView] = field(default_factory=dict)
    asked: list[tuple[object, ...]] = field(default_factory=list)
    owner: str = ""
    """The account whose they are; empty: everybody's."""

    def add(self, name: str, *member_ids: str) -> None:
        members = tuple(
            MemberView(member_id, f"call-{member_id}", "14150000001", "14150000002", "", "inbound", False, False, 590)
            for member_id in member_ids
        )
        self.live[name] = ConferenceView(name, 590, members)

    def names(self, account: Account) -> list[str]:
        return list(self._of(account))

    def view(self, account: Account, name: str) -> ConferenceView | None:
        return self._of(account).get(name)

    async def hang_up(self, account: Account, name: str) -> None:
        self._members(account, name, "all")
        del self.live[name]

    async def hang_up_all(self, account: Account) -> int:
        count = len(self._of(account))
        self._of(account).clear()
        return count

    async def hang_up_members(self, account: Account, name: str, members: str) -> list[str]:
        return self._note(account, "hang_up_members", name, members)

    def kick(self, account: Account, name: str, members: str) -> list[str]:
        return self._note(account, "kick", name, members)

    def set_audio(
        self, account: Account, name: str, members: str, *, is_muted: bool | None = None, is_deaf: bool | None = None
    ) -> list[str]:
        return self._note(account, "set_audio", name, members, is_muted, is_deaf)

    async def play(self, account: Account, name: str, members: str, url: str) -> list[str]:
        return self._note(account, "play", name, members, url)

    async def stop_play(self, account: Account, name: str, members: str) -> list[str]:
        return self._note(account, "stop_play", name, members)

    async def speak(self, account: Account, name: str, members: str, speech: Speech) -> list[str]:
        said = " ".join(str(getattr(passage, "text", passage)) for passage in speech.passages)
        return self._note(account, "speak", name, members, said, speech.voice)

    async def stop_speech(self, account: Account, name: str, members: str) -> list[str]:
        return self._note(account, "stop_speech", name, members)

    async def record(self, account: Account, name: str, spec: RecordingSpec) -> StartedRecording:
        self._note(account, "record", name, "all", spec)
        return StartedRecording(RecordingId("r1"), "https://h.example/r1.mp3", spec.file_format)

    async def stop_record(self, account: Account, name: str) -> None:
        self._note(account, "stop_record", name, "all")

    def _note(self, account: Account, what: str, name: str, members: str, *more: object) -> list[str]:
        found = self._members(account, name, members)
        self.asked.append((what, name, members, *more))
        return found

    def _members(self, account: Account, name: str, members: str) -> list[str]:
        if name not in self._of(account):
            raise NotFound("conference not found")
        ids = [member.member_id for member in self.live[name].members]
        found = ids if members == "all" else [member_id for member_id in members.split(",") if member_id in ids]
        if not found:
            raise NotFound("member not found")
        return found

    def _of(self, account: Account) -> dict[str, ConferenceView]:
        return self.live if self.owner in ("", account.auth_id) else {}


@dataclass
class FakeRecordings:
    """Recordings that run until they are stopped, and are ready from then on."""

    calls: FakeCalls
    views: dict[str, RecordingView] = field(default_factory=dict)
    asked: list[RecordingSpec | RecordingFilters] = field(default_factory=list)
    folder: Path = Path("/nowhere")
    transcripts: dict[str, Transcript] = field(default_factory=dict)
    is_deaf: bool = False
    """Whether nothing is transcribed."""

    async def record(
        self,
        account: Account,
        call_uuid: CallUuid,
        spec: RecordingSpec,
        *,
        api_id: str = "",
    ) -> StartedRecording:
        if call_uuid not in self.calls.live or not self.calls.is_of(account, call_uuid):
            raise NotFound("not found")
        self.asked.append(spec)
        view = self.add(spec.file_format, call_uuid=call_uuid, api_id=api_id, state=RecordingState.RECORDING)
        return StartedRecording(view.recording_id, self.url(view), spec.file_format)

    def add(self, file_format: FileFormat = FileFormat.MP3, **fields: Any) -> RecordingView:
        known = {
            "account_id": "MATESTTESTTESTTEST01",
            "call_uuid": CallUuid(ids.new_uuid()),
            "state": RecordingState.READY,
            "from_number": "14150000001",
            "to_number": "14150000002",
            "created_wall_ms": 1_649_759_933_523,
            "start_wall_ms": 1_649_759_933_523,
            "end_wall_ms": 1_649_759_941_083,
            "duration_ms": 7_560,
        }
        view = RecordingView(
            recording_id=RecordingId(ids.new_uuid()),
            file_format=file_format,
            channels=RecordingChannels.MONO,
            **{**known, **fields},
        )
        self.views[view.recording_id] = view
        return view

    async def stop(self, account: Account, call_uuid: CallUuid, url: str = "") -> None:
        if call_uuid not in self.calls.live or not self.calls.is_of(account, call_uuid):
            raise NotFound("not found")
        found = [view for view in self.views.values() if view.call_uuid == call_uuid and url in ("", self.url(view))]
        if url and not found:
            raise NotFound("the call has no recording of this URL")
        for view in found:
            self.views[view.recording_id] = replace(view, state=RecordingState.READY)

    async def owner_id(self, recording_id: str) -> str:
        view = self.views.get(recording_id)
        return view.account_id if view is not None else ""

    async def get(self, account: Account, recording_id: str) -> RecordingView | None:
        view = self.views.get(recording_id)
        is_there = view is not None and view.state is RecordingState.READY and view.account_id == account.auth_id
        return view if is_there else None

    async def list(
        self, account: Account, filters: RecordingFilters, limit: int, offset: int
    ) -> tuple[Sequence[RecordingView], int]:
        self.asked.append(filters)
        found = [
            view
            for view in reversed(self.views.values())
            if view.state is RecordingState.READY and view.account_id == account.auth_id
        ]
        if filters.after is not None:
            offset = [view.recording_id for view in found].index(RecordingId(filters.after.name)) + 1
        return found[offset : offset + limit], len(found)

    async def transcribe(self, account: Account, recording_id: str, callback_url: str) -> None:
        view = await self.get(account, recording_id)
        if view is None:
            raise NotFound("recording not found")
        if self.is_deaf:
            raise Conflict("nothing is transcribed: transcription is not available")
        self.transcripts[recording_id] = Transcript(view, TextState.IN_PROGRESS)

    async def transcript(self, account: Account, recording_id: str) -> Transcript | None:
        return self.transcripts.get(recording_id) if await self.get(account, recording_id) else None

    async def delete_transcript(self, account: Account, recording_id: str) -> bool:
        found = await self.transcript(account, recording_id)
        return found is not None and self.transcripts.pop(recording_id) is found

    async def delete(self, account: Account, recording_id: str) -> bool:
        return await self.get(account, recording_id) is not None and self.views.pop(recording_id) is not None

    async def file(self, auth_id: str, recording_id: str, file_format: FileFormat) -> CompletedFile | None:
        view = self.views.get(recording_id)
        if view is None or view.account_id != auth_id or view.file_format is not file_format:
            return None
        return CompletedFile(self.folder / f"{recording_id}.{file_format.value}", file_format, 0, view.duration_ms)

    def url(self, view: RecordingView) -> str:
        return (
            f"https://ringback.test/v1/Account/{view.account_id}/Recording/{view.recording_id}.{view.file_format.value}"
        )


@dataclass
class FakeInCall:
    """Actions on live calls; `asked` holds them in order."""

    calls: FakeCalls
    asked: list[tuple[str, object]] = field(default_factory=list)
    failure: Exception | None = None

    async def play(self, account: Account, call_uuid: CallUuid, request: PlayRequest) -> None:
        self._ask(account, call_uuid, "play", request)

    async def stop_plays(self, account: Account, call_uuid: CallUuid) -> None:
        self._ask(account, call_uuid, "stop plays", None)

    async def speak(self, account: Account, call_uuid: CallUuid, request: SpeakRequest) -> None:
        self._ask(account, call_uuid, "speak", request)

    async def stop_speech(self, account: Account, call_uuid: CallUuid) -> None:
        self._ask(account, call_uuid, "stop speech", None)

    async def send_digits(self, account: Account, call_uuid: CallUuid, request: DigitsRequest) -> None:
        self._ask(account, call_uuid, "digits", request)

    def _ask(self, account: Account, call_uuid: CallUuid, action: str, request: object) -> None:
        if call_uuid not in self.calls.live or not self.calls.is_of(account, call_uuid):
            raise NotFound("not found")
        if self.failure:
            raise self.failure
        self.asked.append((action, request))


@dataclass
class FakeCallbacks:
    """Callbacks that were queued."""

    delivered: list[tuple[str, str, Mapping[str, str]]] = field(default_factory=list)

    replayed: list[str] = field(default_factory=list)

    async def deliver(self, account: Account, url: str, method: str, params: Mapping[str, str]) -> None:
        self.delivered.append((url, method, params))

    async def replay(self, account: Account, event_id: str) -> bool:
        self.replayed.append(event_id)
        return True


@dataclass
class FakeReadiness:
    """A node that is ready unless told otherwise."""

    reasons: list[str] = field(default_factory=list)

    def unready_reasons(self) -> Sequence[str]:
        return self.reasons


class FakeMetrics:
    """One metric."""

    async def render(self) -> bytes:
        return f"ringback_now_ms {clock.wall_ms()}\n".encode()
