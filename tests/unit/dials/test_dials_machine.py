"""One dial without calls: what is asked for on each event, and that nothing is left."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ringback.calls.hangup import HangupSource, hangup
from ringback.dials.machine import (
    Ask,
    CallerGone,
    Dial,
    DialMachine,
    DocumentGone,
    Drop,
    Finish,
    Input,
    Join,
    KeyPressed,
    Listen,
    MusicEnded,
    Output,
    Part,
    PartyAnswered,
    PartyDetached,
    PartyEnded,
    PartyRang,
    Report,
    Ringing,
    SoundEnded,
    StartRinging,
    StopAsking,
    StopRinging,
)
from ringback.dials.spec import Destination, DialAction, DialOutcome, DialSpec, DialStatus
from ringback.dials.state import DialState, PartyState
from ringback.machine import SECOND, Instant

PLATFORM, CALLER, API = HangupSource.PLATFORM, HangupSource.CALLER, HangupSource.API
SPEC = DialSpec((Destination("15551"),), time_limit_s=60)
TWO = DialSpec((Destination("15551"), Destination("15552")))


class Run:
    """A machine on a clock that the test moves."""

    def __init__(self, spec: DialSpec) -> None:
        self.machine = DialMachine(spec)
        self.now = Instant(0)
        self.machine.start(self.now)
        self.first = self.taken()

    def taken(self) -> list[Output]:
        found = []
        while (output := self.machine.poll_output()) is not None:
            found.append(output)
        return found

    def tell(self, *events: Input) -> list[Output]:
        for event in events:
            self.machine.handle_input(self.now, event)
        return self.taken()

    def wait(self, seconds: float) -> list[Output]:
        self.now = Instant(self.now + int(seconds * SECOND))
        self.machine.handle_timeout(self.now)
        return self.taken()


def ended(party: int, code: int = 4000, source: HangupSource = HangupSource.CALLEE) -> PartyEnded:
    return PartyEnded(party, hangup(code, source))


def told(action: DialAction, party: int = 0) -> Report:
    return Report(action, party)


def finish(status: DialStatus, cause: str, winner: int | None = None, *, has_rung: bool = True) -> Finish:
    return Finish(DialOutcome(status, has_rung, cause, winner))


def joined(spec: DialSpec = SPEC) -> Run:
    run = Run(spec)
    run.tell(PartyAnswered(0))
    assert run.machine.state is DialState.JOINED
    return run


def test_first_answer_is_joined_and_its_hang_up_completes_the_dial() -> None:
    run = Run(SPEC)
    assert run.first == [Dial(0), StartRinging(Ringing.TONE)]
    assert run.tell(PartyRang(0)) == []
    assert run.tell(PartyAnswered(0)) == [
        told(DialAction.ANSWER),
        StopRinging(),
        Join(0),
        told(DialAction.CONNECTED),
    ]
    assert run.tell(ended(0)) == [
        told(DialAction.HANGUP),
        Part(0),
        finish(DialStatus.COMPLETED, "NORMAL_CLEARING", 0),
    ]
    assert run.machine.is_finished
    assert run.machine.poll_timeout() is None


def test_others_lose_the_race_and_a_late_answer_changes_nothing() -> None:
    run = Run(TWO)
    assert run.tell(PartyAnswered(1)) == [
        told(DialAction.ANSWER, 1),
        Drop(0, 9000, PLATFORM),
        StopRinging(),
        Join(1),
        told(DialAction.CONNECTED, 1),
    ]
    assert run.tell(PartyAnswered(0)) == []
    assert run.tell(ended(0, 9000)) == [told(DialAction.HANGUP, 0)]
    run.tell(ended(1))
    assert run.machine.is_finished


def test_last_refusal_ends_the_dial_with_what_came_nearest_to_an_answer() -> None:
    run = Run(TWO)
    assert run.tell(PartyRang(0), ended(0, 3010)) == [told(DialAction.HANGUP, 0)]
    assert run.tell(ended(1, 3050)) == [
        told(DialAction.HANGUP, 1),
        StopRinging(),
        finish(DialStatus.BUSY, "USER_BUSY"),
    ]
    assert run.machine.is_finished


def test_nobody_rang() -> None:
    run = Run(SPEC)
    assert run.tell(ended(0, 5020))[-1] == finish(DialStatus.FAILED, "NO_ROUTE_DESTINATION", has_rung=False)


def test_dial_of_nobody_fails_at_once() -> None:
    assert Run(DialSpec(())).first == [finish(DialStatus.FAILED, "INVALID_NUMBER_FORMAT", has_rung=False)]


def test_challenge_is_met_by_the_key_even_during_the_sound() -> None:
    spec = replace(SPEC, confirm_sound_url="http://c/", confirm_key="5", confirm_timeout_s=7)
    run = Run(spec)
    assert run.tell(PartyAnswered(0)) == [told(DialAction.ANSWER), Ask(0)]
    assert run.tell(KeyPressed("4", 0)) == []
    assert run.tell(KeyPressed("5", 0)) == [StopAsking(0), StopRinging(), Join(0), told(DialAction.CONNECTED)]
    assert run.wait(8) == []
    assert run.tell(SoundEnded(0)) == []


def test_challenge_that_is_not_met_in_time_fails() -> None:
    spec = replace(SPEC, confirm_sound_url="http://c/", confirm_key="5", confirm_timeout_s=7)
    run = Run(spec)
    run.tell(PartyAnswered(0), SoundEnded(0))
    assert run.wait(6.9) == []
    assert run.wait(0.1) == [StopAsking(0), Drop(0, 9110, PLATFORM)]
    assert run.tell(KeyPressed("5", 0)) == []
    assert run.tell(ended(0, 9110)) == [
        told(DialAction.HANGUP),
        StopRinging(),
        finish(DialStatus.NO_ANSWER, "NORMAL_CLEARING"),
    ]


def test_key_without_sound_is_waited_for_and_sound_without_key_is_only_played() -> None:
    run = Run(replace(SPEC, confirm_key="1", confirm_timeout_s=3))
    assert run.tell(PartyAnswered(0)) == [told(DialAction.ANSWER)]
    assert run.wait(3) == [Drop(0, 9110, PLATFORM)]
    run = Run(replace(SPEC, confirm_sound_url="http://c/"))
    assert run.tell(PartyAnswered(0)) == [told(DialAction.ANSWER), Ask(0)]
    assert run.tell(SoundEnded(0)) == [StopRinging(), Join(0), told(DialAction.CONNECTED)]


def test_two_parties_are_challenged_and_the_first_key_wins() -> None:
    run = Run(replace(TWO, confirm_sound_url="http://c/", confirm_key="1"))
    run.tell(PartyAnswered(0), PartyAnswered(1))
    assert run.tell(KeyPressed("1", 1)) == [
        StopAsking(1),
        StopAsking(0),
        Drop(0, 9000, PLATFORM),
        StopRinging(),
        Join(1),
        told(DialAction.CONNECTED, 1),
    ]


def test_party_that_hangs_up_during_its_challenge_did_not_take_the_call() -> None:
    run = Run(replace(SPEC, confirm_sound_url="http://c/", confirm_key="1"))
    run.tell(PartyAnswered(0))
    assert run.tell(ended(0)) == [
        StopAsking(0),
        told(DialAction.HANGUP),
        StopRinging(),
        finish(DialStatus.NO_ANSWER, "NORMAL_CLEARING"),
    ]


def test_time_limit_counts_from_the_bridge() -> None:
    run = Run(SPEC)
    assert run.wait(100) == []
    run.tell(PartyAnswered(0))
    assert run.wait(59.9) == []
    assert run.wait(0.1) == [Drop(0, 6000, PLATFORM)]
    assert run.tell(ended(0, 6000))[-1] == finish(DialStatus.COMPLETED, "ALLOTTED_TIMEOUT", 0)


def test_star_of_the_caller_ends_the_bridge_only_when_asked_for() -> None:
    assert joined().tell(KeyPressed("*")) == []
    run = joined(replace(SPEC, hangs_up_on_star=True))
    assert run.tell(KeyPressed("*", 0)) == [], "the callee's star"
    assert run.tell(KeyPressed("*")) == [Drop(0, 4000, CALLER)]
    run = Run(replace(SPEC, hangs_up_on_star=True))
    assert run.tell(KeyPressed("*")) == [], "nobody is joined"


def test_patterns_of_both_parties_are_reported_during_the_bridge() -> None:
    spec = replace(SPEC, digits_match=("12",), digits_match_b_leg=("9",))
    run = Run(spec)
    assert run.tell(KeyPressed("1"), KeyPressed("2"), KeyPressed("9", 0)) == []
    run = joined(spec)
    assert run.tell(KeyPressed("1"), KeyPressed("2")) == [Report(DialAction.DIGITS, 0, "12", is_by_caller=True)]
    assert run.tell(KeyPressed("9", 0), KeyPressed("9")) == [Report(DialAction.DIGITS, 0, "9")]


def test_music_document_replaces_the_tone() -> None:
    run = Run(replace(SPEC, music="http://music/"))
    assert run.first == [Dial(0), StartRinging(Ringing.DOCUMENT)]
    assert StopRinging() in run.tell(PartyAnswered(0))
    assert run.tell(MusicEnded()) == []


def test_music_that_cannot_be_had_makes_room_for_the_tone() -> None:
    run = Run(replace(SPEC, music="http://music/"))
    assert run.tell(MusicEnded()) == [StartRinging(Ringing.TONE)]
    assert StopRinging() in run.tell(PartyAnswered(0))


def test_real_ringing_is_early_media_or_a_tone_once_it_rings() -> None:
    spec = replace(TWO, music="real")
    run = Run(spec)
    assert run.first == [Dial(0), Dial(1)]
    assert run.tell(PartyRang(0)) == [StartRinging(Ringing.TONE)]
    assert run.tell(PartyRang(0), PartyRang(1)) == []
    assert run.tell(PartyRang(1, has_early_media=True)) == [StopRinging(), Listen(1)]
    assert run.tell(PartyRang(0, has_early_media=True)) == [], "one network is heard"
    assert run.tell(ended(1, 3010)) == [told(DialAction.HANGUP, 1), StartRinging(Ringing.TONE)]


def test_caller_that_leaves_takes_everybody_along() -> None:
    run = Run(TWO)
    assert run.tell(CallerGone(CALLER)) == [
        StopRinging(),
        Drop(0, 1000, CALLER),
        Drop(1, 1000, CALLER),
        finish(DialStatus.CANCEL, "ORIGINATOR_CANCEL", has_rung=False),
    ]
    assert not run.machine.is_finished
    run.tell(ended(0, 1000), ended(1, 1000))
    assert run.machine.is_finished
    assert joined().tell(CallerGone(CALLER)) == [
        Part(0),
        Drop(0, 4000, CALLER),
        finish(DialStatus.COMPLETED, "NORMAL_CLEARING", 0),
    ]


def test_replaced_document_ends_the_dial_without_an_outcome() -> None:
    assert joined().tell(DocumentGone()) == [Part(0), Drop(0, 4000, API)]
    assert Run(SPEC).tell(DocumentGone()) == [StopRinging(), Drop(0, 1000, API)]


def test_party_that_is_transferred_away_completes_the_dial_and_lives_on() -> None:
    run = joined()
    assert run.tell(PartyDetached(0)) == [Part(0), finish(DialStatus.COMPLETED, "NORMAL_CLEARING", 0)]
    assert run.machine.is_finished
    assert run.tell(DocumentGone(), CallerGone(CALLER), ended(0)) == []


def test_nothing_but_the_joined_party_can_be_transferred_away() -> None:
    run = Run(TWO)
    assert run.tell(PartyDetached(0)) == []
    run.tell(PartyAnswered(1))
    assert run.tell(PartyDetached(0)) == []


EVENTS = st.one_of(
    st.builds(PartyRang, st.integers(0, 1), st.booleans()),
    st.builds(PartyAnswered, st.integers(0, 1)),
    st.builds(ended, st.integers(0, 1), st.sampled_from([3010, 4000, 9000])),
    st.builds(PartyDetached, st.integers(0, 1)),
    st.builds(SoundEnded, st.integers(0, 1)),
    st.builds(KeyPressed, st.sampled_from("1*"), st.sampled_from([None, 0, 1])),
    st.builds(CallerGone, st.just(CALLER)),
    st.builds(DocumentGone),
    st.builds(MusicEnded),
    st.integers(1, 100),
)


@given(
    st.lists(EVENTS, max_size=30),
    st.sampled_from(["", "real", "http://m/"]),
    st.sampled_from(["", "1"]),
    st.sampled_from(["", "http://c/"]),
)
def test_any_events_in_any_order_join_one_party_at_most_and_finish_once(
    events: list[Input | int], music: str, key: str, sound: str
) -> None:
    spec = replace(TWO, music=music, confirm_key=key, confirm_sound_url=sound, hangs_up_on_star=True, time_limit_s=50)
    run = Run(spec)
    outputs = list(run.first)
    for event in events:
        outputs += run.wait(event) if isinstance(event, int) else run.tell(event)
    outputs += run.tell(CallerGone(CALLER), ended(0), ended(1))
    assert run.machine.is_finished
    assert run.machine.poll_timeout() is None
    assert all(state in (PartyState.ENDED, PartyState.DETACHED) for state in run.machine.parties)
    kinds = [type(output) for output in outputs]
    assert kinds.count(Join) <= 1
    assert kinds.count(Part) == kinds.count(Join)
    assert kinds.count(Finish) <= 1
    assert kinds.count(StopRinging) <= kinds.count(StartRinging)
