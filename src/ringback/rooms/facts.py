"""Values that rooms of calls share. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

BEEPS = ("beep:1", "beep:2")
"""Sounds that need no URL: as many beeps."""


class Status(Enum):
    """Whether a room is recorded; the value is `recording` of a multiparty call on the wire."""

    NONE = "not-recording"
    RUNNING = "recording"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class RecordingFacts:
    """A room's recording, which may still run."""

    recording_id: str
    url: str
