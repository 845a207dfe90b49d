"""What a run was asked for."""

from __future__ import annotations

from dataclasses import dataclass

ECHO_NUMBER = "15550001000"
SECOND_NUMBER = "15550003000"


@dataclass(frozen=True, slots=True)
class Options:
    """The settings of all scenarios."""

    calls: tuple[int, ...] = (25, 100, 300, 500)
    """Numbers of calls held at once, rising."""
    seconds: float = 5.0
    """Length of one window; each is measured twice."""
    workers: int = 2
    """Media workers of the platform: as many as it would start by itself."""
    base_calls: int = 100
    """Calls of the scenarios that are about one load."""
    patience_s: float = 15.0
    """How long each scenario waits for a calm machine."""
