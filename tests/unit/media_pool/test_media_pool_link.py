"""A link to a worker: how long an answer may take."""

import asyncio
from pathlib import Path

import pytest

from ringback.ids import Epoch, Incarnation, WorkerId
from ringback.media.control.events import Attached
from ringback.media.control.settings import PoolSettings
from ringback.media.control.wire import decode_command, encode
from ringback.media.pool import link as link_module
from ringback.media.pool.link import CommandTimedOut, WorkerLink

COMMAND_MS, START_MS, ANSWER_S = 20, 5_000, 0.1


class SlowWorker:
    """A transport whose far end answers the first command late, as a worker that still loads does."""

    def __init__(self, link):
        self.link = link

    def write(self, frame):
        command = decode_command(frame[4:])
        answer = Attached(
            caused_by=command.command_id, incarnation=Incarnation("i"), epoch=Epoch(1), pid=7, first_seq=1
        )
        asyncio.get_running_loop().call_later(ANSWER_S, self.link.data_received, encode(answer))

    def abort(self):
        self.link.connection_lost(None)


@pytest.fixture
def link(monkeypatch):
    async def connected(_loop, link, _path):
        link.connection_made(SlowWorker(link))

    monkeypatch.setattr(link_module, "_create_connection", connected)
    settings = PoolSettings(runtime_dir="/run", command_timeout_ms=COMMAND_MS, connect_timeout_ms=START_MS)

    def make():
        return WorkerLink(WorkerId("media-0"), Epoch(1), settings, on_event=lambda _event: None, on_lost=lambda: None)

    return make


async def test_a_worker_that_starts_may_take_longer_to_answer_than_one_that_runs(link):
    starting, running = link(), link()
    assert await starting.connect(Path("/run/media-0.sock"), timeout_ms=START_MS) == ()
    assert starting.pid == 7
    starting.close()
    with pytest.raises(CommandTimedOut, match=f"Attach within {COMMAND_MS} ms"):
        await running.connect(Path("/run/media-0.sock"))
    running.close()
