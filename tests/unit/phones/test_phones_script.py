import itertools

import pytest

from ringback.machine import MS, Instant
from ringback.phones.script import CallScript, Do, Met, ScriptedCall, State

SCRIPT = CallScript(talk_ms=4000, digits="12", digits_after_ms=1000, ring_limit_ms=60_000, goodbye_limit_ms=5000)


def at(ms: int) -> Instant:
    return Instant(ms * MS)


def outputs(call: ScriptedCall) -> list[Do]:
    return list(iter(call.poll_output, None))


def test_ordinary_call_plays_sends_digits_hangs_up_and_finishes():
    call = ScriptedCall(SCRIPT, at(0))
    assert call.poll_timeout() == at(60_000)
    call.handle_input(at(100), Met.ANSWERED)
    assert outputs(call) == [Do.PLAY]
    assert call.poll_timeout() == at(1100)
    call.handle_timeout(at(1100))
    assert outputs(call) == [Do.SEND_DIGITS]
    call.handle_timeout(at(4100))
    assert outputs(call) == [Do.HANG_UP]
    call.handle_input(at(4200), Met.ENDED)
    assert outputs(call) == [Do.FINISH]
    assert call.poll_timeout() is None


def test_no_answer_is_given_up_at_the_ring_limit():
    call = ScriptedCall(SCRIPT, at(0))
    call.handle_timeout(at(59_999))
    assert outputs(call) == []
    call.handle_timeout(at(60_000))
    assert outputs(call) == [Do.HANG_UP]


def test_answer_that_crosses_the_ring_limit_does_not_start_talking():
    call = ScriptedCall(SCRIPT, at(0))
    call.handle_timeout(at(60_000))
    call.handle_input(at(60_001), Met.ANSWERED)
    assert outputs(call) == [Do.HANG_UP]


def test_without_digits_none_are_sent():
    call = ScriptedCall(CallScript(talk_ms=10), at(0))
    call.handle_input(at(0), Met.ANSWERED)
    call.handle_timeout(at(10_000))
    assert outputs(call) == [Do.PLAY, Do.HANG_UP]


def test_far_side_that_never_says_goodbye_does_not_hold_the_script():
    call = ScriptedCall(SCRIPT, at(0))
    call.handle_input(at(0), Met.INTERRUPTED)
    assert outputs(call) == [Do.HANG_UP]
    call.handle_timeout(at(5000))
    assert outputs(call) == [Do.FINISH]


def test_second_interrupt_ends_at_once():
    call = ScriptedCall(SCRIPT, at(0))
    call.handle_input(at(0), Met.INTERRUPTED)
    call.handle_input(at(1), Met.INTERRUPTED)
    assert outputs(call) == [Do.HANG_UP, Do.FINISH]


@pytest.mark.parametrize("order", list(itertools.product([Met.ANSWERED, Met.ENDED, Met.INTERRUPTED, None], repeat=4)))
def test_every_order_finishes_once_and_last(order):
    call = ScriptedCall(SCRIPT, at(0))
    done: list[Do] = []
    now = 0
    for event in order:
        now += 2000
        if event is None:
            call.handle_timeout(at(now))
        else:
            call.handle_input(at(now), event)
        done += outputs(call)
    for _ in range(10):
        deadline = call.poll_timeout()
        if deadline is None:
            break
        call.handle_timeout(deadline)
        done += outputs(call)
    assert done.count(Do.FINISH) == 1
    assert done[-1] is Do.FINISH
    assert done.count(Do.HANG_UP) <= 1
    assert call.state is State.FINISHED
