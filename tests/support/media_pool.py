"""A media pool with real workers for tests, and what a session's owner hears from it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from ringback.ids import Epoch, PlayId, SessionId, StreamId, new_uuid
from ringback.media.control.commands import (
    CloseSession,
    CloseStream,
    OpenSession,
    OpenStream,
    Play,
    SetRemote,
)
from ringback.media.control.events import AnySessionEvent, SessionOpened
from ringback.media.control.port import WorkerGone
from ringback.media.control.settings import PoolSettings, WorkerSettings
from ringback.media.control.values import Address, AudioFormat, Codec, Encoding, Track
from ringback.media.pool.pool import MediaPool
from tests.support.ports import port_range
from tests.support.waiting import PATIENCE_S, until

EventT = TypeVar("EventT")
PCMU = Codec("PCMU", 0)


def pool_settings(folder: Path, *, workers: int = 2, worker: WorkerSettings | None = None) -> PoolSettings:
    """Return settings with ports that no other process uses, and the patience that a busy machine needs."""
    low, high = port_range()
    return PoolSettings(
        runtime_dir=str(folder),
        workers=workers,
        rtp_port_low=low,
        rtp_port_high=high,
        orphan_grace_ms=200,
        pings_missed_max=20,
        command_timeout_ms=10_000,
        worker=worker or WorkerSettings(),
    )


@asynccontextmanager
async def running_pool(settings: PoolSettings, epoch: int = 1) -> AsyncIterator[MediaPool]:
    """Run a pool; afterwards neither process nor socket may be left."""
    pool = MediaPool(settings, Epoch(epoch))
    await pool.start()
    pids = [view.pid for view in pool.workers()]
    try:
        yield pool
        pids += [view.pid for view in pool.workers()]
    finally:
        await pool.close()
    assert not [pid for pid in pids if is_alive(pid)]
    assert not [name for name in os.listdir(settings.runtime_dir) if name.endswith(".sock")]
    assert_logs_clean(settings)


def assert_logs_clean(settings: PoolSettings) -> None:
    """Fail on any ERROR line of a worker: it means a broken promise of ours."""
    for path in Path(settings.runtime_dir).glob("*.log"):
        errors = [line for line in path.read_text().splitlines() if '"error"' in line or "Traceback" in line]
        assert not errors, errors[:3]


def is_alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z" if pid else False
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_descriptors(pid: int) -> int:
    """Return how many descriptors a process holds."""
    return len(os.listdir(f"/proc/{pid}/fd"))


class TestLeg:
    """One session on the pool, its owner's commands, and every event it heard."""

    __test__ = False

    def __init__(self, pool: MediaPool) -> None:
        self.pool = pool
        self.session_id = SessionId(new_uuid())
        self.events: list[AnySessionEvent | WorkerGone] = []
        self.local = Address("127.0.0.1", 0)

    def hear(self, event: AnySessionEvent | WorkerGone) -> None:
        """Take an event; the session's listener."""
        self.events.append(event)

    def all(self, kind: type[EventT]) -> list[EventT]:
        """Return the events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def one(self, kind: type[EventT], timeout_s: float = PATIENCE_S) -> EventT:
        """Return the first event of one kind once it is there."""
        await until(lambda: self.all(kind), f"{kind.__name__} behind {self.events[-5:]}", timeout_s)
        return self.all(kind)[0]

    async def open(self, affinity: str = "") -> SessionOpened:
        """Open the session."""
        opened = await self.pool.open_session(
            OpenSession(command_id=self.pool.new_command_id(), session_id=self.session_id, local_host="127.0.0.1"),
            self.hear,
            affinity=affinity,
        )
        self.local = opened.local
        return opened

    async def connect(self, caller_port: int) -> None:
        """Point the leg at a caller on loopback."""
        await self.pool.send(
            SetRemote(
                command_id=self.pool.new_command_id(),
                session_id=self.session_id,
                address=Address("127.0.0.1", caller_port),
                codec=PCMU,
                receive_codecs=(PCMU,),
                dtmf_payload_type=101,
            )
        )

    async def stream(
        self,
        port: int,
        *,
        host: str = "127.0.0.1",
        path: str = "/agent?x=1",
        encoding: Encoding = Encoding.MULAW,
        rate_hz: int = 8_000,
        connect_timeout_ms: int = 10_000,
        connect_attempts: int = 1,
        connect_gap_ms: int = 50,
        reconnects: int = 0,
        timeout_ms: int = 60_000,
        headers: tuple[tuple[str, str], ...] = (),
        addresses: tuple[Address, ...] | None = None,
        **more: Any,
    ) -> StreamId:
        """Start a bidirectional stream to an agent on loopback."""
        stream_id = StreamId(new_uuid())
        await self.pool.send(
            OpenStream(
                command_id=self.pool.new_command_id(),
                session_id=self.session_id,
                stream_id=stream_id,
                url=f"ws://{host}:{port}{path}",
                headers=headers,
                addresses=addresses if addresses is not None else (Address("127.0.0.1", port),),
                call_uuid=new_uuid(),
                account_id="MADEVDEVDEVDEVDEVDEV",
                track=Track.INBOUND,
                bidirectional=True,
                format=AudioFormat(encoding, rate_hz),
                connect_timeout_ms=connect_timeout_ms,
                connect_attempts=connect_attempts,
                connect_gap_ms=connect_gap_ms,
                reconnects=reconnects,
                timeout_ms=timeout_ms,
                **more,
            )
        )
        return stream_id

    async def close_stream(self, stream_id: StreamId) -> None:
        """End a stream as the API does."""
        await self.pool.send(
            CloseStream(command_id=self.pool.new_command_id(), session_id=self.session_id, stream_id=stream_id)
        )

    async def play(self, path: Path, loops: int = 1) -> PlayId:
        """Play a file."""
        play_id = PlayId(new_uuid())
        await self.pool.send(
            Play(
                command_id=self.pool.new_command_id(),
                session_id=self.session_id,
                play_id=play_id,
                path=str(path),
                loops=loops,
            )
        )
        return play_id

    async def close(self) -> None:
        """Close the session."""
        await self.pool.send(CloseSession(command_id=self.pool.new_command_id(), session_id=self.session_id))
