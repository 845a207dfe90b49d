"""`recordings.service`: from the wish to the file, its callbacks, its bounds, and what earlier servers left."""

from __future__ import annotations

import asyncio
import os
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until

from ringback import clock
from ringback.accounts.account import Account
from ringback.accounts.store import ensure_account
from ringback.calls.live import CallTerms, LiveCall
from ringback.calls.settings import CallSettings
from ringback.calls.state import State as CallState
from ringback.calls.views import Bound, CallDirection, Comparison
from ringback.errors import Conflict, InvalidParameter, NotFound
from ringback.ids import AccountId, CallUuid, RecordingId
from ringback.media.control.commands import PauseRecording, ResumeRecording, StartRecording, StopRecording
from ringback.media.control.events import RecordingFaulted, RecordingFinished, RecordingStarted
from ringback.media.control.port import CommandRejected, WorkerLost
from ringback.media.control.values import RecordingChannels, RecordingEnd, RejectCode
from ringback.recordings import service as service_module
from ringback.recordings import store
from ringback.recordings.files import FileSettings, RecordingFiles
from ringback.recordings.housekeeping import Housekeeping
from ringback.recordings.models import TranscriptionRow
from ringback.recordings.service import NO_ENCODER, RecordingService, RecordingSettings
from ringback.recordings.spec import CallbackStyle, FileFormat, RecordedRoom, RecordingKind, RecordingSpec
from ringback.recordings.views import DAY_MS, RecordingFilters, RecordingView, State
from ringback.signalling.errors import LegOver
from ringback.storage.database import Database, Session
from ringback.webhooks.models import OutboxRow

ACCOUNT = Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token-of-the-account")
OTHER = Account(AccountId("MA000000000000000001"), "another")
CALL = CallUuid("call-1")
WAV = RecordingSpec(file_format=FileFormat.WAV)


@dataclass
class World:
    service: RecordingService
    call: LiveCall
    leg: FakeLeg
    database: Database
    files: RecordingFiles
    notes: list[dict[str, Any]] = field(default_factory=list)
    ended: list[RecordingFinished] = field(default_factory=list)

    async def settle(self) -> None:
        while self.service._tasks:
            await asyncio.gather(*self.service._tasks, return_exceptions=True)

    async def callbacks(self) -> list[tuple[str, str, dict[str, str]]]:
        def work(session: Session) -> list[tuple[str, str, dict[str, str]]]:
            rows = session.query(OutboxRow).order_by(OutboxRow.id)
            return [(row.kind, row.url, dict(parse_qsl(row.params, keep_blank_values=True))) for row in rows]

        return await self.database.read(work)

    def write(self, recording_id: str, seconds: float = 1.0, *, suffix: str = "wav") -> None:
        with wave.open(str(self.files.folder / ACCOUNT.auth_id / f"{recording_id}.{suffix}"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(8_000)
            file.writeframes(b"\1\2" * int(8_000 * seconds))

    async def finish(self, recording_id: RecordingId, reason: RecordingEnd = RecordingEnd.STOPPED, **more: Any) -> None:
        self.write(recording_id)
        self.service.handle(
            self.call,
            RecordingFinished(
                session_id=self.leg.session_id,
                recording_id=recording_id,
                reason=reason,
                duration_ms=1_000,
                start_wall_ms=1_700_000_000_000,
                end_wall_ms=1_700_000_001_000,
                **more,
            ),
        )
        await self.settle()

    async def row(self, recording_id: str) -> RecordingView | None:
        return await self.database.read(lambda session: store.find_recording(session, ACCOUNT.auth_id, recording_id))

    async def insert(self, recording_id: str, **fields: Any) -> RecordingView:
        known: dict[str, Any] = {"state": State.READY, "created_wall_ms": clock.wall_ms(), "size_bytes": 0}
        known |= fields
        size = known.pop("size_bytes")
        view = RecordingView(
            recording_id=RecordingId(recording_id),
            account_id=ACCOUNT.auth_id,
            call_uuid=CALL,
            file_format=FileFormat.WAV,
            channels=RecordingChannels.MONO,
            **known,
        )

        def work(session: Session) -> None:
            store.insert_recording(session, view)
            store.update_recording(session, recording_id, size_bytes=size)

        await self.database.write(work)
        return view


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    database = await Database.open("sqlite+aiosqlite:///:memory:")
    await database.write(lambda session: ensure_account(session, ACCOUNT.auth_id, ACCOUNT.auth_token))
    notes: list[dict[str, Any]] = []
    timeline = SimpleNamespace(record=lambda _call, _kind, fields: notes.append(fields))
    keeper = SimpleNamespace(settings=CallSettings(), timeline=timeline)
    leg = FakeLeg(CALL)
    terms = CallTerms(
        account=ACCOUNT,
        direction=CallDirection.INBOUND,
        from_number="15550001111",
        to_number="15550002222",
        initiated_wall_ms=0,
        answer_url="",
    )
    call = LiveCall(CALL, terms, leg, keeper, CallState.IN_PROGRESS)  # type: ignore[arg-type]  # fakes
    calls = SimpleNamespace(
        find_of=lambda account, uuid: call if (account.auth_id, uuid) == (ACCOUNT.auth_id, CALL) else None,
        find=lambda uuid: call if uuid == CALL else None,
    )
    files = RecordingFiles(tmp_path / "recordings", FileSettings(free_min_bytes=0, worker_patience_ms=50))
    service = RecordingService(
        database,
        calls,  # type: ignore[arg-type]  # a fake
        files,
        RecordingSettings(per_call_max=2, account_max_bytes=100_000, retention_days=7),
        base_url=lambda: "http://api.example/",
    )
    made = World(service, call, leg, database, files, notes)
    call.listen(SimpleNamespace(recording_ended=made.ended.append))  # type: ignore[arg-type]  # only this is told
    yield made
    await service.close()
    await database.close()


async def test_rest_recording_becomes_a_file_and_a_callback(world: World) -> None:
    spec = RecordingSpec(
        file_format=FileFormat.WAV,
        channels=RecordingChannels.STEREO,
        max_length_s=7,
        callback_url="http://app/ready",
        callback_method="GET",
        style=CallbackStyle.REST,
    )
    started = await world.service.record(ACCOUNT, CALL, spec, api_id="api-1")
    recording_id = started.recording_id
    assert started.url == f"http://api.example/v1/Account/{ACCOUNT.auth_id}/Recording/{recording_id}.wav"
    (command,) = world.leg.commands
    assert isinstance(command, StartRecording)
    assert (command.channels, command.max_ms, command.silence_timeout_ms) == (RecordingChannels.STEREO, 7_000, 0)
    assert command.path == str(world.files.path(ACCOUNT.auth_id, recording_id, FileFormat.WAV))
    assert await world.service.get(ACCOUNT, recording_id) is None, "it is not ready"
    assert not await world.service.delete(ACCOUNT, recording_id)
    await world.finish(recording_id)
    view = await world.service.get(ACCOUNT, recording_id)
    assert view is not None
    assert (view.duration_ms, view.size_bytes, view.from_number) == (1_000, 16_044, "15550001111")
    assert await world.callbacks() == [
        (
            "recording",
            "http://app/ready",
            {
                "api_id": "api-1",
                "record_url": started.url,
                "call_uuid": CALL,
                "recording_id": recording_id,
                "recording_duration": "1",
                "recording_duration_ms": "1000",
                "recording_start_ms": "1700000000000",
                "recording_end_ms": "1700000001000",
            },
        )
    ]
    file = await world.service.file(ACCOUNT.auth_id, recording_id, FileFormat.WAV)
    assert file is not None
    assert file.path.is_file()
    assert await world.service.file(OTHER.auth_id, recording_id, FileFormat.WAV) is None
    told_as_mp3 = await world.service.file(ACCOUNT.auth_id, recording_id, FileFormat.MP3)
    assert told_as_mp3 == file, "an address that was told stays true"
    await world.database.write(lambda session: store.update_recording(session, recording_id, file_format="mp3"))
    assert await world.service.file(ACCOUNT.auth_id, recording_id, FileFormat.WAV) is None
    await world.database.write(lambda session: store.update_recording(session, recording_id, file_format="wav"))
    assert await world.service.get(OTHER, recording_id) is None
    assert await world.service.owner_id(recording_id) == ACCOUNT.auth_id
    assert await world.service.owner_id("none") == ""
    assert not await world.service.delete(OTHER, recording_id)
    assert await world.service.delete(ACCOUNT, recording_id)
    assert not file.path.exists()
    assert await world.service.file(ACCOUNT.auth_id, recording_id, FileFormat.WAV) is None


async def test_document_is_told_of_the_end_and_the_xml_callback_has_the_call(world: World) -> None:
    spec = RecordingSpec(file_format=FileFormat.WAV, callback_url="http://app/ready", hangup_url="http://app/action")
    started = await world.service.start_recording(CALL, spec)
    await world.finish(started.recording_id, RecordingEnd.DIGIT, digit="#")
    assert [event.digit for event in world.ended] == ["#"]
    ((kind, url, params),) = await world.callbacks()
    assert (kind, url) == ("recording", "http://app/ready")
    assert (params["RecordUrl"], params["Digits"], params["CallUUID"]) == (started.url, "#", CALL)
    assert params["RecordFile"] == started.url
    assert "Event" not in params


async def test_hang_up_in_a_message_tells_the_action(world: World) -> None:
    spec = RecordingSpec(file_format=FileFormat.WAV, hangup_url="http://app/action", hangup_method="GET")
    started = await world.service.start_recording(CALL, spec)
    await world.finish(started.recording_id, RecordingEnd.CALL_ENDED)
    ((kind, url, params),) = await world.callbacks()
    assert (kind, url, params["CallStatus"]) == ("action", "http://app/action", "completed")
    assert params["RecordingDurationMs"] == "1000"


@pytest.mark.parametrize(("style", "told"), [(CallbackStyle.XML, []), (CallbackStyle.REST, ["recording"])])
async def test_hang_up_in_the_beep_leaves_no_message(world: World, style: CallbackStyle, told: list[str]) -> None:
    spec = RecordingSpec(
        file_format=FileFormat.WAV, callback_url="http://app/r", hangup_url="http://app/action", style=style
    )
    started = await world.service.start_recording(CALL, spec)
    world.write(started.recording_id, 0)
    world.service.handle(
        world.call,
        RecordingFinished(
            session_id=world.leg.session_id, recording_id=started.recording_id, reason=RecordingEnd.CALL_ENDED
        ),
    )
    await world.settle()
    assert [kind for kind, _, _ in await world.callbacks()] == told
    row = await world.row(started.recording_id)
    assert row is not None
    assert row.state is (State.READY if told else State.FAILED)


async def test_disk_that_does_not_answer_is_a_clear_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def hang(_account: str) -> bool:
        return await asyncio.Event().wait()

    monkeypatch.setattr(world.files, "prepare", hang)
    monkeypatch.setattr(service_module, "_DISK_PATIENCE_S", 0.01)
    with pytest.raises(Conflict, match="does not answer"):
        await world.service.record(ACCOUNT, CALL, WAV)
    assert world.service.live_count == 0


async def test_stop_ends_all_or_the_one_that_is_named(world: World) -> None:
    first = await world.service.record(ACCOUNT, CALL, WAV)
    second = await world.service.record(ACCOUNT, CALL, WAV)

    def stopped() -> list[str]:
        return [command.recording_id for command in world.leg.commands if isinstance(command, StopRecording)]

    with pytest.raises(NotFound):
        await world.service.stop(ACCOUNT, CALL, "http://elsewhere/none.wav")
    with pytest.raises(NotFound):
        await world.service.stop(OTHER, CALL)
    stopping = asyncio.create_task(world.service.stop(ACCOUNT, CALL, second.url))
    await until(stopped)
    assert stopped() == [second.recording_id]
    await world.finish(second.recording_id)
    await stopping
    stopping = asyncio.create_task(world.service.stop(ACCOUNT, CALL))
    await until(lambda: len(stopped()) == 2)
    await world.finish(first.recording_id)
    await stopping
    assert stopped() == [second.recording_id, first.recording_id]
    await world.service.stop(ACCOUNT, CALL)
    assert world.service.live_count == 0


async def test_bounds_hold_at_n_and_refuse_one_more(world: World) -> None:
    await world.service.record(ACCOUNT, CALL, WAV)
    second = await world.service.record(ACCOUNT, CALL, WAV)
    with pytest.raises(InvalidParameter, match="2 recordings already"):
        await world.service.record(ACCOUNT, CALL, WAV)
    await world.finish(second.recording_id)
    await world.database.write(lambda session: store.update_recording(session, second.recording_id, size_bytes=99_999))
    third = await world.service.record(ACCOUNT, CALL, WAV)
    await world.finish(third.recording_id)
    with pytest.raises(Conflict, match="account_max_gb"):
        await world.service.record(ACCOUNT, CALL, WAV)


async def test_full_disk_is_a_clear_refusal(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(_account: str) -> bool:
        return False

    monkeypatch.setattr(world.files, "prepare", full)
    with pytest.raises(Conflict, match="disk"):
        await world.service.record(ACCOUNT, CALL, WAV)
    assert world.service.live_count == 0


@pytest.mark.parametrize(
    ("error", "expected"),
    [(LegOver("over"), NotFound), (CommandRejected("no", reject=RejectCode.LIMIT), CommandRejected)],
)
async def test_worker_that_refuses_leaves_no_recording(world: World, error: Exception, expected: Any) -> None:
    async def refuse(_command: Any) -> None:
        raise error

    world.leg.media = refuse  # type: ignore[method-assign]
    with pytest.raises(expected):
        await world.service.record(ACCOUNT, CALL, WAV)
    await world.settle()
    assert world.service.live_count == 0
    page, total = await world.service.list(ACCOUNT, RecordingFilters(), 20, 0)
    assert (list(page), total) == ([], 0)


@pytest.mark.parametrize("is_call_over", [False, True])
async def test_what_a_worker_records_though_its_answer_never_came_is_stopped_and_deleted(
    world: World, is_call_over: bool
) -> None:
    asked: list[str] = []

    async def slow(command: Any) -> None:
        asked.append(type(command).__name__)
        if isinstance(command, StartRecording):
            raise WorkerLost("no answer in time")

    world.leg.media = slow  # type: ignore[method-assign]
    with pytest.raises(WorkerLost):
        await world.service.record(ACCOUNT, CALL, WAV)
    await world.settle()
    assert asked == ["StartRecording", "StopRecording"]
    (recording_id,) = world.service._live
    world.write(recording_id, suffix="wav.part")
    if is_call_over:
        world.service.call_gone(world.call)
    else:
        await world.finish(recording_id)
    await world.settle()
    assert world.service.live_count == 0
    assert not [*world.files.folder.rglob("*.*")]
    row = await world.row(recording_id)
    assert row is not None
    assert (row.state, row.detail) == (State.FAILED, "no answer in time")
    assert world.ended == []
    assert await world.callbacks() == []


async def test_unanswered_or_ended_call_is_not_found(world: World) -> None:
    with pytest.raises(NotFound):
        await world.service.record(OTHER, CALL, WAV)
    world.call.state = CallState.RINGING
    with pytest.raises(NotFound):
        await world.service.record(ACCOUNT, CALL, WAV)
    world.call.state = CallState.ENDED
    with pytest.raises(NotFound):
        await world.service.start_recording(CALL, WAV)


async def test_without_an_encoder_it_is_a_wav_with_a_note(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "can_encode", lambda: False)
    started = await world.service.start_recording(CALL, RecordingSpec())
    assert (started.note, started.file_format) == (NO_ENCODER, FileFormat.WAV)
    assert started.url.endswith(".wav")


async def test_recording_from_the_answer_of_a_dial_waits_for_it(world: World) -> None:
    spec = RecordingSpec(file_format=FileFormat.WAV, starts_on_dial_answer=True)
    started = await world.service.start_recording(CALL, spec)
    assert not world.leg.commands
    for tell in (*world.call.on_bridged, *world.call.on_bridged):
        tell(world.call)
    await world.settle()
    assert [type(command) for command in world.leg.commands] == [StartRecording]
    await world.finish(started.recording_id)
    unheard = await world.service.start_recording(CALL, spec)
    world.service.call_gone(world.call)
    await world.settle()
    row = await world.row(unheard.recording_id)
    assert row is not None
    assert (row.state, world.service.live_count) == (State.FAILED, 0)


async def test_worker_that_dies_leaves_what_it_wrote(world: World) -> None:
    started = await world.service.record(ACCOUNT, CALL, WAV)
    session_id = world.leg.session_id
    world.service.handle(
        world.call, RecordingStarted(session_id=session_id, recording_id=started.recording_id, wall_ms=5_000)
    )
    world.service.handle(
        world.call, RecordingFaulted(session_id=session_id, recording_id=started.recording_id, dropped_ms=500)
    )
    assert any(note.get("dropped_ms") == 500 for note in world.notes)
    world.write(started.recording_id, 3.0, suffix="wav.part")
    world.service.call_gone(world.call)
    await world.settle()
    view = await world.service.get(ACCOUNT, started.recording_id)
    assert view is not None
    assert (view.duration_ms, view.start_wall_ms, view.end_wall_ms) == (3_000, 5_000, 8_000)
    assert len(world.ended) == 1


async def test_recording_without_a_file_fails_and_is_not_listed(world: World) -> None:
    spec = RecordingSpec(file_format=FileFormat.WAV, callback_url="http://app/ready")
    started = await world.service.record(ACCOUNT, CALL, spec)
    world.service.call_gone(world.call)
    await world.settle()
    row = await world.row(started.recording_id)
    assert row is not None
    assert row.state is State.FAILED
    assert await world.service.get(ACCOUNT, started.recording_id) is None
    assert await world.callbacks() == []


async def test_file_that_is_being_completed_is_waited_for(world: World) -> None:
    started = await world.service.record(ACCOUNT, CALL, WAV)
    finishing = asyncio.create_task(world.finish(started.recording_id))
    await asyncio.sleep(0)
    assert await world.service.file(ACCOUNT.auth_id, started.recording_id, FileFormat.WAV) is not None
    await finishing


async def test_what_an_earlier_server_left_is_completed_once_nobody_writes(world: World) -> None:
    await world.files.prepare(ACCOUNT.auth_id)
    old = clock.wall_ms() - 60_000
    await world.insert("r-old", state=State.RECORDING, created_wall_ms=old, callback_url="http://app/ready")
    await world.insert("r-new", state=State.RECORDING)
    live = await world.service.record(ACCOUNT, CALL, WAV)
    world.write("r-old", 2.0, suffix="wav.part")
    await world.service.housekeeping.complete_abandoned()
    assert await world.service.get(ACCOUNT, "r-old") is None, "a worker may write to it still"
    part = world.files.folder / ACCOUNT.auth_id / "r-old.wav.part"
    part.rename(part.with_suffix(""))
    await world.service.housekeeping.complete_abandoned()
    view = await world.service.get(ACCOUNT, "r-old")
    assert view is not None
    assert (view.duration_ms, view.start_wall_ms) == (2_000, old)
    for untouched in ("r-new", live.recording_id):
        row = await world.row(untouched)
        assert row is not None
        assert row.state is State.RECORDING
    assert [(kind, params["CallStatus"]) for kind, _, params in await world.callbacks()] == [("recording", "completed")]


@pytest.mark.parametrize(("has_plus", "spelt"), [(False, "15550001111"), (True, "+15550001111")])
async def test_callbacks_of_what_an_earlier_server_left_spell_numbers_as_all_do(
    world: World, has_plus: bool, spelt: str
) -> None:
    await world.files.prepare(ACCOUNT.auth_id)
    old = clock.wall_ms() - 60_000
    numbers = {"from_number": "+15550001111", "to_number": "sip:alice@example.com"}
    await world.insert("r-old", state=State.RECORDING, created_wall_ms=old, callback_url="http://app/ready", **numbers)
    world.write("r-old")
    completion = world.service._completion
    await Housekeeping(world.database, world.files, completion, tuple, 0, has_plus=has_plus).complete_abandoned()
    [(_, _, params)] = await world.callbacks()
    assert (params["From"], params["To"]) == (spelt, "sip:alice@example.com")


async def test_age_and_missing_rows_end_files(world: World) -> None:
    await world.files.prepare(ACCOUNT.auth_id)
    now = clock.wall_ms()
    await world.insert("r-aged", created_wall_ms=now - 7 * DAY_MS - 1_000)
    await world.insert("r-young", created_wall_ms=now - 7 * DAY_MS + 60_000)
    for name in ("r-aged", "r-young", "r-stray", "r-fresh"):
        world.write(name)
        if name != "r-fresh":
            os.utime(world.files.folder / ACCOUNT.auth_id / f"{name}.wav", (1, 1))
    await world.service.housekeeping.clean_up()
    assert sorted(path.stem for path in (world.files.folder / ACCOUNT.auth_id).iterdir()) == ["r-fresh", "r-young"]
    assert await world.service.get(ACCOUNT, "r-aged") is None
    assert await world.service.get(ACCOUNT, "r-young") is not None


async def test_every_recording_that_is_too_old_goes_at_once_however_many(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.recordings.store._SWEEP_MAX", 2)
    for number in range(5):
        await world.insert(f"r-aged-{number}", created_wall_ms=clock.wall_ms() - 8 * DAY_MS)
    await world.service.housekeeping.clean_up()
    assert [await world.row(f"r-aged-{number}") for number in range(5)] == [None] * 5


async def test_list_filters_and_pages(world: World) -> None:
    now = clock.wall_ms()
    for number in range(5):
        await world.insert(
            f"r{number}",
            created_wall_ms=now - number * DAY_MS - 1_000,
            from_number=f"1555000{number}",
            to_number="+1666",
        )
    await world.insert(
        "r-conference",
        kind=RecordingKind.CONFERENCE,
        conference_name="room",
        conference_uuid="c-1",
        created_wall_ms=now - 9 * DAY_MS,
    )
    await world.insert(
        "r-mpc",
        kind=RecordingKind.MULTIPARTY,
        conference_name="room",
        conference_uuid="m-1",
        created_wall_ms=now - 10 * DAY_MS,
    )

    async def ids(**filters: Any) -> list[str]:
        page, total = await world.service.list(ACCOUNT, RecordingFilters(**filters), 20, 0)
        assert total == len(page)
        return [view.recording_id for view in page]

    assert await ids() == ["r0", "r1", "r2", "r3", "r4", "r-conference", "r-mpc"]
    assert await ids(call_uuid="none") == []
    assert await ids(from_number="15550003") == ["r3"]
    assert await ids(from_number="+1555") == ["r0", "r1", "r2", "r3", "r4"]
    assert await ids(to_number="1666") == ["r0", "r1", "r2", "r3", "r4"]
    assert await ids(conference_name="room") == await ids(conference_uuid="c-1") == ["r-conference"]
    assert await ids(mpc_name="room") == await ids(mpc_uuid="m-1") == ["r-mpc"]
    assert await ids(mpc_uuid="c-1") == []
    assert await ids(added_wall_ms=(Bound(Comparison.LESS, now - 4 * DAY_MS),)) == ["r4", "r-conference", "r-mpc"]
    for comparison, expected in (
        (Comparison.EQUAL, ["r2"]),
        (Comparison.GREATER, ["r3", "r4", "r-conference", "r-mpc"]),
        (Comparison.AT_LEAST, ["r2", "r3", "r4", "r-conference", "r-mpc"]),
        (Comparison.LESS, ["r0", "r1"]),
        (Comparison.AT_MOST, ["r0", "r1", "r2"]),
    ):
        assert await ids(age_days=(Bound(comparison, 2),)) == expected, comparison
    page, total = await world.service.list(ACCOUNT, RecordingFilters(), 2, 1)
    assert ([view.recording_id for view in page], total) == (["r1", "r2"], 7)
    assert (await world.service.list(OTHER, RecordingFilters(), 20, 0))[1] == 0


@pytest.mark.parametrize(
    ("fault", "url", "note"),
    [
        ("", "http://app/text", ""),
        ("", "", "nothing is transcribed: there is no transcription URL to tell"),
        ("no engine is installed", "http://app/text", "nothing is transcribed: no engine is installed"),
    ],
)
async def test_transcription_that_is_wanted_is_kept_or_refused_with_a_note(
    world: World, fault: str, url: str, note: str
) -> None:
    world.service.transcriptions.ears = SimpleNamespace(transcription_fault=lambda: fault)  # type: ignore[assignment]
    spec = RecordingSpec(file_format=FileFormat.WAV, wants_transcription=True, transcription_url=url)
    started = await world.service.record(ACCOUNT, CALL, spec)
    assert started.note == note
    wish = await world.database.read(lambda session: store.find_wish(session, started.recording_id))
    assert (wish is not None) is not bool(note)
    await world.finish(started.recording_id)
    waiting = await world.database.read(store.count_ready_wishes)
    assert waiting == (0 if note else 1)


async def test_recording_without_audio_has_no_transcription(world: World) -> None:
    world.service.transcriptions.ears = SimpleNamespace(transcription_fault=lambda: "")  # type: ignore[assignment]
    spec = RecordingSpec(file_format=FileFormat.WAV, wants_transcription=True, transcription_url="http://app/text")
    started = await world.service.record(ACCOUNT, CALL, spec)
    world.service.handle(
        world.call,
        RecordingFinished(
            session_id=world.leg.session_id, recording_id=started.recording_id, reason=RecordingEnd.FAILED
        ),
    )
    await world.settle()
    assert await world.database.read(lambda session: store.find_wish(session, started.recording_id)) is None


async def test_recording_that_never_began_leaves_no_wish_for_its_text(world: World) -> None:
    world.service.transcriptions.ears = SimpleNamespace(transcription_fault=lambda: "")  # type: ignore[assignment]

    async def refuse(_command: Any) -> None:
        raise CommandRejected("no", reject=RejectCode.LIMIT)

    world.leg.media = refuse  # type: ignore[method-assign]
    spec = RecordingSpec(file_format=FileFormat.WAV, wants_transcription=True, transcription_url="http://app/text")
    with pytest.raises(CommandRejected):
        await world.service.record(ACCOUNT, CALL, spec)
    await world.settle()
    assert await world.database.read(lambda session: session.query(TranscriptionRow).count()) == 0


async def events_of(world: World) -> list[tuple[str, str]]:
    """Return name and number of what a URL in the style of events was told."""
    return [(params["EventName"], params["SequenceNumber"]) for _, _, params in await world.callbacks()]


async def test_a_multiparty_recording_tells_each_event_in_order(world: World) -> None:
    room = RecordedRoom(RecordingKind.MULTIPARTY, "mpc", "m-1")
    spec = replace(WAV, callback_url="http://app/r", style=CallbackStyle.EVENTS)
    started = await world.service.record_room(world.call, spec, room)
    begun = RecordingStarted(session_id=world.leg.session_id, recording_id=started.recording_id)
    world.service.handle(world.call, begun)
    await world.settle()
    for is_paused in (True, True, False):
        assert await world.service.pause(started.recording_id, is_paused=is_paused)
        await world.settle()
    sent = [type(command) for command in world.leg.commands]
    assert sent == [StartRecording, PauseRecording, ResumeRecording]
    await world.finish(started.recording_id)
    assert await events_of(world) == [
        ("MPCRecordingInitiated", "1"),
        ("MPCRecordingPaused", "2"),
        ("MPCRecordingResumed", "3"),
        ("MPCRecordingCompleted", "4"),
    ]
    params = (await world.callbacks())[-1][2]
    assert (params["MPCName"], params["MPCUUID"], params["RecordingDuration"]) == ("mpc", "m-1", "1")
    assert (params["RecordingStartTime"], params["RecordingEndTime"]) == (
        "2023-11-14 22:13:20+00:00",
        "2023-11-14 22:13:21+00:00",
    )
    assert params["RecordingURL"] == started.url
    assert params["RecordingResourceURL"] == started.url.removesuffix(".wav") + "/"
    assert not await world.service.pause(started.recording_id, is_paused=True)
    assert not await world.service.stop_one(started.recording_id)


async def test_a_participants_recording_that_fails_is_told(world: World) -> None:
    room = RecordedRoom(RecordingKind.MULTIPARTY, "mpc", "m-1", "7")
    spec = replace(WAV, callback_url="http://app/r", style=CallbackStyle.EVENTS)
    started = await world.service.record_room(world.call, spec, room)
    world.service.call_gone(world.call)
    await world.settle()
    ((_, _, params),) = await world.callbacks()
    assert (params["EventName"], params["MemberID"]) == ("ParticipantRecordingFailed", "7")
    view = await world.row(started.recording_id)
    assert view is not None
    assert view.state is State.FAILED
