"""One conference's rules: who waits, who hears whom, who is sent away when, and what is reported. Pure.

State: call a method for everything that happens, then take what is to be done with `poll_output` until it is `None`.
Spec: wire spec 6.11.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ringback.conferences.spec import ConferenceSpec
from ringback.conferences.state import TABLE, State, Trigger
from ringback.ids import CallUuid
from ringback.machine import Instant

_KEYS_KEPT = 32
_COMPANY = 2


class Exit(Enum):
    """Why a member is no longer in a conference."""

    STAR = "star"
    """It pressed `*`, which it may."""
    KICKED = "kicked"
    ENDED = "ended"
    """A member left whose exit ends the conference."""
    ALONE = "alone"
    """Everyone else left, and it does not stay alone."""
    TIME_LIMIT = "time-limit"
    REPLACED = "replaced"
    """Its call got another document."""
    HUNG_UP = "hung-up"
    FAILED = "failed"
    """Its audio could not be joined."""


class Report(Enum):
    """`ConferenceAction` on the wire."""

    ENTER = "enter"
    EXIT = "exit"
    DIGITS = "digits"
    FLOOR = "floor"
    RECORD = "record"


@dataclass(slots=True, eq=False)
class Member:
    """One call in a conference."""

    member_id: str
    call_uuid: CallUuid
    spec: ConferenceSpec
    entered: Instant
    is_muted: bool
    is_deaf: bool = False
    is_in_room: bool = False
    """Whether its audio is joined with the others'."""
    is_waiting: bool = False
    """Whether its wait sound plays."""
    keys: str = ""


@dataclass(frozen=True, slots=True)
class JoinAudio:
    """Let the member hear the others and be heard."""

    member: Member


@dataclass(frozen=True, slots=True)
class PartAudio:
    """Take the member's audio out."""

    member: Member


@dataclass(frozen=True, slots=True)
class SetAudio:
    """Apply the member's `is_muted` and `is_deaf`."""

    member: Member


@dataclass(frozen=True, slots=True)
class StartWaiting:
    """Play the member's wait sound until `StopWaiting`."""

    member: Member


@dataclass(frozen=True, slots=True)
class StopWaiting:
    """Stop the member's wait sound."""

    member: Member


@dataclass(frozen=True, slots=True)
class Announce:
    """Play an enter or exit sound to these members."""

    sound: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the member's callback URL."""

    member: Member
    report: Report
    digits: str = ""
    is_alone: bool = False
    """Whether the one who enters is the first, or the one who leaves the last."""


@dataclass(frozen=True, slots=True)
class Release:
    """The member is out: its document goes on, unless its call is over."""

    member: Member
    why: Exit


@dataclass(frozen=True, slots=True)
class StartRecording:
    """Record everyone from now on, as this member's document wants it, unless it is recorded already."""

    member: Member
    is_paused: bool
    """Whether it begins with a pause: nobody else is here, and a lonely member is not recorded."""


@dataclass(frozen=True, slots=True)
class PauseRecording:
    """Leave out what is said while one is alone, or record again."""

    is_paused: bool


@dataclass(frozen=True, slots=True)
class Close:
    """The conference is over; the last output."""


Output = (
    JoinAudio
    | PartAudio
    | SetAudio
    | StartWaiting
    | StopWaiting
    | Announce
    | Tell
    | Release
    | StartRecording
    | PauseRecording
    | Close
)


class ConferenceMachine:
    """One conference, from its first member to its last."""

    def __init__(self) -> None:
        self.state = State.WAITING
        self._members: dict[str, Member] = {}
        self._outputs: deque[Output] = deque()
        self._pauses_alone = False
        """Whether the recording leaves out a lonely member."""
        self._is_paused = False

    @property
    def members(self) -> tuple[Member, ...]:
        """Return everyone, in the order in which they entered."""
        return tuple(self._members.values())

    def find(self, member_id: str) -> Member | None:
        """Return a member, or `None`."""
        return self._members.get(member_id)

    def has_room_for(self, spec: ConferenceSpec) -> bool:
        """Return whether one more may enter who names its own limit."""
        return len(self._members) < spec.members_max

    def poll_output(self) -> Output | None:
        """Return what is to be done next, or `None`."""
        return self._outputs.popleft() if self._outputs else None

    def enter(self, member: Member) -> None:
        """Take a member in; the conference has room and is not over."""
        self._members[member.member_id] = member
        self._give(Tell(member, Report.ENTER, is_alone=len(self._members) == 1))
        if member.spec.starts_on_enter and self._advance(Trigger.STARTER_ENTERED):
            for other in self._members.values():
                self._join(other)
                self._record(other)
        elif self.state is State.RUNNING:
            self._join(member)
            self._record(member)
        self._arrange_waiting()
        self._arrange_recording()
        if self.state is State.RUNNING and len(self._members) > 1:
            self._announce(member.spec.enter_sound)

    def leave(self, member_id: str, why: Exit) -> None:
        """Let a member go, and with it whoever does not stay behind; unknown members are ignored."""
        member = self._members.get(member_id)
        if member is None:
            return
        self._let_go(member, why)
        if not self._members:
            self._end()
        elif member.spec.ends_on_exit:
            self.close(Exit.ENDED)
        elif len(self._members) == 1 and not (last := next(iter(self._members.values()))).spec.stays_alone:
            self._let_go(last, Exit.ALONE)
            self._end()
        else:
            self._arrange_waiting()
            self._arrange_recording()
            if self.state is State.RUNNING:
                self._announce(member.spec.exit_sound)

    def close(self, why: Exit) -> None:
        """Let everyone go."""
        for member in self.members:
            self._let_go(member, why)
        self._end()

    def press(self, member_id: str, digit: str) -> None:
        """Take a key of a member: it may leave by it, or complete what is waited for."""
        member = self._members.get(member_id)
        if member is None:
            return
        if digit == "*" and member.spec.leaves_on_star:
            self.leave(member_id, Exit.STAR)
            return
        member.keys = (member.keys + digit)[-_KEYS_KEPT:]
        # The longest pattern that ends here: `1` does not hide `11`, which is completed by a later key.
        matches = [pattern for pattern in member.spec.digits_match if member.keys.endswith(pattern)]
        if matches:
            self._give(Tell(member, Report.DIGITS, max(matches, key=len)))

    def take_floor(self, member_id: str) -> None:
        """Note that a member took the floor."""
        member = self._members.get(member_id)
        if member is not None and member.spec.reports_floor:
            self._give(Tell(member, Report.FLOOR))

    def set_audio(
        self, members: Sequence[Member], *, is_muted: bool | None = None, is_deaf: bool | None = None
    ) -> None:
        """Mute or deafen members, or undo it; `None` leaves as it is."""
        for member in members:
            member.is_muted = member.is_muted if is_muted is None else is_muted
            member.is_deaf = member.is_deaf if is_deaf is None else is_deaf
            if member.is_in_room:
                self._give(SetAudio(member))

    def _join(self, member: Member) -> None:
        member.is_in_room = True
        self._give(JoinAudio(member))

    def _record(self, member: Member) -> None:
        if member.spec.is_recorded:
            self._pauses_alone = self._pauses_alone or not member.spec.records_alone
            self._is_paused = self._pauses_alone and len(self._members) < _COMPANY
            self._give(StartRecording(member, self._is_paused))

    def record_all(self) -> None:
        """Take note that the API records: a lonely member too."""
        self._pauses_alone = False

    def _arrange_recording(self) -> None:
        if self._pauses_alone and self._is_paused is not (len(self._members) < _COMPANY):
            self._is_paused = not self._is_paused
            self._give(PauseRecording(self._is_paused))

    def _let_go(self, member: Member, why: Exit) -> None:
        del self._members[member.member_id]
        if member.is_waiting:
            member.is_waiting = False
            self._give(StopWaiting(member))
        if member.is_in_room:
            member.is_in_room = False
            self._give(PartAudio(member))
        self._give(Tell(member, Report.EXIT, is_alone=not self._members))
        self._give(Release(member, why))

    def _arrange_waiting(self) -> None:
        """Play wait sounds before the start and to whoever is alone, and to nobody else."""
        is_lonely = self.state is State.WAITING or len(self._members) == 1
        for member in self._members.values():
            waits = is_lonely and bool(member.spec.wait_sound)
            if waits is not member.is_waiting:
                member.is_waiting = waits
                self._give(StartWaiting(member) if waits else StopWaiting(member))

    def _announce(self, sound: str) -> None:
        if sound:
            self._give(Announce(sound, self.members))

    def _end(self) -> None:
        if self._advance(Trigger.END):
            self._give(Close())

    def _advance(self, trigger: Trigger) -> bool:
        following = TABLE.get((self.state, trigger))
        if following is None:
            return False
        self.state = following
        return True

    def _give(self, output: Output) -> None:
        self._outputs.append(output)
