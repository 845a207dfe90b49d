"""The four transaction machines are total: every state meets every trigger by a rule or by a reason to ignore it."""

from __future__ import annotations

import pytest

from ringback.sip.transaction.tables import INVITE_CLIENT, INVITE_SERVER, MACHINES, Effect, MachineTable, State, Trigger


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_pair_is_a_transition_or_ignored_with_a_reason(machine: MachineTable) -> None:
    states = {state for state, _ in machine.table} | {machine.initial}
    for state in states:
        for trigger in machine.triggers:
            is_handled = (state, trigger) in machine.table
            is_ignored = (state, trigger) in machine.ignored
            assert is_handled != is_ignored, (state, trigger)
    assert all(reason for reason in machine.ignored.values())
    assert {pair[0] for pair in machine.ignored} <= states
    assert {pair[1] for pair in (*machine.table, *machine.ignored)} <= machine.triggers


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_every_state_is_reachable_and_every_one_can_end(machine: MachineTable) -> None:
    reached, frontier = {machine.initial}, [machine.initial]
    while frontier:
        state = frontier.pop()
        for (source, _), following in machine.table.items():
            if source is state and following.state not in reached:
                reached.add(following.state)
                frontier.append(following.state)
    assert State.TERMINATED in reached
    assert {state for state, _ in machine.table} <= reached
    assert State.TERMINATED not in {state for state, _ in machine.table}


def test_a_ringing_invite_never_times_out() -> None:
    assert (State.PROCEEDING, Trigger.TIMER_B) in INVITE_CLIENT.ignored


def test_accepted_states_of_rfc_6026_are_there() -> None:
    assert INVITE_CLIENT.table[State.CALLING, Trigger.SUCCESS].state is State.ACCEPTED
    assert INVITE_SERVER.table[State.PROCEEDING, Trigger.SEND_SUCCESS].state is State.ACCEPTED
    assert Effect.SEND_ACK not in INVITE_CLIENT.table[State.CALLING, Trigger.SUCCESS].effects


def test_every_effect_and_trigger_is_used() -> None:
    effects = {effect for machine in MACHINES for following in machine.table.values() for effect in following.effects}
    triggers = {trigger for machine in MACHINES for _, trigger in machine.table}
    assert effects == set(Effect)
    assert triggers == set(Trigger)
