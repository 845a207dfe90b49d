"""The leg's state table: total, and right on each of its paths."""

from __future__ import annotations

import pytest

from ringback.machine import MS, Instant
from ringback.signalling.events import LegEnd, LegEndKind
from ringback.signalling.leg import (
    ANSWERED,
    IGNORED,
    INBOUND_STATES,
    OUTBOUND_STATES,
    TABLE,
    Effect,
    Leg,
    LegInput,
    LegLimits,
    State,
    Trigger,
)

END = LegEnd(LegEndKind.LOCAL_HANGUP)


def leg_at(state: State) -> Leg:
    """Return a leg in a state, with short timers."""
    return Leg(state, LegLimits(ring_ms=1000, setup_ms=500, release_ms=2000))


def feed(leg: Leg, *triggers: Trigger, at_ms: int = 0) -> list[Effect]:
    """Return the effects of some triggers."""
    for trigger in triggers:
        leg.handle_input(Instant(at_ms * MS), LegInput(trigger, END))
    return effects(leg)


def effects(leg: Leg) -> list[Effect]:
    """Return the waiting effects."""
    found = []
    while (output := leg.poll_output()) is not None:
        found.append(output.effect)
    return found


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("trigger", list(Trigger))
def test_every_pair_is_in_the_table_or_ignored_with_a_reason(state: State, trigger: Trigger) -> None:
    assert ((state, trigger) in TABLE) != ((state, trigger) in IGNORED)
    if (state, trigger) in IGNORED:
        assert IGNORED[state, trigger]
        leg = leg_at(state)
        assert feed(leg, trigger) == []
        assert leg.state is state


@pytest.mark.parametrize("state", [state for state in State if state not in (State.ENDED, State.RELEASING)])
def test_every_live_state_ends_by_hang_up_and_closes_media(state: State) -> None:
    leg = leg_at(state)
    assert Effect.CLOSE_MEDIA in feed(leg, Trigger.HANG_UP)
    assert leg.state is State.RELEASING
    assert leg.end == END
    assert feed(leg, Trigger.MEDIA_CLOSED) == [Effect.REPORT_ENDED]
    assert leg.state is State.ENDED
    assert leg.poll_timeout() is None


@pytest.mark.parametrize("state", sorted(ANSWERED, key=lambda state: state.value))
def test_answered_legs_send_bye_when_media_is_lost(state: State) -> None:
    for trigger in (Trigger.WORKER_LOST, Trigger.MEDIA_FAILED, Trigger.MEDIA_CLOSED, Trigger.CODEC_MISSING):
        assert feed(leg_at(state), trigger) == [Effect.HANG_UP, Effect.CLOSE_MEDIA]


def test_only_release_leads_to_the_end() -> None:
    for (state, _), following in TABLE.items():
        if following.state is State.ENDED:
            assert state is State.RELEASING
            assert following.effects == (Effect.REPORT_ENDED,)


def test_directions_do_not_mix() -> None:
    for (state, _), following in TABLE.items():
        if state in INBOUND_STATES:
            assert following.state not in OUTBOUND_STATES
        if state in OUTBOUND_STATES:
            assert following.state not in INBOUND_STATES


def test_inbound_path() -> None:
    leg = leg_at(State.INCOMING)
    assert feed(leg, Trigger.RING) == [Effect.SEND_RINGING]
    assert feed(leg, Trigger.ANSWER) == [Effect.OPEN_MEDIA]
    assert feed(leg, Trigger.MEDIA_READY) == [Effect.SEND_ANSWER, Effect.REPORT_ANSWERED]
    assert leg.poll_timeout() is None
    assert feed(leg, Trigger.ACKED) == [Effect.REPORT_CONFIRMED]
    assert leg.state is State.CONFIRMED
    assert feed(leg, Trigger.HUNG_UP) == [Effect.CLOSE_MEDIA]


def test_inbound_path_with_delayed_offer() -> None:
    leg = leg_at(State.INCOMING)
    assert feed(leg, Trigger.ANSWER, Trigger.OFFER_READY) == [Effect.OPEN_MEDIA, Effect.SEND_ANSWER]
    assert feed(leg, Trigger.ACKED) == [Effect.APPLY_ANSWER]
    assert feed(leg, Trigger.AGREED) == [Effect.REPORT_ANSWERED, Effect.REPORT_CONFIRMED]


def test_outbound_path() -> None:
    leg = leg_at(State.IDLE)
    assert feed(leg, Trigger.DIAL) == [Effect.RESOLVE]
    assert feed(leg, Trigger.RESOLVED) == [Effect.OPEN_MEDIA]
    assert feed(leg, Trigger.OFFER_READY) == [Effect.SEND_INVITE]
    assert feed(leg, Trigger.PROGRESSED, Trigger.PROGRESSED) == [Effect.APPLY_PROGRESS, Effect.APPLY_PROGRESS]
    assert feed(leg, Trigger.ANSWERED) == [Effect.APPLY_ANSWER]
    assert leg.poll_timeout() is None
    assert feed(leg, Trigger.AGREED) == [Effect.REPORT_ANSWERED]
    assert leg.state is State.CONFIRMED


def test_media_that_takes_too_long_refuses_with_503() -> None:
    leg = leg_at(State.INCOMING)
    feed(leg, Trigger.ANSWER, at_ms=10)
    leg.handle_timeout(Instant(509 * MS))
    assert leg.state is State.ANSWERING
    leg.handle_timeout(Instant(510 * MS))
    assert effects(leg) == [Effect.REFUSE, Effect.CLOSE_MEDIA]
    assert leg.end is not None
    assert (leg.end.kind, leg.end.sip_status) == (LegEndKind.MEDIA_FAILED, 503)


def test_ring_timer_runs_from_the_dialling_to_the_answer() -> None:
    leg = leg_at(State.IDLE)
    feed(leg, Trigger.DIAL, Trigger.RESOLVED, Trigger.OFFER_READY, Trigger.PROGRESSED, at_ms=5)
    assert leg.poll_timeout() == 1005 * MS
    leg.handle_timeout(Instant(1005 * MS))
    assert effects(leg) == [Effect.HANG_UP, Effect.CLOSE_MEDIA]
    assert leg.end is not None
    assert leg.end.kind is LegEndKind.RING_TIMEOUT


def test_media_that_never_closes_is_not_waited_for() -> None:
    leg = leg_at(State.CONFIRMED)
    feed(leg, Trigger.HUNG_UP)
    assert leg.poll_timeout() == 2000 * MS
    leg.handle_timeout(Instant(2000 * MS))
    assert effects(leg) == [Effect.REPORT_ENDED]


def test_first_end_stays() -> None:
    leg = leg_at(State.CONFIRMED)
    feed(leg, Trigger.HANG_UP)
    leg.handle_input(Instant(0), LegInput(Trigger.HUNG_UP, LegEnd(LegEndKind.REMOTE_HANGUP)))
    assert leg.end == END


def test_end_without_a_cause_names_its_trigger() -> None:
    leg = leg_at(State.CONFIRMED)
    leg.handle_input(Instant(0), LegInput(Trigger.MEDIA_FAILED))
    assert leg.end == LegEnd(LegEndKind.MEDIA_FAILED, detail="ended by media-failed")
