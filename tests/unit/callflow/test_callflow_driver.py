"""The driver: documents are fetched, run and replaced; every failure ends the call with its documented code."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from tests.support.flow_call import FakeCall, FakeDocuments, FakeMedia, FakeStreams, ListTimeline, play_completed

from ringback.callflow.flows import CallFlows
from ringback.callflow.port import FirstRequest, FlowServices, FlowSettings
from ringback.egress.errors import ConnectFailed, FailureClass
from ringback.errors import Conflict, MediaError
from ringback.ids import StreamId
from ringback.media.control.values import PlayEnd, StreamEnd
from ringback.webhooks.fetcher import Callback, CallbackKind, UnreachableUrl, UnusableReply

ANSWER = "https://a/answer"
STREAM = "wss://agent.example.com/ws"


async def settled() -> None:
    """Return when every task has gone on as far as it can by itself."""
    for _ in range(50):
        await asyncio.sleep(0)


@dataclass
class Scene:
    """Everything around one call."""

    call: FakeCall = field(default_factory=FakeCall)
    documents: FakeDocuments = field(default_factory=FakeDocuments)
    media: FakeMedia = field(default_factory=FakeMedia)
    timeline: ListTimeline = field(default_factory=ListTimeline)
    settings: FlowSettings = field(default_factory=FlowSettings)

    def __post_init__(self) -> None:
        self.streams = FakeStreams(self.call)
        services = FlowServices(self.documents, self.media, self.streams, self.timeline, self.settings)
        self.flows = CallFlows(services)

    def serve(self, body: str, url: str = ANSWER) -> None:
        self.documents.answers[url] = f"<Response>{body}</Response>"

    def start(self, **first: str) -> None:
        self.flows.start(self.call, FirstRequest(ANSWER, **first))

    async def run(self, body: str) -> list[str]:
        """Run a document until the call ends and return the call's log."""
        self.serve(body)
        self.start()
        return await self.over()

    async def over(self) -> list[str]:
        async with asyncio.timeout(20):
            await self.call.ended.wait()
            await self.flows.join()
        return self.call.log


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    made = Scene()
    yield made
    await made.flows.close()
    assert made.flows.running_flows == 0
    assert made.call.listener is None


async def test_inbound_call_rings_then_answers_with_the_first_element(scene: Scene) -> None:
    log = await scene.run(f"<Stream>{STREAM}</Stream>")
    assert log == ["ring", "answer", "start-stream s1", "end 4010 Plivo"]
    callback, fallback = scene.documents.asked[0]
    assert callback.kind is CallbackKind.ANSWER
    assert callback.params == {"CallUUID": "c1", "CallStatus": "ringing"}
    assert fallback is None


async def test_outbound_call_is_answered_already(scene: Scene) -> None:
    scene.call.is_inbound, scene.call.is_answered = False, True
    assert await scene.run("") == ["end 4010 Plivo"]


async def test_unanswered_call_is_refused_without_an_answer(scene: Scene) -> None:
    assert await scene.run('<Hangup reason="busy"/>') == ["ring", "end 3010 Answer XML busy"]


async def test_empty_document_ends_with_4010_and_no_answer(scene: Scene) -> None:
    assert await scene.run("") == ["ring", "end 4010 Plivo"]


async def test_blocking_stream_ends_the_call_when_it_closes(scene: Scene) -> None:
    scene.serve(f'<Stream keepCallAlive="true" bidirectional="true">{STREAM}</Stream>')
    scene.start()
    await scene.call.until("start-stream s1")
    await settled()
    assert scene.call.log[-1] == "start-stream s1"
    scene.call.reporter().stream_ended(StreamId("s1"), StreamEnd.AGENT_CLOSED)
    assert (await scene.over())[-1] == "end 4010 Plivo"
    assert scene.streams.specs[0].bidirectional


async def test_refused_stream_is_noted_and_the_document_goes_on(scene: Scene) -> None:
    scene.streams.error = Conflict("a bidirectional stream exists already")
    assert (await scene.run(f'<Stream keepCallAlive="true">{STREAM}</Stream>'))[-1] == "end 4010 Plivo"
    assert "a bidirectional stream exists already" in " ".join(scene.timeline.notes())


async def test_invalid_content_type_is_left_to_the_streams_room(scene: Scene) -> None:
    await scene.run(f'<Stream contentType="audio/ogg">{STREAM}</Stream>')
    assert scene.streams.specs[0].content_type == "audio/ogg"
    assert "audio/ogg" in scene.timeline.notes()[0]


async def test_play_fetches_and_plays(scene: Scene) -> None:
    scene.serve('<Play loop="2">https://a/x.wav</Play>')
    scene.start()
    await scene.call.until("play /media/x.wav x2")
    play_completed(scene.call, "p0")
    await settled()
    assert not scene.call.ended.is_set(), "the end of another playback is not the element's"
    play_completed(scene.call, "p1")
    assert (await scene.over())[-1] == "end 4010 Plivo"


async def test_play_that_fails_is_skipped(scene: Scene) -> None:
    scene.media.errors["https://a/no.wav"] = ConnectFailed("cannot connect", FailureClass.REFUSED)
    scene.serve("<Play>https://a/no.wav</Play><Play>https://a/bad.wav</Play>")
    scene.start()
    await scene.call.until("play /media/bad.wav x1")
    play_completed(scene.call, "p1", PlayEnd.FAILED)
    assert (await scene.over())[-1] == "end 4010 Plivo"
    assert scene.timeline.notes() == ["file skipped: cannot connect", "file skipped: it cannot be decoded"]


async def test_play_that_the_worker_refuses_is_skipped(scene: Scene) -> None:
    scene.call.play_error = MediaError("the session is gone")
    assert (await scene.run("<Play>https://a/x.wav</Play>"))[-1] == "end 4010 Plivo"


async def test_hangup_during_a_fetch_gives_it_up(scene: Scene) -> None:
    scene.media.gates["https://a/slow.wav"] = asyncio.Event()
    scene.serve("<Play>https://a/slow.wav</Play>")
    scene.start()
    await scene.call.until("answer")
    await settled()
    scene.call.hang_up()
    assert await scene.over() == ["ring", "answer"]
    assert scene.media.cancelled == ["https://a/slow.wav"]


async def test_hangup_during_the_document_fetch_gives_it_up(scene: Scene) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def slow(callback: Callback) -> bytes:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()
        return b""

    scene.documents.answers[ANSWER] = slow
    scene.start()
    await begun.wait()
    scene.call.hang_up()
    assert await scene.over() == ["ring"]
    assert cancelled.is_set()


async def test_call_that_ended_before_its_flow_asks_for_nothing(scene: Scene) -> None:
    scene.call.is_answered = True
    scene.call.hang_up()
    assert await scene.run("<Wait/>") == []
    assert scene.documents.asked == []


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UnreachableUrl("answer_url: refused", cause_code=7011), 7011),
        (UnusableReply("answer_url: too large"), 8011),
    ],
)
async def test_document_that_cannot_be_had_ends_the_call(scene: Scene, error: UnreachableUrl, code: int) -> None:
    scene.documents.answers[ANSWER] = error
    scene.start()
    assert await scene.over() == ["ring", f"end {code} Error"]


@pytest.mark.parametrize(
    "body", ["", "OK", "<html>", "<Response>", "<response/>", "<Response><Wait length='0'/></Response>"]
)
async def test_invalid_answer_xml_ends_with_8011(scene: Scene, body: str) -> None:
    scene.documents.answers[ANSWER] = body
    scene.start()
    assert await scene.over() == ["ring", "end 8011 Error"]
    (refusal,) = [fields for fields in scene.timeline.of("element") if fields["phase"] == "refused"]
    assert refusal["detail"]


async def test_fallback_goes_with_the_first_document_only(scene: Scene) -> None:
    scene.serve("<Redirect>https://a/next</Redirect>")
    scene.serve("", "https://a/next")
    scene.start(fallback_url="https://a/fallback", fallback_method="GET")
    await scene.over()
    (_, fallback), (redirect, no_fallback) = scene.documents.asked
    assert fallback is not None
    assert (fallback.kind, fallback.url, fallback.method) == (CallbackKind.FALLBACK, "https://a/fallback", "GET")
    assert redirect.kind is CallbackKind.REDIRECT
    assert redirect.params == {"CallUUID": "c1", "CallStatus": "in-progress"}
    assert no_fallback is None


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (UnreachableUrl("x", cause_code=7014), 7014),
        (UnreachableUrl("x", cause_code=7024), 7024),
        (UnusableReply("x"), 8014),
        ("<no/>", 8014),
    ],
)
async def test_failed_redirect_has_its_own_codes(scene: Scene, answer: object, code: int) -> None:
    scene.documents.answers["https://a/next"] = answer  # type: ignore[assignment]
    assert (await scene.run("<Redirect>https://a/next</Redirect>"))[-1] == f"end {code} Error"


async def test_redirect_loop_ends_with_2060(scene: Scene) -> None:
    log = await scene.run(f"<Redirect>{ANSWER}</Redirect>")
    assert log == ["ring", "answer", "end 2060 Plivo"]
    assert len(scene.documents.asked) == 1 + scene.settings.replacements_per_minute


async def test_too_many_documents_in_a_minute_end_with_the_code_of_the_url() -> None:
    scene = Scene(settings=FlowSettings(fetches_per_minute=3))
    log = await scene.run(f"<Redirect>{ANSWER}</Redirect>")
    assert log[-1] == "end 7014 Error"
    assert len(scene.documents.asked) == 3


async def test_transfer_replaces_the_document_at_once_and_stops_the_stream(scene: Scene) -> None:
    scene.serve(f'<Stream keepCallAlive="true">{STREAM}</Stream><Play>https://a/never.wav</Play>')
    scene.serve("<Play>https://a/new.wav</Play>", "https://a/transfer")
    scene.start()
    await scene.call.until("start-stream s1")
    await settled()
    scene.call.reporter().transfer_requested("https://a/transfer", "GET")
    await scene.call.until("play /media/new.wav x1")
    play_completed(scene.call, "p1")
    assert await scene.over() == [
        "ring",
        "answer",
        "start-stream s1",
        "stop-stream s1 transferred",
        "play /media/new.wav x1",
        "end 4010 Plivo",
    ]
    transfer = scene.documents.asked[1][0]
    assert (transfer.kind, transfer.method) == (CallbackKind.TRANSFER, "GET")


@pytest.fixture
async def late_scene() -> AsyncIterator[Scene]:
    made = Scene(settings=FlowSettings(has_late_transfers=True))
    yield made
    await made.flows.close()
    assert made.flows.running_flows == 0


async def test_late_transfer_waits_for_the_end_of_the_stream_that_holds_the_document(late_scene: Scene) -> None:
    scene = late_scene
    scene.serve(f'<Stream keepCallAlive="true">{STREAM}</Stream><Play>https://a/never.wav</Play>')
    scene.serve("<Hangup/>", "https://a/second")
    scene.start()
    await scene.call.until("start-stream s1")
    await settled()
    reporter = scene.call.reporter()
    reporter.transfer_requested("https://a/first", "POST")
    reporter.transfer_requested("https://a/second", "POST")
    reporter.stream_ended(StreamId("another"), StreamEnd.AGENT_CLOSED)
    await settled()
    assert scene.call.log[-1] == "start-stream s1"
    assert "waits for the end of the stream" in " ".join(scene.timeline.notes())
    reporter.stream_ended(StreamId("s1"), StreamEnd.AGENT_CLOSED)
    assert (await scene.over())[-1] == "end 4000 Answer XML", "the newest one, and not what follows the stream"
    assert [callback.url for callback, _ in scene.documents.asked] == [ANSWER, "https://a/second"]
    assert "play /media/never.wav x1" not in scene.call.log


async def test_late_transfer_goes_before_the_fallback_document_of_a_lost_stream(late_scene: Scene) -> None:
    scene = late_scene
    scene.serve(f'<Stream keepCallAlive="true">{STREAM}</Stream>')
    scene.serve("<Hangup/>", "https://a/wanted")
    scene.start()
    await scene.call.until("start-stream s1")
    await settled()
    reporter = scene.call.reporter()
    reporter.transfer_requested("https://a/wanted", "POST")
    reporter.stream_ended(StreamId("s1"), StreamEnd.CONNECTION_LOST)
    reporter.transfer_requested("https://a/fallback", "POST", is_fallback=True)
    assert (await scene.over())[-1] == "end 4000 Answer XML"
    assert [callback.url for callback, _ in scene.documents.asked] == [ANSWER, "https://a/wanted"]
    assert "goes before the fallback document" in " ".join(scene.timeline.notes())


@pytest.mark.parametrize(
    "document", [f'<Stream>{STREAM}</Stream><Wait length="60"/>', f'<Stream keepCallAlive="true">{STREAM}</Stream>']
)
async def test_late_transfer_of_a_document_that_no_stream_holds_is_none(late_scene: Scene, document: str) -> None:
    scene = late_scene
    scene.serve(document + '<Wait length="60"/>')
    scene.serve("<Hangup/>", "https://a/transfer")
    scene.start()
    await scene.call.until("start-stream s1")
    await settled()
    if "keepCallAlive" in document:
        scene.call.reporter().stream_ended(StreamId("s1"), StreamEnd.AGENT_CLOSED)
        await settled()
    scene.call.reporter().transfer_requested("https://a/transfer", "POST")
    assert (await scene.over())[-1] == "end 4000 Answer XML"


async def test_transfer_stops_a_playback_and_a_parallel_stream_goes_on(scene: Scene) -> None:
    scene.serve(f"<Stream>{STREAM}</Stream><Play>https://a/old.wav</Play>")
    scene.serve("<Hangup/>", "https://a/transfer")
    scene.start()
    await scene.call.until("play /media/old.wav x1")
    scene.call.reporter().transfer_requested("https://a/transfer", "POST")
    log = await scene.over()
    assert log[-2:] == ["stop-play p1", "end 4000 Answer XML"]
    assert not any(entry.startswith("stop-stream") for entry in log)


async def test_newest_transfer_wins(scene: Scene) -> None:
    begun = asyncio.Event()

    async def slow(callback: Callback) -> bytes:
        begun.set()
        await asyncio.Event().wait()
        return b""

    scene.serve('<Wait length="60"/>')
    scene.documents.answers["https://a/slow"] = slow
    scene.serve("<Hangup/>", "https://a/fast")
    scene.start()
    await scene.call.until("answer")
    scene.call.reporter().transfer_requested("https://a/slow", "POST")
    await begun.wait()
    scene.call.reporter().transfer_requested("https://a/fast", "POST")
    assert (await scene.over())[-1] == "end 4000 Answer XML"


@pytest.mark.parametrize(
    ("answer", "code"), [(UnreachableUrl("x", cause_code=7013), 7013), (UnusableReply("x"), 8013), ("<no/>", 8013)]
)
async def test_failed_transfer_has_its_own_codes(scene: Scene, answer: object, code: int) -> None:
    scene.serve('<Wait length="60"/>')
    scene.documents.answers["https://a/transfer"] = answer  # type: ignore[assignment]
    scene.start()
    await scene.call.until("answer")
    scene.call.reporter().transfer_requested("https://a/transfer", "POST")
    assert (await scene.over())[-1] == f"end {code} Error"


async def test_wait_really_waits(scene: Scene) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    await scene.run("<Wait/>")
    assert loop.time() - began > 0.95


async def test_scheduled_hangup_survives_a_transfer(scene: Scene) -> None:
    scene.serve('<Hangup schedule="1"/><Wait length="60"/>')
    scene.serve('<Wait length="60"/>', "https://a/transfer")
    scene.start()
    await scene.call.until("answer")
    scene.call.reporter().transfer_requested("https://a/transfer", "POST")
    assert (await scene.over())[-1] == "end 6000 Answer XML"


async def test_call_that_cannot_be_answered_ends(scene: Scene) -> None:
    scene.call.answer_error = MediaError("no common codec")
    assert await scene.run("<Wait/>") == ["ring", "end 5010 Error"]


async def test_hangup_and_transfer_at_once_is_a_hangup(scene: Scene) -> None:
    scene.serve('<Wait length="60"/>')
    scene.start()
    await scene.call.until("answer")
    reporter = scene.call.reporter()
    reporter.transfer_requested("https://a/transfer", "POST")
    scene.call.hang_up()
    assert await scene.over() == ["ring", "answer"]
    assert len(scene.documents.asked) == 1


async def test_fault_of_ours_costs_one_call(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    async def broken(callback: Callback) -> bytes:
        raise ZeroDivisionError

    scene.documents.answers[ANSWER] = broken
    scene.start()
    assert (await scene.over())[-1] == "end 5010 Error"
    assert "call flow failed" in caplog.text


async def test_digits_beyond_the_bound_are_dropped_and_noted() -> None:
    scene = Scene(settings=FlowSettings(events_max=5))
    scene.serve('<Wait length="60"/>')
    scene.start()
    await scene.call.until("answer")
    for _ in range(6):
        scene.call.reporter().digit_pressed("1")
    assert scene.timeline.notes() == ["digits dropped"]
    await settled()
    scene.call.hang_up()
    await scene.over()


async def test_closing_stops_flows_and_ends_no_call(scene: Scene) -> None:
    scene.serve('<Wait length="60"/>')
    scene.start()
    await scene.call.until("answer")
    await scene.flows.close()
    assert scene.flows.running_flows == 0
    assert scene.call.log == ["ring", "answer"]


async def test_elements_are_in_the_timeline(scene: Scene) -> None:
    await scene.run(f'<Steam/><Stream bidirectional="true">{STREAM}</Stream>')
    phases = [(fields["phase"], fields["name"]) for fields in scene.timeline.of("element")]
    assert phases == [
        ("loaded", "Response"),
        ("note", "Steam"),
        ("started", "Stream"),
        ("finished", "Stream"),
    ]
    started = scene.timeline.of("element")[2]
    assert started["attributes"] == {"bidirectional": "true", "text": STREAM}
    assert started["line"] == 1
