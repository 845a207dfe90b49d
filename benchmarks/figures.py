"""What a scenario hands back: figures with their bounds, tables of everything else, remarks."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Sense(Enum):
    """Which side of a bound is good."""

    AT_MOST = "≤"
    AT_LEAST = "≥"


@dataclass(frozen=True, slots=True)
class Figure:
    """One budget of the design and what was measured; `measured` is `None` when the run did not get to it."""

    subject: str
    measured: float | None
    must: float
    goal: float | None
    unit: str
    sense: Sense = Sense.AT_MOST
    digits: int = 1

    @property
    def is_met(self) -> bool | None:
        """Return whether the bound was kept, `None` when it was not measured."""
        return self._keeps(self.must)

    @property
    def reaches_goal(self) -> bool | None:
        """Return whether the goal was reached, `None` when there is none or nothing was measured."""
        return None if self.goal is None else self._keeps(self.goal)

    def _keeps(self, bound: float) -> bool | None:
        if self.measured is None:
            return None
        # What is printed is what is judged.
        measured = round(self.measured, self.digits)
        return measured <= bound if self.sense is Sense.AT_MOST else measured >= bound


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under a heading."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(slots=True)
class Outcome:
    """The result of one scenario."""

    name: str
    figures: list[Figure] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Broken promises besides the figures: calls that were refused, audio that was wrong."""
    is_reliable: bool = True
    """Whether the load generator itself kept time."""
