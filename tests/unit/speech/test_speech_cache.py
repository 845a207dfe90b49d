"""`speech.cache`: files of one owner, bounded, nothing unfinished left."""

from __future__ import annotations

import os
from pathlib import Path

from ringback.speech.cache import SpeechCache
from ringback.speech.messages import Say
from ringback.speech.passage import Gender
from ringback.speech.voices import Engine, LocalVoice

VOICE = LocalVoice("slt", Engine.FLITE, "en-US", Gender.WOMAN)


def say(text: str) -> Say:
    return Say(request_id=1, path="", engine=VOICE.engine, voice=VOICE.name, text=text)


async def test_nobody_can_tell_what_others_have_had_said(tmp_path: Path) -> None:
    cache = SpeechCache(tmp_path, 1_000_000)
    mine = cache.path_of(say("the code is 4711"), VOICE, "MA1")
    mine.write_bytes(b"x")
    assert await cache.has(cache.path_of(say("the code is 4711"), VOICE, "MA1"))
    assert not await cache.has(cache.path_of(say("the code is 4711"), VOICE, "MA2"))
    cache.close()


async def test_what_a_killed_process_had_begun_is_removed(tmp_path: Path) -> None:
    for name in ("abc.77.1234.part", "kept.wav"):
        (tmp_path / name).write_bytes(b"x")
    SpeechCache(tmp_path, 1_000_000).close()
    assert os.listdir(tmp_path) == ["kept.wav"]


async def test_the_longest_unused_go_first(tmp_path: Path) -> None:
    cache = SpeechCache(tmp_path, 1_000)
    for number in range(12):
        path = cache.path_of(say(f"sentence {number}"), VOICE, "MA1")
        path.write_bytes(b"x" * 100)
        await cache.added(path)
    assert len(os.listdir(tmp_path)) <= 10
    assert await cache.has(cache.path_of(say("sentence 11"), VOICE, "MA1"))
    cache.close()
