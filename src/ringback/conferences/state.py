"""The conference's states as one table.

Spec: wire spec 6.11 (`startConferenceOnEnter`, `endConferenceOnExit`, `timeLimit`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType


class State(Enum):
    """Where a conference is in its life."""

    WAITING = "waiting"
    """Nobody has entered yet who starts it: its members hear their wait sound, not each other."""
    RUNNING = "running"
    ENDED = "ended"


class Trigger(Enum):
    """What moves a conference."""

    STARTER_ENTERED = "starter-entered"
    END = "end"
    """Its last member left, one left that ends it, its time is up, or the API asks for it."""


TABLE: Mapping[tuple[State, Trigger], State] = MappingProxyType(
    {
        (State.WAITING, Trigger.STARTER_ENTERED): State.RUNNING,
        (State.WAITING, Trigger.END): State.ENDED,
        (State.RUNNING, Trigger.END): State.ENDED,
    }
)

IGNORED: Mapping[tuple[State, Trigger], str] = MappingProxyType(
    {
        (State.RUNNING, Trigger.STARTER_ENTERED): "it has started already",
        (State.ENDED, Trigger.STARTER_ENTERED): "the next member of that name enters a new conference",
        (State.ENDED, Trigger.END): "the first end stands",
    }
)
