"""A room: members that hear each other. Each hears the sum of all others that are not muted, never itself.

Sums saturate at 16 bits. While only one voice sounds, its bytes go to listeners of the same law untouched. What a
member's own leg plays (agent audio, files) is added by its session and is heard by that member alone.

How the owner drives it: `room.join(...)` gives a `Member`, which the member's `MediaSession` holds
(`session.join_room(member)`); the session pushes what its far party says and takes what it hears once per slot.
"""

from __future__ import annotations

import audioop
from collections.abc import Callable

from ringback.ids import SessionId
from ringback.media.codecs.g711 import FRAME_SAMPLES, Law
from ringback.media.detect.speech import SpeechDetector
from ringback.media.floor import Floor, follow
from ringback.media.voice import Ear, Voice, VoiceFrame, fade_in, fade_out

_SPEECH_OVER_MS = 1_000
_SILENT_FRAME = bytes(2 * FRAME_SAMPLES)


class Member:
    """One session in a room, as its session sees it; also the ears and the voice of a relay to another worker."""

    __slots__ = (
        "_ears",
        "_law",
        "_room",
        "_speech",
        "_was_deaf",
        "has_ears",
        "has_voice",
        "is_deaf",
        "is_relay",
        "key",
        "on_digit",
        "on_speech",
        "relays_digits",
        "voice",
        "watches_floor",
    )

    def __init__(
        self,
        room: Room,
        key: str,
        law: Law,
        *,
        is_muted: bool,
        is_deaf: bool,
        relays_digits: bool,
        watches_floor: bool,
        is_relay: bool,
        has_ears: bool,
        has_voice: bool,
    ) -> None:
        self.key = key
        self.has_ears = has_ears
        self.has_voice = has_voice
        self.is_deaf = is_deaf
        self.is_relay = is_relay
        """Whether this stands for the members of a room on another worker."""
        self.relays_digits = relays_digits
        self.watches_floor = watches_floor
        self.on_digit: Callable[[str], None] | None = None
        """Called with every digit that another member pressed and that is passed on."""
        self.on_speech: Callable[[bool], None] | None = None
        """Told when the member begins to speak, and when it has been silent for a second; a muted one is silent."""
        self._speech: SpeechDetector | None = None
        self.voice = Voice(law, is_muted=is_muted)
        self._room = room
        self._law = law
        self._ears: tuple[Ear, ...] = ()
        self._was_deaf = is_deaf

    def set_law(self, law: Law) -> None:
        """Follow the session's law."""
        self._law = law
        self.voice.set_law(law)

    def push(self, frame: bytes) -> None:
        """Take 20 ms of what the far party says: 160 law bytes."""
        heard = self.voice.push(frame)
        if self._room.judges_floor:
            rms = audioop.rms(heard.pcm, 2) if heard is not None else 0
            self.voice.level = follow(self.voice.level, rms)
        if self.on_speech is not None:
            self._judge_speech(self.on_speech, heard.pcm if heard is not None else _SILENT_FRAME)

    def _judge_speech(self, tell: Callable[[bool], None], pcm: bytes) -> None:
        speech = self._speech
        if speech is None:
            speech = self._speech = SpeechDetector(_SPEECH_OVER_MS)
        was_speaking = speech.is_speaking
        speech.take(pcm)
        if speech.is_speaking is not was_speaking:
            tell(speech.is_speaking)

    def push_pcm(self, pcm: bytes, level: float) -> None:
        """Take 20 ms from another worker: 160 samples of native linear audio or nothing, and how loud it is there."""
        self.voice.push_pcm(pcm if len(pcm) == 2 * FRAME_SAMPLES else b"")
        self.voice.level = level

    def push_digit(self, digit: str) -> None:
        """Take a key that the far party pressed."""
        if self.relays_digits and not self.voice.is_muted:
            self._room.pass_digit(self, digit)

    def hear_frame(self) -> bytes | None:
        """Return this slot's 160 law bytes of what the member hears, `None` for silence."""
        frames = self._hear()
        if len(frames) == 1:
            return frames[0].in_law(self._law)
        pcm = self._sum(frames)
        return self._law.encode(pcm) if pcm is not None else None

    def hear(self) -> bytes | None:
        """Return this slot's 160 samples of native linear audio, `None` for silence."""
        return self._sum(self._hear())

    def follow_voices(self, others: tuple[Member, ...]) -> None:
        """Hear these from now on; called by the room when someone comes or goes."""
        known = {id(ear.voice): ear for ear in self._ears}
        # Whoever left is heard to the end of its last frames.
        leaving = tuple(ear for ear in self._ears if ear.voice.is_finished and ear.behind > 0)
        self._ears = (*leaving, *(known.get(id(other.voice)) or Ear(other.voice) for other in others))

    def _hear(self) -> list[VoiceFrame]:
        self._room.tick_of(self)
        # Ears go on while the member is deaf, so that it is not behind afterwards.
        frames = [frame for ear in self._ears if (frame := ear.hear()) is not None]
        if self.is_deaf is self._was_deaf:
            return [] if self.is_deaf else frames
        self._was_deaf = self.is_deaf
        pcm = self._sum(frames)
        if pcm is None:
            return []
        return [VoiceFrame(b"", self._law, fade_out(pcm) if self.is_deaf else fade_in(pcm))]

    @staticmethod
    def _sum(frames: list[VoiceFrame]) -> bytes | None:
        if not frames:
            return None
        pcm = frames[0].pcm
        for frame in frames[1:]:
            pcm = audioop.add(pcm, frame.pcm, 2)
        return pcm


class Room:
    """The members of one room in this process.

    State: exists while it has members of this worker; `on_floor` is told who takes the floor while a member watches it.
    """

    __slots__ = ("_clock", "_floor", "_members", "judges_floor", "on_floor", "room_id")

    def __init__(self, room_id: str) -> None:
        self.room_id = room_id
        self.judges_floor = False
        self.on_floor: Callable[[str], None] | None = None
        """Called with the key of the member that takes the floor."""
        self._members: dict[str, Member] = {}
        self._floor: Floor[str] = Floor()
        self._clock: Member | None = None

    def __len__(self) -> int:
        """Return how many members of this worker there are."""
        return sum(not member.is_relay for member in self._members.values())

    @property
    def members(self) -> tuple[Member, ...]:
        """Return everyone, relays included, in the order in which they came."""
        return tuple(self._members.values())

    def join(
        self,
        key: SessionId | str,
        law: Law,
        *,
        is_muted: bool = False,
        is_deaf: bool = False,
        relays_digits: bool = False,
        watches_floor: bool = False,
        is_relay: bool = False,
        has_ears: bool = True,
        has_voice: bool = True,
    ) -> Member:
        """Add a member; the others hear it from its next frame on, faded in.

        Relays stand for members on other workers: they hear, and are heard by, the members of this one alone.
        """
        member = Member(
            self,
            key,
            law,
            is_muted=is_muted,
            is_deaf=is_deaf,
            relays_digits=relays_digits,
            watches_floor=watches_floor,
            is_relay=is_relay,
            has_ears=has_ears,
            has_voice=has_voice,
        )
        self._members[key] = member
        self.arrange()
        return member

    def leave(self, member: Member) -> None:
        """Remove a member; the others hear its last frames fade out. Repeating it is harmless."""
        if self._members.get(member.key) is not member:
            return
        member.voice.finish()
        del self._members[member.key]
        self._floor.forget(member.key)
        self.arrange()

    def find(self, key: str) -> Member | None:
        """Return a member, or `None`."""
        return self._members.get(key)

    def tick_of(self, member: Member) -> None:
        """Judge the floor once per 20 ms: in the slot of the member that came first; called by members."""
        if member is not self._clock or not self.judges_floor:
            return
        taker = self._floor.judge((other.key, other.voice.level) for other in self._members.values())
        if taker is not None and self.on_floor is not None:
            self.on_floor(taker)

    def pass_digit(self, presser: Member, digit: str) -> None:
        """Give a digit to everyone else; called by members."""
        for member in tuple(self._members.values()):
            if member is not presser and member.on_digit is not None and not (presser.is_relay and member.is_relay):
                member.on_digit(digit)

    def arrange(self) -> None:
        """Let everyone follow who is here now, and judge the floor if someone watches it."""
        members = tuple(self._members.values())
        self.judges_floor = any(member.watches_floor for member in members)
        self._clock = next((member for member in members if not member.is_relay), None)
        voices = tuple(member for member in members if member.has_voice)
        for member in members:
            if member.has_ears:
                # A relay carries this worker's voices; those of other workers reach its worker by their own.
                member.follow_voices(
                    tuple(other for other in voices if other is not member and not (member.is_relay and other.is_relay))
                )
