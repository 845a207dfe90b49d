"""What is to be said, cut into passages that are synthesised one by one."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Gender(Enum):
    """What kind of voice was asked for or is there."""

    WOMAN = "woman"
    MAN = "man"


@dataclass(frozen=True, slots=True)
class Style:
    """How a passage is to be said.

    Units: `rate` and `pitch` are factors, 1.0 is the voice's own; `gain_db` is added to the usual level.
    """

    language: str = "en-US"
    """BCP 47 tag."""
    gender: Gender = Gender.WOMAN
    rate: float = 1.0
    pitch: float = 1.0
    gain_db: float = 0.0
    is_muted: bool = False
    """Takes the time of the words and says nothing (`<prosody volume="silent">`)."""


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence or a part of one, and the pause after it; an empty text is a pause alone."""

    text: str
    style: Style
    pause_ms: int = 0
    phonemes: str = ""
    """How the text is pronounced, as `phonemes.normalised` gives it; empty: as it is written."""


@dataclass(frozen=True, slots=True)
class Speech:
    """A whole text ready to be said."""

    passages: tuple[Passage, ...]
    voice: str = ""
    """As it was asked for."""
    notes: tuple[str, ...] = field(default=())
    """What is odd about it but bearable."""
