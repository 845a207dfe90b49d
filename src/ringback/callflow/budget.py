"""How many documents one call may ask for, so that documents that lead to each other end.

Spec: wire spec 4.8 (2060); reference reliability.md section 4.
"""

from __future__ import annotations

from ringback.callflow.commands import DocumentKind
from ringback.callflow.port import FlowSettings
from ringback.machine import SECOND, Instant

_WINDOW = 60 * SECOND


class Budget:
    """Counts the documents of one call."""

    def __init__(self, settings: FlowSettings) -> None:
        self._settings = settings
        # Lists: few instants are kept, and an empty deque takes 760 bytes of every call.
        self._fetches: list[Instant] = []
        self._replacements: list[Instant] = []
        self._replacements_total = 0
        self._transfers = 0

    def take(self, now: Instant, kind: DocumentKind) -> str:
        """Count one document of `kind`; return an empty text, or which bound is passed: `loop` or `fetches`."""
        settings = self._settings
        _forget(self._fetches, now)
        _forget(self._replacements, now)
        if kind is DocumentKind.TRANSFER:
            self._transfers += 1
            if self._transfers > settings.transfers_max:
                return "loop"
        if kind in (DocumentKind.REDIRECT, DocumentKind.TRANSFER):
            self._replacements_total += 1
            self._replacements.append(now)
            if (
                len(self._replacements) > settings.replacements_per_minute
                or self._replacements_total > settings.replacements_max
            ):
                return "loop"
        self._fetches.append(now)
        return "fetches" if len(self._fetches) > settings.fetches_per_minute else ""


def _forget(times: list[Instant], now: Instant) -> None:
    while times and times[0] <= now - _WINDOW:
        times.pop(0)
