"""CPU and memory of the processes under test, of this process, and of everything else on the machine."""

from __future__ import annotations

import json
import os
import platform as python_platform
import re
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from ringback.testing.platform import Platform

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class Roles:
    """Which process does what."""

    server: int
    workers: tuple[int, ...]
    agents: tuple[int, ...]
    generator: int

    @staticmethod
    def of(platform: Platform, *further_agents: int) -> Roles:
        """Return the roles of a platform's processes and of this one, which makes the load."""
        agent = int(json.loads((platform.folder / "run.json").read_text())["agent_pid"])
        workers = tuple(sorted(platform.worker_pids()))
        return Roles(platform.process.pid, workers, (agent, *further_agents), os.getpid())

    def all(self) -> tuple[int, ...]:
        """Return every process of the measurement."""
        return (self.server, *self.workers, *self.agents, self.generator)


@dataclass(frozen=True, slots=True)
class CpuReading:
    """CPU seconds so far."""

    at: float
    by_pid: Mapping[int, float]
    machine: float
    """All processes of the machine, without interrupts."""
    interrupts: float
    stolen: float

    @staticmethod
    def take(pids: tuple[int, ...]) -> CpuReading:
        """Read the counters of these processes and of the machine."""
        user, nice, system, _, _, hard, soft, stolen = map(
            int, Path("/proc/stat").read_text().split("\n")[0].split()[1:9]
        )
        return CpuReading(
            at=time.monotonic(),
            by_pid={pid: _cpu_seconds(pid) for pid in pids},
            machine=(user + nice + system) / _TICKS_PER_S,
            interrupts=(hard + soft) / _TICKS_PER_S,
            stolen=stolen / _TICKS_PER_S,
        )


@dataclass(frozen=True, slots=True)
class CpuUse:
    """Per cent of a core between two readings."""

    by_pid: Mapping[int, float]
    foreign: float
    """Used by processes that do not belong to the measurement."""
    interrupts: float
    """Spent in interrupts, which the kernel books on no process."""
    stolen: float
    """Taken by the host of a virtual machine."""

    @staticmethod
    def between(first: CpuReading, last: CpuReading) -> CpuUse:
        """Return what was used from `first` to `last`."""
        share = 100 / (last.at - first.at)
        by_pid = {pid: (seconds - first.by_pid[pid]) * share for pid, seconds in last.by_pid.items()}
        return CpuUse(
            by_pid=by_pid,
            foreign=max((last.machine - first.machine) * share - sum(by_pid.values()), 0.0),
            interrupts=(last.interrupts - first.interrupts) * share,
            stolen=(last.stolen - first.stolen) * share,
        )

    def of(self, *pids: int) -> float:
        """Return the sum over these processes."""
        return sum(self.by_pid[pid] for pid in pids)


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MB (1,000,000 bytes)."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES / 1e6


def describe_machine() -> dict[str, str]:
    """Return what a reader needs to judge the figures; nothing that names this machine."""
    cpu = Path("/proc/cpuinfo").read_text()
    model = re.search(r"^model name\s*:\s*(.+)$", cpu, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    virtual = ", virtual" if re.search(r"^flags\s*:.*\bhypervisor\b", cpu, re.MULTILINE) else ""
    return {
        "cpu": (model[1].strip() if model else python_platform.machine()) + virtual,
        "cores": str(os.cpu_count()),
        "memory": f"{int(memory[1]) / 1e6:.0f} GB" if memory else "unknown",
        "python": f"{python_platform.python_implementation()} {python_platform.python_version()}",
        "kernel": f"{python_platform.system()} {python_platform.release()}",
    }


@contextmanager
def stopped(pids: tuple[int, ...]) -> Iterator[None]:
    """Keep these processes stopped for the time of the block."""
    try:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


def _cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
