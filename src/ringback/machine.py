"""The vocabulary of sans-IO machines: what a machine takes, what it gives, how its shell drives it.

The contract, in four steps:

1. Call `handle_input(now, input)` or `handle_timeout(now)`: exactly one mutation. `now` is monotonic nanoseconds.
2. Call `poll_output()` until it returns `None`: datagrams to send, events, requests to the shell.
3. Ask `poll_timeout()` for the next deadline, or `None`.
4. Carry out the outputs, sleep until the deadline or the next input, go to 1.

Example:
    >>> from enum import Enum
    >>> class Timer(Enum):
    ...     RING = "ring"
    >>> timers: Timers[Timer] = Timers()
    >>> timers.arm(Timer.RING, Instant(5))
    >>> timers.next_deadline()
    5
    >>> timers.expired(Instant(5))
    [<Timer.RING: 'ring'>]

Bad input from outside becomes an event or an `errors.RingbackError`. A broken invariant raises `errors.Bug` and costs
that one machine, never its neighbours.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Generic, NewType, Protocol, TypeVar

Instant = NewType("Instant", int)
"""A point on the monotonic clock, in nanoseconds."""

MS = 1_000_000
"""Nanoseconds in a millisecond."""
SECOND = 1_000_000_000
"""Nanoseconds in a second."""

InputT = TypeVar("InputT", contravariant=True)
OutputT = TypeVar("OutputT", covariant=True)
TimerT = TypeVar("TimerT", bound=Hashable)


class Machine(Protocol[InputT, OutputT]):
    """One sans-IO state machine."""

    def handle_input(self, now: Instant, event: InputT) -> None:
        """Take one input; never blocks, never performs I/O."""

    def handle_timeout(self, now: Instant) -> None:
        """Fire every timer that is due at `now`."""

    def poll_output(self) -> OutputT | None:
        """Return the next output, or `None` when all have been taken."""

    def poll_timeout(self) -> Instant | None:
        """Return the earliest deadline, or `None` when no timer is armed."""


def after_ms(now: Instant, milliseconds: float) -> Instant:
    """Return the instant `milliseconds` after `now`."""
    return Instant(now + int(milliseconds * MS))


class Timers(Generic[TimerT]):
    """Named deadlines of one machine.

    State: arming an armed timer moves it; stopping an idle one does nothing. Timers that are due together fire in
    deadline order; equal deadlines fire in the order in which they were armed.
    """

    __slots__ = ("_deadlines",)

    def __init__(self) -> None:
        self._deadlines: dict[TimerT, Instant] = {}

    def arm(self, timer: TimerT, at: Instant) -> None:
        """Set `timer` to fire at `at`, replacing an earlier setting."""
        self._deadlines.pop(timer, None)
        self._deadlines[timer] = at

    def stop(self, timer: TimerT) -> None:
        """Disarm `timer`."""
        self._deadlines.pop(timer, None)

    def stop_all(self) -> None:
        """Disarm every timer."""
        self._deadlines.clear()

    def is_armed(self, timer: TimerT) -> bool:
        """Return whether `timer` waits to fire."""
        return timer in self._deadlines

    def next_deadline(self) -> Instant | None:
        """Return the earliest deadline, or `None`."""
        return min(self._deadlines.values(), default=None)

    def expired(self, now: Instant) -> list[TimerT]:
        """Disarm and return the timers due at `now`, earliest first."""
        due = [(at, index, timer) for index, (timer, at) in enumerate(self._deadlines.items()) if at <= now]
        due.sort(key=lambda entry: entry[:2])
        for _, _, timer in due:
            del self._deadlines[timer]
        return [timer for _, _, timer in due]
