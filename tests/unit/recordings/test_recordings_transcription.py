"""Recordings as text: who is told, what is bounded, what survives a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from tests.support.waiting import until

from ringback import clock
from ringback.errors import Conflict, LimitReached, NotFound
from ringback.ids import CallUuid, RecordingId
from ringback.media.control.values import RecordingChannels
from ringback.recognition.heard import Recognition
from ringback.recordings import store, transcription
from ringback.recordings.files import FileSettings, RecordingFiles
from ringback.recordings.models import TranscriptRow
from ringback.recordings.spec import FileFormat
from ringback.recordings.transcription import Deaf, Transcriptions
from ringback.recordings.views import RecordingView, State, TextState, Wish
from ringback.storage.database import Database, Session
from ringback.webhooks.models import OutboxRow
from ringback.webhooks.store import OutboundCallback

ACCOUNT = "MADEVDEVDEVDEVDEVDEV"


@dataclass
class Ears:
    """Hears what a test says."""

    answers: list[Recognition] = field(default_factory=lambda: [Recognition("what was said", 0.9)])
    asked: list[tuple[str, int]] = field(default_factory=list)
    rested: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    def transcription_fault(self) -> str:
        return ""

    async def transcribe(self, path: str, duration_ms: int) -> Recognition:
        self.asked.append((Path(path).name, duration_ms))
        if self.gate is not None:
            await self.gate.wait()
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    async def rest(self) -> None:
        self.rested.set()


@dataclass
class World:
    database: Database
    ears: Ears
    transcriptions: Transcriptions
    woken: list[None]

    async def ready(self, recording_id: str, *, is_admitted: bool = True) -> RecordingView:
        """Let there be a recording that is ready and whose text is wanted."""
        view = RecordingView(
            recording_id=RecordingId(recording_id),
            account_id=ACCOUNT,
            call_uuid=CallUuid("call-1"),
            file_format=FileFormat.WAV,
            channels=RecordingChannels.MONO,
            state=State.READY,
            created_wall_ms=clock.wall_ms(),
            duration_ms=1_500,
        )

        def work(session: Session) -> None:
            store.insert_recording(session, view)
            store.update_recording(session, recording_id, duration_ms=1_500)
            store.insert_wish(session, recording_id, Wish("http://app/text", "GET"))
            if is_admitted:
                self.transcriptions.admit(session, view)

        await self.database.write(work)
        return view

    async def done(self) -> None:
        """Return when everything that is known now is done."""
        self.ears.rested.clear()
        self.transcriptions.wake()
        async with asyncio.timeout(10):
            await self.ears.rested.wait()

    async def told(self) -> list[dict[str, str]]:
        def work(session: Session) -> list[dict[str, str]]:
            rows = list(session.query(OutboxRow).order_by(OutboxRow.id))
            assert {(row.kind, row.url, row.method) for row in rows} <= {
                ("transcription+private", "http://app/text", "GET")
            }
            return [dict(parse_qsl(row.params, keep_blank_values=True)) for row in rows]

        return await self.database.read(work)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(transcription, "_FAULT_PAUSE_S", 0)
    database = await Database.open("sqlite+aiosqlite:///:memory:")
    ears, woken = Ears(), list[None]()
    files = RecordingFiles(tmp_path, FileSettings(free_min_bytes=0))
    made = Transcriptions(database, files, ears, lambda: woken.append(None))
    yield World(database, ears, made, woken)
    await made.close()
    await files.close()
    await database.close()


def params(recording_id: str, text: str, error: str = "") -> dict[str, Any]:
    return {
        "transcription": text,
        "transcription_charge": "0.00000",
        "transcription_rate": "0.00000",
        "duration": "2",
        "call_uuid": "call-1",
        "recording_id": recording_id,
        "error": error,
    }


async def test_text_is_told_once_with_the_documented_names(world: World) -> None:
    world.transcriptions.start()
    await world.ready("r1")
    await world.done()
    await world.done()
    assert await world.told() == [params("r1", "what was said")]
    assert world.ears.asked == [("r1.wav", 1_500)]
    assert world.woken == [None]


async def test_fault_is_told_and_the_next_one_is_transcribed(world: World) -> None:
    world.ears.answers = [Recognition("", detail="the recogniser failed: EOFError"), Recognition("second", 1.0)]
    await world.ready("r1")
    await world.ready("r2")
    world.transcriptions.start()
    await world.done()
    assert await world.told() == [params("r1", "", "the recogniser failed: EOFError"), params("r2", "second")]


@dataclass
class Faulty(Ears):
    """Raises for one recording, always."""

    async def transcribe(self, path: str, duration_ms: int) -> Recognition:
        heard = await Ears.transcribe(self, path, duration_ms)
        if Path(path).name == "r1.wav":
            raise ValueError("always")
        return heard


async def test_one_that_always_raises_is_told_as_an_error_and_holds_up_nobody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcription, "_STORE_PAUSE_S", 0)
    world.ears = world.transcriptions.ears = Faulty()
    await world.ready("r1")
    await world.ready("r2")
    world.transcriptions.start()
    await world.done()
    assert [name for name, _ in world.ears.asked] == ["r1.wav", "r1.wav", "r1.wav", "r2.wav"]
    fault = "the transcription failed 3 times: ValueError"
    assert await world.told() == [params("r1", "", fault), params("r2", "what was said")]


async def test_one_that_cannot_even_be_told_holds_up_nobody(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcription, "_STORE_PAUSE_S", 0)
    enqueue = transcription.enqueue

    def enqueue_others(session: Session, callback: OutboundCallback) -> None:
        if callback.params["recording_id"] == "r1":
            raise ValueError("always")
        enqueue(session, callback)

    monkeypatch.setattr(transcription, "enqueue", enqueue_others)
    await world.ready("r1")
    await world.ready("r2")
    world.transcriptions.start()
    await world.done()
    assert await world.told() == [params("r2", "what was said")]


async def test_what_an_earlier_server_left_is_done(world: World) -> None:
    await world.ready("r1")
    world.transcriptions.start()
    await world.done()
    assert len(await world.told()) == 1


async def test_one_that_is_not_ready_waits(world: World) -> None:
    await world.ready("r1", is_admitted=False)
    world.transcriptions.start()
    await world.done()
    assert world.ears.asked == []


async def test_recording_that_is_deleted_meanwhile_has_no_text(world: World) -> None:
    world.ears.gate = asyncio.Event()
    await world.ready("r1")
    world.transcriptions.start()
    await until(lambda: world.ears.asked, "the recording to be heard")
    await world.database.write(lambda session: store.delete_recording(session, ACCOUNT, "r1"))
    world.ears.gate.set()
    await world.done()
    assert await world.told() == []


async def test_how_many_wait_is_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcription, "WAITING_MAX", 2)
    for recording_id in ("r1", "r2", "r3"):
        await world.ready(recording_id)
    assert await world.told() == [params("r3", "", "2 recordings wait to be transcribed")]
    world.transcriptions.start()
    await world.done()
    assert [told["recording_id"] for told in await world.told()] == ["r3", "r1", "r2"]


async def test_node_without_ears_says_so() -> None:
    deaf = Deaf()
    assert deaf.transcription_fault()
    assert (await deaf.transcribe("/x.wav", 1)).detail
    await deaf.rest()


async def test_a_text_is_kept_until_its_recording_is_deleted(world: World) -> None:
    world.transcriptions.start()
    await world.ready("r1")
    await world.done()
    found = await world.transcriptions.find(ACCOUNT, "r1")
    assert found is not None
    assert (found.state, found.text, found.recording.duration_ms) == (TextState.SUCCESS, "what was said", 1_500)
    assert await world.transcriptions.find("somebody else", "r1") is None
    await world.database.write(lambda session: store.delete_recording(session, ACCOUNT, "r1"))
    assert await world.transcriptions.find(ACCOUNT, "r1") is None
    assert await world.database.read(lambda session: session.query(TranscriptRow).count()) == 0


async def test_a_text_is_made_when_it_is_asked_for_and_anew_when_it_is_again(world: World) -> None:
    world.ears.answers = [Recognition("first"), Recognition("", detail="out of breath"), Recognition("third")]
    world.transcriptions.start()
    await world.ready("r1")
    await world.done()
    await world.transcriptions.ask(ACCOUNT, "r1", "")
    await world.done()
    failed = await world.transcriptions.find(ACCOUNT, "r1")
    assert failed is not None
    assert (failed.state, failed.text, failed.detail) == (TextState.FAILED, "", "out of breath")
    await world.transcriptions.ask(ACCOUNT, "r1", "")
    await world.done()
    third = await world.transcriptions.find(ACCOUNT, "r1")
    assert third is not None
    assert (third.state, third.text) == (TextState.SUCCESS, "third")
    assert [each["transcription"] for each in await world.told()] == ["first"], "nobody is told who did not ask"
    assert await world.transcriptions.forget(ACCOUNT, "r1")
    assert not await world.transcriptions.forget(ACCOUNT, "r1")
    assert await world.transcriptions.find(ACCOUNT, "r1") is None


async def test_asking_again_while_it_is_made_changes_nothing(world: World) -> None:
    world.ears.gate = asyncio.Event()
    world.transcriptions.start()
    await world.ready("r1")
    world.transcriptions.wake()
    await until(lambda: len(world.ears.asked) == 1, "the first attempt")
    running = await world.transcriptions.find(ACCOUNT, "r1")
    assert running is not None
    assert running.state is TextState.IN_PROGRESS
    await world.transcriptions.ask(ACCOUNT, "r1", "")
    await world.transcriptions.ask(ACCOUNT, "r1", "http://app/text")
    with pytest.raises(Conflict, match="is being transcribed"):
        await world.transcriptions.ask(ACCOUNT, "r1", "http://app/other")
    assert not await world.transcriptions.forget("somebody else", "r1")
    assert await world.transcriptions.forget(ACCOUNT, "r1")
    world.ears.gate.set()
    await world.done()
    assert await world.told() == []
    assert await world.transcriptions.find(ACCOUNT, "r1") is None


async def test_what_cannot_be_transcribed_is_said(world: World) -> None:
    with pytest.raises(NotFound):
        await world.transcriptions.ask(ACCOUNT, "nothing", "")
    await world.ready("r1", is_admitted=False)
    with pytest.raises(NotFound):
        await world.transcriptions.ask("somebody else", "r1", "")
    world.transcriptions.ears = Deaf()
    with pytest.raises(Conflict, match="nothing is transcribed"):
        await world.transcriptions.ask(ACCOUNT, "r1", "")


async def test_requests_have_a_bound(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transcription, "WAITING_MAX", 2)
    for name in ("r1", "r2", "r3"):
        await world.ready(name, is_admitted=False)
        await world.database.write(lambda session, name=name: store.remove_wish(session, name))
    await world.transcriptions.ask(ACCOUNT, "r1", "")
    await world.transcriptions.ask(ACCOUNT, "r2", "")
    with pytest.raises(LimitReached, match="2 recordings wait"):
        await world.transcriptions.ask(ACCOUNT, "r3", "")
