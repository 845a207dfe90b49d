"""The play queue of an agent that sends in real time: how long its audio waits, moved slots, gaps."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest

from ringback.machine import MS, Instant
from ringback.media.codecs.convert import ULAW_8K
from ringback.media.codecs.g711 import PCMU
from ringback.media.playout import Playout

FRAME_NS = 20 * MS


@dataclass
class Run:
    """What happened to numbered frames that arrived at instants."""

    may_move: bool = True
    moves: list[int] = field(default_factory=list)
    waits: list[tuple[int, float]] = field(default_factory=list)
    ticks: list[int] = field(default_factory=list)
    gaps_at: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.playout = Playout(PCMU, 60_000, self._move)
        self._pending = 0

    def _move(self, by_ns: int) -> int:
        assert 5 * MS <= abs(by_ns) <= 15 * MS
        assert by_ns % (5 * MS) == 0
        self.moves.append(by_ns)
        self._pending = by_ns if self.may_move else 0
        return self._pending

    def play(self, arrivals_ms: list[float], *, phase_ms: float = 10, missed: range = range(0)) -> None:
        """Take a frame each 20 ms until all have arrived; `missed` ticks (by number) do not happen."""
        waiting = sorted(int(at * MS) for at in arrivals_ms)
        ends: list[tuple[int, int]] = []
        at, number = int(phase_ms * MS), 0
        while waiting:
            number += 1
            if number in missed:
                at += FRAME_NS
                continue
            if number == missed.stop and missed:
                self.playout.skip_slot(len(missed))
            while waiting and waiting[0] <= at:
                arrived = waiting.pop(0)
                assert self.playout.queue(Instant(arrived), b"\x50" * 160, ULAW_8K)
                ends.append((self.playout.end_position, arrived))
            gaps = self.playout.gaps
            self.playout.take(Instant(at))
            if self.playout.gaps > gaps:
                self.gaps_at.append(at // MS)
            self.ticks.append(at)
            while ends and ends[0][0] <= self.playout.position:
                self.waits.append((at // MS, (at - ends.pop(0)[1]) / MS))
            at += FRAME_NS + self._pending
            self._pending = 0

    def wait_ms(self, after_s: float, part: float = 0.5) -> float:
        """Return a quantile of how long frames waited, from an instant on."""
        waits = sorted(wait for at, wait in self.waits if at >= after_s * 1_000)
        return waits[int(len(waits) * part)]


def arrivals(count: int, offset_ms: float = 0, jitter_ms: float = 0, seed: int = 3) -> list[float]:
    chance = random.Random(seed)
    return [number * 20 + offset_ms + chance.random() * jitter_ms for number in range(count)]


@pytest.mark.parametrize("offset_ms", range(0, 20, 3))
def test_a_regular_agent_waits_less_than_8_ms_whenever_it_sends(offset_ms: int) -> None:
    run = Run()
    run.play(arrivals(300, offset_ms))
    assert 2.5 <= run.wait_ms(1.5, 0) <= run.wait_ms(1.5, 0.999) < 7.5
    assert len(run.moves) <= 1
    assert run.playout.gaps == 0
    assert run.playout.trimmed_samples == 0
    steps = {later - earlier for earlier, later in zip(run.ticks, run.ticks[1:], strict=False)}
    assert steps <= {FRAME_NS, FRAME_NS + sum(run.moves)}


@pytest.mark.parametrize("jitter_ms", [3, 8, 15])
def test_jitter_costs_what_it_varies_by_and_few_gaps(jitter_ms: int) -> None:
    run = Run()
    run.play(arrivals(3_000, jitter_ms=jitter_ms))
    assert run.wait_ms(5, 0.99) < jitter_ms + 12.5
    assert run.playout.gaps <= 2


def test_where_slots_cannot_be_moved_a_regular_agent_plays_on() -> None:
    run = Run(may_move=False)
    run.play(arrivals(300))
    assert run.moves
    assert run.wait_ms(1, 0) == run.wait_ms(1, 0.999) == 10
    assert run.playout.gaps == 0


def test_moves_that_are_not_needed_are_not_asked_for() -> None:
    run = Run()
    run.play(arrivals(2_000, offset_ms=6))
    assert run.moves == []


def test_a_cushion_that_the_agent_keeps_is_left_to_it() -> None:
    run = Run()
    run.play([0.0] * 5 + arrivals(500))
    assert run.moves == []
    assert run.playout.level == 5 * 160


def test_a_late_frame_is_a_gap_and_its_delay_is_undone_within_two_seconds() -> None:
    run = Run()
    late = arrivals(400)
    late[150] += 19
    run.play(late)
    assert run.playout.gaps == 1
    base = run.wait_ms(1.5)
    after = [wait for at, wait in run.waits if at >= 5_000]
    assert max(after) < base + 7.5


def test_one_gap_alone_changes_nothing_for_long() -> None:
    run = Run()
    late = arrivals(400)
    late[150] += 19
    run.play(late)
    assert run.playout.gaps == 1
    before = [wait for at, wait in run.waits if 1_500 <= at < 3_000]
    after = [wait for at, wait in run.waits if at >= 4_200]
    assert max(after) <= max(before)


def test_after_gaps_the_reserve_grows_and_shrinks_again() -> None:
    run = Run()
    shaky = arrivals(3_000)
    for number in range(100, 400, 50):
        shaky[number] += 19
    run.play(shaky)
    waits = {second: wait for second in (9, 40) for at, wait in run.waits if at // 1_000 == second}
    assert waits[9] > waits[40]
    assert waits[40] < 7.5


def test_a_stall_of_our_own_says_nothing_about_the_agent() -> None:
    run = Run()
    # What the agent sent meanwhile is lost with us: an echo has nothing to echo.
    sent = [at for at in arrivals(500) if not 4_000 <= at < 5_000]
    run.play(sent, missed=range(200, 250))
    base = run.wait_ms(1.5, 0.2)
    assert abs(run.wait_ms(7) - base) < 5


def test_what_an_echo_returns_in_a_burst_after_our_stall_is_cut_within_two_seconds() -> None:
    run = Run()
    sent = [at if not 4_000 <= at < 5_000 else 5_001.0 for at in arrivals(500)]
    run.play(sent, missed=range(200, 250))
    late = [wait for at, wait in run.waits if at >= 7_000]
    assert max(late) < 15
    assert run.playout.trimmed_samples >= 45 * 160
