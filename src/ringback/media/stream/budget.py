"""How much an agent may send: a bucket for the second, and slices that leave the worker's loop to the other calls.

A message counts 1, and 1 more for each whole 4096 bytes of it: what 1,000 large ones cost is copied, not understood.
"""

from __future__ import annotations

from ringback.machine import MS, SECOND, Instant

SLICE = 250
"""Messages taken at a stretch: about 2 ms of the loop's time."""
SLICE_NS = 10 * MS
SIZE_SHIFT = 12
"""4096 bytes count as one message more."""


class InputBudget:
    """What one connection may still send.

    State: whoever takes a message subtracts its cost from `left`; when nothing is left, `renew` says whether to go on.
    """

    __slots__ = ("_at", "_bucket", "_burst", "_granted", "_per_s", "_refilled_at", "left", "renewals")

    left: int
    """What may be taken before `renew` has to be asked; a large message may bring it below 0, and is paid for later."""
    renewals: int

    def __init__(self, now: Instant, per_s: int, burst: int) -> None:
        self._per_s = per_s
        self._burst = self._bucket = burst
        self._at = self._refilled_at = now
        self.left = self._granted = min(SLICE, burst)
        self.renewals = 0

    def renew(self, now: Instant) -> bool:
        """Grant the next slice if 10 ms have passed since the last one and something was earned."""
        self._bucket -= self._granted - self.left
        self._granted = self.left
        earned = (now - self._refilled_at) * self._per_s // SECOND
        if earned > 0:
            self._refilled_at = now
            self._bucket = min(self._bucket + earned, self._burst)
        if self._bucket <= 0 or now - self._at < SLICE_NS:
            return False
        self._at = now
        self.left = self._granted = min(SLICE, self._bucket)
        self.renewals += 1
        return True

    @property
    def wait_s(self) -> float:
        """Return after which time it is worth while to ask again."""
        return 0.01 if self._bucket > 0 else 0.05
