"""Live conferences as they are held: who sits in which, with which call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringback.calls.live import LiveCall
from ringback.conferences.machine import ConferenceMachine, Member
from ringback.conferences.views import ConferenceView, MemberView
from ringback.errors import NotFound
from ringback.ids import AccountId
from ringback.machine import SECOND, Instant
from ringback.rooms.ports import Prompt
from ringback.rooms.recording import RoomRecording

EVERYONE = "all"
"""Stands for all members in the API."""

OnLeft = Callable[[Mapping[str, str]], None]
"""Told that a member is out, with the parameters of its action URL."""


@dataclass(slots=True, eq=False)
class Seat:
    """A member and its call."""

    member: Member
    call: LiveCall
    conference: Conference
    on_left: OnLeft
    music: Prompt | None = None
    signals: list[Prompt] = field(default_factory=list)
    """Enter and exit sounds; the last few may still play."""
    reports: int = 0


@dataclass(slots=True, eq=False)
class Conference:
    """One live conference."""

    account_id: AccountId
    name: str
    conference_uuid: str
    began: Instant
    machine: ConferenceMachine
    recording: RoomRecording
    seats: dict[str, Seat] = field(default_factory=dict)
    time_limit: asyncio.TimerHandle | None = None

    def named(self, members: str) -> list[Seat]:
        """Return the seats of one member id, of several with commas between them, or of `all`.

        Raises:
            NotFound: none of them is here.
        """
        if members == EVERYONE:
            return list(self.seats.values())
        wanted = dict.fromkeys(part.strip() for part in members.split(","))
        seats = [seat for member_id in wanted if (seat := self.seats.get(member_id)) is not None]
        if not seats:
            raise NotFound("member not found")
        return seats

    def view(self, now: Instant) -> ConferenceView:
        """Return the conference as the API shows it."""
        age_s = (now - self.began) // SECOND
        return ConferenceView(self.name, age_s, tuple(_view(seat, now) for seat in self.seats.values()))


def _view(seat: Seat, now: Instant) -> MemberView:
    terms = seat.call.terms
    return MemberView(
        member_id=seat.member.member_id,
        call_uuid=seat.call.call_uuid,
        from_number=terms.from_number,
        to_number=terms.to_number,
        caller_name=terms.caller_name,
        direction=terms.direction.value,
        is_muted=seat.member.is_muted,
        is_deaf=seat.member.is_deaf,
        age_s=(now - seat.member.entered) // SECOND,
    )
