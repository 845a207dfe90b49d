"""What a document plays: files are fetched beside it, and what is stopped is never heard later."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.flow_call import FakeCall

from ringback.callflow.events import PlayFinished, PlayRefused
from ringback.callflow.plays import PlayEnded, PlayFailed, Plays
from ringback.errors import MediaError
from ringback.ids import PlayId
from ringback.media.control.values import PlayEnd


class Scene:
    """A call, and files that come when the test says so."""

    def __init__(self) -> None:
        self.call = FakeCall(is_answered=True)
        self.reported: list[PlayEnded | PlayFailed] = []
        self.plays = Plays(self.call, self.reported.append)
        self.files: dict[str, asyncio.Future[str]] = {}

    def start(self, name: str) -> None:
        self.files[name] = asyncio.get_running_loop().create_future()

        async def fetch() -> str:
            return await self.files[name]

        self.plays.start(fetch, 1)

    async def arrive(self, name: str) -> None:
        self.files[name].set_result(f"/{name}")
        await self.settle()

    async def settle(self) -> None:
        for _ in range(5):
            await asyncio.sleep(0)


@pytest.fixture
async def scene() -> Scene:
    return Scene()


def ended(play_id: str) -> PlayEnded:
    return PlayEnded(PlayId(play_id), PlayEnd.COMPLETED, "")


async def test_file_plays_when_it_has_come_and_its_end_is_told_once(scene: Scene) -> None:
    scene.start("a")
    await scene.settle()
    assert scene.call.log == []
    await scene.arrive("a")
    assert scene.call.log == ["play /a x1"]
    assert scene.plays.finished(ended("p1")) == PlayFinished(PlayEnd.COMPLETED)
    assert scene.plays.finished(ended("p1")) is None


async def test_file_that_comes_after_its_stop_is_not_heard(scene: Scene) -> None:
    scene.start("a")
    await scene.settle()
    await scene.plays.stop()
    await scene.arrive("a")
    assert scene.call.log == []


async def test_playback_that_begins_too_late_is_stopped(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted = asyncio.Event()

    async def slow_play(path: str, loops: int) -> PlayId:
        await accepted.wait()
        return PlayId("p9")

    monkeypatch.setattr(scene.call, "play", slow_play)
    scene.start("a")
    await scene.settle()
    await scene.arrive("a")
    await scene.plays.stop()
    accepted.set()
    await scene.settle()
    assert scene.call.log == ["stop-play p9"]


async def test_end_that_overtakes_the_start_is_told(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def quick_play(path: str, loops: int) -> PlayId:
        assert scene.plays.finished(ended("p9")) is None
        return PlayId("p9")

    monkeypatch.setattr(scene.call, "play", quick_play)
    scene.start("a")
    await scene.settle()
    await scene.arrive("a")
    (early,) = scene.reported
    assert isinstance(early, PlayEnded)
    assert scene.plays.finished(early) == PlayFinished(PlayEnd.COMPLETED)


async def test_failure_is_told_only_to_who_waits_for_it(scene: Scene) -> None:
    scene.start("a")
    await scene.settle()
    scene.files["a"].set_exception(MediaError("gone"))
    await scene.settle()
    (failed,) = scene.reported
    assert isinstance(failed, PlayFailed)
    await scene.plays.stop()
    scene.start("b")
    assert scene.plays.refused(failed) is None, "the next playback has not failed"
    await scene.settle()
    scene.call.play_error = MediaError("refused")
    await scene.arrive("b")
    failed = scene.reported[-1]
    assert isinstance(failed, PlayFailed)
    assert scene.plays.refused(failed) == PlayRefused("refused")


async def test_closing_gives_up_what_is_fetched(scene: Scene) -> None:
    scene.start("a")
    scene.start("b")
    await asyncio.sleep(0)
    scene.plays.close()
    await scene.settle()
    assert scene.files["b"].cancelled()
    assert scene.call.log == []
