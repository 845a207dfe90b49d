from itertools import product

from ringback.calls.state import IGNORED, STATUS, TABLE, State, Trigger, advance


def test_every_pair_is_a_transition_or_ignored_with_a_reason():
    for pair in product(State, Trigger):
        assert (pair in TABLE) != (pair in IGNORED), pair
    assert all(IGNORED.values())


def test_a_call_rings_is_answered_and_ends():
    assert advance(State.DIALLING, Trigger.RING) is State.RINGING
    assert advance(State.RINGING, Trigger.ANSWER) is State.IN_PROGRESS
    assert advance(State.IN_PROGRESS, Trigger.END) is State.ENDED


def test_an_ended_call_never_moves_again():
    assert {advance(State.ENDED, trigger) for trigger in Trigger} == {None}


def test_every_state_has_a_status():
    assert set(STATUS) == set(State)
