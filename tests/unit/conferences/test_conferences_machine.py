"""`conferences.machine`: who waits, who hears whom, who is sent away when, and what is reported."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from ringback.conferences.machine import (
    Announce,
    Close,
    ConferenceMachine,
    Exit,
    JoinAudio,
    Member,
    Output,
    PartAudio,
    Release,
    Report,
    SetAudio,
    StartRecording,
    StartWaiting,
    StopWaiting,
    Tell,
)
from ringback.conferences.spec import ConferenceSpec
from ringback.conferences.state import IGNORED, TABLE, State, Trigger
from ringback.ids import CallUuid
from ringback.machine import Instant


class Run:
    """A conference whose outputs are kept as short texts."""

    def __init__(self) -> None:
        self.machine = ConferenceMachine()
        self.said: list[str] = []

    def enter(self, name: str, **settings: Any) -> list[str]:
        spec = ConferenceSpec(name="room", **settings)
        self.machine.enter(Member(name, CallUuid(name), spec, Instant(0), spec.is_muted))
        return self.take()

    def leave(self, name: str, why: Exit = Exit.HUNG_UP) -> list[str]:
        self.machine.leave(name, why)
        return self.take()

    def take(self) -> list[str]:
        new = []
        while (output := self.machine.poll_output()) is not None:
            new.append(_short(output))
        self.said += new
        return new


def _short(output: Output) -> str:
    match output:
        case JoinAudio(member):
            return f"join {member.member_id}"
        case PartAudio(member):
            return f"part {member.member_id}"
        case SetAudio(member):
            return f"set {member.member_id} {member.is_muted} {member.is_deaf}"
        case StartWaiting(member):
            return f"music {member.member_id}"
        case StopWaiting(member):
            return f"no music {member.member_id}"
        case Announce(sound, members):
            return f"announce {sound} {','.join(member.member_id for member in members)}"
        case Tell(member, report, digits):
            return f"tell {member.member_id} {report.value} {digits}".strip()
        case Release(member, why):
            return f"release {member.member_id} {why.value}"
        case StartRecording(member):
            return f"record {member.member_id}"
        case Close():
            return "close"


def test_every_state_and_trigger_is_decided() -> None:
    pairs = set(itertools.product(State, Trigger))
    assert pairs == TABLE.keys() | IGNORED.keys()
    assert not TABLE.keys() & IGNORED.keys()


def test_two_members_meet_and_part() -> None:
    run = Run()
    assert run.enter("a") == ["tell a enter", "join a"]
    assert run.enter("b") == ["tell b enter", "join b"]
    assert run.leave("a") == ["part a", "tell a exit", "release a hung-up"]
    assert run.leave("b", Exit.REPLACED) == ["part b", "tell b exit", "release b replaced", "close"]
    assert run.machine.state is State.ENDED


def test_the_first_to_enter_and_the_last_to_leave_are_told_apart() -> None:
    machine = ConferenceMachine()
    for name in "abc":
        machine.enter(Member(name, CallUuid(name), ConferenceSpec(name="room"), Instant(0), False))
    machine.leave("a", Exit.HUNG_UP)
    machine.close(Exit.ENDED)
    told = []
    while (output := machine.poll_output()) is not None:
        if isinstance(output, Tell):
            told.append((output.member.member_id, output.report, output.is_alone))
    assert [(name, is_alone) for name, report, is_alone in told if report is Report.ENTER] == [
        ("a", True),
        ("b", False),
        ("c", False),
    ]
    assert [(name, is_alone) for name, report, is_alone in told if report is Report.EXIT] == [
        ("a", False),
        ("b", False),
        ("c", True),
    ]


def test_members_wait_with_music_until_someone_starts_the_conference() -> None:
    run = Run()
    assert run.enter("a", starts_on_enter=False, wait_sound="m") == ["tell a enter", "music a"]
    assert run.enter("b", starts_on_enter=False, enter_sound="beep:1") == ["tell b enter"]
    assert run.enter("c", enter_sound="beep:2") == [
        "tell c enter",
        "join a",
        "join b",
        "join c",
        "no music a",
        "announce beep:2 a,b,c",
    ]


def test_someone_alone_has_music_again() -> None:
    run = Run()
    assert run.enter("a", wait_sound="m") == ["tell a enter", "join a", "music a"]
    assert "no music a" in run.enter("b")
    assert run.leave("b")[-1] == "music a"
    assert run.leave("a") == ["no music a", "part a", "tell a exit", "release a hung-up", "close"]


def test_the_exit_of_one_who_ends_it_sends_everyone_away() -> None:
    run = Run()
    for name in "abc":
        run.enter(name, ends_on_exit=name == "b")
    assert [said for said in run.leave("b") if said.startswith(("release", "close"))] == [
        "release b hung-up",
        "release a ended",
        "release c ended",
        "close",
    ]


def test_the_last_one_goes_unless_it_stays_alone() -> None:
    run = Run()
    run.enter("a", stays_alone=False)
    run.enter("b")
    assert run.leave("b")[-2:] == ["release a alone", "close"]


def test_alone_from_the_start_is_allowed() -> None:
    run = Run()
    assert "close" not in run.enter("a", stays_alone=False)


def test_the_exit_sound_is_heard_by_those_who_stay() -> None:
    run = Run()
    for name in "abc":
        run.enter(name, exit_sound="beep:1")
    assert run.leave("a")[-1] == "announce beep:1 b,c"
    assert run.leave("b")[-1] == "announce beep:1 c", "the one who is left hears that it is alone now"
    assert "announce" not in " ".join(run.leave("c"))


@pytest.mark.parametrize(("limit", "has_room"), [(2, False), (3, True)])
def test_the_limit_of_members_is_that_of_who_comes(limit: int, has_room: bool) -> None:
    run = Run()
    run.enter("a", members_max=20)
    run.enter("b", members_max=20)
    assert run.machine.has_room_for(ConferenceSpec(name="room", members_max=limit)) is has_room


def test_time_is_up_for_all() -> None:
    run = Run()
    run.enter("a")
    run.enter("b")
    run.machine.close(Exit.TIME_LIMIT)
    assert [said for said in run.take() if said.startswith("release")] == [
        "release a time-limit",
        "release b time-limit",
    ]
    assert run.machine.members == ()


def test_digits_are_matched_at_the_end_of_what_was_pressed() -> None:
    run = Run()
    run.enter("a", digits_match=("12", "2", "*9"), leaves_on_star=False)
    said = []
    for digit in "1234*9":
        run.machine.press("a", digit)
        said += run.take()
    assert said == ["tell a digits 12", "tell a digits *9"]


def test_star_leads_out_where_it_may() -> None:
    run = Run()
    run.enter("a", leaves_on_star=True, digits_match=("*",))
    run.enter("b")
    run.machine.press("b", "*")
    assert run.take() == []
    run.machine.press("a", "*")
    assert run.take() == ["part a", "tell a exit", "release a star"]


def test_the_floor_is_told_to_who_asked() -> None:
    run = Run()
    run.enter("a", reports_floor=True)
    run.enter("b")
    run.machine.take_floor("b")
    run.machine.take_floor("gone")
    assert run.take() == []
    run.machine.take_floor("a")
    assert run.take() == [f"tell a {Report.FLOOR.value}"]


def test_mute_and_deaf_wait_for_the_start() -> None:
    run = Run()
    run.enter("a", starts_on_enter=False)
    machine = run.machine
    machine.set_audio(machine.members, is_muted=True)
    assert run.take() == []
    run.enter("b")
    machine.set_audio(machine.members, is_deaf=True)
    assert run.take() == ["set a True True", "set b False True"]
    machine.set_audio(machine.members, is_muted=False)
    assert run.take() == ["set a False True", "set b False True"]


def test_recording_waits_for_the_start_and_for_someone_who_wants_it() -> None:
    run = Run()
    assert "record" not in " ".join(run.enter("a", starts_on_enter=False, is_recorded=True))
    assert "record a" in run.enter("b")
    assert "record" not in " ".join(run.enter("c"))
    assert "record d" in run.enter("d", is_recorded=True)


def test_whoever_is_unknown_changes_nothing() -> None:
    run = Run()
    run.enter("a")
    run.leave("b")
    run.machine.press("b", "1")
    assert run.said == ["tell a enter", "join a"]
