"""What a document hears: the listening in the worker and the recogniser joined."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest
from tests.support.flow_call import FakeCall

from ringback.callflow.commands import Listen, SpeechQuery
from ringback.callflow.events import (
    BeepHeard,
    Event,
    ListenRefused,
    SilenceReached,
    SpeechGuessed,
    SpeechRecognised,
    SpeechStarted,
)
from ringback.callflow.hearing import Heard, Hearing
from ringback.errors import MediaError
from ringback.ids import ListenId, SessionId
from ringback.media.control import events as media
from ringback.media.control.values import BeepRule
from ringback.recognition.heard import Recognition

S = SessionId("s")
QUERY = SpeechQuery("en-US", ("sales",))


@dataclass
class FakeSpeech:
    """A recogniser that a test answers for."""

    answers: asyncio.Queue[Recognition] = field(default_factory=asyncio.Queue)
    asked: list[tuple[str, bool]] = field(default_factory=list)
    discarded: list[str] = field(default_factory=list)
    paths: int = 0

    def fault(self, language: str) -> str:
        return "" if language == "en-US" else "no such language"

    def warm(self) -> None:
        pass

    def new_path(self) -> str:
        self.paths += 1
        return f"/u{self.paths}.wav"

    def discard(self, path: str) -> None:
        self.discarded.append(path)

    async def recognize(self, path: str, language: str, hints: tuple[str, ...], *, is_partial: bool) -> Recognition:
        assert (language, hints) == ("en-US", ("sales",))
        self.asked.append((path, is_partial))
        return await self.answers.get()


class Scene:
    def __init__(self) -> None:
        self.call = FakeCall(is_answered=True)
        self.speech = FakeSpeech()
        self.heard: list[Heard] = []
        self.hearing = Hearing(self.call, self.speech, self.heard.append)

    def events(self) -> list[Event]:
        return [heard.event for heard in self.heard if self.hearing.is_current(heard)]

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)

    def report(self, kind: type[media.ListenEvent], number: int = 1, **fields: object) -> None:
        self.hearing.take(kind(session_id=S, listen_id=ListenId(f"l{number}"), **fields))


@pytest.fixture
async def scene() -> Scene:
    return Scene()


async def test_silence_and_beeps_are_passed_on(scene: Scene) -> None:
    assert await scene.hearing.begin(Listen(silence_ms=700, beep=BeepRule())) == ()
    assert scene.call.log == ["hear silence 700 beep"]
    scene.report(media.SpeechStarted)
    scene.report(media.SilenceReached, silence_ms=700)
    scene.report(media.BeepHeard, pitch_hz=1000, duration_ms=400)
    assert scene.events() == [SpeechStarted(), SilenceReached(), BeepHeard()]
    await scene.hearing.end()
    assert scene.call.log[-1] == "stop-hearing l1"
    assert scene.events() == [], "what was reported and not taken yet belongs to the past"


async def test_utterance_is_recognised_and_its_file_deleted(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000, speech=QUERY))
    assert scene.call.log == ["hear silence 1000 into /u1.wav"]
    scene.report(media.SpeechCaptured, path="/u1.wav", captured_ms=900)
    scene.speech.answers.put_nowait(Recognition("sales", 0.9))
    await scene.settle()
    assert scene.events() == [SpeechRecognised("sales", 0.9)]
    assert scene.speech.discarded == ["/u1.wav"]
    await scene.hearing.end()
    assert "stop-hearing l1" not in scene.call.log, "the worker has ended it"


async def test_guesses_come_one_at_a_time_and_none_after_the_end(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000, speech=SpeechQuery("en-US", ("sales",), wants_guesses=True)))
    assert scene.call.log == ["hear silence 1000 into /u1.wav every 1000"]
    scene.report(media.SpeechProgressed, captured_ms=1000)
    scene.report(media.SpeechProgressed, captured_ms=2000)
    await scene.settle()
    assert scene.speech.asked == [("/u1.wav", True)]
    scene.speech.answers.put_nowait(Recognition("sa", 0.4))
    await scene.settle()
    scene.report(media.SpeechProgressed, captured_ms=3000)
    await scene.settle()
    scene.report(media.SpeechCaptured, path="/u1.wav", captured_ms=3300)
    await scene.settle()
    scene.speech.answers.put_nowait(Recognition("sales", 0.9))
    await scene.settle()
    assert scene.speech.asked == [("/u1.wav", True), ("/u1.wav", True), ("/u1.wav", False)]
    assert scene.events() == [SpeechGuessed("sa", 0.4), SpeechRecognised("sales", 0.9)]


async def test_what_is_not_wanted_any_more_is_forgotten(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000, speech=QUERY))
    await scene.hearing.end()
    scene.report(media.SpeechCaptured, path="/u1.wav", captured_ms=900)
    await scene.settle()
    assert scene.speech.asked == []
    assert scene.speech.discarded == ["/u1.wav", "/u1.wav"], "also the one that is finished only now"


async def test_speech_of_another_document_of_the_call_is_left_alone(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000, speech=QUERY))
    scene.report(media.SpeechCaptured, number=7, path="/other.wav", captured_ms=900)
    assert scene.speech.discarded == []


async def test_what_was_said_until_now_can_be_recognised(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000, speech=QUERY))
    await scene.hearing.end(is_heard=True)
    assert scene.call.log[-1] == "stop-hearing l1"
    scene.report(media.SpeechCaptured, path="/u1.wav", captured_ms=900)
    scene.speech.answers.put_nowait(Recognition("", detail="it failed"))
    await scene.settle()
    assert scene.events() == [SpeechRecognised("", 0.0, "it failed")]


async def test_second_listening_ends_the_first(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000))
    await scene.hearing.begin(Listen(silence_ms=500))
    assert scene.call.log == ["hear silence 1000", "stop-hearing l1", "hear silence 500"]
    scene.report(media.SilenceReached, silence_ms=1000)
    scene.report(media.SilenceReached, number=2, silence_ms=500)
    assert scene.events() == [SilenceReached()]


async def test_refusal_is_told(scene: Scene) -> None:
    scene.call.hear_error = MediaError("full")
    assert await scene.hearing.begin(Listen(silence_ms=500)) == (ListenRefused("full"),)


async def test_end_of_the_flow_cancels_and_deletes(scene: Scene) -> None:
    await scene.hearing.begin(Listen(silence_ms=1000, speech=QUERY))
    scene.report(media.SpeechCaptured, path="/u1.wav", captured_ms=900)
    await scene.settle()
    scene.hearing.close()
    await scene.settle()
    assert scene.heard == []
    assert "/u1.wav" in scene.speech.discarded
