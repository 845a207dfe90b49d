"""Whether a human or a machine has answered, by rules on when it speaks, for how long, and when it stops.

A human says a few words and waits; a machine goes on, or beeps. Each rule names what it saw, so that nobody has to
guess why a call was judged as it was.
Spec: wire spec 4.5 (`machine_detection_…`); reference product.md section 12.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ringback.media.control.values import Answerer
from ringback.media.detect.beep import BeepDetector
from ringback.media.detect.speech import FRAME_MS, SpeechDetector

_WORD_FRAMES = 5
"""100 ms of sound, the shortest word."""
_PAUSE_FRAMES = 3
"""60 ms of quiet part two words."""


@dataclass(frozen=True, slots=True)
class MachineRules:
    """The limits of a human's greeting, in milliseconds. What is 0 is not looked at."""

    total_ms: int = 5_000
    """The verdict falls at the latest then (`machine_detection_time`)."""
    initial_silence_ms: int = 4_500
    """Nobody has spoken for so long: unknown (`machine_detection_initial_silence`)."""
    speech_ms: int = 5_000
    """More sound than that in all is a machine (`machine_detection_maximum_speech_length`)."""
    words: int = 0
    """More words than that are a machine (`machine_detection_maximum_words`)."""
    greeting_ms: int = 3_600
    """A greeting, pauses included, that is longer is a machine's (`machine_detection_initial_greeting`)."""
    silence_ms: int = 800
    """Silence after a greeting is a human who waits (`machine_detection_silence`)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Who answered, and by which rule."""

    answerer: Answerer
    reason: str
    after_ms: int
    """Audio heard until then."""


class AnswererDetector(Protocol):
    """Decides who answered; a model of another maker takes the place of the rules by this."""

    def take(self, pcm: bytes) -> Verdict | None:
        """Take 20 ms of native 16-bit audio, 8000 Hz; returns a verdict when there is one; a later one revises it."""


class RuleDetector:
    """Decides by `MachineRules`.

    State: `take` every frame from the answer on. After a first verdict only a beep within `total_ms` revises it.
    """

    __slots__ = (
        "_beep",
        "_first_ms",
        "_heard_ms",
        "_last_ms",
        "_quiet_frames",
        "_rules",
        "_speech",
        "_speech_ms",
        "_verdict",
        "_word_frames",
        "_words",
    )

    def __init__(self, rules: MachineRules) -> None:
        self._rules = rules
        self._speech = SpeechDetector(rules.silence_ms)
        self._beep = BeepDetector()
        self._heard_ms = 0
        self._first_ms = -1
        self._last_ms = 0
        self._speech_ms = 0
        self._words = 0
        self._word_frames = 0
        self._quiet_frames = 0
        self._verdict: Verdict | None = None

    def take(self, pcm: bytes) -> Verdict | None:
        """Take 20 ms of native 16-bit audio; returns a verdict when there is one."""
        self._heard_ms += FRAME_MS
        begins, _ = self._speech.take(pcm)
        self._count(begins)
        if self._verdict is not None and self._verdict.answerer is Answerer.MACHINE:
            return None
        beep = self._beep.take(pcm)
        if beep is not None:
            return self._give(Answerer.MACHINE, f"beep of {beep.duration_ms} ms at {beep.pitch_hz} Hz")
        if self._verdict is not None:
            return None
        return self._judge()

    def _count(self, begins: bool) -> None:
        if begins and self._first_ms < 0:
            # The onset is noticed 100 ms late.
            self._first_ms = max(self._heard_ms - _WORD_FRAMES * FRAME_MS, 0)
            self._word_frames = _WORD_FRAMES - 1
            self._speech_ms = self._word_frames * FRAME_MS
        if self._first_ms < 0:
            return
        if self._speech.is_loud:
            self._word_frames += 1
            self._quiet_frames = 0
            self._speech_ms += FRAME_MS
            self._last_ms = self._heard_ms
            self._words += self._word_frames == _WORD_FRAMES
        else:
            self._quiet_frames += 1
            if self._quiet_frames >= _PAUSE_FRAMES:
                self._word_frames = 0

    def _judge(self) -> Verdict | None:
        rules, heard_ms = self._rules, self._heard_ms
        if self._first_ms < 0:
            limit_ms = rules.initial_silence_ms
            if limit_ms and heard_ms >= limit_ms:
                return self._give(Answerer.UNKNOWN, f"nothing said for {limit_ms} ms")
        else:
            greeting_ms = self._last_ms - self._first_ms
            if rules.greeting_ms and greeting_ms > rules.greeting_ms:
                return self._give(Answerer.MACHINE, f"greeting longer than {rules.greeting_ms} ms")
            if rules.words and self._words > rules.words:
                return self._give(Answerer.MACHINE, f"more than {rules.words} words")
            if rules.speech_ms and self._speech_ms > rules.speech_ms:
                return self._give(Answerer.MACHINE, f"more than {rules.speech_ms} ms of speech")
            if rules.silence_ms and heard_ms - self._last_ms >= rules.silence_ms:
                reason = f"greeting of {greeting_ms} ms, then {rules.silence_ms} ms of silence"
                return self._give(Answerer.HUMAN, reason)
        if heard_ms >= rules.total_ms:
            return self._give(Answerer.UNKNOWN, f"no rule fitted within {rules.total_ms} ms")
        return None

    def _give(self, answerer: Answerer, reason: str) -> Verdict:
        self._verdict = Verdict(answerer, reason, self._heard_ms)
        return self._verdict
