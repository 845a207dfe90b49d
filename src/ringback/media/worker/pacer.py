"""The worker's one clock for sending: four phases of 5 ms, each leg in one of them, every 20 ms."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from ringback import clock
from ringback.machine import MS, Instant

PHASES = 4
SLOT_NS = 5 * MS
_EARLY_NS = MS // 2
"""The loop's timers count whole milliseconds: a wake this much early is on time."""
_MAKE_UP_SLOTS = 2 * PHASES
"""After a stall each leg is ticked at most twice; older slots are skipped, never sent in a burst."""
_CROWD = 8
_ROUNDS = 3
"""How often the loop goes round between a slot's work and the hold while something is being set up or ended: callbacks
of callbacks run without delay."""
_ROUNDS_CALM = 1
_STIRRED_SLOTS = 50
"""For so long (250 ms) after `stir` the loop goes round more often."""
_HISTOGRAM_BOUNDS_US = (250, 500, 750, 1_000, 1_500, 2_000, 3_000, 5_000, 7_500, 10_000, 20_000, 50_000, 100_000)


class Paced(Protocol):
    """What the pacer drives; neither method may raise."""

    def tick(self, now: Instant) -> None:
        """Make what is due in the slot of `now`, the slot's own instant."""

    def send(self) -> None:
        """Send what was made. All legs of a slot tick before the first one sends: runs of the same work cost less."""


class SlotClock:
    """The grid of slots from one origin: slot `n` is due at `origin + n * 5 ms`. Pure.

    State: `due` moves the grid on; slots are handed out once, in order, or skipped.
    """

    __slots__ = ("_next", "origin", "skipped")

    def __init__(self, origin: Instant) -> None:
        self.origin = origin
        self.skipped = 0
        self._next = 0

    def due(self, now: Instant) -> range:
        """Return the slots to run now; of a long stall only the last two rounds."""
        last = (now + _EARLY_NS - self.origin) // SLOT_NS
        first = self._next
        if last < first:
            return range(0)
        if last - first + 1 > _MAKE_UP_SLOTS:
            self.skipped += last - first + 1 - _MAKE_UP_SLOTS
            first = last - _MAKE_UP_SLOTS + 1
        self._next = last + 1
        return range(first, last + 1)

    def resume(self, now: Instant) -> None:
        """Forget slots before `now` without counting them as skipped: nobody was there to be paced."""
        self._next = max(self._next, -(-(now - self.origin) // SLOT_NS))

    def instant_of(self, slot: int) -> Instant:
        """Return when a slot is due."""
        return Instant(self.origin + slot * SLOT_NS)

    def next_due(self) -> Instant:
        """Return when the next slot is due."""
        return self.instant_of(self._next)


class LatenessHistogram:
    """Counts how late slots ran, since the last `take`; `late` counts those beyond a limit, for ever."""

    __slots__ = ("_counts", "_limit_ns", "_total", "late")

    def __init__(self, limit_ms: int = 10) -> None:
        self.late = 0
        self._limit_ns = limit_ms * MS
        self._counts = [0] * (len(_HISTOGRAM_BOUNDS_US) + 1)
        self._total = 0

    def note(self, late_ns: int) -> None:
        """Count one slot."""
        if late_ns > self._limit_ns:
            self.late += 1
        late_us = late_ns // 1_000
        index = 0
        for bound in _HISTOGRAM_BOUNDS_US:
            if late_us <= bound:
                break
            index += 1
        self._counts[index] += 1
        self._total += 1

    def take(self) -> tuple[int, int]:
        """Return the median and the 99th percentile in microseconds, and start again; 0 without slots.

        Each is the upper bound of the bucket that holds it.
        """
        result = self._percentile_us(50), self._percentile_us(99)
        self._counts = [0] * (len(_HISTOGRAM_BOUNDS_US) + 1)
        self._total = 0
        return result

    def _percentile_us(self, percent: int) -> int:
        wanted = self._total - self._total * (100 - percent) // 100
        seen = 0
        if self._total:
            for bound, count in zip((*_HISTOGRAM_BOUNDS_US, 1_000_000), self._counts, strict=True):
                seen += count
                if seen >= wanted:
                    return bound
        return 0


class Pacer:
    """Ticks every leg once per 20 ms in its phase; no timer, no task.

    The loop is held between slots, so that it wakes once per slot and takes everything that arrived since in one go;
    what is urgent ends the hold early (`LoopHold`). A wake per packet was dear: measured 2026-11-22 with
    benchmarks/worker_load.py.

    State: sleeps while it has no legs. A leg may be added or removed at any time, also from within a tick.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        hold: Callable[[int], None],
        on_wake: Callable[[bool], None],
        on_slot: Callable[[Instant], None],
        *,
        late_ms: int = 10,
    ) -> None:
        self._loop = loop
        self._hold = hold
        self._on_wake = on_wake
        self._on_slot = on_slot
        self._grid = SlotClock(clock.now())
        self._phases: tuple[list[Paced], ...] = tuple([] for _ in range(PHASES))
        self._moving: list[tuple[int, Paced]] = []
        self._slot = 0
        self._runs = False
        self._rounds = 0
        self._stirred = 0
        self._ran = 0
        self.lateness = LatenessHistogram(late_ms)

    def __len__(self) -> int:
        return sum(map(len, self._phases)) + len(self._moving)

    @property
    def skipped_slots(self) -> int:
        """Slots left out after stalls."""
        return self._grid.skipped

    @property
    def due_slots(self) -> int:
        """Slots that were due since the start, those left out included."""
        return self._ran + self._grid.skipped

    @property
    def late_slots(self) -> int:
        """Slots of these that ran late or were left out."""
        return self.lateness.late + self._grid.skipped

    def add(self, leg: Paced) -> None:
        """Pace a leg in the phase that has the fewest."""
        index = min(range(PHASES), key=lambda phase: len(self._phases[phase]))
        self._put(leg, index)
        if not self._runs:
            self._runs = True
            self._grid.resume(clock.now())
            self._loop.call_soon(self._rest)

    def stir(self) -> None:
        """Let the loop go round more often for a while: a command or an event makes tasks and callbacks run."""
        self._stirred = _STIRRED_SLOTS

    def remove(self, leg: Paced) -> None:
        """Pace a leg no more; unknown legs are ignored."""
        self._phases = tuple(
            [other for other in phase if other is not leg] if leg in phase else phase for phase in self._phases
        )
        if self._moving:
            self._moving = [entry for entry in self._moving if entry[1] is not leg]

    def move(self, leg: Paced, slots: int) -> int:
        """Tick a leg so many slots later (earlier when negative) from its next tick on; returns how many.

        At most three either way. A phase that has many more legs than its share takes no more: 0 is returned.
        """
        here = next((index for index, legs in enumerate(self._phases) if leg in legs), None)
        if here is None or not -PHASES < slots < PHASES or not slots:
            return 0
        there = (here + slots) % PHASES
        if len(self._phases[there]) >= _CROWD + len(self) * 2 // PHASES:
            return 0
        self.remove(leg)
        if slots < 0:
            self._put(leg, there)
        else:
            # Its new phase comes up once too early: it joins behind that.
            self._moving.append((self._slot + PHASES + slots, leg))
        return slots

    def _put(self, leg: Paced, phase: int) -> None:
        # Lists are replaced, not changed: a round in progress goes on over the old one.
        phases = list(self._phases)
        phases[phase] = [*phases[phase], leg]
        self._phases = tuple(phases)

    def _join(self, slot: int) -> None:
        due = [entry for entry in self._moving if entry[0] <= slot]
        self._moving = [entry for entry in self._moving if entry[0] > slot]
        for wanted, leg in due:
            self._put(leg, wanted % PHASES)

    def _rest(self) -> None:
        """Let the loop go round a few times, then hold it until the next slot; the loop polls after that."""
        if not len(self):
            self._runs = False
            return
        if self._rounds > 0:
            self._rounds -= 1
            self._loop.call_soon(self._rest)
            return
        self._loop.call_soon(self._wake)
        self._hold(self._grid.next_due() - clock.now())

    def _wake(self) -> None:
        if self._stirred > 0:
            self._stirred -= 1
            self._rounds = _ROUNDS
        else:
            self._rounds = _ROUNDS_CALM
        self._loop.call_soon(self._rest)
        now = clock.now()
        grid = self._grid
        skipped = grid.skipped
        slots = grid.due(now)
        if not slots:
            return
        self._on_wake(grid.skipped != skipped)
        self._ran += len(slots)
        for slot in slots:
            # Legs see the grid, not the clock: their frames stay exactly 20 ms apart whatever the wake's lateness.
            at = grid.instant_of(slot)
            self.lateness.note(max(now - at, 0))
            self._slot = slot
            if self._moving:
                self._join(slot)
            legs = self._phases[slot % PHASES]
            for leg in legs:
                leg.tick(at)
            for leg in legs:
                leg.send()
            self._on_slot(now)
