"""What a leg's agent plays to the far party: its queue, its checkpoints, and the account of what was heard."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from ringback.ids import SessionId, StreamId
from ringback.machine import MS, Instant
from ringback.media.checkpoint import Checkpoints
from ringback.media.codecs.convert import unit_bytes
from ringback.media.control.events import (
    AnySessionEvent,
    StreamCheckpointPlayed,
    StreamCleared,
    StreamDegraded,
    StreamFaulted,
    StreamFirstAudio,
)
from ringback.media.control.values import AudioFormat
from ringback.media.degraded import DegradedLevels
from ringback.media.played import PlayedAudio
from ringback.media.playout import SAMPLES_PER_MS, Playout
from ringback.media.rtp.telephone_event import DIGITS
from ringback.media.stream.session import StreamSession
from ringback.media.stream.truth import AudioReport


class AgentStopped(msgspec.Struct, frozen=True):
    """The agent sent `stop`: the owner of the socket ends the stream as `StreamEnd.AGENT_CLOSED`."""

    stream_id: StreamId


class AgentAudio:
    """The audio of the one bidirectional stream that a leg may have, and what every stream asks of its leg.

    Fulfils `stream.player.StreamPlayer`. The session takes the frames from `playout` itself; it calls `acknowledge`
    when `marks.next_position` has left, and `first_audio` for the first frame while `awaits_first` is set.
    """

    __slots__ = (
        "_degraded",
        "_emit",
        "_on_stop",
        "_played",
        "_send_digits",
        "_session_id",
        "awaits_first",
        "marks",
        "playout",
        "stream",
    )

    def __init__(
        self,
        session_id: SessionId,
        playout: Playout,
        *,
        emit: Callable[[AnySessionEvent], None],
        on_stop: Callable[[AgentStopped], None],
        send_digits: Callable[[Instant, str], bool],
    ) -> None:
        self._session_id = session_id
        self._emit = emit
        self._on_stop = on_stop
        self._send_digits = send_digits
        self.playout = playout
        self.marks = Checkpoints()
        self.stream: StreamSession | None = None
        """The bidirectional stream."""
        self.awaits_first = False
        self._degraded = DegradedLevels()
        self._played = PlayedAudio(0, 0, is_audible=False)

    def join(self, stream: StreamSession) -> None:
        """Play a bidirectional stream; there is none yet, and `set_audible` follows."""
        playout = self.playout
        self.stream = stream
        playout.delay_policy = stream.settings.delay_policy
        playout.max_samples = stream.settings.playout_max_ms * SAMPLES_PER_MS
        self._played = PlayedAudio(playout.position, playout.trimmed_samples, is_audible=False)
        self.awaits_first = True
        self._degraded.bound(playout.max_samples)

    def part(self) -> None:
        """Drop what the stream has queued, and tell it how much of it was heard."""
        self._drop_queue()
        if self.stream is not None:
            self.stream.played_ms = self._played.played // SAMPLES_PER_MS
        self.stream = None
        self.awaits_first = False

    def set_audible(self, is_audible: bool) -> None:
        """Book what was due until now; from now on it is heard or not."""
        self._settle()
        self._played.is_audible = is_audible

    def ease(self) -> None:
        """Arm the thresholds of the queue again that it has fallen below; now and then."""
        self._degraded.eased(self.playout.level)

    def first_audio(self, now: Instant) -> None:
        """Report the stream's first frame."""
        self.awaits_first = False
        stream = self.stream
        if stream is not None:
            after_ms = (now - stream.opened_at) // MS if stream.opened_at is not None else 0
            self._emit(
                StreamFirstAudio(session_id=self._session_id, stream_id=stream.stream_id, after_open_ms=after_ms)
            )

    def acknowledge(self) -> None:
        """Report every checkpoint whose audio has left."""
        while self.marks.next_position <= self.playout.position:
            self._checkpoint_played(self.marks.pop())

    def _checkpoint_played(self, name: str) -> None:
        stream = self.stream
        if stream is not None:
            self._played.played_checkpoints += 1
            stream.push_played(name)
            self._emit(StreamCheckpointPlayed(session_id=self._session_id, stream_id=stream.stream_id, name=name))

    def _settle(self) -> None:
        self._played.settle(self.playout.position, self.playout.trimmed_samples)

    def _drop_queue(self) -> tuple[int, int]:
        """Drop the play queue and its marks; returns how many samples and marks that was."""
        self._settle()
        dropped, marks = self.playout.clear(), self.marks.clear()
        self._played.clear(dropped, marks)
        return dropped, marks

    # -- what a stream asks (StreamPlayer) -----------------------------------------------------------------------

    def queue_audio(self, now: Instant, audio: bytes, format: AudioFormat) -> bool:
        """Queue agent audio; `False` when it does not fit."""
        playout = self.playout
        was_empty = playout.level == 0
        if not playout.queue(now, audio, format):
            self._played.refuse(len(audio) // unit_bytes(format))
            return False
        if was_empty and playout.level and self._played.begins_utterance(playout.silent_slots):
            self._settle()
            self._played.begin_utterance()
        if playout.level >= self._degraded.next_level:
            self._note_degraded()
        return True

    def checkpoint(self, now: Instant, name: str) -> bool:
        """Mark the end of the play queue; one behind nothing is acknowledged at once."""
        if self.playout.level == 0 and not len(self.marks):
            self._checkpoint_played(name)
            return True
        return self.marks.add(self.playout.end_position, name)

    def clear_audio(self, now: Instant) -> None:
        """Drop the play queue and its marks, and acknowledge."""
        dropped, marks = self._drop_queue()
        self._degraded.reset()
        if self.stream is not None:
            self.stream.push_cleared()
            self._emit(
                StreamCleared(
                    session_id=self._session_id,
                    stream_id=self.stream.stream_id,
                    dropped_ms=dropped // SAMPLES_PER_MS,
                    dropped_checkpoints=marks,
                )
            )

    def audio_report(self) -> AudioReport:
        """Return what the far party has heard of the agent's audio, and what it has not."""
        self._settle()
        played = self._played
        return AudioReport(
            played_ms=played.played // SAMPLES_PER_MS,
            utterance_ms=(played.played - played.utterance_start) // SAMPLES_PER_MS,
            dropped_ms=played.dropped // SAMPLES_PER_MS,
            queued_ms=self.playout.level_ms,
            played_checkpoints=played.played_checkpoints,
            dropped_checkpoints=played.dropped_checkpoints,
            queued_checkpoints=len(self.marks),
        )

    def agent_digits(self, now: Instant, digits: str) -> bool:
        """Send digits that an agent asked for; `w` and `W` are not part of that command."""
        return all(digit in DIGITS for digit in digits) and self._send_digits(now, digits)

    def agent_stop(self, now: Instant, stream_id: StreamId) -> None:
        """Report that the agent wants its stream ended."""
        self._on_stop(AgentStopped(stream_id))

    def stream_fault(
        self, now: Instant, stream_id: StreamId, reason: str, count: int, detail: str, ms: int = 0
    ) -> None:
        """Report a fault of a stream, or something that was dropped."""
        self._emit(
            StreamFaulted(
                session_id=self._session_id, stream_id=stream_id, reason=reason, count=count, detail=detail, ms=ms
            )
        )

    def _note_degraded(self) -> None:
        """Report the highest threshold of the play queue that was passed."""
        percent = self._degraded.reached(self.playout.level)
        if percent and self.stream is not None:
            self._emit(
                StreamDegraded(
                    session_id=self._session_id,
                    stream_id=self.stream.stream_id,
                    percent=percent,
                    queued_ms=self.playout.level_ms,
                )
            )
