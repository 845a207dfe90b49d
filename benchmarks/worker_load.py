"""CPU per call of one media worker: raw RTP from one process, an echoing agent in another, audio checked on every call.

Run: `python benchmarks/worker_load.py --calls 100 --seconds 8`. Every frame carries its call and its number; a call
is good when at least 95 % of the frames of the window came back to it and none of another call did.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import select
import signal
import socket
import struct
import sys
import tempfile
import time
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, WSUpgradeRequest, ws_create_server

from ringback.ids import Epoch, SessionId, StreamId, new_uuid
from ringback.media.control.commands import CloseSession, OpenSession, OpenStream, SetRemote
from ringback.media.control.events import StreamOpened
from ringback.media.control.settings import PoolSettings
from ringback.media.control.values import Address, AudioFormat, Codec, Encoding, Track
from ringback.media.pool.pool import MediaPool

HEADER = struct.Struct("!BBHII")
FRAME_BYTES = 160
HOST = "127.0.0.1"
PCMU = Codec("PCMU", 0)
WARM_UP_S = 1.5
TAIL_S = 0.5


@dataclass
class Outcome:
    """What the sender saw."""

    good_calls: int
    worst_share: float
    foreign_frames: int
    round_trip_p50_ms: float
    round_trip_p99_ms: float
    lateness_p99_ms: float
    trips_ms: list[float]
    """Median round trip of each quarter of a second from the end of the warm-up on."""


def frame_of(call: int, number: int) -> bytes:
    """Return a frame that names its call and number in bytes that are never µ-law silence."""
    name = bytes((call // 100 + 1, call % 100 + 1, number // 10_000 + 1, number // 100 % 100 + 1, number % 100 + 1))
    return name * (FRAME_BYTES // 5)


def call_of(frame: bytes) -> tuple[int, int]:
    """Return the call and the number that the first bytes of a frame name; anything for other frames."""
    a, b, c, d, e = frame
    return (a - 1) * 100 + b - 1, (c - 1) * 10_000 + (d - 1) * 100 + e - 1


def run_sender(calls: int, seconds: float, phases: int, pipe: Connection) -> None:
    """Send and receive RTP of every call on a wheel of so many phases in 20 ms; reports an `Outcome`."""
    sockets = []
    for _ in range(calls):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        sock.bind((HOST, 0))
        sockets.append(sock)
    pipe.send([sock.getsockname()[1] for sock in sockets])
    remotes = [(HOST, port) for port in pipe.recv()]
    poll = select.epoll()
    by_descriptor = {sock.fileno(): index for index, sock in enumerate(sockets)}
    for sock in sockets:
        poll.register(sock.fileno(), select.EPOLLIN)
    total = int((WARM_UP_S + seconds) * 50)
    first_counted = int(WARM_UP_S * 50)
    sent_at = [[0.0] * total for _ in range(calls)]
    frames = [[frame_of(call, number) for number in range(total)] for call in range(calls)]
    returned = [0] * calls
    foreign = 0
    trips: list[float] = []
    timeline: dict[int, list[float]] = {}
    lates: list[float] = []
    last_at = [0.0] * calls
    pace = 0.02 / phases
    start = time.monotonic()
    slot = 0
    end = start + WARM_UP_S + seconds + TAIL_S
    while (now := time.monotonic()) < end:
        while slot < total * phases and now >= start + slot * pace:
            number, phase = divmod(slot, phases)
            for call in range(phase, calls, phases):
                header = HEADER.pack(0x80, 0, number & 0xFFFF, number * FRAME_BYTES, call + 1)
                sent_at[call][number] = time.monotonic()
                sockets[call].sendto(header + frames[call][number], remotes[call])
            slot += 1
        wait = start + slot * pace - time.monotonic() if slot < total * phases else 0.01
        for descriptor, _ in poll.poll(max(wait, 0.0)):
            call = by_descriptor[descriptor]
            data = sockets[call].recv(2_048)
            at = time.monotonic()
            if last_at[call]:
                lates.append(abs(at - last_at[call] - 0.02))
            last_at[call] = at
            owner, number = call_of(data[12:17])
            if owner < 0 or number < 0 or number >= total:
                continue
            if owner != call:
                foreign += 1
            elif number >= first_counted and data[12:] == frames[call][number]:
                returned[call] += 1
                trips.append(at - sent_at[call][number])
                timeline.setdefault(int((at - start - WARM_UP_S) * 4), []).append(trips[-1])
    counted = total - first_counted
    trips.sort()
    lates.sort()
    shares = [count / counted for count in returned]
    pipe.send(
        Outcome(
            good_calls=sum(share >= 0.95 for share in shares),
            worst_share=round(min(shares), 3),
            foreign_frames=foreign,
            round_trip_p50_ms=round(trips[len(trips) // 2] * 1_000, 2) if trips else 0.0,
            round_trip_p99_ms=round(trips[len(trips) * 99 // 100] * 1_000, 2) if trips else 0.0,
            trips_ms=[round(sorted(some)[len(some) // 2] * 1_000, 1) for _, some in sorted(timeline.items())],
            lateness_p99_ms=round(lates[len(lates) * 99 // 100] * 1_000, 2) if lates else 0.0,
        )
    )


class Echo(WSListener):
    """Returns the payload of every `media` message by slicing, so that the agent costs as little as possible."""

    PREFIX = b'{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"'

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type is WSMsgType.TEXT:
            text = frame.get_payload_as_bytes()
            at = text.find(b'"payload":"')
            if at >= 0:
                at += 11
                transport.send(WSMsgType.TEXT, self.PREFIX + text[at : text.index(b'"', at)] + b'"}}')
        elif frame.msg_type is WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code())
            transport.disconnect()


def run_echo(pipe: Connection) -> None:
    """Serve the echoing agent until the process is ended."""

    async def serve() -> None:
        def accept(request: WSUpgradeRequest) -> WSListener:
            return Echo()

        server = await ws_create_server(accept, HOST, 0)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    uvloop.run(serve())


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def measure(calls: int, seconds: float, phases: int, stall_s: float) -> dict[str, Any]:
    """Return the figures of one run."""
    context = multiprocessing.get_context("spawn")
    echo_pipe, echo_end = context.Pipe()
    sender_pipe, sender_end = context.Pipe()
    echo = context.Process(target=run_echo, args=(echo_end,), daemon=True)
    sender = context.Process(target=run_sender, args=(calls, seconds, phases, sender_end), daemon=True)
    echo.start()
    sender.start()
    loop = asyncio.get_running_loop()
    agent_port: int = await loop.run_in_executor(None, echo_pipe.recv)
    caller_ports: list[int] = await loop.run_in_executor(None, sender_pipe.recv)
    with tempfile.TemporaryDirectory() as folder:
        pool = MediaPool(
            PoolSettings(
                runtime_dir=folder,
                workers=1,
                rtp_port_low=40_000,
                rtp_port_high=49_999,
            ),
            Epoch(1),
        )
        await pool.start()
        try:
            pid = pool.workers()[0].pid
            idle_bytes = resident_bytes(pid)
            locals_, sessions = await open_calls(pool, caller_ports, agent_port)
            sender_pipe.send(locals_)
            await asyncio.sleep(WARM_UP_S)
            cpu_before, at = cpu_seconds(pid), time.monotonic()
            own_before = time.process_time()
            if stall_s:
                await asyncio.sleep(seconds / 3)
                os.kill(pid, signal.SIGSTOP)
                await asyncio.sleep(stall_s)
                os.kill(pid, signal.SIGCONT)
                await asyncio.sleep(seconds * 2 / 3 - stall_s)
            else:
                await asyncio.sleep(seconds)
            elapsed = time.monotonic() - at
            worker_share = (cpu_seconds(pid) - cpu_before) / elapsed
            server_share = (time.process_time() - own_before) / elapsed
            outcome: Outcome = await loop.run_in_executor(None, sender_pipe.recv)
            stats = pool.workers()[0].stats
            full_bytes = resident_bytes(pid)
            for session_id in sessions:
                await pool.send(CloseSession(command_id=pool.new_command_id(), session_id=session_id))
        finally:
            await pool.close()
            echo.terminate()
            sender.join(5)
    return {
        "calls": calls,
        "seconds": seconds,
        "worker_percent_of_core_per_call": round(worker_share * 100 / calls, 4),
        "server_percent_of_core_per_call": round(server_share * 100 / calls, 4),
        "worker_kb_per_call": round((full_bytes - idle_bytes) / calls / 1_000, 1),
        "worker_idle_mb": round(idle_bytes / 1e6, 1),
        "tick_late_p99_us": stats.tick_late_p99_us if stats is not None else None,
        **vars(outcome),
    }


async def open_calls(pool: MediaPool, caller_ports: list[int], agent_port: int) -> tuple[list[int], list[SessionId]]:
    """Open one session and one bidirectional µ-law stream per caller; returns the worker's ports."""
    opened = 0
    all_open = asyncio.Event()

    def listen(event: object) -> None:
        nonlocal opened
        if isinstance(event, StreamOpened):
            opened += 1
            if opened == len(caller_ports):
                all_open.set()

    ports = []
    sessions = []
    for caller_port in caller_ports:
        session_id = SessionId(new_uuid())
        command = OpenSession(command_id=pool.new_command_id(), session_id=session_id, local_host=HOST)
        ports.append((await pool.open_session(command, listen)).local.port)
        sessions.append(session_id)
        await pool.send(
            SetRemote(
                command_id=pool.new_command_id(),
                session_id=session_id,
                address=Address(HOST, caller_port),
                codec=PCMU,
                receive_codecs=(PCMU,),
                dtmf_payload_type=101,
            )
        )
        await pool.send(
            OpenStream(
                command_id=pool.new_command_id(),
                session_id=session_id,
                stream_id=StreamId(new_uuid()),
                url=f"ws://{HOST}:{agent_port}/",
                headers=(),
                addresses=(Address(HOST, agent_port),),
                call_uuid=new_uuid(),
                account_id="MADEVDEVDEVDEVDEVDEV",
                track=Track.INBOUND,
                bidirectional=True,
                format=AudioFormat(Encoding.MULAW, 8_000),
            )
        )
    async with asyncio.timeout(30):
        await all_open.wait()
    return ports, sessions


def main() -> int:
    """Print one JSON object per run; fails when a call's audio was not good."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, nargs="+", default=[100, 300])
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--phases", type=int, default=20, help="instants within 20 ms at which callers send")
    parser.add_argument("--stall", type=float, default=0, help="seconds for which the worker is stopped midway")
    arguments = parser.parse_args()
    is_good = True
    for calls in arguments.calls:
        figures = uvloop.run(measure(calls, arguments.seconds, arguments.phases, arguments.stall))
        sys.stdout.write(json.dumps(figures) + "\n")
        sys.stdout.flush()
        is_good = is_good and figures["good_calls"] == calls and not figures["foreign_frames"]
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
