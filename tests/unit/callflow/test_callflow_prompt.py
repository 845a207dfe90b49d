"""Sounds beside a call's document: what may stand in them, when they repeat, and that they never end the call."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.support.flow_call import FakeCall, FakeDocuments, FakeMedia, FakeStreams, ListTimeline

from ringback.callflow import prompt
from ringback.callflow.flows import CallFlows
from ringback.callflow.port import FlowServices
from ringback.callflow.prompt import RunningPrompt
from ringback.calls.listener import CallListener
from ringback.ids import PlayId
from ringback.media.control.values import PlayEnd

PLAY = "<Response><Play>http://a/x.wav</Play></Response>"


@dataclass
class Call(FakeCall):
    """A live call as a prompt needs it."""

    side_listeners: list[CallListener] = field(default_factory=list)
    is_over: bool = False
    notes: list[dict[str, Any]] = field(default_factory=list)

    def note(self, text: str, **fields: Any) -> None:
        if fields:
            self.notes.append(fields)
        else:
            super().note(text)

    def played(self, play_id: str, end: PlayEnd = PlayEnd.COMPLETED) -> None:
        for listener in tuple(self.side_listeners):
            listener.play_ended(PlayId(play_id), end)


@dataclass
class Stage:
    call: Call
    documents: FakeDocuments
    timeline: ListTimeline
    flows: CallFlows
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    def start(self, document: str = PLAY, *, repeats: bool = False) -> RunningPrompt:
        self.documents.answers["http://a/"] = document
        return self.flows.start_prompt(self.call, "http://a/", repeats=repeats, on_end=self.ended.set)  # type: ignore[arg-type]


@pytest.fixture
def stage() -> Stage:
    call, documents, timeline = Call(is_answered=True), FakeDocuments(), ListTimeline()
    services = FlowServices(documents, FakeMedia(), FakeStreams(call), timeline)
    return Stage(call, documents, timeline, CallFlows(services))


async def test_prompt_plays_once_and_says_so(stage: Stage) -> None:
    running = stage.start()
    await stage.call.until("play /media/x.wav x1")
    (callback, _) = stage.documents.asked[0]
    assert (callback.method, callback.kind.value) == ("POST", "prompt")
    stage.call.played("p1")
    await asyncio.wait_for(stage.ended.wait(), 5)
    await running.task
    assert stage.call.side_listeners == []
    assert not stage.call.ended.is_set(), "the prompt ended the call"
    assert stage.flows.running_flows == 0


async def test_other_elements_are_skipped(stage: Stage) -> None:
    stage.start("<Response><Hangup/><Redirect>http://b/</Redirect><Play>http://a/x.wav</Play></Response>")
    await stage.call.until("play /media/x.wav x1")
    assert [note for note in stage.timeline.notes() if "makes no sound" in note] == [
        "<Hangup> makes no sound and is skipped here",
        "<Redirect> makes no sound and is skipped here",
    ]
    stage.call.played("p1")
    await asyncio.wait_for(stage.ended.wait(), 5)


async def test_stopped_prompt_stops_its_playback_and_reports_no_end(stage: Stage) -> None:
    running = stage.start(repeats=True)
    await stage.call.until("play /media/x.wav x1")
    await running.stop()
    assert "stop-play p1" in stage.call.log
    assert not stage.ended.is_set()


async def test_repeated_prompt_fetches_once_and_takes_its_time(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    sleep = asyncio.sleep

    async def count(seconds: float) -> None:
        slept.append(seconds)
        await sleep(0)

    monkeypatch.setattr(prompt.asyncio, "sleep", count)
    running = stage.start(repeats=True)
    for round_ in (1, 2, 3):
        async with asyncio.timeout(20):
            while stage.call.plays < round_:
                await sleep(0)
        stage.call.played(f"p{round_}")
    await running.stop()
    assert len(stage.documents.asked) == 1
    assert 2 <= len(slept) <= 3
    assert all(0 < seconds <= 1 for seconds in slept)


@pytest.mark.parametrize("document", ["no document", "<Response><Play/></Response>"])
async def test_prompt_that_cannot_be_had_is_over_and_not_repeated(stage: Stage, document: str) -> None:
    stage.start(document, repeats=True)
    await asyncio.wait_for(stage.ended.wait(), 5)
    assert stage.call.notes[0]["event"] == "failed"


async def test_end_of_the_call_ends_the_prompt(stage: Stage) -> None:
    running = stage.start(repeats=True)
    await stage.call.until("play /media/x.wav x1")
    stage.call.is_over = True
    for listener in tuple(stage.call.side_listeners):
        listener.hung_up()
    await asyncio.wait_for(running.task, 5)
    assert stage.call.side_listeners == []
