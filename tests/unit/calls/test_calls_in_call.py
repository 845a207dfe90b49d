"""Actions on live calls: whose legs they reach, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from ringback.accounts.account import Account
from ringback.calls.in_call import DigitsRequest, InCallActions, PlayRequest, SpeakRequest
from ringback.calls.playbacks import ApiPlay
from ringback.calls.spoken import NoSpeech, SpokenClips
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, CallUuid
from ringback.media.control.values import PlayLane
from ringback.speech.errors import NoVoice
from ringback.speech.markup import read_speech
from ringback.speech.passage import Gender, Passage
from ringback.speech.speaker import Clip
from ringback.speech.voices import Engine, LocalVoice

SPEECH = read_speech(["Hello there."])


@dataclass
class Leg:
    """A call that notes what it is asked to do."""

    name: str
    log: list[str]
    is_answered: bool = True
    partner: Leg | None = None
    added: list[tuple[PlayLane, ApiPlay]] = field(default_factory=list)

    @property
    def playbacks(self) -> Leg:
        return self

    def note(self, kind: str, **fields: object) -> None:
        """Forget it."""

    def add(self, lane: PlayLane, play: ApiPlay) -> None:
        self.log.append(f"{self.name} {lane.value} x{play.loops} {play.mixes} {play.limit_s:g}s")
        self.added.append((lane, play))

    async def clear(self, lane: PlayLane) -> None:
        self.log.append(f"{self.name} clear {lane.value}")

    async def send_digits(self, digits: str) -> None:
        self.log.append(f"{self.name} digits {digits}")


class Scene:
    """A call, its B leg if it has one, and the actions."""

    def __init__(self, *, has_partner: bool = False, is_answered: bool = True) -> None:
        self.log: list[str] = []
        self.call = Leg("a", self.log, is_answered)
        if has_partner:
            self.call.partner = Leg("b", self.log, partner=self.call)
        self.actions = InCallActions(self, self._fetch, NoSpeech())  # type: ignore[arg-type]  # a call in miniature
        self.account: Any = Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token")

    def find_of(self, account: object, call_uuid: CallUuid) -> Leg | None:
        return self.call if call_uuid == "c" else None

    async def _fetch(self, url: str) -> str:
        return f"/files/{url.rpartition('/')[2]}"

    async def ask(self, request: PlayRequest | SpeakRequest | DigitsRequest, call_uuid: str = "c") -> None:
        uuid = CallUuid(call_uuid)
        match request:
            case PlayRequest():
                await self.actions.play(self.account, uuid, request)
            case SpeakRequest():
                await self.actions.speak(self.account, uuid, request)
            case DigitsRequest():
                await self.actions.send_digits(self.account, uuid, request)


REQUESTS = [PlayRequest(("https://h/x.wav",)), SpeakRequest(SPEECH), DigitsRequest("1")]


async def test_play_reaches_the_call_with_its_options() -> None:
    scene = Scene()
    await scene.ask(PlayRequest(("https://h/x.wav", "https://h/y.mp3"), 20, is_looped=True, mixes=False))
    assert scene.log == ["a play x0 False 20s"]
    ((_, play),) = scene.call.added
    assert play.clips.count == 2
    assert [await play.clips.clip(index) for index in range(2)] == ["/files/x.wav", "/files/y.mp3"]


async def test_speech_has_no_time_limit() -> None:
    scene = Scene()
    await scene.ask(SpeakRequest(SPEECH))
    assert scene.log == ["a speak x1 True 0s"]


@pytest.mark.parametrize(("legs", "reached"), [("aleg", ["a"]), ("bleg", ["b"]), ("both", ["a", "b"])])
async def test_legs(legs: str, reached: list[str]) -> None:
    for request in (PlayRequest(("https://h/x",), legs=legs), SpeakRequest(SPEECH, legs), DigitsRequest("1", legs)):
        scene = Scene(has_partner=True)
        await scene.ask(request)
        assert [entry.partition(" ")[0] for entry in scene.log] == reached


@pytest.mark.parametrize("legs", ["bleg", "both"])
async def test_a_call_without_a_b_leg_refuses_it(legs: str) -> None:
    for request in (PlayRequest(("https://h/x",), legs=legs), SpeakRequest(SPEECH, legs), DigitsRequest("1", legs)):
        scene = Scene()
        with pytest.raises(InvalidParameter, match="no B leg"):
            await scene.ask(request)
        assert not scene.log


@pytest.mark.parametrize("request_", REQUESTS)
async def test_calls_that_are_not_there_or_not_answered(request_: Any) -> None:
    with pytest.raises(NotFound):
        await Scene().ask(request_, "other")
    with pytest.raises(NotFound):
        await Scene(is_answered=False).ask(request_)


async def test_stopping_reaches_both_legs() -> None:
    scene = Scene(has_partner=True)
    await scene.actions.stop_plays(scene.account, CallUuid("c"))
    await scene.actions.stop_speech(scene.account, CallUuid("c"))
    assert scene.log == ["a clear play", "b clear play", "a clear speak", "b clear speak"]
    with pytest.raises(NotFound):
        await scene.actions.stop_plays(scene.account, CallUuid("other"))


async def test_a_node_without_voices_says_so() -> None:
    with pytest.raises(NoVoice, match=r"ringback\[voice\]"):
        await NoSpeech().clip(SPEECH.passages[0])


async def test_each_voice_that_speaks_is_noted_once() -> None:
    joe = LocalVoice("joe", Engine.PIPER, "en-US", Gender.MAN)

    class Source:
        is_crowded = False

        async def clip(self, passage: Passage, place: int = 0, owner: str = "") -> Clip:
            return Clip(f"/{place}.wav", joe, passage.style.language.startswith("en"), False, 5)

    notes: list[dict[str, object]] = []
    speech = read_speech(["One sentence that is long enough. Another sentence that is long enough."])
    clips = SpokenClips(Source(), speech, lambda kind, **fields: notes.append(fields), "MA1")
    assert [await clips.clip(index) for index in range(clips.count)] == ["/0.wav", "/1.wav"]
    assert [(note["voice"], note["engine"], note["asked"]) for note in notes] == [("joe", "piper", "WOMAN")]
    other = SpokenClips(Source(), read_speech(["x"], language="xx"), lambda kind, **fields: notes.append(fields), "MA1")
    await other.clip(0)
    assert notes[-1]["detail"] == "no installed voice speaks xx"


async def test_a_voice_that_failed_is_noted() -> None:
    slt = LocalVoice("slt", Engine.FLITE, "en-US", Gender.WOMAN)

    class Source:
        is_crowded = False

        async def clip(self, passage: Passage, place: int = 0, owner: str = "") -> Clip:
            return Clip("/x.wav", slt, True, False, 5, "joe: piper ended")

    notes: list[dict[str, object]] = []
    clips = SpokenClips(Source(), SPEECH, lambda kind, **fields: notes.append(fields), "MA1")
    await clips.clip(0)
    assert (notes[0]["voice"], notes[0]["detail"]) == ("slt", "joe: piper ended")
