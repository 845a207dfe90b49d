"""One multiparty call's rules: who waits, who hears whom, what plays, who goes when, and what is reported. Pure.

State: call a method for everything that happens, then take what is to be done with `poll_output` until it is `None`.
Spec: wire spec 6.12.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from ringback.ids import CallUuid
from ringback.multiparty.spec import NO_SOUND, RINGING, EventGroup, MultipartySpec, Role, Sound
from ringback.multiparty.state import TABLE, Audio, Cause, State, Trigger, audio_of


class Exit(Enum):
    """Why a participant is no longer in a multiparty call; the value is `exit_cause`."""

    KICKED = "Kicked Out of Multiparty Call"
    ENDED = "Multiparty Call Ended"
    REPLACED = "Participant Call Transferred"
    """Its call got another document."""
    HUNG_UP = "Participant Call Hangup"
    FAILED = "Media Failure"
    """Its audio could not be joined."""


class Report(Enum):
    """`EventName` on the wire, and the group it belongs to."""

    INITIALIZED = ("MPCInitialized", EventGroup.STATE)
    STARTED = ("MPCStart", EventGroup.STATE)
    ENDED = ("MPCEnd", EventGroup.STATE)
    JOINED = ("ParticipantJoin", EventGroup.PARTICIPANT)
    EXITED = ("ParticipantExit", EventGroup.PARTICIPANT)
    MUTED = ("ParticipantMute", EventGroup.PARTICIPANT)
    UNMUTED = ("ParticipantUnmute", EventGroup.PARTICIPANT)
    HELD = ("ParticipantHold", EventGroup.PARTICIPANT)
    UNHELD = ("ParticipantUnhold", EventGroup.PARTICIPANT)
    COACHING = ("ParticipantCoachModeStart", EventGroup.PARTICIPANT)
    NOT_COACHING = ("ParticipantCoachModeStop", EventGroup.PARTICIPANT)
    SPEAKS = ("ParticipantSpeakStart", EventGroup.SPEAK)
    IS_SILENT = ("ParticipantSpeakStop", EventGroup.SPEAK)
    DIGIT = ("ParticipantDigitInput", EventGroup.DIGITS)

    @property
    def title(self) -> str:
        """Return `EventName`."""
        return self.value[0]

    @property
    def group(self) -> EventGroup:
        """Return the group by which it is asked for."""
        return self.value[1]


@dataclass(slots=True, eq=False)
class Participant:
    """One call in a multiparty call; times are `wall_ms`."""

    member_id: str
    call_uuid: CallUuid
    spec: MultipartySpec
    joined_wall_ms: int
    is_muted: bool
    is_held: bool
    is_coach: bool
    is_in_room: bool = False
    """Whether its audio is joined with the others'."""
    sound: Sound = NO_SOUND
    """What it hears again and again: wait or hold music."""

    @property
    def audio(self) -> Audio:
        """Return who hears it and whom it hears."""
        return audio_of(self.spec.role, is_coach=self.is_coach, is_muted=self.is_muted, is_held=self.is_held)

    @property
    def coaches(self) -> bool:
        """Return whether it is a supervisor that is not heard by customers."""
        return self.spec.role is Role.SUPERVISOR and self.is_coach


@dataclass(frozen=True, slots=True)
class JoinAudio:
    """Join the participant's audio as its `audio` says."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class PartAudio:
    """Take the participant's audio out."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class SetAudio:
    """Apply the participant's `audio`."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class SetSound:
    """Play the participant's `sound` again and again in place of the last one; silence when it has no URL."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class Announce:
    """Play an enter or exit sound to these participants."""

    sound: Sound
    participants: tuple[Participant, ...]


@dataclass(frozen=True, slots=True)
class Tell:
    """Tell the participant's status URL, or that of the one who began the multiparty call."""

    participant: Participant
    report: Report
    digit: str = ""


@dataclass(frozen=True, slots=True)
class Release:
    """The participant is out."""

    participant: Participant
    why: Exit


@dataclass(frozen=True, slots=True)
class Record:
    """Record everyone from now on, as this participant's document wants it, unless somebody does."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class RecordTrack:
    """Record this participant alone, as its document wants it."""

    participant: Participant


@dataclass(frozen=True, slots=True)
class Close:
    """The multiparty call is over; the last output."""

    cause: Cause


Output = JoinAudio | PartAudio | SetAudio | SetSound | Announce | Tell | Release | Record | RecordTrack | Close


class MultipartyMachine:
    """One multiparty call, from its first participant to its last."""

    def __init__(self) -> None:
        self.state = State.INITIALIZED
        self._participants: dict[str, Participant] = {}
        self._outputs: deque[Output] = deque()
        self._was_recorded = False
        """Whether documents have had their recording: one that the API has stopped does not begin again."""
        self._dial_music = NO_SOUND

    @property
    def participants(self) -> tuple[Participant, ...]:
        """Return everyone, in the order in which they entered."""
        return tuple(self._participants.values())

    def has_room_for(self, spec: MultipartySpec) -> bool:
        """Return whether one more may enter who names its own limit."""
        return len(self._participants) < spec.participants_max

    def poll_output(self) -> Output | None:
        """Return what is to be done next, or `None`."""
        return self._outputs.popleft() if self._outputs else None

    def enter(self, participant: Participant) -> None:
        """Take a participant in; there is room and the multiparty call is not over."""
        is_first = not self._participants
        self._participants[participant.member_id] = participant
        if is_first:
            self._tell(participant, Report.INITIALIZED)
        self._tell(participant, Report.JOINED)
        if self._may_start():
            self.start(participant)
        elif self.state is State.ACTIVE:
            self._join(participant)
        if participant.spec.records_track:
            self._give(RecordTrack(participant))
        self._arrange_recording()
        self._arrange_sounds()
        if self.state is State.ACTIVE and len(self._participants) > 1:
            self._announce(participant.spec.enter_sound)

    def start(self, starter: Participant) -> None:
        """Let everyone hear the others from now on; does nothing when they do."""
        if not self._advance(Trigger.START):
            return
        self._tell(starter, Report.STARTED)
        for participant in self._participants.values():
            self._join(participant)
        self._arrange_recording()
        self._arrange_sounds()

    def dial(self, music: Sound) -> None:
        """Let those who wait hear this while somebody is rung: a ring-back tone in place of silence, a document in
        place of everything but hold music; `NO_SOUND` is the end of it.
        """
        self._dial_music = music
        self._arrange_sounds()

    def leave(self, member_id: str, why: Exit) -> None:
        """Let a participant go, and with it whoever does not stay behind; unknown ones are ignored."""
        participant = self._participants.get(member_id)
        if participant is None:
            return
        self._let_go(participant, why)
        rest = self.participants
        if not rest or participant.spec.ends_on_exit:
            self._end(Cause.EMPTY, participant)
        elif len(rest) == 1 and not rest[0].spec.stays_alone and self.state is State.ACTIVE:
            self._end(Cause.ALONE, participant)
        else:
            self._arrange_sounds()
            if self.state is State.ACTIVE:
                self._announce(participant.spec.exit_sound)

    def close(self, cause: Cause) -> None:
        """Let everyone go."""
        participants = self.participants
        if participants:
            self._end(cause, participants[-1])

    def press(self, member_id: str, digit: str) -> None:
        """Take a key of a participant."""
        participant = self._participants.get(member_id)
        if participant is not None:
            self._give(Tell(participant, Report.DIGIT, digit))

    def speak(self, member_id: str, *, is_speaking: bool) -> None:
        """Take note that a participant begins to speak, or has been silent for a while."""
        participant = self._participants.get(member_id)
        if participant is not None:
            self._tell(participant, Report.SPEAKS if is_speaking else Report.IS_SILENT)

    def set(
        self,
        participants: Sequence[Participant],
        *,
        is_muted: bool | None = None,
        is_held: bool | None = None,
        is_coach: bool | None = None,
    ) -> None:
        """Mute, hold, or let coach; `None` leaves as it is. What changes is reported, what is so already is not."""
        for each in participants:
            reports: list[Report] = []
            if is_muted is not None and each.is_muted is not is_muted:
                each.is_muted = is_muted
                reports.append(Report.MUTED if is_muted else Report.UNMUTED)
            if is_held is not None and each.is_held is not is_held:
                each.is_held = is_held
                reports.append(Report.HELD if is_held else Report.UNHELD)
            if is_coach is not None and each.is_coach is not is_coach and each.spec.role is Role.SUPERVISOR:
                each.is_coach = is_coach
                reports.append(Report.COACHING if is_coach else Report.NOT_COACHING)
            if reports and each.is_in_room:
                self._give(SetAudio(each))
            for report in reports:
                self._tell(each, report)
        self._arrange_sounds()

    def _may_start(self) -> bool:
        """Return whether somebody is here who starts it, and an agent if one is waited for."""
        specs = [each.spec for each in self._participants.values()]
        is_awaited = any(spec.waits_for_agent for spec in specs) and all(spec.role is not Role.AGENT for spec in specs)
        return self.state is State.INITIALIZED and not is_awaited and any(spec.starts_on_enter for spec in specs)

    def _join(self, participant: Participant) -> None:
        participant.is_in_room = True
        self._give(JoinAudio(participant))

    def _let_go(self, participant: Participant, why: Exit) -> None:
        del self._participants[participant.member_id]
        if participant.sound.url:
            participant.sound = NO_SOUND
            self._give(SetSound(participant))
        if participant.is_in_room:
            participant.is_in_room = False
            self._give(PartAudio(participant))
        self._tell(participant, Report.EXITED)
        self._give(Release(participant, why))

    def _arrange_recording(self) -> None:
        """Begin the recording that documents want, once enough are here."""
        if self._was_recorded or self.state is not State.ACTIVE:
            return
        for each in self._participants.values():
            if each.spec.is_recorded and len(self._participants) >= each.spec.record_min:
                self._was_recorded = True
                self._give(Record(each))
                return

    def _arrange_sounds(self) -> None:
        """Play hold music on hold, wait or dial music before the start and to whoever is alone, nothing to others."""
        is_lonely = self.state is State.INITIALIZED or len(self._participants) == 1
        for each in self._participants.values():
            spec = each.spec
            has_music = bool(spec.wait_music.url) and self._dial_music in (NO_SOUND, RINGING)
            waits = spec.wait_music if has_music else self._dial_music
            sound = spec.hold_music if each.is_held else waits if is_lonely else NO_SOUND
            if sound != each.sound:
                each.sound = sound
                self._give(SetSound(each))

    def _announce(self, sound: Sound) -> None:
        heard_by = tuple(each for each in self._participants.values() if not each.is_held)
        if sound.url:
            self._give(Announce(sound, heard_by))

    def _tell(self, participant: Participant, report: Report) -> None:
        self._give(Tell(participant, report))

    def _end(self, cause: Cause, last: Participant) -> None:
        for participant in self.participants:
            self._let_go(participant, Exit.ENDED)
        if self._advance(Trigger.END):
            self._tell(last, Report.ENDED)
            self._give(Close(cause))

    def _advance(self, trigger: Trigger) -> bool:
        following = TABLE.get((self.state, trigger))
        if following is None:
            return False
        self.state = following
        return True

    def _give(self, output: Output) -> None:
        self._outputs.append(output)
