"""What a stream asks of its leg."""

from __future__ import annotations

from typing import Protocol

from ringback.ids import StreamId
from ringback.machine import Instant
from ringback.media.control.values import AudioFormat
from ringback.media.stream.truth import AudioReport


class StreamPlayer(Protocol):
    """The leg as a stream sees it; `agent_audio.AgentAudio` implements it."""

    def queue_audio(self, now: Instant, audio: bytes, format: AudioFormat) -> bool:
        """Queue agent audio; returns `False` when the play queue is full and nothing was taken."""

    def checkpoint(self, now: Instant, name: str) -> bool:
        """Mark the end of the play queue; returns `False` when too many marks wait."""

    def clear_audio(self, now: Instant) -> None:
        """Drop the play queue and its marks."""

    def audio_report(self) -> AudioReport:
        """Return what became of the agent's audio so far."""

    def agent_digits(self, now: Instant, digits: str) -> bool:
        """Send digits to the far party; returns `False` when they cannot be queued."""

    def agent_stop(self, now: Instant, stream_id: StreamId) -> None:
        """End this stream: the agent asked for it."""

    def stream_fault(
        self, now: Instant, stream_id: StreamId, reason: str, count: int, detail: str, ms: int = 0
    ) -> None:
        """Report that agent input was unusable or that something was dropped; already limited to 1/s per reason."""


class Nobody:
    """The player of a stream that is not attached: audio goes nowhere, everything else is refused."""

    def queue_audio(self, now: Instant, audio: bytes, format: AudioFormat) -> bool:
        """Take it and play nothing."""
        return True

    def checkpoint(self, now: Instant, name: str) -> bool:
        """Refuse."""
        return False

    def clear_audio(self, now: Instant) -> None:
        """Have nothing to clear."""

    def audio_report(self) -> AudioReport:
        """Return zeros."""
        return AudioReport()

    def agent_digits(self, now: Instant, digits: str) -> bool:
        """Refuse."""
        return False

    def agent_stop(self, now: Instant, stream_id: StreamId) -> None:
        """Have nothing to end."""

    def stream_fault(
        self, now: Instant, stream_id: StreamId, reason: str, count: int, detail: str, ms: int = 0
    ) -> None:
        """Tell no one."""
