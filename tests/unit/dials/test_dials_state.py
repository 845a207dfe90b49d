"""The tables are total: every pair is either a transition or ignored for a reason."""

from __future__ import annotations

import itertools

from ringback.dials.state import (
    DIAL_IGNORED,
    DIAL_TABLE,
    LIVE_PARTY,
    PARTY_IGNORED,
    PARTY_TABLE,
    DialState,
    DialTrigger,
    PartyState,
    PartyTrigger,
    advance_dial,
    advance_party,
)


def test_every_pair_of_a_party_is_decided() -> None:
    for pair in itertools.product(PartyState, PartyTrigger):
        assert (pair in PARTY_TABLE) != (pair in PARTY_IGNORED), pair
        assert advance_party(*pair) == PARTY_TABLE.get(pair)
    assert all(PARTY_IGNORED.values())


def test_every_pair_of_a_dial_is_decided() -> None:
    for pair in itertools.product(DialState, DialTrigger):
        assert (pair in DIAL_TABLE) != (pair in DIAL_IGNORED), pair
        assert advance_dial(*pair) == DIAL_TABLE.get(pair)
    assert all(DIAL_IGNORED.values())


def test_every_state_is_reached_and_every_live_party_can_be_dropped() -> None:
    assert set(PARTY_TABLE.values()) | {PartyState.CALLING} == set(PartyState)
    assert set(DIAL_TABLE.values()) | {DialState.CALLING} == set(DialState)
    assert {state for state, trigger in PARTY_TABLE if trigger is PartyTrigger.DROP} == LIVE_PARTY
