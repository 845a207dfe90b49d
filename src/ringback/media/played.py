"""The account of an agent's audio: every sample that it sent was played, was dropped, or is queued.

Kept without any work per slot: the play queue counts what leaves it, and the account is settled only when something
else happens to the queue, or when somebody asks.
"""

from __future__ import annotations

SAMPLES_PER_MS = 8
NEW_UTTERANCE_SLOTS = 50
"""Audio that comes after a longer silence than 1 s begins a new utterance; a shorter one is an agent out of breath."""


class PlayedAudio:
    """One two-way stream's account, in samples of the leg.

    State: `settle` before whatever moves the queue's position otherwise than by playing, and before reading.
    """

    __slots__ = (
        "_position",
        "_trimmed",
        "_was_cleared",
        "dropped",
        "dropped_checkpoints",
        "is_audible",
        "played",
        "played_checkpoints",
        "utterance_start",
    )

    def __init__(self, position: int, trimmed: int, *, is_audible: bool) -> None:
        self.played = 0
        """Samples that left for the far party."""
        self.dropped = 0
        """Samples that never will."""
        self.utterance_start = 0
        """What was played before the utterance that was begun last."""
        self.played_checkpoints = 0
        self.dropped_checkpoints = 0
        self.is_audible = is_audible
        """Whether what leaves the queue is sent; on hold it is not."""
        self._position = position
        self._trimmed = trimmed
        self._was_cleared = True

    def settle(self, position: int, trimmed: int) -> None:
        """Book what left the queue since the last time; the queue's own counts are given."""
        cut_out = trimmed - self._trimmed
        left = position - self._position - cut_out
        self._position, self._trimmed = position, trimmed
        self.dropped += cut_out
        if self.is_audible:
            self.played += left
        else:
            self.dropped += left

    def clear(self, samples: int, checkpoints: int) -> None:
        """Book what was cleared from the settled queue; the next audio begins an utterance."""
        self._position += samples
        self.dropped += samples
        self.dropped_checkpoints += checkpoints
        self._was_cleared = True

    def refuse(self, samples: int) -> None:
        """Book audio that the queue did not take."""
        self.dropped += samples

    def begins_utterance(self, silent_slots: int) -> bool:
        """Return whether audio that was queued behind nothing begins an utterance."""
        return self._was_cleared or silent_slots > NEW_UTTERANCE_SLOTS

    def begin_utterance(self) -> None:
        """Count the settled account's next samples as a new utterance."""
        self.utterance_start = self.played
        self._was_cleared = False
