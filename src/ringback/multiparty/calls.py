"""What is kept of multiparty calls: the live ones with their seats, and those whose end is not stored yet. No rules."""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from ringback.accounts.account import Account
from ringback.calls.live import LiveCall
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, RecordingId
from ringback.multiparty.departure import Departure
from ringback.multiparty.machine import MultipartyMachine, Participant
from ringback.multiparty.spec import EventGroup, MultipartySpec, Sound
from ringback.multiparty.state import Cause
from ringback.multiparty.store import PARTICIPANTS_MAX
from ringback.multiparty.views import MultipartyView, ParticipantView, Track
from ringback.rooms.ports import Prompt
from ringback.rooms.recording import RoomRecording

UNSTORED_MAX = 1_000
"""Ended multiparty calls that are kept for a database that refuses them; the oldest is forgotten for the next one."""
NAME_PREFIX = "name_"
UUID_PREFIX = "uuid_"


@dataclass(frozen=True, slots=True)
class StatusUrl:
    """Who is told what happens; an empty URL is nobody."""

    url: str
    method: str
    groups: tuple[EventGroup, ...]

    @classmethod
    def of(cls, spec: MultipartySpec) -> StatusUrl:
        """Return the one that a document or request names."""
        return cls(spec.status_url, spec.status_method, spec.event_groups)

    def wants(self, group: EventGroup) -> bool:
        """Return whether it is told of these events."""
        return bool(self.url) and group in self.groups


@dataclass(slots=True, eq=False)
class Seat:
    """A participant and its call."""

    participant: Participant
    call: LiveCall
    multiparty: Multiparty
    on_left: Callable[[Departure], None]
    music: Prompt | None = None
    signals: list[Prompt] = field(default_factory=list)
    """Enter and exit sounds; the last few may still play."""
    tracks: dict[Track, RecordingId] = field(default_factory=dict)
    """What is recorded of it alone; one that is over may still stand here."""

    def view(self, exited_wall_ms: int | None = None, exit_cause: str = "") -> ParticipantView:
        """Return the participant as it is now."""
        each, terms = self.participant, self.call.terms
        return ParticipantView(
            member_id=each.member_id,
            mpc_uuid=self.multiparty.mpc_uuid,
            call_uuid=each.call_uuid,
            address=terms.from_number if self.call.is_inbound else terms.to_number,
            role=each.spec.role.value,
            is_muted=each.is_muted,
            is_held=each.is_held,
            is_coach=each.coaches,
            starts_on_enter=each.spec.starts_on_enter,
            ends_on_exit=each.spec.ends_on_exit,
            joined_wall_ms=each.joined_wall_ms,
            exited_wall_ms=exited_wall_ms,
            exit_cause=exit_cause,
        )


@dataclass(slots=True, eq=False)
class Multiparty:
    """One live multiparty call; the status URL and the limit of time are those of its first participant."""

    account_id: AccountId
    name: str
    mpc_uuid: str
    created_wall_ms: int
    stays_alone: bool
    status: StatusUrl
    machine: MultipartyMachine
    recording: RoomRecording
    seats: dict[str, Seat] = field(default_factory=dict)
    gone: deque[ParticipantView] = field(default_factory=lambda: deque(maxlen=PARTICIPANTS_MAX))
    time_limit: asyncio.TimerHandle | None = None
    started_wall_ms: int | None = None
    ended_wall_ms: int | None = None
    cause: Cause | None = None
    reports: int = 0
    unstored: int = 0
    """Facts of it that are being written."""

    def duration_s(self, now_wall_ms: int) -> int:
        """Return the whole seconds since it was started, 0 before."""
        if self.started_wall_ms is None:
            return 0
        return max(0, (self.ended_wall_ms or now_wall_ms) - self.started_wall_ms) // 1000

    def status_of(self, spec: MultipartySpec) -> StatusUrl:
        """Return who is told of a participant: its own URL, else that of the first one, each with its own events."""
        return StatusUrl.of(spec) if spec.status_url else self.status

    def sound_of(self, choose: Callable[[MultipartySpec], Sound]) -> Sound:
        """Return the first sound of this kind that somebody who is here has named."""
        found = (choose(seat.participant.spec) for seat in self.seats.values())
        return next((sound for sound in found if sound.url), Sound())

    def view(self) -> MultipartyView:
        """Return it as it is now."""
        return MultipartyView(
            mpc_uuid=self.mpc_uuid,
            name=self.name,
            state=self.machine.state,
            created_wall_ms=self.created_wall_ms,
            stays_alone=self.stays_alone,
            started_wall_ms=self.started_wall_ms,
            ended_wall_ms=self.ended_wall_ms,
            cause=self.cause,
            participants=(*self.gone, *(seat.view() for seat in self.seats.values())),
            recording=self.recording.status,
        )

    def participant(self, member_id: str) -> ParticipantView | None:
        """Return one who is or was here, as it is now; `None` when so many have left since that it is not known."""
        seat = self.seats.get(member_id)
        if seat is not None:
            return seat.view()
        return next((each for each in reversed(self.gone) if each.member_id == member_id), None)

    def named(self, who: str) -> list[Seat]:
        """Return the seats that a request names: one id, a list with commas, or `all`.

        Raises:
            NotFound: none of these is here.
        """
        if who.lower() == "all":
            return list(self.seats.values())
        wanted = dict.fromkeys(part.strip() for part in who.split(","))
        seats = [seat for member_id in wanted if (seat := self.seats.get(member_id)) is not None]
        if not seats:
            raise NotFound("participant not found")
        return seats


class MultipartyCalls:
    """Every live multiparty call of the node, and those that have just ended."""

    def __init__(self) -> None:
        self.live: dict[tuple[AccountId, str], Multiparty] = {}
        self._unstored: OrderedDict[str, Multiparty] = OrderedDict()

    def end(self, multiparty: Multiparty) -> None:
        """Keep one that is over until all of it is stored."""
        del self.live[multiparty.account_id, multiparty.name]
        while len(self._unstored) >= UNSTORED_MAX:
            self._unstored.popitem(last=False)
        self._unstored[multiparty.mpc_uuid] = multiparty

    def stored(self, multiparty: Multiparty) -> None:
        """Forget one that is over once nothing of it is left to be written."""
        if not multiparty.unstored:
            self._unstored.pop(multiparty.mpc_uuid, None)

    def find(self, account: Account, mpc_id: str) -> Multiparty:
        """Return a live one.

        Raises:
            InvalidParameter: the id is none.
            NotFound: no live one of the account has it.
        """
        kind, key = split_id(mpc_id)
        for (account_id, name), each in self.live.items():
            if account_id == account.auth_id and key == (name if kind == NAME_PREFIX else each.mpc_uuid):
                return each
        raise NotFound("multiparty call not found")

    def view(self, account: Account, mpc_id: str) -> MultipartyView | None:
        """Return a live one, by its UUID also one whose end is not stored, or `None`.

        Raises:
            InvalidParameter: the id is none.
        """
        kind, key = split_id(mpc_id)
        for view in self.views(account):
            if key == view.mpc_uuid if kind == UUID_PREFIX else key == view.name and view.ended_wall_ms is None:
                return view
        return None

    def views(self, account: Account) -> Iterator[MultipartyView]:
        """Return those of the account, newest first: live ones, then those whose end is not stored."""
        for each in (*reversed(self.live.values()), *reversed(self._unstored.values())):
            if each.account_id == account.auth_id:
                yield each.view()


def split_id(mpc_id: str) -> tuple[str, str]:
    """Return prefix and key of an id of the API: `name_{friendly_name}` or `uuid_{mpc_uuid}`.

    Raises:
        InvalidParameter: it is neither.
    """
    for prefix in (NAME_PREFIX, UUID_PREFIX):
        if mpc_id.startswith(prefix) and len(mpc_id) > len(prefix):
            return prefix, mpc_id[len(prefix) :].strip()
    raise InvalidParameter("the id of a multiparty call is name_{friendly_name} or uuid_{mpc_uuid}", field="mpc_id")
