"""Whether a worker has capacity for more sessions: one table of states, fed by the worker's figures. Pure.

A worker is refused new calls when it has been late for seconds, never over a single pause. What protects the seconds
before that is an estimate: figures are up to a second old, so between two of them a worker takes no more than what its
cost per session leaves room for.

All times are those of the figures, which the worker reads off the machine's one monotonic clock. A server that stood
still and then takes five figures at once judges them as if they had come in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import NamedTuple

from ringback.machine import SECOND, Instant, Timers, after_ms
from ringback.media.control.events import WorkerStats
from ringback.media.control.settings import LoadRules

_FULL_LOOP = 0.97
"""Share of a second at which a loop no longer sleeps: what is left is the kernel's own."""
_ROOM_UP_TO = 0.75
"""Share of a loop's time that calls may be expected to take. Measured 2026-11-22 on two cores with other load: the
round trip's p99 was 46 ms with loops at 0.55, 100 ms at 0.75, 450 ms at 0.97, and without rest it grew to seconds."""
_NO_REST = 0.80
"""Smoothed over a few seconds, a loop that is busier gets no new call, late or not."""
_EASY, _EASY_STEP = 0.6, 32
"""A loop that is less busy may get so many calls before its next figures whatever they seem to cost: where other
programs keep the cores busy, a few calls look dear."""
_COLD_SESSIONS = 170
"""So many sessions a worker may get while there is no measurement: a call costs a third of what this supposes."""
_STEP_BACK = 0.9
"""Of the sessions at which a worker was full, so many are its bound afterwards."""
_CALM_PROBE, _UNEASY_PROBE = 1.01, 1.0025
"""By how much that bound grows with every figure that is not late."""
_FORGET = 1.5
"""Grown to so many times what had been too much, the bound is forgotten: what made the worker slow is over."""


UNBOUNDED = 1_000_000
"""What a worker has to spare when it is not judged: more than it can ever be asked for."""


class LoadState(Enum):
    """How much a worker takes."""

    OPEN = "open"
    """As many as the estimate allows."""
    STRAINED = "strained"
    """Late for less than `pace_after_ms`: as before, but other workers are preferred."""
    PACED = "paced"
    """A few each second, none behind a late figure."""
    FULL = "full"
    """No new calls."""


class Sign(Enum):
    """What a figure, or the end of a timer, says."""

    LATE = "late"
    UNEASY = "uneasy"
    """Neither late nor calm."""
    CALM = "calm"
    LATE_FOR_LONGER = "late for longer"
    LATE_FOR_LONG = "late for long"
    CALM_FOR_LONG = "calm for long"


class Timer(Enum):
    """The rule's timers; the first two run from the beginning of the late second."""

    PACE = "pace"
    """Armed by the first late figure, stopped by one that is not: late for `pace_after_ms`."""
    FILL = "fill"
    """Armed by the first late figure, stopped by one that is not (when paced: by a calm one): late for
    `full_after_ms`."""
    EASE = "ease"
    """Armed by the first better figure, stopped by a late one: better for `open_after_ms`."""


class Effect(NamedTuple):
    """Timers to arm, unless they run, and to stop."""

    arm: tuple[Timer, ...] = ()
    stop: tuple[Timer, ...] = ()


class Next(NamedTuple):
    """The outcome of a transition."""

    state: LoadState
    effect: Effect = Effect()


_FIRED: Mapping[Timer, Sign] = MappingProxyType(
    {Timer.PACE: Sign.LATE_FOR_LONGER, Timer.FILL: Sign.LATE_FOR_LONG, Timer.EASE: Sign.CALM_FOR_LONG}
)
_ALL_STOPPED = Effect(stop=tuple(Timer))
_NOT_ARMED = "its timer does not run in this state"

TABLE: Mapping[tuple[LoadState, Sign], Next] = MappingProxyType(
    {
        (LoadState.OPEN, Sign.LATE): Next(LoadState.STRAINED, Effect(arm=(Timer.PACE, Timer.FILL))),
        (LoadState.STRAINED, Sign.UNEASY): Next(LoadState.OPEN, _ALL_STOPPED),
        (LoadState.STRAINED, Sign.CALM): Next(LoadState.OPEN, _ALL_STOPPED),
        (LoadState.STRAINED, Sign.LATE_FOR_LONGER): Next(LoadState.PACED),
        (LoadState.STRAINED, Sign.LATE_FOR_LONG): Next(LoadState.FULL, _ALL_STOPPED),
        (LoadState.PACED, Sign.LATE): Next(LoadState.PACED, Effect(arm=(Timer.FILL,), stop=(Timer.EASE,))),
        (LoadState.PACED, Sign.UNEASY): Next(LoadState.PACED, Effect(stop=(Timer.FILL, Timer.EASE))),
        (LoadState.PACED, Sign.CALM): Next(LoadState.PACED, Effect(arm=(Timer.EASE,), stop=(Timer.FILL,))),
        (LoadState.PACED, Sign.LATE_FOR_LONG): Next(LoadState.FULL, _ALL_STOPPED),
        (LoadState.PACED, Sign.CALM_FOR_LONG): Next(LoadState.OPEN, _ALL_STOPPED),
        (LoadState.FULL, Sign.LATE): Next(LoadState.FULL, Effect(stop=(Timer.EASE,))),
        # A machine that is never quite calm must not keep a worker shut for ever.
        (LoadState.FULL, Sign.UNEASY): Next(LoadState.FULL, Effect(arm=(Timer.EASE,))),
        (LoadState.FULL, Sign.CALM): Next(LoadState.FULL, Effect(arm=(Timer.EASE,))),
        (LoadState.FULL, Sign.CALM_FOR_LONG): Next(LoadState.PACED, _ALL_STOPPED),
    }
)

IGNORED: Mapping[tuple[LoadState, Sign], str] = MappingProxyType(
    {
        (LoadState.OPEN, Sign.UNEASY): "a pause is no load",
        (LoadState.OPEN, Sign.CALM): "as it should be",
        (LoadState.STRAINED, Sign.LATE): "its timers run",
        (LoadState.OPEN, Sign.LATE_FOR_LONGER): _NOT_ARMED,
        (LoadState.OPEN, Sign.LATE_FOR_LONG): _NOT_ARMED,
        (LoadState.OPEN, Sign.CALM_FOR_LONG): _NOT_ARMED,
        (LoadState.STRAINED, Sign.CALM_FOR_LONG): _NOT_ARMED,
        (LoadState.PACED, Sign.LATE_FOR_LONGER): _NOT_ARMED,
        (LoadState.FULL, Sign.LATE_FOR_LONGER): _NOT_ARMED,
        (LoadState.FULL, Sign.LATE_FOR_LONG): _NOT_ARMED,
    }
)


@dataclass(frozen=True, slots=True)
class Second:
    """What one figure says about the time since the one before."""

    at: Instant
    length_ns: int
    sessions: int
    late_share: float
    """Of the slots; those that were left out count as late. 0..1."""
    busy_share: float
    """Of the time in which the worker's loop ran or waited for a core. 0..1."""

    @classmethod
    def between(cls, before: WorkerStats, now: WorkerStats) -> Second | None:
        """Return what happened between two figures of one worker, `None` if nothing can have."""
        length_ns = now.at_ns - before.at_ns
        if length_ns <= 0:
            return None
        slots = now.slots - before.slots
        busy_ns = now.loop_cpu_ns - before.loop_cpu_ns + now.loop_wait_ns - before.loop_wait_ns
        return cls(
            at=Instant(now.at_ns),
            length_ns=length_ns,
            # A session that was there all the time costs its full price; one that has just come does not yet.
            sessions=min(before.sessions, now.sessions),
            late_share=(now.late_slots - before.late_slots) / slots if slots > 0 else 0.0,
            busy_share=min(max(busy_ns / length_ns, 0.0), 1.0),
        )


class WorkerLoad:
    """Judges one worker process.

    State: `take` each of its figures in order; `opened` with each session placed there; ask `spare` at any time. A
    process that replaces it gets an object of its own.
    """

    def __init__(self, rules: LoadRules) -> None:
        self.state = LoadState.OPEN
        self.late_share = 0.0
        self.busy_share = 0.0
        self._rules = rules
        self._timers: Timers[Timer] = Timers()
        self._before: WorkerStats | None = None
        self._is_late = False
        self._opened = 0
        """Sessions since the last figure."""
        self._busy = 0.0
        """Smoothed: half of it is the last second."""
        self._cost = 0.0
        """Share of the loop's time that a session takes, smoothed; 0 without a measurement."""
        self._bound_until_figures = _COLD_SESSIONS
        """Sessions that it may have before its next figures, by the estimate."""
        self._bound: float | None = None
        self._was_too_much = 0.0

    @property
    def bound(self) -> int | None:
        """Return how many sessions it may have since it was full, `None` when that was long ago."""
        return None if self._bound is None else int(self._bound)

    def opened(self) -> None:
        """Count a session that was placed on the worker."""
        self._opened += 1

    def take(self, stats: WorkerStats) -> bool:
        """Judge the newest figures; return whether the state changed."""
        before, self._before = self._before, stats
        second = Second.between(before, stats) if before is not None else None
        if second is None:
            return False
        was = self.state
        self.late_share, self.busy_share = second.late_share, second.busy_share
        self._opened = 0
        self._busy = (self._busy + second.busy_share) / 2
        self._measure_cost(second)
        self._bound_until_figures = self._estimate(stats.sessions)
        sign = self._sign(second, stats.sessions)
        self._is_late = sign is Sign.LATE
        self._probe(sign)
        # A figure that comes late, because the worker was stopped, tells of one pause and not of long lateness.
        self._step(sign, Instant(second.at - min(second.length_ns, SECOND)), stats.sessions)
        for timer in self._timers.expired(second.at):
            self._step(_FIRED[timer], second.at, stats.sessions)
        return self.state is not was

    def spare(self, sessions: int) -> int:
        """Return how many more new calls the worker takes before its next figures, of which it has `sessions` now."""
        rules = self._rules
        if not rules.is_on:
            return UNBOUNDED
        always = rules.sessions_min - sessions
        if always > 0:
            # The estimate is for loads, not for a handful of calls on a machine that is busy with other things.
            return max(always, self._by_state(sessions))
        return max(0, self._by_state(sessions))

    def _by_state(self, sessions: int) -> int:
        paced = self._rules.paced_per_s - self._opened if self._busy < _NO_REST else 0
        match self.state:
            case LoadState.FULL:
                return 0
            case LoadState.PACED:
                spare = 0 if self._is_late else paced
            case LoadState.OPEN | LoadState.STRAINED:
                # While its loop has rest the estimate slows the worker down and does not shut it.
                spare = max(paced, self._bound_until_figures - sessions)
        return spare if self._bound is None else min(spare, int(self._bound) - sessions)

    def _estimate(self, sessions: int) -> int:
        """Return how many sessions the worker may have until its next figures.

        Half the way to what its cost leaves room for: waiting for a core grows faster than the sessions do.
        """
        if not self._cost:
            return _COLD_SESSIONS
        room = int(_ROOM_UP_TO / self._cost - sessions) // 2
        return sessions + (max(room, _EASY_STEP) if self._busy < _EASY else room)

    def _measure_cost(self, second: Second) -> None:
        if second.sessions < self._rules.sessions_min:
            # What the loop does besides its sessions would be counted as theirs.
            self._cost = 0.0
            return
        cost = second.busy_share / second.sessions
        self._cost = (self._cost + cost) / 2 if self._cost else cost

    def _sign(self, second: Second, sessions: int) -> Sign:
        rules = self._rules
        if sessions < rules.sessions_min:
            return Sign.CALM
        if second.late_share * 100 >= rules.late_percent or second.busy_share >= _FULL_LOOP:
            return Sign.LATE
        return Sign.CALM if second.late_share * 100 <= rules.calm_percent else Sign.UNEASY

    def _probe(self, sign: Sign) -> None:
        if self._bound is None or sign is Sign.LATE or self.state is LoadState.FULL:
            return
        self._bound *= _CALM_PROBE if sign is Sign.CALM else _UNEASY_PROBE
        if self._bound >= _FORGET * self._was_too_much:
            self._bound = None

    def _step(self, sign: Sign, since: Instant, sessions: int) -> None:
        after = TABLE.get((self.state, sign))
        if after is None:
            return
        if after.state is LoadState.FULL and self.state is not LoadState.FULL:
            self._was_too_much = float(sessions)
            self._bound = max(float(self._rules.sessions_min), _STEP_BACK * sessions)
        self.state = after.state
        for timer in after.effect.stop:
            self._timers.stop(timer)
        for timer in after.effect.arm:
            if not self._timers.is_armed(timer):
                self._timers.arm(timer, after_ms(since, self._length_ms(timer)))

    def _length_ms(self, timer: Timer) -> int:
        rules = self._rules
        match timer:
            case Timer.PACE:
                return rules.pace_after_ms
            case Timer.FILL:
                return rules.full_after_ms
            case Timer.EASE:
                return rules.open_after_ms
