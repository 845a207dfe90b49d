"""Which local voice is nearest to the one that was asked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from ringback.speech.passage import Gender, Style

_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8}){0,3}")
_SAME_LANGUAGE = {"arb": "ar", "cmn": "zh", "no": "nb", "iw": "he", "in": "id"}
"""Names of one language that documents use and engines do not."""
_NEAR = {"es-mx": "es-419", "es-us": "es-419"}
_GENERAL = frozenset({"en-gb"})


class Engine(Enum):
    """The synthesisers that exist; each runs as a program of its own."""

    PIPER = "piper"
    FLITE = "flite"
    ESPEAK = "espeak"


QUALITY = {Engine.PIPER: 5, Engine.FLITE: 4, Engine.ESPEAK: 1}
"""How well an engine is understood over a telephone, in the units of `nearest`."""
_GENDER_COUNTS = 3
"""As much as lies between a recorded voice and a computed one: a natural man stands in for a woman before a robot does,
and a natural woman before him."""
_REGION_COUNTS = 1


@dataclass(frozen=True, slots=True)
class LocalVoice:
    """A voice that is installed."""

    name: str
    """Names it to its engine."""
    engine: Engine
    language: str
    gender: Gender
    version: str = ""
    """Changes whenever the same text would sound otherwise."""


@dataclass(frozen=True, slots=True)
class Choice:
    """The voice that was chosen, and whether it speaks the language."""

    voice: LocalVoice
    speaks_language: bool


def is_language(tag: str) -> bool:
    """Return whether `tag` has the form of a language tag."""
    return _TAG.fullmatch(tag) is not None


def nearest(voices: Iterable[LocalVoice], style: Style, order: Sequence[Engine] = ()) -> Choice | None:
    """Return the nearest voice, or `None` when there is no voice at all.

    The language comes first; then how natural the voice is and its gender; then the region. A language that no voice
    speaks is read by the best English voice. `order` names engines that are preferred to all others, best first.
    """
    best: tuple[tuple[int, ...], Choice] | None = None
    for voice in voices:
        speaks = _primary(voice.language) == _primary(style.language)
        wanted_language = style.language if speaks else "en-US"
        score = (
            speaks or _primary(voice.language) == "en",
            speaks,
            len(order) - order.index(voice.engine) if voice.engine in order else 0,
            QUALITY[voice.engine]
            + _GENDER_COUNTS * (voice.gender is style.gender)
            + _REGION_COUNTS * _is_same_region(voice.language, wanted_language),
            _is_general(voice.language),
        )
        if best is None or score > best[0]:
            best = (score, Choice(voice, speaks))
    return best[1] if best is not None else None


def _primary(language: str) -> str:
    primary = language.lower().partition("-")[0]
    return _SAME_LANGUAGE.get(primary, primary)


def _is_same_region(voice: str, wanted: str) -> bool:
    wanted = _NEAR.get(wanted.lower(), wanted.lower())
    return voice.lower().partition("-")[2] == wanted.partition("-")[2]


def _is_general(language: str) -> bool:
    """Return whether a voice is the one to take for regions that have none."""
    return "-" not in language or language.lower() in _GENERAL
