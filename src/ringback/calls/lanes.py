"""The order in which waiting calls start: first come, first served, within the paces of accounts and trunks.

Calls of one account by one trunk form a lane and start in order. A lane whose trunk must wait does not hold up the
account's other lanes, and accounts take turns, so that a thousand calls of one do not keep the others waiting.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from heapq import heappop, heappush

from ringback.calls.pace import Pace
from ringback.ids import CallUuid
from ringback.machine import Instant


@dataclass(frozen=True, slots=True)
class Place:
    """One waiting call; `ticket` grows with every call that comes."""

    call_uuid: CallUuid
    account_id: str
    trunk: str
    """Name of the trunk it leaves by, empty for none."""
    ticket: int


class Lanes:
    """Waiting calls and the paces that hold them back.

    Memory: one pace for each account that ever called, so it is as bounded as the accounts are.
    """

    def __init__(self, account_per_second: int, trunk_per_second: Mapping[str, int]) -> None:
        self._account_per_second = account_per_second
        self._accounts: dict[str, Pace] = {}
        self._trunks = {name: Pace(count) for name, count in trunk_per_second.items()}
        self._free = Pace(0)
        self._returned: dict[str, list[Instant]] = {}
        """Heaps of reserved moments that nobody uses, by trunk; past ones go with the next reservation."""
        self._waiting: OrderedDict[str, dict[str, deque[Place]]] = OrderedDict()
        """Lanes by account and trunk; the account at the front is next."""
        self._places: dict[CallUuid, Place] = {}

    def __len__(self) -> int:
        return len(self._places)

    def holds(self, call_uuid: CallUuid) -> bool:
        """Return whether the call waits."""
        return call_uuid in self._places

    def start_at_once(self, account_id: str, trunk: str, now: Instant) -> bool:
        """Count a start that need not wait: its lane is empty and both paces allow it; `False` when it must wait."""
        if self._waiting.get(account_id, {}).get(trunk):
            return False
        if self._account(account_id).ready_at(now) > now or self._trunk(trunk).ready_at(now) > now:
            return False
        self._take(account_id, trunk, now)
        return True

    def reserve(self, trunk: str, now: Instant, latest: Instant) -> Instant | None:
        """Count a start that stands in no lane at the trunk's next free moment and return that.

        What waits in lanes comes behind it. `None`, and nothing is counted, when that moment is after `latest`.
        """
        returned = self._returned.get(trunk, [])
        while returned and returned[0] < now:
            heappop(returned)
        # What was given back lies before all that was counted later.
        at = returned[0] if returned else self._trunk(trunk).ready_at(now)
        if at > latest:
            return None
        if returned:
            heappop(returned)
        else:
            self._trunk(trunk).take(at)
        return at

    def give_back(self, trunk: str, at: Instant) -> None:
        """Let the next start that is reserved have this moment, which `reserve` had returned and nobody uses.

        What waits in lanes cannot have it: it starts a little after its moment, so that the pace might be broken.
        """
        if trunk in self._trunks:
            heappush(self._returned.setdefault(trunk, []), at)

    def add(self, place: Place) -> None:
        """Put a call at the end of its lane, or one that was taken too early back to where it stood."""
        lane = self._waiting.setdefault(place.account_id, {}).setdefault(place.trunk, deque())
        if lane and lane[0].ticket > place.ticket:
            lane.appendleft(place)
        else:
            lane.append(place)
        self._places[place.call_uuid] = place

    def remove(self, call_uuid: CallUuid) -> bool:
        """Take a call out of its lane; `False` when it does not wait."""
        place = self._places.pop(call_uuid, None)
        if place is None:
            return False
        self._waiting[place.account_id][place.trunk].remove(place)
        self._tidy(place)
        return True

    def next(self, now: Instant, has_room: Callable[[str], bool] = lambda _trunk: True) -> Place | None:
        """Take the call whose turn it is and count its start; `None` when all must wait.

        Args:
            has_room: Whether a trunk, or the node for an empty name, can carry one more call.
        """
        for account_id, lanes in self._waiting.items():
            if self._account(account_id).ready_at(now) > now:
                continue
            heads = [lane[0] for trunk, lane in lanes.items() if self._trunk(trunk).ready_at(now) <= now]
            heads = [place for place in heads if has_room(place.trunk)]
            if not heads:
                continue
            place = min(heads, key=lambda each: each.ticket)
            lanes[place.trunk].popleft()
            del self._places[place.call_uuid]
            self._waiting.move_to_end(account_id)
            self._tidy(place)
            self._take(account_id, place.trunk, now)
            return place
        return None

    def next_at(self, now: Instant) -> Instant | None:
        """Return when a call's paces allow its start, `None` when none waits."""
        return min(
            (
                max(self._account(account_id).ready_at(now), self._trunk(trunk).ready_at(now))
                for account_id, lanes in self._waiting.items()
                for trunk in lanes
            ),
            default=None,
        )

    def _take(self, account_id: str, trunk: str, now: Instant) -> None:
        self._account(account_id).take(now)
        self._trunk(trunk).take(now)

    def _account(self, account_id: str) -> Pace:
        pace = self._accounts.get(account_id)
        if pace is None:
            pace = self._accounts[account_id] = Pace(self._account_per_second)
        return pace

    def _trunk(self, trunk: str) -> Pace:
        return self._trunks.get(trunk, self._free)

    def _tidy(self, place: Place) -> None:
        lanes = self._waiting[place.account_id]
        if not lanes[place.trunk]:
            del lanes[place.trunk]
        if not lanes:
            del self._waiting[place.account_id]
