"""The floor: the least Python that carries a call's audio, without protocol rules, jitter, pace or bounds.

RTP in, Base64 into a `media` message, WebSocket out; `playAudio` in, RTP out on a 20 ms grid. What the product takes
above this, in the same minute on the same machine, is the price of what it does.
"""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import select
import socket
import time
from collections import deque
from dataclasses import dataclass
from multiprocessing.connection import Connection

import picows
import uvloop
from pybase64 import b64decode, b64encode

from benchmarks.worker_load import FRAME_BYTES, HEADER, HOST, WARM_UP_S, Outcome, cpu_seconds, run_echo, run_sender

_SLOT_S = 0.005
_SLOTS_PER_FRAME = 4
_PHASES_OF_CALLERS = 20
_SILENCE = b"\xff" * FRAME_BYTES
_PAYLOAD = b'"payload":"'


@dataclass(frozen=True, slots=True)
class Floor:
    """What the least program took."""

    per_call: float
    """Per cent of a core."""
    round_trip_p50_ms: float
    round_trip_p99_ms: float
    good_calls: int


class _Call(picows.WSListener):
    """One socket to the caller, one WebSocket to the agent."""

    def __init__(self, caller_port: int) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind((HOST, 0))
        self.caller = (HOST, caller_port)
        self.queue: deque[bytes] = deque()
        self.sent = 0

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        self.transport = transport

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        message = frame.get_payload_as_bytes()
        start = message.index(_PAYLOAD) + len(_PAYLOAD)
        self.queue.append(b64decode(message[start : message.index(b'"', start)]))

    def forward(self, packet: bytes) -> None:
        message = b'{"event":"media","media":{"track":"inbound","payload":"%b"}}' % b64encode(packet[12:])
        self.transport.send(picows.WSMsgType.TEXT, message)

    def speak(self) -> None:
        self.sent += 1
        frame = self.queue.popleft() if self.queue else _SILENCE
        self.sock.sendto(HEADER.pack(0x80, 0, self.sent & 0xFFFF, self.sent * FRAME_BYTES, 1) + frame, self.caller)


def measure_floor(calls: int, seconds: float) -> Floor:
    """Return what so many calls take."""
    context = multiprocessing.get_context("spawn")
    echo_pipe, echo_end = context.Pipe()
    sender_pipe, sender_end = context.Pipe()
    floor_pipe, floor_end = context.Pipe()
    echo = context.Process(target=run_echo, args=(echo_end,), daemon=True)
    sender = context.Process(target=run_sender, args=(calls, seconds, _PHASES_OF_CALLERS, sender_end), daemon=True)
    echo.start()
    sender.start()
    agent_port, caller_ports = echo_pipe.recv(), sender_pipe.recv()
    floor = context.Process(target=_run, args=(agent_port, caller_ports, floor_end), daemon=True)
    floor.start()
    sender_pipe.send(floor_pipe.recv())
    time.sleep(WARM_UP_S)
    assert floor.pid is not None
    before, began = cpu_seconds(floor.pid), time.monotonic()
    time.sleep(seconds)
    share = (cpu_seconds(floor.pid) - before) / (time.monotonic() - began)
    outcome: Outcome = sender_pipe.recv()
    for process in (floor, echo, sender):
        process.terminate()
        process.join()
    return Floor(share * 100 / calls, outcome.round_trip_p50_ms, outcome.round_trip_p99_ms, outcome.good_calls)


def _run(agent_port: int, caller_ports: list[int], pipe: Connection) -> None:
    uvloop.run(_serve(agent_port, caller_ports, pipe))


async def _serve(agent_port: int, caller_ports: list[int], pipe: Connection) -> None:
    calls = [_Call(port) for port in caller_ports]
    for call in calls:
        await picows.ws_connect(lambda call=call: call, f"ws://{HOST}:{agent_port}/", use_aiofastnet=False)
    poll = select.epoll()
    by_descriptor = {call.sock.fileno(): call for call in calls}
    for descriptor in by_descriptor:
        poll.register(descriptor, select.EPOLLIN)
    pipe.send([call.sock.getsockname()[1] for call in calls])
    gc.collect()
    gc.freeze()
    loop = asyncio.get_running_loop()
    origin, slot = loop.time(), 0
    while True:
        slot += 1
        await asyncio.sleep(origin + slot * _SLOT_S - loop.time())
        arrived = [(by_descriptor[descriptor], descriptor) for descriptor, _ in poll.poll(0, len(calls))]
        packets = [(call, call.sock.recv(2_048)) for call, _ in arrived]
        for call, packet in packets:
            call.forward(packet)
        for call in calls[slot % _SLOTS_PER_FRAME :: _SLOTS_PER_FRAME]:
            call.speak()
