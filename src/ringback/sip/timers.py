"""SIP timers by name, and the one heap that holds all of an endpoint's deadlines."""

from __future__ import annotations

import heapq
from enum import Enum
from typing import Protocol

from ringback.machine import Instant


class Timer(Enum):
    """Every timer of transactions and of the INVITE usage. A member's text says who arms it and what firing means."""

    TRYING = "INVITE server in Proceeding, 200 ms; stopped by the first response; firing sends 100 (RFC 3261 §17.2.1)"
    A = "INVITE client in Calling over UDP, T1 doubling without a cap; stopped by a response; firing repeats the INVITE"
    B = "INVITE client in Calling, 64 × T1 or the failover time; stopped by any response; firing ends with a time-out"
    D = "INVITE client in Completed, 32 s over UDP, else 0; nothing stops it; firing forgets the transaction"
    E = "non-INVITE client over UDP, T1 doubling to T2; stopped by a final; firing repeats the request"
    F = "non-INVITE client, 64 × T1 or the failover time; stopped by a final; firing ends with a time-out"
    G = "INVITE server in Completed over UDP, T1 doubling to T2; stopped by the ACK; firing repeats the final response"
    H = "INVITE server in Completed, 64 × T1 on every transport; stopped by the ACK; firing gives up waiting for it"
    I = "INVITE server in Confirmed, T4 over UDP, else 0; nothing stops it; firing forgets the transaction"  # noqa: E741 - the RFC's name
    J = "non-INVITE server in Completed, 64 × T1 over UDP, else 0; nothing stops it; firing forgets the transaction"
    K = "non-INVITE client in Completed, T4 over UDP, else 0; nothing stops it; firing forgets the transaction"
    L = "INVITE server in Accepted, 64 × T1 (RFC 6026 §7.1); nothing stops it; firing forgets the transaction"
    M = "INVITE client in Accepted, 64 × T1 (RFC 6026 §7.2); nothing stops it; firing forgets the transaction"
    SUCCESS_REPEAT = (
        "usage after its 200, T1 doubling to T2 on every transport; stopped by the ACK; firing repeats the 200"
    )
    ACK_WAIT = "usage after its 200, 64 × T1; stopped by the ACK; firing sends BYE (RFC 3261 §13.3.1.4)"
    RINGING_REFRESH = "incoming call in early state, 60 s; stopped by the final response; firing repeats the last 18x"
    CANCEL_WAIT = (
        "outgoing call after CANCEL, 64 × T1; stopped by the final response; firing drops the INVITE (RFC 3261 §9.1)"
    )
    ANSWER_WAIT = "owner's answer to an offer in a 200, 64 × T1; stopped by `ack_with`; firing sends ACK and BYE"
    REOFFER_SUCCESS_REPEAT = "as SUCCESS_REPEAT, for the 200 to a re-INVITE"
    REOFFER_ACK_WAIT = "as ACK_WAIT, for the 200 to a re-INVITE"
    REOFFER_ANSWER_WAIT = "as ANSWER_WAIT, for a re-INVITE"
    GLARE = (
        "own re-INVITE after 491, drawn (RFC 3261 §14.1); stopped by the end of the call; firing repeats the re-INVITE"
    )
    FORKS_STOP = "call to several phones when one has decided it, at once; firing cancels the others"
    REPLY_WAIT = "REGISTER that the owner judges, 64 × T1; stopped by `reply`; firing forgets it unanswered"


class TimerOwner(Protocol):
    """Whoever is told when one of its timers fires."""

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Act on a timer that is due."""


class TimerEntry:
    """One armed deadline; `owner` is None once it has fired or was cancelled."""

    __slots__ = ("at", "order", "owner", "timer")

    def __init__(self, at: Instant, order: int, owner: TimerOwner, timer: Timer) -> None:
        self.at = at
        self.order = order
        self.owner: TimerOwner | None = owner
        self.timer = timer

    def __lt__(self, other: TimerEntry) -> bool:
        return self.at < other.at if self.at != other.at else self.order < other.order


class TimerHeap:
    """The deadlines of one endpoint, earliest first; equal ones in arming order.

    Cancelled entries stay in the heap until they surface or outnumber the live ones, so cancelling costs nothing.
    """

    __slots__ = ("_cancelled", "_entries", "_order")

    def __init__(self) -> None:
        self._entries: list[TimerEntry] = []
        self._order = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._entries) - self._cancelled

    def arm(self, owner: TimerOwner, timer: Timer, at: Instant) -> TimerEntry:
        """Return the entry of a new deadline."""
        self._order += 1
        entry = TimerEntry(at, self._order, owner, timer)
        heapq.heappush(self._entries, entry)
        return entry

    def cancel(self, entry: TimerEntry) -> None:
        """Disarm `entry`; a fired or cancelled one is left alone."""
        if entry.owner is None:
            return
        entry.owner = None
        self._cancelled += 1
        if self._cancelled > 1_000 and self._cancelled * 2 > len(self._entries):
            self._entries = [kept for kept in self._entries if kept.owner is not None]
            heapq.heapify(self._entries)
            self._cancelled = 0

    def next_deadline(self) -> Instant | None:
        """Return the earliest live deadline, or None."""
        entries = self._entries
        while entries and entries[0].owner is None:
            heapq.heappop(entries)
            self._cancelled -= 1
        return entries[0].at if entries else None

    def pop_due(self, now: Instant) -> tuple[TimerOwner, Timer] | None:
        """Disarm and return the earliest timer due at `now`, or None."""
        deadline = self.next_deadline()
        if deadline is None or deadline > now:
            return None
        entry = heapq.heappop(self._entries)
        owner = entry.owner
        assert owner is not None  # next_deadline() leaves a live entry on top
        entry.owner = None
        return owner, entry.timer


class OwnedTimers:
    """The timers of one owner, by name, on the shared heap.

    State: arming an armed timer moves it; stopping an idle one does nothing. The owner calls `fired` first of all when
    one of them fires.
    """

    __slots__ = ("_entries", "_heap", "_owner")

    def __init__(self, heap: TimerHeap, owner: TimerOwner) -> None:
        self._heap = heap
        self._owner = owner
        self._entries: dict[Timer, TimerEntry] = {}

    def arm(self, timer: Timer, at: Instant) -> None:
        """Set `timer` to fire at `at`, replacing an earlier setting."""
        previous = self._entries.get(timer)
        if previous is not None:
            self._heap.cancel(previous)
        self._entries[timer] = self._heap.arm(self._owner, timer, at)

    def stop(self, timer: Timer) -> None:
        """Disarm `timer`."""
        entry = self._entries.pop(timer, None)
        if entry is not None:
            self._heap.cancel(entry)

    def stop_all(self) -> None:
        """Disarm every timer of the owner."""
        for entry in self._entries.values():
            self._heap.cancel(entry)
        self._entries.clear()

    def fired(self, timer: Timer) -> None:
        """Forget a timer that the heap has just handed out; one fired by hand is disarmed too."""
        self.stop(timer)

    def is_armed(self, timer: Timer) -> bool:
        """Return whether `timer` waits to fire."""
        return timer in self._entries
