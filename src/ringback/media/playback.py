"""Playbacks of a leg: files and clips, in each lane one behind the other, beside agent audio."""

from __future__ import annotations

import audioop
from collections.abc import Callable
from typing import Protocol

from ringback.ids import PlayId
from ringback.media.control.values import PlayLane

FRAME_SAMPLES = 160


class PcmSource(Protocol):
    """Audio of a playback: 8000 Hz, mono, signed 16-bit little-endian."""

    def take(self, samples: int) -> bytes | None:
        """Return up to `samples` samples, fewer or none when not ready yet, `None` when exhausted. Must not block."""


class PcmClip:
    """A finite playback held in memory; a `PcmSource`.

    State: `take` moves on; `loops` times through the clip, 0 for ever.
    """

    __slots__ = ("_at", "_left", "_pcm")

    def __init__(self, pcm: bytes, loops: int = 1) -> None:
        self._pcm = pcm[: len(pcm) & ~1]
        self._left = loops if loops > 0 else -1
        self._at = 0

    def take(self, samples: int) -> bytes | None:
        """Return the next samples, across the joint of two loops without a gap; `None` when played out."""
        if not self._pcm or self._left == 0:
            return None
        parts: list[bytes] = []
        wanted = 2 * samples
        while wanted and self._left:
            part = self._pcm[self._at : self._at + wanted]
            parts.append(part)
            wanted -= len(part)
            self._at += len(part)
            if self._at >= len(self._pcm):
                self._at = 0
                self._left -= 1
        return b"".join(parts)


class Playback:
    """One playback in the queue of a leg; unless it `mixes`, nothing else is heard while it plays."""

    __slots__ = ("has_started", "lane", "mixes", "play_id", "played_samples", "source")

    def __init__(
        self, play_id: PlayId, source: PcmSource, lane: PlayLane = PlayLane.DOCUMENT, *, mixes: bool = True
    ) -> None:
        self.play_id = play_id
        self.source = source
        self.lane = lane
        self.mixes = mixes
        self.has_started = False
        self.played_samples = 0


class Playbacks:
    """The playbacks of one leg, in order; tells `on_start` and `on_end` of each.

    State: bounded by `limit` over all lanes; an ended playback is forgotten before `on_end` is called.
    """

    __slots__ = ("_limit", "_on_end", "_on_start", "_queue", "is_alone")

    is_alone: bool
    """Whether what `take` returned last is to be heard without anything else."""

    def __init__(self, limit: int, *, on_start: Callable[[Playback], None], on_end: Callable[[Playback], None]) -> None:
        self.is_alone = False
        self._limit = limit
        # A list: most calls play nothing, and an empty deque takes 760 bytes of every call.
        self._queue: list[Playback] = []
        self._on_start = on_start
        self._on_end = on_end

    def __len__(self) -> int:
        return len(self._queue)

    def add(
        self, play_id: PlayId, source: PcmSource, lane: PlayLane = PlayLane.DOCUMENT, *, mixes: bool = True
    ) -> bool:
        """Queue a playback; `False` when too many wait or the id is taken."""
        if len(self._queue) >= self._limit or any(play.play_id == play_id for play in self._queue):
            return False
        self._queue.append(Playback(play_id, source, lane, mixes=mixes))
        return True

    def remove(self, play_id: PlayId) -> Playback | None:
        """Take a playback out and return it; `on_end` is not called."""
        for play in self._queue:
            if play.play_id == play_id:
                self._queue.remove(play)
                return play
        return None

    def remove_all(self) -> list[Playback]:
        """Take every playback out; `on_end` is not called."""
        removed = list(self._queue)
        self._queue.clear()
        return removed

    def take(self) -> bytes:
        """Return up to 20 ms of linear audio: the first playback of each lane, added up.

        One that is at its end is followed by the next of its lane. Where one does not mix, the others run on unheard.
        """
        self.is_alone = False
        if not self._queue:
            return b""
        if len(self._queue) == 1:
            # The usual case: nothing to add up.
            return self._add(b"", self._queue[0].lane)
        sum_pcm = b""
        for lane in dict.fromkeys(play.lane for play in self._queue):
            sum_pcm = self._add(sum_pcm, lane)
        return sum_pcm

    def _add(self, so_far: bytes, lane: PlayLane) -> bytes:
        """Return what is heard when the next audio of a lane joins in."""
        while (play := next((play for play in self._queue if play.lane is lane), None)) is not None:
            pcm = play.source.take(FRAME_SAMPLES)
            if pcm is None:
                self._queue.remove(play)
                self._on_end(play)
                continue
            pcm = pcm[: 2 * FRAME_SAMPLES]
            if pcm and not play.has_started:
                play.has_started = True
                self._on_start(play)
            play.played_samples += len(pcm) // 2
            return self._joined(so_far, pcm, play)
        return so_far

    def _joined(self, so_far: bytes, pcm: bytes, play: Playback) -> bytes:
        if not pcm or (play.mixes and self.is_alone):
            return so_far
        if not play.mixes and not self.is_alone:
            self.is_alone = True
            return pcm
        if not so_far:
            return pcm
        size = 2 * FRAME_SAMPLES
        return audioop.add(so_far.ljust(size, b"\0"), pcm.ljust(size, b"\0"), 2)
