"""Conferences as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class MemberView:
    """One member, now."""

    member_id: str
    call_uuid: str
    from_number: str
    to_number: str
    caller_name: str
    direction: str
    is_muted: bool
    is_deaf: bool
    age_s: int
    """Seconds since it entered."""


@dataclass(frozen=True, slots=True)
class ConferenceView:
    """One live conference, now."""

    name: str
    age_s: int
    """Seconds since its first member entered."""
    members: tuple[MemberView, ...]
