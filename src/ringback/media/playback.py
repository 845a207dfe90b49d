"""Playbacks of a leg: files and clips that are played one behind the other, beside agent audio."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ringback.ids import PlayId

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
    """One playback in the queue of a leg."""

    __slots__ = ("has_started", "play_id", "played_samples", "source")

    def __init__(self, play_id: PlayId, source: PcmSource) -> None:
        self.play_id = play_id
        self.source = source
        self.has_started = False
        self.played_samples = 0


class Playbacks:
    """The playbacks of one leg, in order; tells `on_start` and `on_end` of each.

    State: bounded by `limit`; an ended playback is forgotten before `on_end` is called.
    """

    __slots__ = ("_limit", "_on_end", "_on_start", "_queue")

    def __init__(self, limit: int, *, on_start: Callable[[Playback], None], on_end: Callable[[Playback], None]) -> None:
        self._limit = limit
        # A list: most calls play nothing, and an empty deque takes 760 bytes of every call.
        self._queue: list[Playback] = []
        self._on_start = on_start
        self._on_end = on_end

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, play_id: PlayId, source: PcmSource) -> bool:
        """Queue a playback; `False` when too many wait or the id is taken."""
        if len(self._queue) >= self._limit or any(play.play_id == play_id for play in self._queue):
            return False
        self._queue.append(Playback(play_id, source))
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
        """Return up to 20 ms of linear audio of the first playback; one that is at its end is followed by the next."""
        while self._queue:
            play = self._queue[0]
            pcm = play.source.take(FRAME_SAMPLES)
            if pcm is None:
                self._queue.pop(0)
                self._on_end(play)
                continue
            pcm = pcm[: 2 * FRAME_SAMPLES]
            if pcm and not play.has_started:
                play.has_started = True
                self._on_start(play)
            play.played_samples += len(pcm) // 2
            return pcm
        return b""
