"""`media.worker.pacer`: the grid of slots, skipping after stalls, legs coming and going, lateness."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

from ringback import clock
from ringback.machine import MS, Instant
from ringback.media.worker.pacer import PHASES, SLOT_NS, LatenessHistogram, Pacer, SlotClock

T0 = Instant(1_000 * MS)


def at_ms(milliseconds: float) -> Instant:
    return Instant(T0 + int(milliseconds * MS))


def test_slots_come_once_and_in_order() -> None:
    grid = SlotClock(T0)
    assert list(grid.due(T0)) == [0]
    assert list(grid.due(at_ms(4.4))) == []
    assert list(grid.due(at_ms(5))) == [1]
    assert list(grid.due(at_ms(16))) == [2, 3]
    assert grid.next_due() == at_ms(20)


def test_a_wake_half_a_millisecond_early_is_on_time() -> None:
    grid = SlotClock(T0)
    grid.due(T0)
    assert list(grid.due(at_ms(4.5))) == [1]
    assert list(grid.due(at_ms(9.4))) == []


def test_after_a_stall_at_most_two_rounds_are_made_up() -> None:
    grid = SlotClock(T0)
    grid.due(T0)
    due = list(grid.due(at_ms(200)))
    assert due == list(range(33, 41))
    for phase in range(PHASES):
        assert sum(slot % PHASES == phase for slot in due) == 2
    assert grid.skipped == 32
    assert list(grid.due(at_ms(205))) == [41]


def test_two_late_rounds_are_not_a_stall() -> None:
    grid = SlotClock(T0)
    assert len(grid.due(at_ms(35))) == 8
    assert grid.skipped == 0


def test_resuming_does_not_count_the_pause() -> None:
    grid = SlotClock(T0)
    grid.due(T0)
    grid.resume(at_ms(5_001))
    assert list(grid.due(at_ms(5_001))) == []
    assert list(grid.due(at_ms(5_005))) == [1_001]
    assert grid.skipped == 0


def test_the_histogram_reports_its_percentiles_once() -> None:
    histogram = LatenessHistogram()
    assert histogram.take() == (0, 0)
    for _ in range(99):
        histogram.note(100_000)
    histogram.note(40 * MS)
    assert histogram.take() == (250, 250)
    for _ in range(98):
        histogram.note(100_000)
    histogram.note(40 * MS)
    histogram.note(40 * MS)
    assert histogram.take() == (250, 50_000)
    histogram.note(10_000 * MS)
    assert histogram.take() == (1_000_000, 1_000_000)
    assert histogram.take() == (0, 0)


def test_the_histogram_counts_late_slots_for_ever() -> None:
    histogram = LatenessHistogram(10)
    histogram.note(10 * MS)
    histogram.note(10 * MS + 1)
    histogram.take()
    histogram.note(11 * MS)
    assert histogram.late == 2


class FakeLoop:
    """Runs the pacer's callbacks; a hold advances the fake clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = int(T0)
        self.ready: deque[Callable[[], None]] = deque()
        self.late_ns = 0
        self.urgent_at: int | None = None
        self.holds = 0
        monkeypatch.setattr(clock, "now", lambda: Instant(self.now))

    def call_soon(self, callback: Callable[[], None]) -> None:
        self.ready.append(callback)

    def hold(self, longest_ns: int) -> None:
        self.holds += 1
        end = self.now + max(longest_ns, 0) + self.late_ns
        if self.urgent_at is not None and self.urgent_at < end:
            end, self.urgent_at = self.urgent_at, None
        self.now = max(self.now, end)

    def run(self, until_ms: float, late_ms: float = 0) -> None:
        until = int(T0 + until_ms * MS)
        self.late_ns = int(late_ms * MS)
        while self.now < until:
            assert len(self.ready) <= 1, "the pacer has one callback waiting"
            if not self.ready:
                self.now = until
                return
            self.ready.popleft()()


class Recorder:
    def __init__(self, loop: FakeLoop) -> None:
        self.loop = loop
        self.ticks: list[Instant] = []
        self.wakes: list[int] = []
        self.then: Callable[[], None] | None = None
        self.unsent = 0

    def tick(self, now: Instant) -> None:
        self.ticks.append(now)
        self.wakes.append(self.loop.now)
        self.unsent += 1
        if self.then is not None:
            self.then()

    def send(self) -> None:
        assert self.unsent == 1, "every tick is followed by one send"
        self.unsent = 0


@pytest.fixture
def loop(monkeypatch: pytest.MonkeyPatch) -> FakeLoop:
    return FakeLoop(monkeypatch)


def make_pacer(loop: FakeLoop) -> Pacer:
    fake: Any = loop
    real: asyncio.AbstractEventLoop = fake
    return Pacer(real, loop.hold, lambda has_stalled: None, lambda now: None)


def test_each_leg_is_ticked_every_20_ms_on_the_grid(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    legs = [Recorder(loop) for _ in range(8)]
    for leg in legs:
        pacer.add(leg)
    loop.run(1_000, late_ms=0.7)
    for leg in legs:
        steps = {later - earlier for earlier, later in zip(leg.ticks, leg.ticks[1:], strict=False)}
        assert steps == {20 * MS}
        assert 49 <= len(leg.ticks) <= 51
    phases = sorted((leg.ticks[0] - T0) // SLOT_NS % PHASES for leg in legs)
    assert phases == [0, 0, 1, 1, 2, 2, 3, 3]


def test_a_stall_costs_slots_and_never_bursts(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    leg = Recorder(loop)
    pacer.add(leg)
    loop.run(100)
    before = len(leg.ticks)
    loop.now += 500 * MS
    loop.run(621)
    made_up = len(leg.ticks) - before
    assert made_up == 3, "two made up, one more at its time"
    assert pacer.skipped_slots > 80
    assert pacer.late_slots >= pacer.skipped_slots
    assert pacer.due_slots > pacer.late_slots


def test_without_legs_nothing_runs(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    leg = Recorder(loop)
    pacer.add(leg)
    pacer.remove(leg)
    loop.run(1)
    assert not loop.ready
    loop.run(1_000)
    assert loop.holds == 0
    pacer.add(leg)
    loop.run(1_100)
    assert len(leg.ticks) in (5, 6)
    assert pacer.skipped_slots == 0
    assert len(pacer) == 1


def test_the_last_leg_may_leave_within_its_tick_and_come_back(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    leg = Recorder(loop)
    leg.then = lambda: pacer.remove(leg)
    pacer.add(leg)
    loop.run(100)
    assert len(leg.ticks) == 1
    assert len(pacer) == 0
    leg.then = None
    pacer.add(leg)
    loop.run(200)
    assert len(leg.ticks) >= 5


def test_a_leg_added_within_a_tick_is_paced(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    first, second = Recorder(loop), Recorder(loop)

    def add_second() -> None:
        first.then = None
        pacer.add(second)

    first.then = add_second
    pacer.add(first)
    loop.run(100)
    assert len(second.ticks) in (4, 5)


def test_arrivals_are_collected_once_per_slot_before_the_legs_tick(loop: FakeLoop) -> None:
    fake: Any = loop
    happened: list[str] = []
    pacer = Pacer(fake, loop.hold, lambda has_stalled: happened.append("collect"), lambda now: happened.append("slot"))
    leg = Recorder(loop)
    leg.then = lambda: happened.append("tick")
    pacer.add(leg)
    loop.run(40.5)
    assert happened.count("collect") == happened.count("slot")
    assert 7 <= happened.count("slot") <= 9
    ticked = happened.index("tick")
    assert happened[ticked - 1 : ticked + 2] == ["collect", "tick", "slot"]


def test_what_is_urgent_ends_a_hold_and_moves_no_slot(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    leg = Recorder(loop)
    pacer.add(leg)
    loop.run(100)
    before = loop.holds
    for ms in (102, 103, 107):
        loop.urgent_at = int(at_ms(ms))
        loop.run(ms)
    loop.run(200)
    assert {later - earlier for earlier, later in zip(leg.ticks, leg.ticks[1:], strict=False)} == {20 * MS}
    assert loop.holds - before >= 20 + 3


def rounds_until_held(loop: FakeLoop) -> int:
    """Return how often the loop goes round from one hold to the next."""
    rounds = 0
    while not loop.holds:
        loop.ready.popleft()()
    loop.holds = 0
    while not loop.holds:
        loop.ready.popleft()()
        rounds += 1
    return rounds


def test_the_loop_goes_round_between_a_slot_and_the_hold_while_something_changes(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    pacer.add(Recorder(loop))
    loop.run(50)
    calm = rounds_until_held(loop)
    pacer.stir()
    stirred = rounds_until_held(loop)
    assert stirred >= 4, "callbacks of callbacks of what arrived run before the loop is held again"
    assert calm < stirred
    loop.run(400)
    assert rounds_until_held(loop) == calm


@pytest.mark.parametrize("slots", [-3, -2, -1, 1, 2, 3])
def test_a_moved_leg_keeps_its_pace_after_one_shorter_or_longer_step(loop: FakeLoop, slots: int) -> None:
    pacer = make_pacer(loop)
    leg, other = Recorder(loop), Recorder(loop)
    pacer.add(leg)
    pacer.add(other)

    def move() -> None:
        leg.then = None
        assert pacer.move(leg, slots) == slots

    loop.run(100)
    leg.then = move
    loop.run(300)
    steps = [(later - earlier) // MS for earlier, later in zip(leg.ticks, leg.ticks[1:], strict=False)]
    assert sorted(set(steps)) == sorted({20, 20 + 5 * slots})
    assert steps.count(20 + 5 * slots) == 1
    assert {later - earlier for earlier, later in zip(other.ticks, other.ticks[1:], strict=False)} == {20 * MS}
    assert len(pacer) == 2


def test_a_leg_on_its_way_to_another_phase_can_leave(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    leg = Recorder(loop)

    def move_and_leave() -> None:
        leg.then = None
        assert pacer.move(leg, 2) == 2
        assert len(pacer) == 1
        pacer.remove(leg)

    leg.then = move_and_leave
    pacer.add(leg)
    loop.run(200)
    assert len(leg.ticks) == 1
    assert len(pacer) == 0
    assert pacer.move(leg, 1) == 0


def test_a_crowded_phase_takes_no_more_legs(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    legs = [Recorder(loop) for _ in range(80)]
    for leg in legs:
        pacer.add(leg)
    moved = sum(pacer.move(leg, -(index % PHASES)) != 0 for index, leg in enumerate(legs))
    assert 25 <= moved < 45
    assert pacer.move(legs[0], 0) == 0
    assert pacer.move(legs[0], PHASES) == 0


def test_a_leg_moved_later_is_not_lost_in_a_stall(loop: FakeLoop) -> None:
    pacer = make_pacer(loop)
    leg = Recorder(loop)
    pacer.add(leg)
    loop.run(100)

    def move() -> None:
        leg.then = None
        pacer.move(leg, 3)

    leg.then = move
    loop.run(121)
    loop.now += 500 * MS
    before = len(leg.ticks)
    loop.run(800)
    assert len(leg.ticks) - before >= 8


def test_the_first_collection_after_a_stall_is_told_of_it(loop: FakeLoop) -> None:
    fake: Any = loop
    stalls: list[bool] = []
    pacer = Pacer(fake, loop.hold, stalls.append, lambda now: None)
    pacer.add(Recorder(loop))
    loop.run(100)
    assert not any(stalls)
    loop.now += 30 * MS
    loop.run(200)
    assert not any(stalls)
    loop.now += 200 * MS
    loop.run(500)
    assert stalls.count(True) == 1
