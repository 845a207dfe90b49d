"""Counts what an agent did wrong and what was dropped: each is told at most once a second, and none is forgotten.

Spec: wire spec 1.4.6 (replies to bad frames at most once a second).
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.machine import SECOND, Instant

REPORT_NS = SECOND
_REASONS_MAX = 32


@dataclass(frozen=True, slots=True)
class FaultReport:
    """Faults of one reason since its last report."""

    reason: str
    count: int
    ms: int
    """Audio lost by them."""
    detail: str


class FaultCounts:
    """State: `note` each fault; `due` about once a second and `rest` at the end give what waited."""

    __slots__ = ("_next_report", "_waiting")

    def __init__(self) -> None:
        self._next_report: dict[str, int] = {}
        self._waiting: dict[str, FaultReport] = {}

    def note(self, now: Instant, reason: str, detail: str = "", *, count: int = 1, ms: int = 0) -> FaultReport | None:
        """Return what to report now, `None` when it is too early; reasons beyond 32 are one."""
        if reason not in self._next_report and len(self._next_report) >= _REASONS_MAX:
            reason, detail = "other", reason
        before = self._waiting.pop(reason, None)
        if before is not None:
            count, ms = count + before.count, ms + before.ms
        report = FaultReport(reason, count, ms, detail)
        if now < self._next_report.get(reason, 0):
            self._waiting[reason] = report
            return None
        self._next_report[reason] = now + REPORT_NS
        return report

    def due(self, now: Instant) -> list[FaultReport]:
        """Return the reports that have waited long enough."""
        found = [report for report in self._waiting.values() if now >= self._next_report[report.reason]]
        for report in found:
            del self._waiting[report.reason]
            self._next_report[report.reason] = now + REPORT_NS
        return found

    def rest(self) -> list[FaultReport]:
        """Return everything that waits: nothing follows."""
        found = list(self._waiting.values())
        self._waiting.clear()
        return found
