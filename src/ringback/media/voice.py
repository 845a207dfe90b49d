"""What one member of a room says, kept for the few frames until everyone else has heard it, and how others follow it.

A voice gives one frame per 20 ms, but on its own path's schedule; a listener takes one per 20 ms on the listener's
slot. The distance between both is at most one frame when the path is calm. Each listener follows each voice with an
`Ear`: one that runs dry hears the voice extended for at most 60 ms and is further behind from then on; one that has
been further behind than needed for a second skips what is too much, cross-faded. Nothing is ever more than 160 ms
behind.
"""

from __future__ import annotations

import numpy as np

from ringback.media.codecs.concealment import Concealer, ramp_down, shortened
from ringback.media.codecs.g711 import FRAME_SAMPLES, PCMU, Law
from ringback.media.codecs.l16 import clipped, samples_of

FRAMES_KEPT = 16
"""Frames of a voice that a late listener still finds."""
BEHIND_MAX = 8
"""Frames (160 ms) behind which a listener skips at once: its slots stood still, or the voice came in a burst."""
CALM_TICKS = 50
"""Slots (1 s) over which being further behind than needed is judged."""
CALM_TICKS_MAX = 16 * CALM_TICKS
SOON_TICKS = 3 * CALM_TICKS
"""Running dry so soon after a skip shows that what was skipped was needed; later it is another mishap of the path."""
_MASK = FRAMES_KEPT - 1
_CONCEALED_SLOTS = 3
_FADE_SAMPLES = 40
_FADE_IN = np.linspace(0.0, 1.0, _FADE_SAMPLES, dtype=np.float32)
_QUIET_LEVEL = 64


class VoiceFrame:
    """One frame of a voice: law bytes, linear audio once someone needed it."""

    __slots__ = ("_pcm", "audio", "law")

    def __init__(self, audio: bytes, law: Law, pcm: bytes = b"") -> None:
        self.audio = audio
        """160 law bytes, empty when the frame came as linear audio."""
        self.law = law
        self._pcm = pcm

    @property
    def pcm(self) -> bytes:
        """Return the frame as native linear audio, decoded once."""
        if not self._pcm:
            self._pcm = self.law.decode(self.audio)
        return self._pcm

    def in_law(self, law: Law) -> bytes:
        """Return the frame in `law`; bytes of that law are never touched."""
        if not self.audio:
            return law.encode(self._pcm)
        return self.audio if self.law is law else self.audio.translate(law.from_other)


class Voice:
    """The newest frames of one member.

    State: `push` or `push_pcm` once per 20 ms of the member's audio; muted, silence is kept in their place.
    """

    __slots__ = ("_is_muted", "_law", "_was_muted", "end", "frames", "is_finished", "level")

    def __init__(self, law: Law, *, is_muted: bool = False) -> None:
        self.end = 0
        """Frames so far."""
        self.level = 0.0
        """Loudness of late, 0 to 32767; kept by the room's floor."""
        self._law = law
        self.frames: list[VoiceFrame | None] = [None] * FRAMES_KEPT
        """Frame `n` stands at `n` modulo `FRAMES_KEPT`."""
        self.is_finished = False
        """Whether the member left and no frame follows."""
        self._is_muted = is_muted
        self._was_muted = is_muted

    @property
    def is_muted(self) -> bool:
        """Return whether nobody hears it."""
        return self._is_muted

    def mute(self, is_muted: bool) -> None:
        """Let it be heard or not, from the next frame on; that one is faded."""
        self._is_muted = is_muted

    def set_law(self, law: Law) -> None:
        """Change the law of the frames that follow."""
        self._law = law

    def push(self, audio: bytes) -> VoiceFrame | None:
        """Append 160 law bytes; returns what others hear of them, `None` for silence."""
        frame: VoiceFrame | None = None
        if self._is_muted or self._was_muted:
            frame = self._faded(VoiceFrame(audio, self._law))
        elif audio != self._law.silence:
            frame = VoiceFrame(audio, self._law)
        self.frames[self.end & _MASK] = frame
        self.end += 1
        return frame

    def push_pcm(self, pcm: bytes) -> None:
        """Append 160 samples of native linear audio, empty for silence."""
        self.frames[self.end & _MASK] = VoiceFrame(b"", self._law, pcm) if pcm else None
        self.end += 1

    def finish(self) -> None:
        """Append the end: what sounded last fades out within 2 ms."""
        self.is_finished = True
        last = self.frame(self.end - 1) if self.end else None
        tail = int(samples_of(last.pcm)[-1]) if last is not None else 0
        self.push_pcm(ramp_down(tail, FRAME_SAMPLES) if abs(tail) > _QUIET_LEVEL else b"")

    def frame(self, number: int) -> VoiceFrame | None:
        """Return frame `number`, one of the last `FRAMES_KEPT`; `None` is silence."""
        return self.frames[number & _MASK]

    def _faded(self, frame: VoiceFrame) -> VoiceFrame | None:
        if self._is_muted and self._was_muted:
            return None
        self._was_muted = self._is_muted
        return VoiceFrame(b"", self._law, fade_out(frame.pcm) if self._is_muted else fade_in(frame.pcm))


class Ear:
    """How one listener follows one voice.

    State: `hear` once per slot of the listener.
    """

    __slots__ = ("_at", "_concealer", "_dry_slots", "_is_dry", "_least", "_left", "_patience", "_since_skip", "voice")

    def __init__(self, voice: Voice) -> None:
        self.voice = voice
        self._at = voice.end
        self._is_dry = True
        self._concealer: Concealer | None = None
        self._dry_slots = 0
        self._patience = CALM_TICKS
        self._left = CALM_TICKS
        self._least = FRAMES_KEPT
        self._since_skip = CALM_TICKS_MAX

    @property
    def behind(self) -> int:
        """Return how many frames wait to be heard."""
        return self.voice.end - self._at

    def hear(self) -> VoiceFrame | None:
        """Return the voice's frame for this slot, `None` for silence."""
        voice = self.voice
        behind = voice.end - self._at
        if behind <= 0:
            return self._run_dry()
        self._left -= 1
        if behind < self._least:
            self._least = behind
        if self._left <= 0 or behind > BEHIND_MAX:
            skipped = self._judge(behind)
            if skipped is not None:
                return skipped
        frame = voice.frames[self._at & _MASK]
        self._at += 1
        return self._recovered(frame) if self._is_dry else frame

    def _recovered(self, frame: VoiceFrame | None) -> VoiceFrame | None:
        """Return the first frame after the voice had run dry, or ever."""
        self._is_dry = False
        concealer, self._concealer = self._concealer, None
        if concealer is not None:
            pcm = frame.pcm if frame is not None else bytes(2 * FRAME_SAMPLES)
            return VoiceFrame(b"", PCMU, concealer.recover(pcm))
        return VoiceFrame(b"", frame.law, fade_in(frame.pcm)) if frame is not None else None

    def _run_dry(self) -> VoiceFrame | None:
        """Return what the voice might have said, for 60 ms."""
        if not self._is_dry:
            self._is_dry = True
            self._since_skip += self._patience - self._left
            if self._since_skip < SOON_TICKS:
                # What was skipped was needed: the path is jittery.
                self._patience = min(2 * self._patience, CALM_TICKS_MAX)
            self._start_window()
            self._dry_slots = 0
            self._begin_concealing()
        concealer = self._concealer
        if concealer is None or self._dry_slots >= _CONCEALED_SLOTS:
            return None
        self._dry_slots += 1
        return VoiceFrame(b"", PCMU, concealer.make(FRAME_SAMPLES))

    def _begin_concealing(self) -> None:
        last = self.voice.frame(self._at - 1)
        if last is None or self.voice.is_finished:
            return
        before = self.voice.frame(self._at - 2)
        self._concealer = Concealer()
        self._concealer.begin((before.pcm if before is not None else bytes(2 * FRAME_SAMPLES)) + last.pcm)

    def _judge(self, behind: int) -> VoiceFrame | None:
        """Skip what the listener is too far behind; returns the frame that joins both ends."""
        needless = behind - 2 if behind > BEHIND_MAX else self._least - 1
        self._since_skip = min(self._since_skip + self._patience, CALM_TICKS_MAX)
        if self._since_skip >= 2 * SOON_TICKS:
            self._patience = max(self._patience // 2, CALM_TICKS)
        self._start_window()
        if behind > FRAMES_KEPT:
            self._at = self.voice.end - FRAMES_KEPT
            needless = FRAMES_KEPT - 2
        if needless <= 0:
            return None
        self._since_skip = 0
        first, then = self.voice.frame(self._at), self.voice.frame(self._at + needless)
        self._at += needless + 1
        if first is None and then is None:
            return None
        known = first or then
        assert known is not None
        quiet = bytes(2 * FRAME_SAMPLES)
        joined = shortened(
            (first.pcm if first is not None else quiet) + (then.pcm if then is not None else quiet), FRAME_SAMPLES
        )
        return VoiceFrame(b"", known.law, joined)

    def _start_window(self) -> None:
        self._left = self._patience
        self._least = FRAMES_KEPT


def fade_in(pcm: bytes) -> bytes:
    """Return native linear audio whose first 5 ms rise from silence."""
    head = samples_of(pcm)[:_FADE_SAMPLES] * _FADE_IN[: len(pcm) // 2]
    return clipped(head.astype(np.float32)) + pcm[2 * _FADE_SAMPLES :]


def fade_out(pcm: bytes) -> bytes:
    """Return native linear audio that falls to silence within 5 ms and stays there."""
    head = samples_of(pcm)[:_FADE_SAMPLES] * _FADE_IN[::-1][: len(pcm) // 2]
    return clipped(head.astype(np.float32)) + bytes(max(0, len(pcm) - 2 * _FADE_SAMPLES))
