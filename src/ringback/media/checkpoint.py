"""Checkpoints: marks in the play queue that are acknowledged when the last sample before them has left.

Spec: docs/protocol/stream.md#checkpoint. Marks are positions in the sample count of the play queue, so they stay exact
whatever the chunk sizes. Cleared marks are never acknowledged; equal names are acknowledged each.
"""

from __future__ import annotations

CHECKPOINTS_MAX = 1000
"""Marks that may wait; one more is refused."""
NAME_MAX_BYTES = 256

NEVER = 1 << 62
"""A position that no queue reaches."""


class Checkpoints:
    """The marks of one play queue, in order.

    State: `next_position` is compared with the queue's position after each frame; only then `pop` is called.
    """

    __slots__ = ("_marks", "next_position")

    def __init__(self) -> None:
        self.next_position = NEVER
        """Position of the first waiting mark."""
        # A list: few marks wait at once, and an empty deque takes 760 bytes of every call.
        self._marks: list[tuple[int, str]] = []

    def __len__(self) -> int:
        return len(self._marks)

    def add(self, position: int, name: str) -> bool:
        """Set a mark; `False` when too many wait."""
        if len(self._marks) >= CHECKPOINTS_MAX:
            return False
        if not self._marks:
            self.next_position = position
        self._marks.append((position, name))
        return True

    def pop(self) -> str:
        """Return and forget the name of the first mark; there must be one."""
        marks = self._marks
        _, name = marks.pop(0)
        self.next_position = marks[0][0] if marks else NEVER
        return name

    def clear(self) -> int:
        """Forget all marks and return how many there were."""
        count = len(self._marks)
        self._marks.clear()
        self.next_position = NEVER
        return count
