"""The interpreter: order, answering, interruption, and that it is total."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.callflow.commands import (
    Answer,
    Command,
    ElementFinished,
    ElementStarted,
    EndCall,
    Note,
    ReplaceDocument,
    SetTimer,
    StopPlay,
    StopTimer,
)
from ringback.callflow.document import Node, parse_document
from ringback.callflow.elements.base import Interrupted, Steps, next_event
from ringback.callflow.elements.registry import Bound, Program, bind
from ringback.callflow.events import (
    DigitPressed,
    Event,
    Interruption,
    PlayFinished,
    PlayRefused,
    StreamFinished,
    StreamRefused,
    StreamStarted,
    Timer,
    TimerFired,
)
from ringback.callflow.interpreter import Interpreter
from ringback.calls.hangup import HangupSource
from ringback.errors import Bug
from ringback.ids import StreamId
from ringback.machine import SECOND, Instant
from ringback.media.control.values import PlayEnd, StreamEnd

T0 = Instant(1_000)


def program(body: str) -> Program:
    return bind(parse_document(f"<Response>{body}</Response>".encode()))


def drain(interpreter: Interpreter) -> list[Command]:
    found = []
    while (command := interpreter.poll_output()) is not None:
        found.append(command)
    return found


def started(body: str, *, is_answered: bool) -> Interpreter:
    interpreter = Interpreter(program(body), is_answered=is_answered)
    interpreter.start(T0)
    return interpreter


@pytest.mark.parametrize("is_answered", [True, False])
@pytest.mark.parametrize("body", ["", "<Say/>"])
def test_document_without_elements_ends_the_call_without_answering(body: str, is_answered: bool) -> None:
    commands = drain(started(body, is_answered=is_answered))
    assert [command for command in commands if not isinstance(command, Note)] == [EndCall(4010, HangupSource.PLATFORM)]


@pytest.mark.parametrize(
    "body", ["<Wait/>", "<Play>x</Play>", "<Stream>wss://a</Stream>", "<Redirect>https://a</Redirect>"]
)
def test_first_element_answers_once(body: str) -> None:
    commands = drain(started(f"<Say/>{body}", is_answered=False))
    assert isinstance(commands[0], Note)
    assert commands[1] == Answer()
    assert isinstance(commands[2], ElementStarted)
    assert drain(started(body, is_answered=True))[0] != Answer()


def test_a_wait_that_is_first_lets_the_call_ring_where_that_is_set() -> None:
    interpreter = Interpreter(program("<Wait/><Wait/><Play>x</Play>"), is_answered=False, does_wait_ring=True)
    interpreter.start(T0)
    interpreter.handle_timeout(Instant(T0 + SECOND))
    assert Answer() not in drain(interpreter)
    interpreter.handle_timeout(Instant(T0 + 2 * SECOND))
    assert drain(interpreter).count(Answer()) == 1


def test_answer_is_asked_for_once() -> None:
    interpreter = started("<Wait/><Wait/>", is_answered=False)
    interpreter.handle_timeout(Instant(T0 + SECOND))
    interpreter.handle_timeout(Instant(T0 + 2 * SECOND))
    assert drain(interpreter).count(Answer()) == 1


def test_scheduled_hangup_does_not_answer_but_what_follows_does() -> None:
    commands = drain(started('<Hangup schedule="5"/><Wait/>', is_answered=False))
    kinds = [type(command).__name__ for command in commands]
    assert kinds == [
        "ElementStarted",
        "ScheduleHangup",
        "ElementFinished",
        "Answer",
        "ElementStarted",
    ]


def test_elements_report_start_and_finish_with_line_and_attributes() -> None:
    body = '\n<Wait length="1"/>\n<Stream bidirectional="false">wss://a/ws</Stream>'
    interpreter = started(body, is_answered=True)
    interpreter.handle_timeout(Instant(T0 + SECOND))
    commands = drain(interpreter)
    assert ElementStarted("Wait", 2, {"length": "1"}) in commands
    assert ElementFinished("Wait", 2) in commands
    assert ElementStarted("Stream", 3, {"bidirectional": "false", "text": "wss://a/ws"}) in commands


def test_elements_run_in_order_each_after_the_last_is_over() -> None:
    interpreter = started('<Wait length="1"/><Wait length="2"/>', is_answered=True)
    assert interpreter.poll_timeout() == T0 + SECOND
    later = Instant(T0 + SECOND + 5)
    interpreter.handle_timeout(later)
    assert interpreter.poll_timeout() == later + 2 * SECOND


def test_finished_run_gives_nothing_more() -> None:
    interpreter = started("", is_answered=True)
    drain(interpreter)
    assert interpreter.is_done
    interpreter.handle_input(T0, DigitPressed("1"))
    interpreter.handle_timeout(T0)
    interpreter.interrupt(T0, Interruption.REPLACED)
    assert drain(interpreter) == []


def test_run_that_was_never_started_can_be_interrupted() -> None:
    interpreter = Interpreter(program("<Wait/>"), is_answered=True)
    interpreter.interrupt(T0, Interruption.CALL_ENDED)
    assert interpreter.is_done
    assert drain(interpreter) == []


def test_starting_twice_is_a_bug() -> None:
    interpreter = started("<Wait/>", is_answered=True)
    with pytest.raises(Bug):
        interpreter.start(T0)


@dataclass(frozen=True)
class Scripted:
    """An element for tests that does what its script says."""

    TAG: ClassVar[str] = "Scripted"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset()
    script: str
    is_answering: bool = True

    def run(self) -> Steps[None]:
        match self.script:
            case "cleans up":
                try:
                    yield from next_event()
                finally:
                    yield StopPlay()
                    yield StopTimer(Timer.WAIT)
            case "clings":
                while True:
                    try:
                        yield from next_event()
                    except Interrupted:
                        pass
            case "cleans up for ever":
                try:
                    yield from next_event()
                except Interrupted:
                    while True:
                        yield StopPlay()
            case "loops":
                while True:
                    yield SetTimer(Timer.WAIT, 1)
            case _:
                raise AssertionError(self.script)


def scripted(script: str) -> Interpreter:
    node = Node("Scripted", {}, (), 1)
    return Interpreter(Program((Bound(Scripted(script), node),), ()), is_answered=True)


@pytest.mark.parametrize("reason", list(Interruption))
def test_clean_up_commands_come_out(reason: Interruption) -> None:
    interpreter = scripted("cleans up")
    interpreter.start(T0)
    drain(interpreter)
    interpreter.interrupt(T0, reason)
    assert drain(interpreter) == [StopPlay()]


@pytest.mark.parametrize("script", ["clings", "cleans up for ever"])
def test_element_that_does_not_end_is_a_bug_and_is_left(script: str) -> None:
    interpreter = scripted(script)
    interpreter.start(T0)
    drain(interpreter)
    with pytest.raises(Bug):
        interpreter.interrupt(T0, Interruption.REPLACED)
    assert interpreter.is_done
    assert len(drain(interpreter)) <= 16


def test_element_that_never_waits_is_a_bug() -> None:
    with pytest.raises(Bug, match="without waiting"):
        scripted("loops").start(T0)


EVENTS: list[Event] = [
    DigitPressed("1"),
    PlayFinished(PlayEnd.COMPLETED),
    PlayFinished(PlayEnd.FAILED, "x"),
    PlayFinished(PlayEnd.STOPPED),
    PlayRefused("x"),
    StreamStarted(StreamId("s1")),
    StreamRefused("x"),
    StreamFinished(StreamId("s1"), StreamEnd.AGENT_CLOSED),
    StreamFinished(StreamId("s2"), StreamEnd.TIMEOUT),
    TimerFired(Timer.WAIT),
]
BODIES = [
    "<Wait/>",
    "<Play>x</Play>",
    "<Stream>wss://a</Stream>",
    '<Stream keepCallAlive="true">wss://a</Stream>',
    "<Redirect>x</Redirect>",
    '<Hangup schedule="1"/>',
    "<Hangup/>",
    "<Say/>",
]


@given(
    st.lists(st.sampled_from(BODIES), max_size=6),
    st.lists(st.one_of(st.sampled_from(EVENTS), st.integers(1, 3)), max_size=30),
    st.sampled_from([None, *Interruption]),
    st.booleans(),
)
def test_any_events_in_any_order_are_taken(
    bodies: list[str], inputs: list[Event | int], ending: Interruption | None, is_answered: bool
) -> None:
    interpreter = Interpreter(program("".join(bodies)), is_answered=is_answered)
    now = T0
    interpreter.start(now)
    commands = drain(interpreter)
    for given_input in inputs:
        if isinstance(given_input, int):
            now = Instant(now + given_input * SECOND)
            interpreter.handle_timeout(now)
        else:
            interpreter.handle_input(now, given_input)
        commands += drain(interpreter)
    last = [command for command in commands if isinstance(command, EndCall | ReplaceDocument)]
    assert len(last) <= 1
    if last:
        assert interpreter.is_done
        assert commands[-1] == last[0]
    if ending is not None:
        interpreter.interrupt(now, ending)
        assert interpreter.is_done
    started_count = sum(isinstance(command, ElementStarted) for command in commands)
    finished_count = sum(isinstance(command, ElementFinished) for command in commands)
    assert 0 <= started_count - finished_count <= 1
    assert commands.count(Answer()) <= (0 if is_answered else 1)
