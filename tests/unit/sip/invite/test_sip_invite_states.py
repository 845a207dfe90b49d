"""The machines of calls and re-INVITEs are total."""

from __future__ import annotations

import pytest

from ringback.sip.invite.reoffer_states import (
    REOFFER_IGNORED,
    REOFFER_TABLE,
    ReofferEffect,
    ReofferState,
    ReofferTrigger,
)
from ringback.sip.invite.states import INCOMING, OUTGOING, CallEffect, CallState, CallTable, CallTrigger


@pytest.mark.parametrize("machine", [INCOMING, OUTGOING], ids=lambda machine: machine.name)
def test_every_pair_of_a_call_is_a_transition_or_ignored_with_a_reason(machine: CallTable) -> None:
    states = {state for state, _ in machine.table} | {machine.initial}
    for state in states:
        for trigger in machine.triggers:
            is_handled = (state, trigger) in machine.table
            assert is_handled != ((state, trigger) in machine.ignored), (state, trigger)
    assert {pair[0] for pair in machine.ignored} <= states
    assert {pair[1] for pair in (*machine.table, *machine.ignored)} <= machine.triggers
    assert all(machine.ignored.values())


@pytest.mark.parametrize("machine", [INCOMING, OUTGOING], ids=lambda machine: machine.name)
def test_every_way_into_the_end_finishes_and_only_there(machine: CallTable) -> None:
    for following in machine.table.values():
        assert (following.state is CallState.ENDED) == (CallEffect.FINISH in following.effects)
        if CallEffect.FINISH in following.effects:
            assert following.effects[-1] is CallEffect.FINISH
        if following.state is CallState.CLOSING:
            assert CallEffect.SEND_BYE in following.effects or following.effects == (CallEffect.ACCEPT_BYE,)


def test_calls_use_every_state_trigger_and_effect() -> None:
    tables = (INCOMING.table, OUTGOING.table)
    assert {state for table in tables for state, _ in table} | {CallState.ENDED} == set(CallState)
    assert {trigger for table in tables for _, trigger in table} == set(CallTrigger)
    assert {effect for table in tables for following in table.values() for effect in following.effects} == set(
        CallEffect
    )


def test_every_pair_of_a_renegotiation_is_a_transition_or_ignored_with_a_reason() -> None:
    for state in ReofferState:
        for trigger in ReofferTrigger:
            assert ((state, trigger) in REOFFER_TABLE) != ((state, trigger) in REOFFER_IGNORED), (state, trigger)
    effects = {effect for following in REOFFER_TABLE.values() for effect in following.effects}
    assert effects == set(ReofferEffect)
