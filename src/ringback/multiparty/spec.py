"""What `<MultiPartyCall>` asks for: plain values.

Spec: wire spec 6.12.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

NAME_MAX_CHARS = 128
DURATION_MIN_S = 300
DURATION_MAX_S = 28_800
DURATION_S = 14_400
PARTICIPANTS_MIN = 2
PARTICIPANTS_MAX = 10
RECORD_MIN = range(1, 3)
"""Participants from whom on a document may want it recorded."""


class Role(Enum):
    """What a participant is; the value is the spelling of the wire."""

    AGENT = "agent"
    CUSTOMER = "customer"
    SUPERVISOR = "supervisor"


class EventGroup(Enum):
    """Groups of status callbacks; the value is the word in `statusCallbackEvents`."""

    STATE = "mpc-state-changes"
    PARTICIPANT = "participant-state-changes"
    SPEAK = "participant-speak-events"
    DIGITS = "participant-digit-input-events"
    ADD = "add-participant-api-events"


EVENT_GROUPS = (EventGroup.STATE, EventGroup.PARTICIPANT)
"""What is told when the document names no groups."""


@dataclass(frozen=True, slots=True)
class Sound:
    """A beep, or a document of sounds and the method by which it is asked for; an empty URL is silence."""

    url: str = ""
    method: str = "GET"


NO_SOUND = Sound()
RINGING = Sound("real")
"""A ring-back tone, for those who wait while a participant is rung."""


@dataclass(frozen=True, slots=True)
class MultipartySpec:
    """One participant's `<MultiPartyCall>`, checked. Absent URLs are empty."""

    name: str
    role: Role
    duration_max_s: int = DURATION_S
    participants_max: int = PARTICIPANTS_MAX
    is_coach: bool = True
    """Whether a supervisor is heard by agents and supervisors alone; of no effect for other roles."""
    is_muted: bool = False
    is_held: bool = False
    starts_on_enter: bool = True
    waits_for_agent: bool = False
    """Whether the multiparty call begins only when an agent has entered, whoever else would start it."""
    ends_on_exit: bool = False
    stays_alone: bool = False
    relays_digits: bool = False
    wait_music: Sound = NO_SOUND
    agent_hold_music: Sound = NO_SOUND
    customer_hold_music: Sound = NO_SOUND
    enter_sound: Sound = Sound("beep:1")
    exit_sound: Sound = Sound("beep:2")
    status_url: str = ""
    status_method: str = "POST"
    event_groups: tuple[EventGroup, ...] = EVENT_GROUPS
    exit_url: str = ""
    exit_method: str = "POST"
    is_recorded: bool = False
    """Whether everyone is recorded, from `record_min` participants on."""
    record_min: int = 1
    records_coach: bool = True
    """Whether a supervisor who coaches is in the recording of everyone."""
    records_track: bool = False
    """Whether this participant is recorded alone."""
    record_format: str = "mp3"
    recording_url: str = ""
    recording_method: str = "POST"
    start_recording_sound: Sound = NO_SOUND
    stop_recording_sound: Sound = NO_SOUND
    wants_transcription: bool = False
    transcription_url: str = ""

    @property
    def hold_music(self) -> Sound:
        """Return what this participant hears on hold."""
        return self.customer_hold_music if self.role is Role.CUSTOMER else self.agent_hold_music
