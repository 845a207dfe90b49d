"""How fast this machine is now, so that figures of different days and machines can be told apart.

Virtual machines share cores with strangers: the same work takes up to twice the CPU time while they are busy, and
what the host takes away altogether ("stolen") shows as late packets.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import socket
import time
from dataclasses import dataclass
from pathlib import Path

_LOOP_STEPS = 100_000
_DATAGRAMS = 2_000
_STOLEN_MAX = 0.05
"""Share of a core that may be stolen while both cores work for half a second."""
_BUSY_MAX = 0.10
"""Share of a core that others may use."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Costs on this machine, in CPU time."""

    loop_ms: float
    """100,000 steps of a Python loop, median of 20."""
    datagram_us: float
    """Sending and receiving one UDP datagram of 172 bytes, median of 10 batches."""

    @staticmethod
    def take() -> Calibration:
        """Measure; takes about 0.3 s."""
        return Calibration(_median([_loop_ms() for _ in range(20)]), _median([_datagram_us() for _ in range(10)]))


async def is_calm() -> bool:
    """Return whether the machine is ours: nobody else runs, and the host gives what both cores ask for."""
    context = multiprocessing.get_context("spawn")
    idle = _counters()
    await asyncio.sleep(0.5)
    at_rest = _counters()
    spinners = [context.Process(target=_spin, args=(0.5,), daemon=True) for _ in range(2)]
    for spinner in spinners:
        spinner.start()
    before = _counters()
    await asyncio.sleep(0.8)
    after = _counters()
    for spinner in spinners:
        spinner.join()
    busy = (at_rest[0] - idle[0]) / 0.5
    stolen = (after[1] - before[1]) / 0.8
    return busy <= _BUSY_MAX and stolen <= _STOLEN_MAX


def _counters() -> tuple[float, float]:
    """Return the seconds that processes have used, and those that were stolen."""
    fields = [int(text) for text in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return sum(fields[:3]) / 100, fields[7] / 100


def _spin(seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        pass


def _loop_ms() -> float:
    began = time.process_time_ns()
    total = 0
    for step in range(_LOOP_STEPS):
        total += step
    return (time.process_time_ns() - began) / 1e6


def _datagram_us() -> float:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
    ):
        receiver.bind(("127.0.0.1", 0))
        address = receiver.getsockname()
        payload = bytes(172)
        began = time.process_time_ns()
        for _ in range(_DATAGRAMS // 10):
            sender.sendto(payload, address)
            receiver.recvfrom(2_048)
        return (time.process_time_ns() - began) / 1e3 / (_DATAGRAMS // 10)


def _median(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
