"""Several files played as one: order, loops, what is left out, stopping; and the lanes of API requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field

import pytest

from ringback.calls.clips import ClipsPlayback
from ringback.calls.playbacks import REQUESTS_MAX, ApiPlay, CallPlaybacks
from ringback.errors import LimitReached, MediaError
from ringback.ids import PlayId, SessionId
from ringback.media.control import commands
from ringback.media.control.events import PlayFinished
from ringback.media.control.values import PlayEnd, PlayLane


@dataclass
class Paths:
    """Clips by path; a path that begins with `!` cannot be had, `gate` holds one back."""

    paths: list[str]
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return len(self.paths)

    async def clip(self, index: int) -> str:
        path = self.paths[index]
        self.asked.append(path)
        if path in self.gates:
            await self.gates[path].wait()
        if path.startswith("!"):
            raise MediaError(f"{path[1:]} cannot be had")
        return path


@dataclass
class Call:
    """The playbacks of a call whose media worker is played by the test."""

    log: list[str] = field(default_factory=list)
    playing: list[commands.Play] = field(default_factory=list)
    notes: list[dict[str, object]] = field(default_factory=list)
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    ends: list[tuple[PlayEnd, str]] = field(default_factory=list)
    refuses: bool = False

    def __post_init__(self) -> None:
        self.playbacks = CallPlaybacks(
            SessionId("s"), self.send, self.send, self.spawn, lambda kind, **fields: self.notes.append(fields)
        )

    async def send(self, command: commands.SessionCommand) -> None:
        match command:
            case commands.Play():
                if self.refuses:
                    raise MediaError("the worker refuses")
                self.log.append(f"{command.path} x{command.loops}")
                self.playing.append(command)
            case commands.StopPlay():
                for play in [play for play in self.playing if play.play_id == command.play_id]:
                    self.log.append(f"stop {play.path}")
                    self.end(play, PlayEnd.STOPPED)
            case _:
                raise AssertionError(command)

    def spawn(self, work: Awaitable[None]) -> None:
        async def run() -> None:
            await work

        task = asyncio.create_task(run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def end(self, play: commands.Play, end: PlayEnd = PlayEnd.COMPLETED, detail: str = "") -> None:
        self.playing.remove(play)
        event = PlayFinished(session_id=SessionId("s"), play_id=play.play_id, reason=end, detail=detail)
        assert self.playbacks.finished(event)

    async def speak(self, clips: Paths, loops: int = 1) -> PlayId:
        return await self.playbacks.play_clips(clips, loops, lambda _, end, detail: self.ends.append((end, detail)))

    async def settle(self) -> None:
        """Let every task run as far as it can."""
        for _ in range(50):
            await asyncio.sleep(0)

    async def play_out(self) -> None:
        """End what plays, one after the other, until nothing comes after it."""
        await self.settle()
        for _ in range(100):
            if not self.playing:
                return
            self.end(self.playing[0])
            await self.settle()


async def test_clips_play_in_order_and_end_as_one() -> None:
    call = Call()
    await call.speak(Paths(["a", "b", "c"]))
    await call.play_out()
    assert call.log == ["a x1", "b x1", "c x1"]
    assert call.ends == [(PlayEnd.COMPLETED, "")]


async def test_at_most_two_clips_are_with_the_worker() -> None:
    call, clips = Call(), Paths(["a", "b", "c", "d"])
    await call.speak(clips)
    await call.settle()
    assert [play.path for play in call.playing] == ["a", "b"]
    assert clips.asked == ["a", "b", "c"]


async def test_rounds_repeat_all_clips_and_a_single_one_is_left_to_the_worker() -> None:
    call = Call()
    await call.speak(Paths(["a", "b"]), 2)
    await call.speak(Paths(["only"]), 3)
    await call.play_out()
    assert [entry for entry in call.log if entry != "only x3"] == ["a x1", "b x1", "a x1", "b x1"]
    assert "only x3" in call.log


async def test_what_cannot_be_had_or_decoded_is_left_out_and_named() -> None:
    call = Call()
    await call.speak(Paths(["!a", "b", "c"]))
    await call.settle()
    call.end(call.playing[0], PlayEnd.FAILED, "not audio")
    await call.play_out()
    assert call.log == ["b x1", "c x1"]
    assert call.ends == [(PlayEnd.COMPLETED, "a cannot be had; not audio")]


@pytest.mark.parametrize("loops", [1, 0])
@pytest.mark.parametrize("paths", [["!a"], ["!a", "!b"]])
async def test_nothing_to_hear_is_a_failure_also_without_end(paths: list[str], loops: int) -> None:
    call = Call()
    await call.speak(Paths(paths), loops)
    await call.play_out()
    assert call.ends == [(PlayEnd.FAILED, "; ".join(f"{path[1:]} cannot be had" for path in paths))]


async def test_a_worker_that_refuses_is_a_failure() -> None:
    call = Call(refuses=True)
    await call.speak(Paths(["a", "b"]))
    await call.play_out()
    assert call.ends == [(PlayEnd.FAILED, "the worker refuses")]


async def test_stopping_ends_what_plays_and_what_is_being_fetched() -> None:
    call, clips = Call(), Paths(["a", "b"], gates={"b": asyncio.Event()})
    play_id = await call.speak(clips, 0)
    await call.settle()
    await call.playbacks.stop(play_id)
    await call.settle()
    assert call.log == ["a x1", "stop a"]
    assert call.ends == [(PlayEnd.STOPPED, "")]
    assert not call.tasks


async def test_stopping_before_the_first_clip_plays_nothing() -> None:
    call, clips = Call(), Paths(["a"], gates={"a": asyncio.Event()})
    play_id = await call.speak(clips)
    await call.settle()
    await call.playbacks.stop(play_id)
    clips.gates["a"].set()
    await call.settle()
    assert call.log == []
    assert call.ends == [(PlayEnd.STOPPED, "")]


async def test_an_end_that_comes_before_the_workers_answer_counts() -> None:
    ended: list[PlayId] = []

    async def start(path: str, loops: int, play_id: PlayId) -> None:
        playback.finished(play_id, PlayEnd.COMPLETED, "")
        ended.append(play_id)

    async def stop(play_id: PlayId) -> None:
        raise AssertionError("nothing is to be stopped")

    playback = ClipsPlayback(Paths(["a", "b"]), 1, start, stop, lambda: PlayId(f"p{len(ended)}"))
    assert await playback.run() == (PlayEnd.COMPLETED, "")
    assert ended == ["p0", "p1"]


async def test_a_playback_that_is_no_clip_is_nobodys() -> None:
    call = Call()
    assert not call.playbacks.finished(
        PlayFinished(session_id=SessionId("s"), play_id=PlayId("x"), reason=PlayEnd.COMPLETED)
    )


async def test_requests_of_one_kind_wait_for_each_other_and_kinds_do_not() -> None:
    call = Call()
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["a"])))
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["b"]), mixes=False))
    call.playbacks.add(PlayLane.SPEAK, ApiPlay(Paths(["c"])))
    await call.settle()
    assert [(play.path, play.lane) for play in call.playing] == [("a", PlayLane.PLAY), ("c", PlayLane.SPEAK)]
    call.end(call.playing[0])
    await call.settle()
    assert [(play.path, play.mixes) for play in call.playing] == [("c", True), ("b", False)]


async def test_a_fault_of_ours_costs_one_request_not_those_behind_it() -> None:
    class Faulty(Paths):
        async def clip(self, index: int) -> str:
            raise OSError("no space")

    call = Call()
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Faulty(["a"])))
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["b"])))
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["c"])))
    (faulty,) = call.tasks
    await call.play_out()
    assert isinstance(faulty.exception(), OSError)
    assert call.log == ["b x1", "c x1"]
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["d"])))
    await call.play_out()
    assert call.log[2:] == ["d x1"]


async def test_a_request_without_end_makes_room_for_the_next() -> None:
    call = Call()
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["music"]), loops=0))
    await call.settle()
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["news"])))
    await call.play_out()
    assert call.log == ["music x0", "stop music", "news x1"]


async def test_a_request_ends_after_its_time() -> None:
    call = Call()
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["music"]), loops=0, limit_s=0.01))
    await call.settle()
    async with asyncio.timeout(20):
        await asyncio.gather(*call.tasks)
    assert call.log == ["music x0", "stop music"]
    assert [note["reason"] for note in call.notes] == ["stopped"]


async def test_clearing_stops_everything_of_one_kind() -> None:
    call = Call()
    for path in ("a", "b"):
        call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths([path])))
    call.playbacks.add(PlayLane.SPEAK, ApiPlay(Paths(["c"])))
    await call.settle()
    await call.playbacks.clear(PlayLane.PLAY)
    await call.settle()
    assert [play.path for play in call.playing] == ["c"]
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["d"])))
    await call.settle()
    assert [play.path for play in call.playing] == ["c", "d"]


async def test_requests_that_wait_are_bounded() -> None:
    call = Call()
    call.playbacks.add(PlayLane.SPEAK, ApiPlay(Paths(["a"])))
    await call.settle()
    for _ in range(REQUESTS_MAX):
        call.playbacks.add(PlayLane.SPEAK, ApiPlay(Paths(["b"])))
    with pytest.raises(LimitReached, match="16 speak requests"):
        call.playbacks.add(PlayLane.SPEAK, ApiPlay(Paths(["b"])))


async def test_the_end_of_the_call_leaves_nothing() -> None:
    call, clips = Call(), Paths(["a", "b"], gates={"b": asyncio.Event()})
    await call.speak(clips, 0)
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["c"]), loops=0))
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["d"])))
    call.playbacks.call_ended()
    await call.settle()
    assert not call.tasks
    assert not call.playing
    call.playbacks.add(PlayLane.PLAY, ApiPlay(Paths(["late"])))
    await call.settle()
    assert not call.playing
