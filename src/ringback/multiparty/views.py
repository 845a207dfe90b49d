"""Multiparty calls as the API shows them; times are `wall_ms`, `None` where there is none yet."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.calls.views import MakeCall
from ringback.ids import CallUuid
from ringback.multiparty.spec import NO_SOUND, MultipartySpec, Sound
from ringback.multiparty.state import Cause, State
from ringback.rooms.facts import Status


@dataclass(frozen=True, slots=True)
class ParticipantView:
    """One participant, there or gone."""

    member_id: str
    mpc_uuid: str
    call_uuid: str
    address: str
    role: str
    is_muted: bool
    is_held: bool
    is_coach: bool
    starts_on_enter: bool
    ends_on_exit: bool
    joined_wall_ms: int
    exited_wall_ms: int | None = None
    exit_cause: str = ""


@dataclass(frozen=True, slots=True)
class MultipartyView:
    """One multiparty call, live or ended."""

    mpc_uuid: str
    name: str
    state: State
    created_wall_ms: int
    stays_alone: bool
    started_wall_ms: int | None = None
    ended_wall_ms: int | None = None
    cause: Cause | None = None
    participants: tuple[ParticipantView, ...] = ()
    recording: Status = Status.NONE


@dataclass(frozen=True, slots=True)
class Between:
    """Bounds of a time, both included; `None` is none."""

    first_wall_ms: int | None = None
    last_wall_ms: int | None = None

    def has(self, wall_ms: int | None) -> bool:
        """Return whether a time is within; no time is within no bounds alone."""
        if wall_ms is None:
            return self.first_wall_ms is None and self.last_wall_ms is None
        return (self.first_wall_ms is None or wall_ms >= self.first_wall_ms) and (
            self.last_wall_ms is None or wall_ms <= self.last_wall_ms
        )


@dataclass(frozen=True, slots=True)
class MultipartyFilters:
    """Which multiparty calls are wanted; `None` and empty mean any."""

    name: str = ""
    state: State | None = None
    cause_code: int | None = None
    created: Between = Between()
    ended: Between = Between()

    def has(self, view: MultipartyView) -> bool:
        """Return whether a multiparty call is wanted."""
        return (
            (not self.name or view.name == self.name)
            and (self.state is None or view.state is self.state)
            and (self.cause_code is None or (view.cause is not None and view.cause.code == self.cause_code))
            and self.created.has(view.created_wall_ms)
            and self.ended.has(view.ended_wall_ms)
        )


@dataclass(frozen=True, slots=True)
class AddParticipant:
    """Who shall be added: a call that is in progress, or calls to be made of which the first to be answered is."""

    spec: MultipartySpec
    call_uuid: CallUuid | None = None
    calls: tuple[MakeCall, ...] = ()
    """Their answer URLs are not used."""
    delays_s: tuple[int, ...] = ()
    """How long to wait before each is made; the last one counts for those that have none."""
    confirm_key: str = ""
    """The key that whoever answers must press to be added."""
    confirm_sound: Sound = NO_SOUND
    dial_music: Sound = NO_SOUND
    """What those who wait hear meanwhile: `spec.RINGING`, or a document."""
    may_be_first: bool = True
    """Whether it may enter where nobody is (any more)."""

    def delay_s(self, index: int) -> int:
        """Return how long to wait before a call is made."""
        return self.delays_s[min(index, len(self.delays_s) - 1)] if self.delays_s else 0


class Track(Enum):
    """What is recorded of one participant; the value is `record_track_type` on the wire."""

    PARTICIPANT = "participant"
    """What it says."""
    ALL = "all"
    """What it says and, in a channel of its own, what it hears."""
    BOTH = "both"


@dataclass(frozen=True, slots=True)
class AddedCall:
    """A call that is to become a participant."""

    to: str
    from_number: str
    call_uuid: CallUuid
