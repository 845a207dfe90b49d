"""What a leg's far party does, for one `Listen` command: speaks, falls silent, beeps; and what it says, piece by piece.

Frames in, events out; the captured audio is taken by the owner, who writes it to a file.
"""

from __future__ import annotations

from collections import deque

from ringback.ids import SessionId
from ringback.media.control.commands import Listen
from ringback.media.control.events import AnySessionEvent, BeepHeard, SilenceReached, SpeechProgressed, SpeechStarted
from ringback.media.detect.beep import BeepDetector
from ringback.media.detect.speech import FRAME_MS, SpeechDetector

_LEAD_FRAMES = 15
"""300 ms before an onset are captured too: it is noticed late, and words begin softly."""


class Listener:
    """One listening.

    State: `take` every frame in order until `is_over`; then, and after each frame, take `events` and `captured`.
    """

    __slots__ = ("_beep", "_command", "_heard_ms", "_is_capturing", "_lead", "_reported_ms", "_session_id", "_speech",
                 "captured", "captured_ms", "events", "is_over")  # fmt: skip

    def __init__(self, session_id: SessionId, command: Listen) -> None:
        self.is_over = False
        """Whether the utterance is captured: nothing more is reported."""
        self.events: list[AnySessionEvent] = []
        self.captured = bytearray()
        """Audio to be written to the file; the owner empties it."""
        self.captured_ms = 0
        self._session_id = session_id
        self._command = command
        self._speech = SpeechDetector(command.silence_ms)
        rule = command.beep
        self._beep = BeepDetector(rule.least_ms, rule.gap_ms, rule.threshold) if rule is not None else None
        self._lead: deque[bytes] = deque(maxlen=_LEAD_FRAMES)
        self._is_capturing = False
        self._heard_ms = 0
        self._reported_ms = 0

    def take(self, pcm: bytes) -> None:
        """Take 20 ms of native 16-bit audio."""
        if self.is_over:
            return
        self._heard_ms += FRAME_MS
        begins, is_silent = self._speech.take(pcm)
        if begins:
            self._begin()
        if self._is_capturing:
            self._capture(pcm)
        elif self._command.capture_path:
            self._lead.append(pcm)
        if is_silent:
            self._fall_silent()
        if self._beep is not None:
            beep = self._beep.take(pcm)
            if beep is not None:
                self.events.append(
                    BeepHeard(
                        session_id=self._session_id,
                        listen_id=self._command.listen_id,
                        pitch_hz=beep.pitch_hz,
                        duration_ms=beep.duration_ms,
                    )
                )

    def _begin(self) -> None:
        listen_id = self._command.listen_id
        self.events.append(SpeechStarted(session_id=self._session_id, listen_id=listen_id, after_ms=self._heard_ms))
        if self._command.capture_path and not self.captured_ms:
            self._is_capturing = True
            for frame in self._lead:
                self._capture(frame)
            self._lead.clear()

    def _capture(self, pcm: bytes) -> None:
        self.captured += pcm
        self.captured_ms += FRAME_MS
        progress_ms = self._command.progress_ms
        if progress_ms and self.captured_ms - self._reported_ms >= progress_ms:
            self._reported_ms = self.captured_ms
            listen_id = self._command.listen_id
            self.events.append(
                SpeechProgressed(session_id=self._session_id, listen_id=listen_id, captured_ms=self.captured_ms)
            )
        if self.captured_ms >= self._command.capture_max_ms:
            self.is_over = True

    def _fall_silent(self) -> None:
        self.events.append(
            SilenceReached(
                session_id=self._session_id, listen_id=self._command.listen_id, silence_ms=self._speech.silence_ms
            )
        )
        self.is_over = self.is_over or self._is_capturing
