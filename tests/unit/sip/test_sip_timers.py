"""The endpoint's timer heap and the timers of one owner on it."""

from __future__ import annotations

from ringback.machine import Instant
from ringback.sip.timers import OwnedTimers, Timer, TimerHeap


class Owner:
    def __init__(self) -> None:
        self.fired: list[Timer] = []

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        self.fired.append(timer)


def drain(heap: TimerHeap, now: int) -> list[Timer]:
    fired = []
    while (due := heap.pop_due(Instant(now))) is not None:
        fired.append(due[1])
    return fired


def test_timers_fire_in_deadline_order_and_equal_ones_in_arming_order() -> None:
    heap, owner = TimerHeap(), Owner()
    heap.arm(owner, Timer.B, Instant(20))
    heap.arm(owner, Timer.E, Instant(10))
    heap.arm(owner, Timer.A, Instant(10))
    assert heap.next_deadline() == 10
    assert drain(heap, 9) == []
    assert drain(heap, 20) == [Timer.E, Timer.A, Timer.B]
    assert heap.next_deadline() is None


def test_a_cancelled_timer_does_not_fire_and_does_not_count() -> None:
    heap, owner = TimerHeap(), Owner()
    first = heap.arm(owner, Timer.A, Instant(1))
    heap.arm(owner, Timer.B, Instant(2))
    heap.cancel(first)
    heap.cancel(first)
    assert len(heap) == 1
    assert heap.next_deadline() == 2
    assert drain(heap, 5) == [Timer.B]
    assert len(heap) == 0


def test_cancelling_a_fired_timer_changes_nothing() -> None:
    heap, owner = TimerHeap(), Owner()
    entry = heap.arm(owner, Timer.A, Instant(1))
    heap.arm(owner, Timer.B, Instant(2))
    assert drain(heap, 1) == [Timer.A]
    heap.cancel(entry)
    assert len(heap) == 1


def test_many_cancelled_timers_do_not_stay_in_memory() -> None:
    heap, owner = TimerHeap(), Owner()
    kept = heap.arm(owner, Timer.B, Instant(10**9))
    for at in range(50_000):
        heap.cancel(heap.arm(owner, Timer.A, Instant(10**8 + at)))
    assert len(heap._entries) < 5_000
    assert heap.next_deadline() == kept.at


def test_arming_again_moves_a_timer() -> None:
    heap, owner = TimerHeap(), Owner()
    timers = OwnedTimers(heap, owner)
    timers.arm(Timer.A, Instant(5))
    timers.arm(Timer.A, Instant(9))
    assert drain(heap, 8) == []
    assert timers.is_armed(Timer.A)
    assert drain(heap, 9) == [Timer.A]


def test_stop_and_stop_all_disarm() -> None:
    heap, owner = TimerHeap(), Owner()
    timers = OwnedTimers(heap, owner)
    for timer in (Timer.A, Timer.B, Timer.D):
        timers.arm(timer, Instant(1))
    timers.stop(Timer.A)
    timers.stop(Timer.A)
    assert not timers.is_armed(Timer.A)
    assert len(heap) == 2
    timers.stop_all()
    assert len(heap) == 0
    assert drain(heap, 9) == []


def test_every_timer_says_what_it_is() -> None:
    assert all(len(timer.value) > 20 for timer in Timer)
    assert len({timer.value for timer in Timer}) == len(list(Timer))
