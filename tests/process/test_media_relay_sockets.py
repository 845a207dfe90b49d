"""`worker.relay`: rooms whose members live in several workers, on real sockets in one folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringback.errors import ConfigError
from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.room import Member, Room
from ringback.media.worker.pacer import Paced
from ringback.media.worker.relay import SUFFIX, RelayHub

FRAME = PCMU.encode(b"\x00\x10" * 160)


class Worker:
    """A hub, its rooms, and what it wants to be paced."""

    def __init__(self, folder: Path, name: str) -> None:
        self.paced: list[Paced] = []
        self.hub = RelayHub(folder, name, self.paced.append, self.paced.remove)
        self.rooms: dict[str, Room] = {}

    def join(self, key: str, room_id: str = "r") -> Member:
        is_new = room_id not in self.rooms
        room = self.rooms.setdefault(room_id, Room(room_id))
        member = room.join(key, PCMU, relays_digits=True)
        if is_new:
            self.hub.room_opened(room)
        return member

    def leave(self, member: Member, room_id: str = "r") -> None:
        room = self.rooms[room_id]
        room.leave(member)
        if not len(room):
            del self.rooms[room_id]
            self.hub.room_closed(room)

    def tick(self) -> None:
        for paced in self.paced:
            paced.tick(Instant(0))
        for paced in self.paced:
            paced.send()


async def settle() -> None:
    """Return when what was sent has been read: the kernel has it at once, the loop looks in each turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


@pytest.fixture
async def workers(tmp_path: Path) -> AsyncIterator[tuple[Worker, Worker]]:
    made = (Worker(tmp_path, "media-0"), Worker(tmp_path, "media-1"))
    yield made
    for worker in made:
        worker.hub.close()
    assert names(tmp_path) == []


async def met(workers: tuple[Worker, Worker]) -> tuple[Member, Member]:
    a, b = workers[0].join("a"), workers[1].join("b")
    await settle()
    assert [len(worker.paced) for worker in workers] == [1, 1]
    return a, b


async def test_members_of_two_workers_find_and_hear_each_other(workers: tuple[Worker, Worker]) -> None:
    a, b = await met(workers)
    for _ in range(2):
        a.push(FRAME)
        for worker in workers:
            worker.tick()
        await settle()
        heard = b.hear()
        assert a.hear() is None
    assert heard == PCMU.decode(FRAME)


async def test_rooms_of_one_worker_are_not_relayed(workers: tuple[Worker, Worker]) -> None:
    workers[0].join("a")
    workers[0].join("c")
    workers[1].join("b", "another")
    await settle()
    assert [worker.paced for worker in workers] == [[], []]


async def test_the_last_one_who_leaves_ends_the_relay(workers: tuple[Worker, Worker]) -> None:
    _, b = await met(workers)
    workers[1].leave(b)
    await settle()
    assert [worker.paced for worker in workers] == [[], []]
    assert [member.key for member in workers[0].rooms["r"].members] == ["a"]


async def test_keys_go_once_to_everyone_else(workers: tuple[Worker, Worker]) -> None:
    a, b = await met(workers)
    c = workers[1].join("c")
    heard: list[tuple[str, str]] = []
    for name, member in (("a", a), ("b", b), ("c", c)):
        member.on_digit = lambda digit, name=name: heard.append((name, digit))  # type: ignore[misc]  # bound per member
    a.push_digit("5")
    await settle()
    assert heard == [("b", "5"), ("c", "5")]


async def test_a_silent_worker_is_forgotten(workers: tuple[Worker, Worker]) -> None:
    await met(workers)
    (relayed,) = workers[0].hub._relayed.values()
    relayed.remove_silent(Instant(0))
    assert relayed.workers == ("media-1",)
    relayed.remove_silent(Instant(1 << 62))
    assert relayed.workers == ()


async def test_a_fault_of_the_relay_costs_nobody_else(workers: tuple[Worker, Worker]) -> None:
    await met(workers)
    (relayed,) = workers[0].hub._relayed.values()

    def break_it() -> None:
        raise KeyError("what cannot be")

    relayed._tell = break_it  # type: ignore[method-assign]  # a fault of ours
    workers[0].tick()
    assert workers[0].paced == []
    assert len(workers[0].rooms["r"]) == 1


async def test_rubbish_on_the_socket_is_ignored(workers: tuple[Worker, Worker]) -> None:
    await met(workers)
    sender = workers[0].hub._socket
    assert sender is not None
    sender.sendto(b"\xffrubbish", workers[0].hub._path("media-1"))
    await settle()
    assert len(workers[1].paced) == 1


async def test_a_worker_leaves_the_socket_of_its_successor_alone(tmp_path: Path) -> None:
    old = Worker(tmp_path, "media-0")
    new = Worker(tmp_path, "media-0")
    old.hub.close()
    assert names(tmp_path) == [f"media-0{SUFFIX}"]
    new.hub.close()
    assert names(tmp_path) == []


async def test_a_missing_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot listen"):
        Worker(tmp_path / "missing", "media-0")


async def test_without_a_folder_nobody_is_known() -> None:
    paced: list[Paced] = []
    hub = RelayHub(None, "", paced.append, paced.remove)
    room = Room("r")
    room.join("a", PCMU)
    hub.room_opened(room)
    hub.room_closed(room)
    hub.close()
    assert paced == []
