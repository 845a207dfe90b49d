"""What `<Conference>` asks for: plain values.

Spec: wire spec 6.11.
"""

from __future__ import annotations

from dataclasses import dataclass

MEMBERS_MAX = 20
TIME_LIMIT_S = 86_400
NAME_MAX_CHARS = 128


@dataclass(frozen=True, slots=True)
class ConferenceSpec:
    """One member's `<Conference>`, checked. Absent URLs, sounds and patterns are empty."""

    name: str
    is_muted: bool = False
    enter_sound: str = ""
    """`beep:1`, `beep:2`, or the URL of a document of sounds."""
    exit_sound: str = ""
    starts_on_enter: bool = True
    ends_on_exit: bool = False
    stays_alone: bool = True
    wait_sound: str = ""
    """URL of a document of sounds for a member that waits for the start or is alone."""
    members_max: int = MEMBERS_MAX
    time_limit_s: int = TIME_LIMIT_S
    leaves_on_star: bool = False
    is_recorded: bool = False
    record_format: str = "mp3"
    wants_transcription: bool = False
    transcription_url: str = ""
    transcription_method: str = "POST"
    records_alone: bool = True
    """Whether a member is recorded while nobody else is here."""
    send_digits: str = ""
    """Keys that are sent to this member when it enters."""
    action_url: str = ""
    action_method: str = "POST"
    is_redirecting: bool = True
    """Whether the reply to the action URL replaces the document."""
    callback_url: str = ""
    callback_method: str = "POST"
    digits_match: tuple[str, ...] = ()
    reports_floor: bool = False
    relays_digits: bool = True
