"""`recordings.playable`: which URLs are ours, and that every other one goes to the network."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from ringback.errors import EgressError
from ringback.recordings.files import CompletedFile
from ringback.recordings.playable import PlayableFiles
from ringback.recordings.spec import FileFormat

BASE = "https://api.example/ringback"
OURS = f"{BASE}/v1/Account/MA1/Recording/0f8fad5b-d9cb-469f.mp3"


class World:
    def __init__(self, *, need_credentials: bool = False) -> None:
        self.fetched: list[str] = []
        self.asked: list[Any] = []
        self.file: CompletedFile | None = CompletedFile(Path("/r/x.mp3"), FileFormat.MP3, 1, 1)
        self.playable = PlayableFiles(
            SimpleNamespace(file=self._file),  # type: ignore[arg-type]  # a fake
            self._fetch,
            lambda: BASE,
            need_credentials=need_credentials,
        )

    async def _file(self, *wanted: Any) -> CompletedFile | None:
        self.asked.append(wanted)
        return self.file

    async def _fetch(self, url: str) -> str:
        self.fetched.append(url)
        return "/cache/x"


@pytest.mark.parametrize("url", [OURS, f" {OURS} ", f"{OURS}/", f"{OURS}?x=1#ct=3", OURS.replace("api.", "API.")])
async def test_recording_of_ours_is_played_from_the_disk(url: str) -> None:
    world = World()
    assert await world.playable.fetch(url) == "/r/x.mp3"
    assert world.asked == [("MA1", "0f8fad5b-d9cb-469f", FileFormat.MP3)]
    assert not world.fetched


@pytest.mark.parametrize(
    "url",
    [
        OURS.replace("https", "http"),
        OURS.replace("api.example", "api.example:8080"),
        OURS.replace("api.example", "evil@api.example"),
        OURS.replace("/ringback", ""),
        OURS.replace("mp3", "ogg"),
        OURS.replace("MA1", "../MA1"),
        "https://[",
        "no url",
    ],
)
async def test_everything_else_goes_to_the_network(url: str) -> None:
    world = World()
    assert await world.playable.fetch(url) == "/cache/x"
    assert world.fetched == [url]


async def test_recording_that_does_not_exist_is_an_error() -> None:
    world = World()
    world.file = None
    with pytest.raises(EgressError, match="does not exist"):
        await world.playable.fetch(OURS)


async def test_nothing_is_played_from_the_disk_when_files_need_credentials() -> None:
    world = World(need_credentials=True)
    assert await world.playable.fetch(OURS) == "/cache/x"
