"""The recording of a leg: two rows of frames in, aligned linear audio out, and the moment at which it is over.

What the far party says comes 20 ms by 20 ms on the receiver's grid, what it hears once per slot. The slots are the
recording's clock: each adds 20 ms, whatever else happens, so its length is its time. Both rows are paired in order and
in pieces of half a second, so that a packet that came a little late stands where it belongs; a row that stays away for
longer is silence.

The same class records a room: `push_mix` takes its finished mix instead of the two rows.
"""

from __future__ import annotations

import audioop
from collections.abc import Callable

import msgspec
import numpy as np

from ringback.ids import RecordingId
from ringback.media.codecs.g711 import FRAME_SAMPLES, Law
from ringback.media.codecs.l16 import samples_of, to_stream
from ringback.media.control.values import RecordingChannels, RecordingEnd

FRAME_MS = 20
RATE_HZ = 8_000
PIECE_FRAMES = 25
"""Frames that are handed on at once: half a second is what a killed worker loses."""
LAG_MAX_FRAMES = 15
"""How far one row may be behind the other (300 ms: the receiver's window and a packet's delay) before it is filled."""
_SKIP_MAX_FRAMES = 3_000
"""A longer stall than a minute is cut: nobody listens to that much silence."""
_RESYNC_FRAMES = 20
"""After a longer stall the receiver makes nothing up either: both rows lack the time."""
SOUND_LEVEL = 200
"""Root mean square of a frame that counts as sound: -44 dBov, above the noise of telephone lines."""
_SOUND_FRAMES = 3
"""So many frames of sound in a row break a silence; a click does not."""


class RecorderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What is recorded and what ends it; 0 and empty are never."""

    recording_id: RecordingId
    channels: RecordingChannels = RecordingChannels.MONO
    max_ms: int = 0
    silence_ms: int = 0
    """Silence of the far party."""
    finish_digits: str = ""


class RecorderOver(msgspec.Struct, frozen=True):
    """A recorder has given its last audio: the owner of the file closes it."""

    recording_id: RecordingId
    reason: RecordingEnd
    digit: str = ""


class Recorder:
    """One recording.

    State: it takes audio from `start` until it is over, but not while it is paused; whatever is pushed else is ignored.
    `on_over` is called exactly once, within the push that ended it or within `finish`.
    """

    __slots__ = (
        "_finish_digits",
        "_has_started",
        "_heard",
        "_is_far",
        "_is_stereo",
        "_law",
        "_loud_frames",
        "_max_slots",
        "_mix",
        "_quiet_frames",
        "_quiet_max",
        "_said",
        "_slots",
        "_write",
        "is_audible",
        "is_over",
        "is_paused",
        "is_running",
        "on_over",
        "recording_id",
        "skipped_frames",
    )

    def __init__(self, settings: RecorderSettings, law: Law, write: Callable[[bytes], object]) -> None:
        """Make a recorder of frames in `law`.

        Args:
            write: Takes linear audio, 8000 Hz, 16-bit little-endian, mono or interleaved stereo; must not block.
        """
        self.recording_id = settings.recording_id
        self.on_over: Callable[[RecorderOver], None] = _ignore
        self.is_running = False
        self.is_over = False
        self.is_paused = False
        self.is_audible = True
        """Whether what is sent reaches the far party; on hold it does not."""
        self.skipped_frames = 0
        """Frames of the far party that were left out, because they came faster than time."""
        self._law = law
        self._write = write
        self._is_stereo = settings.channels is RecordingChannels.STEREO
        self._is_far = settings.channels is RecordingChannels.FAR
        self._has_started = False
        self._max_slots = -(-settings.max_ms // FRAME_MS)
        self._quiet_max = -(-settings.silence_ms // FRAME_MS)
        self._finish_digits = settings.finish_digits
        self._said: list[bytes] = []
        self._heard: list[bytes] = []
        self._mix: list[bytes] = []
        self._slots = 0
        self._quiet_frames = 0
        self._loud_frames = 0

    @property
    def duration_ms(self) -> int:
        """Return the time recorded so far."""
        return self._slots * FRAME_MS

    def start(self) -> None:
        """Record from the next frame on."""
        self._has_started = True
        self.is_running = not self.is_over and not self.is_paused

    def pause(self) -> None:
        """Leave out what happens until `resume`: the recording's time stands still. Repeating it changes nothing."""
        if self.is_over or self.is_paused:
            return
        self.is_paused = True
        self.is_running = False
        if self._heard:
            self._give(len(self._heard))
        # A row that was ahead would stand beside what is heard after the pause.
        self._said.clear()
        self._flush_mix()
        self._quiet_frames = self._loud_frames = 0

    def resume(self) -> None:
        """Record again from the next frame on; does nothing to one that is not paused."""
        self.is_paused = False
        self.is_running = self._has_started and not self.is_over

    def set_law(self, law: Law) -> None:
        """Change the law of the frames; those that wait are translated."""
        if law is not self._law:
            self._said = [frame.translate(law.from_other) for frame in self._said]
            self._heard = [frame.translate(law.from_other) for frame in self._heard]
            self._law = law

    def push_inbound(self, frame: bytes) -> None:
        """Take 20 ms of what the far party says, law bytes."""
        if not self.is_running:
            return
        self._said.append(frame)
        if self._quiet_max:
            self._judge_silence(self._law.decode(frame))

    def push_outbound(self, frame: bytes) -> None:
        """Take what was sent in one slot, law bytes; the recording's time moves on by it."""
        if not self.is_running:
            return
        heard = self._heard
        heard.append(frame if self.is_audible else self._law.silence)
        if len(heard) >= PIECE_FRAMES:
            self._pair()
        self._count_slots(1)

    def push_mix(self, pcm: bytes) -> None:
        """Take one slot of a room's mix, native linear audio; the recording's time moves on by it."""
        if not self.is_running:
            return
        self._mix.append(pcm)
        if len(self._mix) >= PIECE_FRAMES:
            self._flush_mix()
        if self._quiet_max:
            self._judge_silence(pcm)
        self._count_slots(1)

    def push_digit(self, digit: str) -> None:
        """Take a key that the far party pressed."""
        if self.is_running and digit in self._finish_digits:
            self.finish(RecordingEnd.DIGIT, digit)

    def skip(self, slots: int) -> None:
        """Let time pass in which the process stood still."""
        if not self.is_running:
            return
        slots = min(slots, _SKIP_MAX_FRAMES)
        if self._max_slots:
            slots = min(slots, self._max_slots - self._slots)
        silence = [self._law.silence] * slots
        self._heard += silence
        if slots > _RESYNC_FRAMES:
            self._said += silence
        while len(self._heard) >= PIECE_FRAMES + LAG_MAX_FRAMES:
            self._pair()
        self._count_slots(slots)

    def finish(self, reason: RecordingEnd, digit: str = "") -> None:
        """End the recording: give out what waits, then tell the owner. Repeating it changes nothing."""
        if self.is_over:
            return
        self.is_over = True
        self.is_running = False
        if self._heard:
            self._give(len(self._heard))
        self._flush_mix()
        self.on_over(RecorderOver(self.recording_id, reason, digit))

    def _count_slots(self, slots: int) -> None:
        self._slots += slots
        if self._max_slots and self._slots >= self._max_slots:
            self.finish(RecordingEnd.MAX_LENGTH)

    def _judge_silence(self, pcm: bytes) -> None:
        if audioop.rms(pcm, 2) >= SOUND_LEVEL:
            self._loud_frames += 1
            if self._loud_frames >= _SOUND_FRAMES:
                self._quiet_frames = 0
            return
        self._loud_frames = 0
        self._quiet_frames += 1
        if self._quiet_frames >= self._quiet_max:
            self.finish(RecordingEnd.SILENCE)

    def _pair(self) -> None:
        """Give a piece out if both rows have one, or if one has waited too long for the other."""
        said, heard = self._said, self._heard
        surplus = len(said) - len(heard) - LAG_MAX_FRAMES
        if surplus > 0:
            del said[:surplus]
            self.skipped_frames += surplus
        if len(said) >= PIECE_FRAMES or len(heard) >= PIECE_FRAMES + LAG_MAX_FRAMES:
            self._give(PIECE_FRAMES)

    def _give(self, frames: int) -> None:
        law = self._law
        said = self._said[:frames]
        del self._said[:frames]
        said += [law.silence] * (frames - len(said))
        heard = self._heard[:frames]
        del self._heard[:frames]
        left = law.decode(b"".join(said))
        if self._is_far:
            self._write(to_stream(left))
            return
        right = law.decode(b"".join(heard))
        pcm = interleaved(left, right) if self._is_stereo else audioop.add(left, right, 2)
        self._write(to_stream(pcm))

    def _flush_mix(self) -> None:
        if self._mix:
            pcm = b"".join(frame.ljust(2 * FRAME_SAMPLES, b"\0")[: 2 * FRAME_SAMPLES] for frame in self._mix)
            self._mix.clear()
            self._write(to_stream(interleaved(pcm, pcm) if self._is_stereo else pcm))


def interleaved(left: bytes, right: bytes) -> bytes:
    """Return two rows of native linear audio of one length as stereo."""
    both = np.empty((len(left) // 2, 2), dtype=np.int16)
    both[:, 0] = samples_of(left)
    both[:, 1] = samples_of(right)
    return both.tobytes()


def _ignore(_over: RecorderOver) -> None:
    """Tell nobody."""
