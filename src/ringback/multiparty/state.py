"""The states of a multiparty call, and who hears whom in it, as tables.

Spec: wire spec 6.12 (`startMpcOnEnter`, `endMpcOnExit`, `coachMode`, `mute`, `hold`), 7.8 (causes).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType

from ringback.multiparty.spec import Role


class State(Enum):
    """Where a multiparty call is in its life; the value is `status` on the wire."""

    INITIALIZED = "Initialized"
    """Nobody has entered yet who starts it: participants hear their wait music, not each other."""
    ACTIVE = "Active"
    ENDED = "Ended"


class Trigger(Enum):
    """What moves a multiparty call."""

    START = "start"
    """A participant entered who starts it, or the API asked for it."""
    END = "end"


TABLE: Mapping[tuple[State, Trigger], State] = MappingProxyType(
    {
        (State.INITIALIZED, Trigger.START): State.ACTIVE,
        (State.INITIALIZED, Trigger.END): State.ENDED,
        (State.ACTIVE, Trigger.END): State.ENDED,
    }
)

IGNORED: Mapping[tuple[State, Trigger], str] = MappingProxyType(
    {
        (State.ACTIVE, Trigger.START): "it has started already",
        (State.ENDED, Trigger.START): "the next participant of that name enters a new one",
        (State.ENDED, Trigger.END): "the first end stands",
    }
)


class Cause(Enum):
    """Why a multiparty call ended: code and name on the wire."""

    EMPTY = (1000, "No Active Participants")
    ALONE = (1010, "Stay Alone Not Permitted")
    DURATION = (2000, "Max Duration Reached")
    API = (3000, "Hangup API Triggered")

    @property
    def code(self) -> int:
        """Return `termination_cause_code`."""
        return self.value[0]

    @property
    def title(self) -> str:
        """Return `termination_cause`."""
        return self.value[1]


@dataclass(frozen=True, slots=True)
class Voices:
    """How a participant takes part in the room, and in the side room where supervisors coach agents."""

    speaks: bool
    """Heard by everyone."""
    hears_coaching: bool
    coaches: bool
    """Heard in the side room."""


VOICES: Mapping[tuple[Role, bool], Voices] = MappingProxyType(
    {
        (Role.AGENT, False): Voices(speaks=True, hears_coaching=True, coaches=False),
        (Role.AGENT, True): Voices(speaks=True, hears_coaching=True, coaches=False),
        (Role.CUSTOMER, False): Voices(speaks=True, hears_coaching=False, coaches=False),
        (Role.CUSTOMER, True): Voices(speaks=True, hears_coaching=False, coaches=False),
        (Role.SUPERVISOR, False): Voices(speaks=True, hears_coaching=True, coaches=False),
        (Role.SUPERVISOR, True): Voices(speaks=False, hears_coaching=True, coaches=True),
    }
)
"""By role and coach mode; mute and hold take away from it."""


@dataclass(frozen=True, slots=True)
class Audio:
    """What the media worker is told of a participant."""

    is_muted: bool
    is_deaf: bool
    has_side: bool
    """Whether it is in the side room; it never changes for a participant."""
    is_side_muted: bool


def audio_of(role: Role, *, is_coach: bool, is_muted: bool, is_held: bool) -> Audio:
    """Return who hears a participant and whom it hears: on hold nobody, and nobody."""
    voices = VOICES[role, is_coach]
    is_silent = is_muted or is_held
    return Audio(
        is_muted=is_silent or not voices.speaks,
        is_deaf=is_held,
        has_side=voices.hears_coaching,
        is_side_muted=is_silent or not voices.coaches,
    )
