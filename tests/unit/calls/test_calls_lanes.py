from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ringback.calls.lanes import Lanes, Place
from ringback.calls.pace import Pace
from ringback.ids import CallUuid
from ringback.machine import MS, SECOND, Instant

T0 = Instant(1_000 * SECOND)


def place(ticket: int, account: str = "A", trunk: str = "") -> Place:
    return Place(CallUuid(f"c{ticket}"), account, trunk, ticket)


def lanes_of(*places: Place, account: int = 0, **trunks: int) -> Lanes:
    lanes = Lanes(account, trunks)
    for each in places:
        lanes.add(each)
    return lanes


def taken(lanes: Lanes, now: Instant = T0, **options: object) -> list[str]:
    found = []
    while (each := lanes.next(now, **options)) is not None:  # type: ignore[arg-type]
        found.append(each.call_uuid)
    return found


def at(seconds: float) -> Instant:
    return Instant(T0 + int(seconds * SECOND))


def test_a_pace_lets_as_many_start_in_a_second_and_not_one_more():
    pace = Pace(2)
    for _ in range(2):
        assert pace.ready_at(T0) == T0
        pace.take(T0)
    assert pace.ready_at(T0) == at(1)
    assert pace.ready_at(Instant(at(1) - 1)) == at(1)
    assert pace.ready_at(at(1)) == at(1)


def test_no_bound_never_waits():
    pace = Pace(0)
    for _ in range(1000):
        pace.take(T0)
    assert pace.ready_at(T0) == T0


@given(st.integers(1, 5), st.lists(st.integers(0, 1500), min_size=1, max_size=60))
def test_no_second_has_more_starts_than_the_pace(per_second: int, gaps_ms: list[int]):
    pace, now, starts = Pace(per_second), T0, []
    for gap in gaps_ms:
        now = Instant(now + gap * MS)
        now = Instant(max(now, pace.ready_at(now)))
        pace.take(now)
        starts.append(now)
    for early, late in pairwise([0, *starts, *[starts[-1] + 10 * SECOND] * per_second][1:]):
        assert early <= late
    assert all(starts[i + per_second] - starts[i] >= SECOND for i in range(len(starts) - per_second))


def test_calls_of_a_lane_start_in_the_order_in_which_they_came():
    assert taken(lanes_of(*(place(ticket) for ticket in (1, 2, 3)))) == ["c1", "c2", "c3"]


def test_an_account_waits_for_its_second():
    lanes = lanes_of(*(place(ticket) for ticket in range(5)), account=2)
    assert taken(lanes) == ["c0", "c1"]
    assert lanes.next_at(T0) == at(1)
    assert taken(lanes, at(0.999)) == []
    assert taken(lanes, at(1)) == ["c2", "c3"]
    assert taken(lanes, at(2)) == ["c4"]
    assert lanes.next_at(at(2)) is None
    assert len(lanes) == 0


def test_accounts_take_turns_on_a_trunk():
    many = [place(ticket, "A", "carrier") for ticket in range(4)]
    lanes = lanes_of(*many, place(4, "B", "carrier"), place(5, "C", "carrier"), carrier=1)
    order = [taken(lanes, at(second))[0] for second in range(6)]
    assert order == ["c0", "c4", "c5", "c1", "c2", "c3"]


def test_a_trunk_that_must_wait_does_not_hold_up_the_others():
    lanes = lanes_of(place(1, trunk="slow"), place(2, trunk="slow"), place(3, trunk="fast"), slow=1, fast=9)
    assert taken(lanes) == ["c1", "c3"]
    assert lanes.next_at(T0) == at(1)


def test_a_full_trunk_keeps_its_calls_waiting():
    lanes = lanes_of(place(1, trunk="full"), place(2, trunk="free"))
    assert taken(lanes, has_room=lambda trunk: trunk != "full") == ["c2"]
    assert lanes.holds(CallUuid("c1"))


def test_a_leg_counts_and_comes_before_what_waits_but_never_later_than_it_may():
    lanes = lanes_of(place(1, trunk="carrier"), carrier=2)
    assert [lanes.reserve("carrier", T0, at(1.5)) for _ in range(5)] == [T0, T0, at(1), at(1), None]
    assert taken(lanes, at(1)) == []
    assert lanes.next_at(T0) == at(2)
    assert taken(lanes, at(2)) == ["c1"]


def test_a_leg_without_a_bounded_trunk_starts_at_once():
    lanes = lanes_of(account=1)
    assert [lanes.reserve("", T0, T0) for _ in range(100)] == [T0] * 100
    assert lanes.start_at_once("A", "", T0), "legs are not the account's own starts"


def test_what_need_not_wait_starts_at_once_but_never_before_an_older_call():
    lanes = lanes_of(account=2)
    assert lanes.start_at_once("A", "", T0)
    assert lanes.start_at_once("A", "", T0)
    assert not lanes.start_at_once("A", "", T0)
    assert lanes.start_at_once("B", "", T0)
    lanes.add(place(1))
    assert not lanes.start_at_once("A", "", at(1))
    assert taken(lanes, at(1)) == ["c1"]
    assert lanes.start_at_once("A", "", at(1))


def test_a_trunk_counts_the_calls_of_all_accounts():
    lanes = lanes_of(carrier=1)
    assert lanes.start_at_once("A", "carrier", T0)
    assert not lanes.start_at_once("B", "carrier", T0)
    assert lanes.start_at_once("B", "", T0)


def test_a_call_that_was_taken_too_early_goes_back_to_its_place():
    lanes = lanes_of(place(1), place(2))
    first = lanes.next(T0)
    assert first is not None
    lanes.add(first)
    assert taken(lanes) == ["c1", "c2"]


def test_removed_calls_are_gone():
    lanes = lanes_of(place(1), place(2))
    assert lanes.remove(CallUuid("c1"))
    assert not lanes.remove(CallUuid("c1"))
    assert not lanes.holds(CallUuid("c1"))
    assert taken(lanes) == ["c2"]


@given(
    st.lists(st.tuples(st.sampled_from("ABC"), st.sampled_from(["", "x", "y"])), max_size=40),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_every_call_starts_once_and_lanes_keep_their_order(
    calls: list[tuple[str, str]], per_account: int, per_trunk: int
):
    places = [place(ticket, *each) for ticket, each in enumerate(calls)]
    lanes = lanes_of(*places, account=per_account, x=per_trunk)
    now, order = T0, []
    while (next_at := lanes.next_at(now)) is not None:
        now = next_at
        found = lanes.next(now)
        assert found is not None, "next_at promised a start"
        order.append(found)
    assert sorted(order, key=lambda each: each.ticket) == places
    for account in "ABC":
        for trunk in ("", "x", "y"):
            mine = [each.ticket for each in order if (each.account_id, each.trunk) == (account, trunk)]
            assert mine == sorted(mine)


def test_a_reserved_start_that_is_given_back_is_the_next_ones():
    lanes = lanes_of(x=1)
    assert [lanes.reserve("x", T0, at(9)) for _ in range(4)] == [T0, at(1), at(2), at(3)]
    lanes.give_back("x", at(2))
    lanes.give_back("x", at(1))
    assert lanes.reserve("x", at(0.5), at(0.9)) is None
    assert lanes.reserve("x", at(0.5), at(9)) == at(1)
    # A moment that is past is of no use.
    assert lanes.reserve("x", at(2.5), at(9)) == at(4)
