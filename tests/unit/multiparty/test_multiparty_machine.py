"""`multiparty.machine` and its tables: who waits, who hears whom, what plays, who goes when, and what is reported."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ringback.ids import CallUuid
from ringback.multiparty.machine import (
    Announce,
    Close,
    Exit,
    JoinAudio,
    MultipartyMachine,
    Output,
    PartAudio,
    Participant,
    Record,
    RecordTrack,
    Release,
    Report,
    SetAudio,
    SetSound,
    Tell,
)
from ringback.multiparty.spec import NO_SOUND, RINGING, MultipartySpec, Role, Sound
from ringback.multiparty.state import IGNORED, TABLE, VOICES, Audio, Cause, State, Trigger, audio_of

WAIT, HOLD, OTHER_HOLD = Sound("https://a/wait"), Sound("https://a/hold"), Sound("https://a/customers")


class Run:
    """A multiparty call whose outputs are kept as short texts."""

    def __init__(self) -> None:
        self.machine = MultipartyMachine()
        self.people: dict[str, Participant] = {}

    def enter(self, name: str, role: Role = Role.AGENT, **settings: Any) -> list[str]:
        spec = MultipartySpec("mpc", role, **settings)
        person = Participant(name, CallUuid(name), spec, 0, spec.is_muted, spec.is_held, spec.is_coach)
        self.people[name] = person
        self.machine.enter(person)
        return self.take()

    def leave(self, name: str, why: Exit = Exit.HUNG_UP) -> list[str]:
        self.machine.leave(name, why)
        return self.take()

    def set(self, name: str, **changes: bool) -> list[str]:
        self.machine.set([self.people[name]], **changes)
        return self.take()

    def take(self) -> list[str]:
        said = []
        while (output := self.machine.poll_output()) is not None:
            said.append(text_of(output))
        return said


def text_of(output: Output) -> str:
    match output:
        case JoinAudio(each):
            return f"join {each.member_id}"
        case PartAudio(each):
            return f"part {each.member_id}"
        case SetAudio(each):
            return f"set {each.member_id}"
        case SetSound(each):
            return f"sound {each.member_id} {each.sound.url}".strip()
        case Announce(sound, heard_by):
            return f"{sound.url} to {''.join(each.member_id for each in heard_by)}"
        case Tell(each, report, digit):
            return f"tell {each.member_id} {report.title}{digit}"
        case Record(each):
            return f"record {each.member_id}"
        case RecordTrack(each):
            return f"record {each.member_id} alone"
        case Release(each, why):
            return f"release {each.member_id} {why.name}"
        case Close(cause):
            return f"close {cause.code}"


def test_every_pair_of_state_and_trigger_is_in_one_table() -> None:
    pairs = set(itertools.product(State, Trigger))
    assert set(TABLE) | set(IGNORED) == pairs
    assert not set(TABLE) & set(IGNORED)


def test_roles_hear_as_the_table_says() -> None:
    assert set(VOICES) == set(itertools.product(Role, (False, True)))

    def audio(role: Role, is_coach: bool = True, is_muted: bool = False, is_held: bool = False) -> Audio:
        return audio_of(role, is_coach=is_coach, is_muted=is_muted, is_held=is_held)

    assert audio(Role.CUSTOMER) == Audio(is_muted=False, is_deaf=False, has_side=False, is_side_muted=True)
    assert audio(Role.AGENT) == Audio(is_muted=False, is_deaf=False, has_side=True, is_side_muted=True)
    assert audio(Role.SUPERVISOR) == Audio(is_muted=True, is_deaf=False, has_side=True, is_side_muted=False)
    assert audio(Role.SUPERVISOR, is_coach=False) == Audio(False, False, True, True)


@pytest.mark.parametrize(("role", "is_coach"), VOICES)
def test_mute_and_hold_silence_every_role_and_never_move_it_between_rooms(role: Role, is_coach: bool) -> None:
    free = audio_of(role, is_coach=is_coach, is_muted=False, is_held=False)
    muted = audio_of(role, is_coach=is_coach, is_muted=True, is_held=False)
    held = audio_of(role, is_coach=is_coach, is_muted=False, is_held=True)
    assert (muted.is_muted, muted.is_side_muted, muted.is_deaf) == (True, True, False)
    assert (held.is_muted, held.is_side_muted, held.is_deaf) == (True, True, True)
    assert free.has_side is muted.has_side is held.has_side


def test_the_first_who_starts_it_joins_everyone() -> None:
    run = Run()
    assert run.enter("c", Role.CUSTOMER, starts_on_enter=False, wait_music=WAIT) == [
        "tell c MPCInitialized",
        "tell c ParticipantJoin",
        "sound c https://a/wait",
    ]
    assert run.machine.state is State.INITIALIZED
    assert run.enter("a") == [
        "tell a ParticipantJoin",
        "tell a MPCStart",
        "join c",
        "join a",
        "sound c",
        "beep:1 to ca",
    ]
    assert run.enter("s", Role.SUPERVISOR, enter_sound=Sound()) == ["tell s ParticipantJoin", "join s"]


def test_customers_wait_for_an_agent() -> None:
    run = Run()
    waiting = {"waits_for_agent": True, "wait_music": WAIT}
    assert run.enter("c", Role.CUSTOMER, **waiting) == [
        "tell c MPCInitialized",
        "tell c ParticipantJoin",
        "sound c https://a/wait",
    ]
    assert "tell s MPCStart" not in run.enter("s", Role.SUPERVISOR)
    assert run.machine.state is State.INITIALIZED
    said = run.enter("a", Role.AGENT, starts_on_enter=False)
    assert said[:2] == ["tell a ParticipantJoin", "tell a MPCStart"]
    assert {"join c", "join s", "join a"} <= set(said)
    assert run.machine.state is State.ACTIVE


def test_an_agent_waits_for_nobody() -> None:
    run = Run()
    assert "tell a MPCStart" in run.enter("a", Role.AGENT, waits_for_agent=True)
    assert "tell b MPCStart" not in run.enter("b", Role.CUSTOMER, waits_for_agent=True)


def test_an_agent_who_starts_nothing_leaves_it_to_those_who_do() -> None:
    run = Run()
    run.enter("c", Role.CUSTOMER, waits_for_agent=True, starts_on_enter=False)
    assert "tell a MPCStart" not in run.enter("a", Role.AGENT, starts_on_enter=False)
    assert "tell b MPCStart" in run.enter("b", Role.CUSTOMER)


def test_the_api_starts_it_without_the_agent_who_is_waited_for() -> None:
    run = Run()
    run.enter("c", Role.CUSTOMER, waits_for_agent=True)
    run.machine.start(run.people["c"])
    assert run.take()[:2] == ["tell c MPCStart", "join c"]


def test_the_api_starts_it_once() -> None:
    run = Run()
    run.enter("c", starts_on_enter=False)
    run.machine.start(run.people["c"])
    assert run.take() == ["tell c MPCStart", "join c"]
    run.machine.start(run.people["c"])
    assert run.take() == []


def test_hold_plays_the_music_of_the_role_and_comes_back_to_wait_music() -> None:
    run = Run()
    run.enter("c", Role.CUSTOMER, wait_music=WAIT, agent_hold_music=HOLD, customer_hold_music=OTHER_HOLD)
    assert run.set("c", is_held=True) == ["set c", "tell c ParticipantHold", "sound c https://a/customers"]
    run.enter("a", agent_hold_music=HOLD)
    assert run.set("a", is_held=True) == ["set a", "tell a ParticipantHold", "sound a https://a/hold"]
    assert run.set("c", is_held=False) == ["set c", "tell c ParticipantUnhold", "sound c"]


def test_who_enters_held_hears_neither_beep_nor_room() -> None:
    run = Run()
    run.enter("a")
    assert run.enter("c", Role.CUSTOMER, is_held=True, customer_hold_music=HOLD) == [
        "tell c ParticipantJoin",
        "join c",
        "sound c https://a/hold",
        "beep:1 to a",
    ]


def test_only_changes_are_told_and_only_supervisors_coach() -> None:
    run = Run()
    run.enter("a")
    run.enter("s", Role.SUPERVISOR)
    assert run.set("a", is_muted=True) == ["set a", "tell a ParticipantMute"]
    assert run.set("a", is_muted=True) == []
    assert run.set("a", is_muted=False) == ["set a", "tell a ParticipantUnmute"]
    assert run.set("s", is_coach=False) == ["set s", "tell s ParticipantCoachModeStop"]
    assert run.set("s", is_coach=True) == ["set s", "tell s ParticipantCoachModeStart"]
    assert run.set("a", is_coach=False) == []


def test_alone_nobody_stays_unless_it_may() -> None:
    run = Run()
    run.enter("a")
    run.enter("c", Role.CUSTOMER)
    assert run.leave("c") == [
        "part c",
        "tell c ParticipantExit",
        "release c HUNG_UP",
        "part a",
        "tell a ParticipantExit",
        "release a ENDED",
        "tell c MPCEnd",
        "close 1010",
    ]
    other = Run()
    other.enter("a", stays_alone=True, wait_music=WAIT)
    other.enter("c", Role.CUSTOMER)
    assert other.leave("c", Exit.KICKED) == [
        "part c",
        "tell c ParticipantExit",
        "release c KICKED",
        "sound a https://a/wait",
        "beep:2 to a",
    ]
    assert other.leave("a")[-3:] == ["release a HUNG_UP", "tell a MPCEnd", "close 1000"]
    assert other.leave("a") == []


def test_one_who_ends_it_takes_all_along() -> None:
    run = Run()
    run.enter("a", ends_on_exit=True)
    run.enter("c", Role.CUSTOMER)
    run.enter("d", Role.CUSTOMER)
    said = run.leave("a")
    assert [each for each in said if each.startswith("release")] == [
        "release a HUNG_UP",
        "release c ENDED",
        "release d ENDED",
    ]
    assert said[-2:] == ["tell a MPCEnd", "close 1000"]


@pytest.mark.parametrize("cause", [Cause.API, Cause.DURATION])
def test_closing_lets_everyone_go_once(cause: Cause) -> None:
    run = Run()
    run.enter("a")
    run.enter("c", Role.CUSTOMER)
    run.machine.close(cause)
    assert run.take()[-1] == f"close {cause.code}"
    run.machine.close(cause)
    assert run.take() == []
    assert run.machine.state is State.ENDED


def test_keys_are_told() -> None:
    run = Run()
    run.enter("a")
    run.machine.press("a", "5")
    run.machine.press("nobody", "6")
    assert run.take() == [f"tell a {Report.DIGIT.title}5"]


def test_the_bound_of_who_enters_counts() -> None:
    run = Run()
    run.enter("a")
    run.enter("b")
    assert not run.machine.has_room_for(MultipartySpec("mpc", Role.AGENT, participants_max=2))
    assert run.machine.has_room_for(MultipartySpec("mpc", Role.AGENT, participants_max=3))


def test_documents_have_their_recording_once_and_from_as_many_on_as_they_say() -> None:
    run = Run()
    assert "record a" not in run.enter("a", is_recorded=True, record_min=2, stays_alone=True, records_track=True)
    assert "record a" in run.enter("b", is_recorded=True, stays_alone=True)
    run.leave("b")
    # One that was stopped does not begin again with the next participant.
    assert not [each for each in run.enter("c", is_recorded=True) if each.startswith("record")]


def test_nothing_is_recorded_before_the_start() -> None:
    run = Run()
    said = run.enter("a", is_recorded=True, records_track=True, starts_on_enter=False)
    assert [each for each in said if each.startswith("record")] == ["record a alone"]
    run.machine.start(run.people["a"])
    assert "record a" in run.take()


def test_dial_music_is_heard_by_those_who_wait() -> None:
    run = Run()
    run.enter("a", wait_music=WAIT)
    run.machine.dial(RINGING)
    # A ring-back tone is for those who would hear nothing.
    assert run.take() == []
    run.machine.dial(Sound("https://a/dial"))
    assert run.take() == ["sound a https://a/dial"]
    run.set("a", is_held=True)
    run.machine.dial(NO_SOUND)
    assert run.take() == []
    assert "sound a https://a/wait" in run.set("a", is_held=False)
    run.enter("b")
    run.machine.dial(RINGING)
    assert run.take() == []
    alone = Run()
    alone.enter("a")
    alone.machine.dial(RINGING)
    assert alone.take() == ["sound a real"]


def test_speech_is_told() -> None:
    run = Run()
    run.enter("a")
    run.machine.speak("a", is_speaking=True)
    run.machine.speak("nobody", is_speaking=True)
    run.machine.speak("a", is_speaking=False)
    assert run.take() == ["tell a ParticipantSpeakStart", "tell a ParticipantSpeakStop"]
