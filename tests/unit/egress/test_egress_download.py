"""Audio files are fetched once, revalidated, and bounded."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from tests.support.http_server import ScriptedServer, SeenRequest, Writer, close, fixed, http_server

from ringback.egress.download import MediaCache, MediaKind, MediaSettings, kind_of
from ringback.egress.errors import AddressRefused, EgressFailed, FailureClass, ResponseTooLarge
from ringback.egress.http import HttpClient
from ringback.egress.policy import Mode, Policy
from ringback.egress.resolve import Resolver

WAV = b"RIFF\x24\x00\x00\x00WAVEfmt " + b"\x00" * 100
MP3 = b"ID3\x04" + b"\x01" * 100
SETTINGS = MediaSettings(fresh_ms=0)


@dataclass
class Shelf:
    """A cache and the server its files come from."""

    server: ScriptedServer
    http: HttpClient
    folder: Path
    cache: MediaCache

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []

    def reopen(self, settings: MediaSettings) -> MediaCache:
        return MediaCache(self.http, self.folder, settings)


@pytest.fixture
async def shelf(tmp_path: Path) -> AsyncIterator[Shelf]:
    async with http_server() as server:
        resolver = Resolver(Policy(Mode.DEV))
        http = HttpClient(resolver)
        folder = tmp_path / "media"
        made = Shelf(server, http, folder, MediaCache(http, folder, SETTINGS))
        yield made
        assert made.cache.running_fetches == 0
        await made.cache.close()
        assert not any(name.endswith(".part") for name in made.files())
        await http.close()
        resolver.close()


def content(path: Path) -> bytes:
    return path.read_bytes()


def is_private(path: Path) -> bool:
    return path.stat().st_mode & 0o077 == 0


async def failure(shelf: Shelf, path: str) -> EgressFailed:
    with pytest.raises(EgressFailed) as caught:
        await shelf.cache.fetch(shelf.server.url(path))
    return caught.value


@pytest.mark.parametrize(("body", "suffix"), [(WAV, ".wav"), (MP3, ".mp3"), (b"\xff\xfb\x90\x00" + b"\0" * 50, ".mp3")])
async def test_file_is_kept_under_its_content(shelf: Shelf, body: bytes, suffix: str) -> None:
    shelf.server.reply("/x", body, content_type="text/html")
    path = Path(await shelf.cache.fetch(shelf.server.url("/x#ct=1")))
    assert path.is_absolute()
    assert content(path) == body
    assert path.suffix == suffix, "the content decides, not the content type"
    assert is_private(path)
    shelf.server.reply("/y", body)
    assert await shelf.cache.fetch(shelf.server.url("/y")) == str(path), "two URLs of one file share it"
    assert len(shelf.files()) == 1


async def test_copy_is_revalidated_and_reused(shelf: Shelf) -> None:
    statuses: list[int] = []

    async def answer(request: SeenRequest, writer: Writer) -> None:
        statuses.append(304 if request.headers.get("if-none-match") else 200)
        if request.headers.get("if-none-match") == '"1"' and request.headers.get("if-modified-since") == "today":
            await fixed(status=304)(request, writer)
        else:
            await fixed(WAV, ETag='"1"', Last_Modified="today")(request, writer)

    shelf.server.on("/x", answer)
    first = await shelf.cache.fetch(shelf.server.url("/x"))
    second = await shelf.cache.fetch(shelf.server.url("/x"))
    assert first == second
    assert statuses == [200, 304]
    assert shelf.server.seen[1].headers["if-modified-since"] == "today"
    shelf.server.reply("/x", MP3)
    assert (await shelf.cache.fetch(shelf.server.url("/x"))).endswith(".mp3"), "changed content is a new file"


@pytest.mark.parametrize(
    ("control", "requests"),
    [("max-age=60", 1), ("max-age=0", 2), ("no-store", 2), ("no-cache, max-age=60", 2), ("", 1)],
)
async def test_server_says_how_long_a_copy_is_fresh(shelf: Shelf, control: str, requests: int) -> None:
    cache = shelf.reopen(MediaSettings(fresh_ms=60_000))
    shelf.server.reply("/x", WAV, Cache_Control=control)
    await cache.fetch(shelf.server.url("/x"))
    await cache.fetch(shelf.server.url("/x"))
    assert len(shelf.server.seen) == requests
    await cache.close()


async def test_copy_stands_in_when_its_server_fails(shelf: Shelf) -> None:
    shelf.server.reply("/x", WAV)
    path = await shelf.cache.fetch(shelf.server.url("/x"))
    shelf.server.reply("/x", "down", status=503)
    assert await shelf.cache.fetch(shelf.server.url("/x")) == path


async def test_copy_that_was_removed_is_fetched_again(shelf: Shelf) -> None:
    cache = shelf.reopen(MediaSettings(fresh_ms=60_000))
    shelf.server.reply("/x", WAV)
    path = await cache.fetch(shelf.server.url("/x"))
    os.unlink(path)
    assert await cache.fetch(shelf.server.url("/x")) == path
    assert content(Path(path)) == WAV
    await cache.close()


async def test_requests_at_the_same_time_share_one_fetch(shelf: Shelf) -> None:
    release = asyncio.Event()

    async def slow(request: SeenRequest, writer: Writer) -> None:
        await release.wait()
        await fixed(WAV)(request, writer)

    shelf.server.on("/x", slow)
    tasks = [asyncio.create_task(shelf.cache.fetch(shelf.server.url("/x"))) for _ in range(10)]
    await asyncio.sleep(0.05)
    tasks[0].cancel()
    release.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(outcomes[0], asyncio.CancelledError)
    assert len(set(outcomes[1:])) == 1, "a caller that hangs up does not end the fetch for the others"
    assert len(shelf.server.seen) == 1


@pytest.mark.parametrize("body", [b"", b"<html>login</html>", b"RIFF1234AVI ", b"OggS" + b"\0" * 50, b"\xff"])
async def test_what_is_no_audio_is_refused_and_not_kept(shelf: Shelf, body: bytes) -> None:
    shelf.server.reply("/x", body)
    error = await failure(shelf, "/x")
    assert error.failure is FailureClass.ENCODING
    assert shelf.files() == []
    assert len(shelf.server.seen) == 1, "the same file would come again"


async def test_largest_file_passes_and_one_byte_more_is_refused(shelf: Shelf) -> None:
    size = 600_000
    cache = shelf.reopen(replace(SETTINGS, file_max_bytes=size))
    shelf.server.reply("/fits", WAV.ljust(size, b"\0"))
    shelf.server.reply("/over", WAV.ljust(size + 1, b"\0"))
    assert len(content(Path(await cache.fetch(shelf.server.url("/fits"))))) == size
    with pytest.raises(ResponseTooLarge):
        await cache.fetch(shelf.server.url("/over"))
    assert len(shelf.files()) == 1
    await cache.close()


async def test_any_failure_is_tried_once_more(shelf: Shelf) -> None:
    for path, bad in [("/a", fixed("x", 500)), ("/b", fixed("x", 404)), ("/c", close)]:
        shelf.server.replies(path, bad, fixed(WAV))
        assert (await shelf.cache.fetch(shelf.server.url(path))).endswith(".wav")
    shelf.server.reply("/gone", "x", status=404)
    await failure(shelf, "/gone")
    assert [seen.path for seen in shelf.server.seen].count("/gone") == 2


async def test_a_disk_that_is_full_at_the_last_moment_is_told_and_nothing_is_left(
    shelf: Shelf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_paths: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    shelf.server.reply("/x", WAV)
    with monkeypatch.context() as patch:
        patch.setattr("ringback.egress.download.os.replace", refuse)
        error = await failure(shelf, "/x")
    assert (error.failure, "No space left" in error.message) == (FailureClass.BROKEN, True)
    assert shelf.files() == []


async def test_forbidden_address_is_refused(shelf: Shelf) -> None:
    with pytest.raises(AddressRefused):
        await shelf.cache.fetch("https://10.0.0.1/x.wav")


async def test_folder_stays_within_its_bound_oldest_first(shelf: Shelf) -> None:
    cache = shelf.reopen(replace(SETTINGS, total_max_bytes=3_000))
    paths = []
    for number in range(4):
        shelf.server.reply(f"/{number}", WAV.ljust(1_000, bytes([number + 1])))
        path = Path(await cache.fetch(shelf.server.url(f"/{number}")))
        os.utime(path, (number, number))
        paths.append(path)
    assert [path.exists() for path in paths] == [False, True, True, True]
    shelf.server.reply("/huge", WAV.ljust(5_000, b"\7"))
    huge = Path(await cache.fetch(shelf.server.url("/huge")))
    assert shelf.files() == [huge.name], "the newest file stays, whatever its size"
    await cache.close()


async def test_remembered_urls_are_bounded(shelf: Shelf) -> None:
    cache = shelf.reopen(MediaSettings(fresh_ms=60_000, urls_max=2))
    shelf.server.reply("/x", WAV)
    for query in ("a", "b", "c", "b", "a"):
        await cache.fetch(shelf.server.url(f"/x?{query}"))
    assert len(shelf.server.seen) == 4, "only the URL that was forgotten is asked again"
    await cache.close()


async def test_closing_gives_up_running_fetches(shelf: Shelf) -> None:
    async def never(request: SeenRequest, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + WAV.ljust(500_000, b"\0"))
        await asyncio.Event().wait()

    shelf.server.on("/x", never)
    cache = shelf.reopen(SETTINGS)
    task = asyncio.create_task(cache.fetch(shelf.server.url("/x")))
    await asyncio.sleep(0.1)
    await cache.close()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cache.running_fetches == 0


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (WAV[:12], MediaKind.WAV),
        (b"ID3", MediaKind.MP3),
        (b"\xff\xfb", MediaKind.MP3),
        (b"\xff\xf3", MediaKind.MP3),
        (b"\xff\xfd", None),
        (b"\xff\xff", None),
        (b"RIFF", None),
        (b"", None),
    ],
)
def test_kind_is_read_from_the_first_bytes(start: bytes, kind: MediaKind | None) -> None:
    assert kind_of(start) is kind


async def test_what_a_killed_server_had_begun_is_removed(shelf: Shelf) -> None:
    shelf.folder.mkdir()
    for name in ("incoming-x1.part", "kept.wav"):
        (shelf.folder / name).write_bytes(WAV)
    later = shelf.reopen(SETTINGS)
    await later.close()
    assert shelf.files() == ["kept.wav"]
