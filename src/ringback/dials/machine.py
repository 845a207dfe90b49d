"""One dial: who rings, who wins, what is asked, when it ends. A sans-IO machine over the tables in `state`.

Parties are named by their index in `DialSpec.destinations`. It is total: every event is accepted in every state.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.calls.hangup import Code, Hangup, HangupSource
from ringback.dials.digits import DigitPatterns
from ringback.dials.outcome import decisive
from ringback.dials.spec import REAL_RINGING, DialAction, DialOutcome, DialSpec, DialStatus
from ringback.dials.state import (
    LIVE_PARTY,
    DialState,
    DialTrigger,
    PartyState,
    PartyTrigger,
    advance_dial,
    advance_party,
)
from ringback.machine import Instant, Timers, after_ms

_STAR = "*"

# ── what happens to a dial ─────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class PartyRang:
    """A party rings; `has_early_media` says that its network sends audio already."""

    party: int
    has_early_media: bool = False


@dataclass(frozen=True, slots=True)
class PartyAnswered:
    """A party picked up."""

    party: int


@dataclass(frozen=True, slots=True)
class PartyEnded:
    """A party is gone, or could not be dialled at all."""

    party: int
    end: Hangup


@dataclass(frozen=True, slots=True)
class PartyDetached:
    """A transfer takes the joined party away."""

    party: int


@dataclass(frozen=True, slots=True)
class SoundEnded:
    """The sound of a challenge is over, or could not be played."""

    party: int


@dataclass(frozen=True, slots=True)
class MusicEnded:
    """The document of the music cannot be had or played (any more)."""


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key of a party, or of the caller when `party` is `None`."""

    digit: str
    party: int | None = None


@dataclass(frozen=True, slots=True)
class CallerGone:
    """The calling party's call has ended; `source` ended it."""

    source: HangupSource


@dataclass(frozen=True, slots=True)
class DocumentGone:
    """The document that dials was replaced: the dial ends and nobody asks for its outcome."""


Input = (
    PartyRang
    | PartyAnswered
    | PartyEnded
    | PartyDetached
    | SoundEnded
    | MusicEnded
    | KeyPressed
    | CallerGone
    | DocumentGone
)

# ── what a dial asks for ───────────────────────────────────────────────────────────────────────────────────────────


class Ringing(Enum):
    """What the caller hears while parties ring."""

    TONE = "tone"
    DOCUMENT = "document"


@dataclass(frozen=True, slots=True)
class Dial:
    """Ring a party."""

    party: int


@dataclass(frozen=True, slots=True)
class Drop:
    """End a party."""

    party: int
    code: int
    source: HangupSource


@dataclass(frozen=True, slots=True)
class StartRinging:
    """Let the caller hear that it rings; replaces what was played before."""

    kind: Ringing


@dataclass(frozen=True, slots=True)
class StopRinging:
    """End what `StartRinging` began."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Play the sound of the challenge to a party; `SoundEnded` follows."""

    party: int


@dataclass(frozen=True, slots=True)
class StopAsking:
    """End the sound of a challenge."""

    party: int


@dataclass(frozen=True, slots=True)
class Listen:
    """Let the caller hear the early media of a party that has not answered."""

    party: int


@dataclass(frozen=True, slots=True)
class Join:
    """Let caller and party hear each other."""

    party: int


@dataclass(frozen=True, slots=True)
class Part:
    """End the bridge: the caller's audio, and that of a detached party, is its own again."""

    party: int


@dataclass(frozen=True, slots=True)
class Report:
    """Tell the callback URL; `digits` and `is_by_caller` with `DialAction.DIGITS` only."""

    action: DialAction
    party: int
    digits: str = ""
    is_by_caller: bool = False


@dataclass(frozen=True, slots=True)
class Finish:
    """The dial is over; the document goes on unless the caller is gone."""

    outcome: DialOutcome


Output = Dial | Drop | StartRinging | StopRinging | Ask | StopAsking | Listen | Join | Part | Report | Finish


class DialTimer(Enum):
    """Deadlines of a dial."""

    TIME_LIMIT = "time-limit"
    """Armed when a party is joined, stopped when the bridge ends; firing ends the party with 6000."""
    CONFIRM = "confirm"
    """One a party: armed when the sound of its challenge is over, stopped by the key or its end; firing ends the party
    with 9110."""


_TimerKey = tuple[DialTimer, int]


class DialMachine:
    """One dial.

    State: `start` once, then inputs and time-outs in any order; after `is_finished` nothing comes out any more.
    """

    def __init__(self, spec: DialSpec) -> None:
        self.state = DialState.CALLING
        self.parties = [PartyState.CALLING for _ in spec.destinations]
        self.winner: int | None = None
        self._spec = spec
        self._ends: dict[int, Hangup] = {}
        self._has_rung = False
        self._is_ringing = False
        self._listened: int | None = None
        self._timers: Timers[_TimerKey] = Timers()
        self._outputs: list[Output] = []
        self._key = [DigitPatterns((spec.confirm_key,)) for _ in spec.destinations]
        self._caller_keys = DigitPatterns(spec.digits_match)
        self._party_keys = DigitPatterns(spec.digits_match_b_leg)

    @property
    def is_finished(self) -> bool:
        """Return whether the dial is over and every party is gone."""
        return self.state is DialState.OVER and all(
            state in (PartyState.ENDED, PartyState.DETACHED) for state in self.parties
        )

    def start(self, now: Instant) -> None:
        """Ring everybody."""
        if not self.parties:
            self._all_gone(now)
            return
        self._outputs += [Dial(party) for party in range(len(self.parties))]
        if self._spec.music != REAL_RINGING:
            self._start_ringing(Ringing.DOCUMENT if self._spec.music else Ringing.TONE)

    def handle_input(self, now: Instant, event: Input) -> None:
        """Take one event."""
        match event:
            case PartyRang(party, has_early_media):
                self._rang(party, has_early_media)
            case PartyAnswered(party):
                self._answered(now, party)
            case PartyEnded(party, end):
                self._party_ended(now, party, end)
            case PartyDetached(party):
                self._detached(party)
            case SoundEnded(party):
                self._sound_ended(now, party)
            case MusicEnded():
                if self._is_ringing:
                    self._start_ringing(Ringing.TONE)
            case KeyPressed(digit, party):
                if party is None:
                    self._caller_pressed(now, digit)
                else:
                    self._party_pressed(now, party, digit)
            case CallerGone(source):
                self._stop(source, reports=True)
            case DocumentGone():
                self._stop(HangupSource.API, reports=False)

    def handle_timeout(self, now: Instant) -> None:
        """Fire every timer that is due."""
        for timer, party in self._timers.expired(now):
            match timer:
                case DialTimer.TIME_LIMIT:
                    self._drop(party, Code.SCHEDULED_HANGUP, HangupSource.PLATFORM)
                case DialTimer.CONFIRM:
                    self._drop(party, Code.CONFIRM_FAILED, HangupSource.PLATFORM)

    def poll_output(self) -> Output | None:
        """Return the next output, or `None`."""
        return self._outputs.pop(0) if self._outputs else None

    def poll_timeout(self) -> Instant | None:
        """Return the earliest deadline, or `None`."""
        return self._timers.next_deadline()

    def _rang(self, party: int, has_early_media: bool) -> None:
        self._advance(party, PartyTrigger.RING)
        if self.state is not DialState.CALLING or self.parties[party] is not PartyState.RINGING:
            return
        self._has_rung = True
        if self._spec.music != REAL_RINGING:
            return
        if has_early_media and self._listened is None:
            self._stop_ringing()
            self._listened = party
            self._outputs.append(Listen(party))
        elif self._listened is None and not self._is_ringing:
            self._start_ringing(Ringing.TONE)

    def _answered(self, now: Instant, party: int) -> None:
        if self.parties[party] not in (PartyState.CALLING, PartyState.RINGING):
            return
        self._has_rung = True
        self._outputs.append(Report(DialAction.ANSWER, party))
        if self.state is not DialState.CALLING:
            self._drop(party, Code.LOST_RACE, HangupSource.PLATFORM)
        elif not self._spec.is_challenging:
            self._win(now, party)
        elif self._advance(party, PartyTrigger.ASK):
            if self._spec.confirm_sound_url:
                self._outputs.append(Ask(party))
            else:
                self._sound_ended(now, party)

    def _sound_ended(self, now: Instant, party: int) -> None:
        if self.parties[party] is not PartyState.ASKED:
            return
        if self._spec.confirm_key:
            self._timers.arm((DialTimer.CONFIRM, party), after_ms(now, self._spec.confirm_timeout_s * 1000))
        else:
            self._win(now, party)

    def _win(self, now: Instant, party: int) -> None:
        if not self._advance_dial(DialTrigger.WIN) or not self._advance(party, PartyTrigger.JOIN):
            return
        self.winner = party
        for other in range(len(self.parties)):
            if other != party:
                self._drop(other, Code.LOST_RACE, HangupSource.PLATFORM)
        self._stop_ringing()
        self._timers.arm((DialTimer.TIME_LIMIT, party), after_ms(now, self._spec.time_limit_s * 1000))
        self._outputs += [Join(party), Report(DialAction.CONNECTED, party)]

    def _party_ended(self, now: Instant, party: int, end: Hangup) -> None:
        was_asked = self.parties[party] is PartyState.ASKED
        if not self._advance(party, PartyTrigger.END):
            return
        self._ends[party] = end
        if was_asked:
            self._stop_asking(party)
        self._timers.stop((DialTimer.CONFIRM, party))
        self._outputs.append(Report(DialAction.HANGUP, party))
        if party == self.winner:
            self._part(party, end.cause)
        elif self.state is DialState.CALLING:
            if party == self._listened:
                self._listened = None
                self._start_ringing(Ringing.TONE)
            if all(state is PartyState.ENDED for state in self.parties):
                self._all_gone(now)

    def _all_gone(self, now: Instant) -> None:
        if self._advance_dial(DialTrigger.ALL_GONE):
            self._stop_ringing()
            status, cause = decisive(self._ends.values())
            self._outputs.append(Finish(DialOutcome(status, self._has_rung, cause)))

    def _detached(self, party: int) -> None:
        if self._advance(party, PartyTrigger.DETACH):
            self._part(party, "NORMAL_CLEARING")

    def _part(self, party: int, cause: str) -> None:
        if self._advance_dial(DialTrigger.PART):
            self._timers.stop_all()
            self._outputs.append(Part(party))
            self._outputs.append(Finish(DialOutcome(DialStatus.COMPLETED, self._has_rung, cause, party)))

    def _stop(self, source: HangupSource, *, reports: bool) -> None:
        if not self._advance_dial(DialTrigger.STOP):
            return
        self._timers.stop_all()
        self._stop_ringing()
        if self.winner is not None:
            self._outputs.append(Part(self.winner))
            outcome = DialOutcome(DialStatus.COMPLETED, self._has_rung, "NORMAL_CLEARING", self.winner)
        else:
            outcome = DialOutcome(DialStatus.CANCEL, self._has_rung, "ORIGINATOR_CANCEL")
        for party in range(len(self.parties)):
            self._drop(party, Code.NORMAL if party == self.winner else Code.CANCELED, source)
        if reports:
            self._outputs.append(Finish(outcome))

    def _caller_pressed(self, now: Instant, digit: str) -> None:
        if self.state is not DialState.JOINED or self.winner is None:
            return
        if digit == _STAR and self._spec.hangs_up_on_star:
            self._drop(self.winner, Code.NORMAL, HangupSource.CALLER)
        elif pattern := self._caller_keys.press(now, digit):
            self._outputs.append(Report(DialAction.DIGITS, self.winner, pattern, is_by_caller=True))

    def _party_pressed(self, now: Instant, party: int, digit: str) -> None:
        if self.parties[party] is PartyState.ASKED:
            if self._key[party].press(now, digit):
                self._stop_asking(party)
                self._timers.stop((DialTimer.CONFIRM, party))
                self._win(now, party)
        elif self.parties[party] is PartyState.JOINED and (pattern := self._party_keys.press(now, digit)):
            self._outputs.append(Report(DialAction.DIGITS, party, pattern))

    def _drop(self, party: int, code: Code, source: HangupSource) -> None:
        if self.parties[party] in LIVE_PARTY:
            if self.parties[party] is PartyState.ASKED:
                self._stop_asking(party)
            self._timers.stop((DialTimer.CONFIRM, party))
            self._advance(party, PartyTrigger.DROP)
            self._outputs.append(Drop(party, code, source))

    def _stop_asking(self, party: int) -> None:
        if self._spec.confirm_sound_url:
            self._outputs.append(StopAsking(party))

    def _start_ringing(self, kind: Ringing) -> None:
        self._is_ringing = True
        self._outputs.append(StartRinging(kind))

    def _stop_ringing(self) -> None:
        if self._is_ringing:
            self._is_ringing = False
            self._outputs.append(StopRinging())

    def _advance(self, party: int, trigger: PartyTrigger) -> bool:
        following = advance_party(self.parties[party], trigger)
        if following is None:
            return False
        self.parties[party] = following
        return True

    def _advance_dial(self, trigger: DialTrigger) -> bool:
        following = advance_dial(self.state, trigger)
        if following is None:
            return False
        self.state = following
        return True
