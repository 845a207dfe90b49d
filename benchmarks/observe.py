"""One measured window of a load: audio, round trips, and who used how much CPU."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmarks.callers import Evidence, Load, Window, percentile
from benchmarks.processes import CpuReading, CpuUse, Roles

LATENESS_LIMIT_MS = 5.0
"""With a p99 above this the load itself is too busy to be believed."""


@dataclass(frozen=True)
class Observation:
    """What a window showed."""

    calls: int
    evidence: tuple[Evidence, ...]
    worst_share: float
    use: CpuUse
    window: Window
    roles: Roles

    @cached_property
    def good_calls(self) -> int:
        """Return how many calls had good audio. Ask when the load is over: reading tones would hold it up."""
        return sum(each.is_good() for each in self.evidence)

    @property
    def server_per_call(self) -> float:
        """Return the server's share of a core per call, in per cent."""
        return self.use.of(self.roles.server) / self.calls

    @property
    def workers_per_call(self) -> float:
        """Return the media workers' share of a core per call, in per cent."""
        return self.use.of(*self.roles.workers) / self.calls

    @property
    def per_call(self) -> float:
        """Return server and media together: the budget."""
        return self.server_per_call + self.workers_per_call

    @property
    def is_reliable(self) -> bool:
        """Return whether the load kept time."""
        return self.window.lateness_p99_ms() <= LATENESS_LIMIT_MS

    def round_trip_ms(self, percent: float) -> float:
        """Return a percentile of the round trips of all frames."""
        return percentile(self.window.round_trips_ns, percent) / 1e6


async def observe(load: Load, roles: Roles, seconds: float) -> Observation:
    """Measure one window."""
    before = CpuReading.take(roles.all())
    window = await load.measure(seconds)
    use = CpuUse.between(before, CpuReading.take(roles.all()))
    return Observation(len(load.callers), load.evidence(), load.worst_share(), use, window, roles)


def cpu_cells(observation: Observation) -> tuple[str, ...]:
    """Return the CPU columns of a table, as `CPU_COLUMNS` names them."""
    use, roles, calls = observation.use, observation.roles, observation.calls
    workers = " + ".join(f"{use.of(pid) / calls:.3f}" for pid in roles.workers)
    return (
        f"{observation.per_call:.3f}",
        f"{observation.server_per_call:.3f}",
        workers,
        f"{use.of(*roles.agents) / calls:.3f}",
        f"{use.of(roles.generator) / calls:.3f}",
        f"{use.foreign:.1f}",
        f"{use.interrupts:.1f}",
        f"{use.stolen:.1f}",
    )


CPU_COLUMNS = (
    "media + server, %/call",
    "server",
    "each worker",
    "agent",
    "generator",
    "foreign CPU, % of a core",
    "interrupts",
    "stolen",
)
