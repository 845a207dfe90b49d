"""A speech as clips: each passage synthesised when its turn comes, with what was chosen noted in the call's events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ringback.speech.errors import NoVoice
from ringback.speech.haste import hastened
from ringback.speech.passage import Passage, Speech
from ringback.speech.speaker import Clip
from ringback.speech.voices import LocalVoice


class SpeechSource(Protocol):
    """Turns passages into files; `speech.speaker.Speaker` is one."""

    @property
    def is_crowded(self) -> bool:
        """Return whether so many passages wait that a new text should begin with few words."""

    async def clip(self, passage: Passage, place: int = 0, owner: str = "") -> Clip:
        """Return the passage as a file; lower places are synthesised first, files are shared within one owner.

        Raises:
            MediaError: nothing is installed that speaks, too much waits, or the engine gave no audio.
        """


class NoSpeech:
    """A node without any voice."""

    is_crowded = False

    async def clip(self, passage: Passage, place: int = 0, owner: str = "") -> Clip:
        """Refuse.

        Raises:
            NoVoice: always.
        """
        raise NoVoice


class SpokenClips:
    """The passages of one speech; `note` takes a fact for the timeline, `owner` is the account that has them said."""

    def __init__(self, source: SpeechSource, speech: Speech, note: Callable[..., None], owner: str) -> None:
        self._source = source
        self._owner = owner
        self._speech = hastened(speech) if source.is_crowded else speech
        self._note = note
        self._last: tuple[LocalVoice, str] | None = None

    @property
    def count(self) -> int:
        """Return how many passages there are."""
        return len(self._speech.passages)

    async def clip(self, index: int) -> str:
        """Return the path of a passage."""
        passage = self._speech.passages[index]
        clip = await self._source.clip(passage, index, self._owner)
        style = passage.style
        if (clip.voice, style.language) != self._last or clip.fault:
            self._last = (clip.voice, style.language)
            detail = clip.fault or ("" if clip.speaks_language else f"no installed voice speaks {style.language}")
            self._note(
                "media",
                event="speech",
                asked=self._speech.voice,
                language=style.language,
                voice=clip.voice.name,
                engine=clip.voice.engine.value,
                is_cached=clip.is_cached,
                took_ms=clip.took_ms,
                **({"detail": detail, "level": "warning"} if detail else {}),
            )
        return clip.path
