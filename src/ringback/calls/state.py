"""The call's states as one table; `CallStatus` on the wire is a column of it.

Spec: wire spec 4.7 (live status), 5.2 and 5.3 (CallStatus in callbacks).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple


class State(Enum):
    """Where a call is in its life."""

    QUEUED = "queued"
    """Outbound: stored, waits for its turn."""
    DIALLING = "dialling"
    """Outbound: the INVITE is out, nothing heard yet."""
    RINGING = "ringing"
    """Inbound before the answer; outbound once the far party rings."""
    IN_PROGRESS = "in-progress"
    """Answered."""
    ENDED = "ended"
    """The leg is gone and the CDR is written."""


class Trigger(Enum):
    """What moves a call."""

    DIAL = "dial"
    RING = "ring"
    ANSWER = "answer"
    END = "end"


class Next(NamedTuple):
    """The outcome of a transition."""

    state: State


TABLE: Mapping[tuple[State, Trigger], Next] = MappingProxyType(
    {
        (State.QUEUED, Trigger.DIAL): Next(State.DIALLING),
        (State.QUEUED, Trigger.END): Next(State.ENDED),
        (State.DIALLING, Trigger.RING): Next(State.RINGING),
        (State.DIALLING, Trigger.ANSWER): Next(State.IN_PROGRESS),
        (State.DIALLING, Trigger.END): Next(State.ENDED),
        (State.RINGING, Trigger.ANSWER): Next(State.IN_PROGRESS),
        (State.RINGING, Trigger.END): Next(State.ENDED),
        (State.IN_PROGRESS, Trigger.END): Next(State.ENDED),
    }
)

IGNORED: Mapping[tuple[State, Trigger], str] = MappingProxyType(
    {
        (State.QUEUED, Trigger.RING): "there is no leg yet",
        (State.QUEUED, Trigger.ANSWER): "there is no leg yet",
        (State.DIALLING, Trigger.DIAL): "a call is dialled once",
        (State.RINGING, Trigger.DIAL): "a call is dialled once",
        (State.IN_PROGRESS, Trigger.DIAL): "a call is dialled once",
        (State.ENDED, Trigger.DIAL): "the end overtook it",
        (State.RINGING, Trigger.RING): "a phone may ring several times: 180 after 183, forks",
        (State.IN_PROGRESS, Trigger.RING): "a late 180 of a losing fork",
        (State.IN_PROGRESS, Trigger.ANSWER): "a repeated 2xx",
        (State.ENDED, Trigger.RING): "the end overtook it",
        (State.ENDED, Trigger.ANSWER): "the end overtook it: CANCEL and 200 crossed",
        (State.ENDED, Trigger.END): "the first reason stands",
    }
)

STATUS: Mapping[State, str] = MappingProxyType(
    {
        State.QUEUED: "queued",
        State.DIALLING: "queued",
        State.RINGING: "ringing",
        State.IN_PROGRESS: "in-progress",
        State.ENDED: "completed",
    }
)
"""`CallStatus` of each state; the status of an ended call that was never answered comes with its `Hangup`."""


def advance(state: State, trigger: Trigger) -> State | None:
    """Return the next state, or `None` when the trigger is ignored in `state`."""
    found = TABLE.get((state, trigger))
    return found.state if found else None
