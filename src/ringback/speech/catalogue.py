"""The names of voices that documents ask for: `WOMAN`, `MAN` and those of Amazon Polly.

Spec: wire spec 6.2. Each Polly voice stands for a language and a gender; the nearest local voice says it.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ringback.speech.passage import Gender

_WOMEN: Mapping[str, str] = {
    "ar-AE": "Hala",
    "arb": "Zeina",
    "ca-ES": "Arlet",
    "cmn-CN": "Zhiyu",
    "cs-CZ": "Jitka",
    "cy-GB": "Gwyneth",
    "da-DK": "Naja Sofie",
    "de-AT": "Hannah",
    "de-CH": "Sabrina",
    "de-DE": "Marlene Vicki",
    "en-AU": "Nicole Olivia",
    "en-GB": "Amy Emma",
    "en-IE": "Niamh",
    "en-IN": "Aditi Kajal Raveena",
    "en-NZ": "Aria",
    "en-SG": "Jasmine",
    "en-US": "Danielle Ivy Joanna Kendra Kimberly Ruth Salli",
    "en-ZA": "Ayanda",
    "es-ES": "Conchita Lucia",
    "es-MX": "Mia",
    "es-US": "Lupe Penelope",
    "fi-FI": "Suvi",
    "fr-BE": "Isabelle",
    "fr-CA": "Chantal Gabrielle",
    "fr-FR": "Celine Lea",
    "is-IS": "Dora",
    "it-IT": "Bianca Carla",
    "ja-JP": "Kazuha Mizuki Tomoko",
    "ko-KR": "Jihye Seoyeon",
    "nb-NO": "Ida Liv",
    "nl-BE": "Lisa",
    "nl-NL": "Laura Lotte",
    "pl-PL": "Ewa Maja Ola",
    "pt-BR": "Camila Vitoria",
    "pt-PT": "Ines",
    "ro-RO": "Carmen",
    "ru-RU": "Tatyana",
    "sv-SE": "Astrid Elin",
    "tr-TR": "Burcu Filiz",
    "yue-CN": "Hiujin",
}
_MEN: Mapping[str, str] = {
    "ar-AE": "Zayd",
    "da-DK": "Mads",
    "de-DE": "Daniel Hans",
    "en-AU": "Russell",
    "en-GB": "Arthur Brian",
    "en-GB-WLS": "Geraint",
    "en-US": "Gregory Joey Justin Kevin Matthew Patrick Stephen",
    "es-ES": "Enrique Raul Sergio",
    "es-MX": "Andres",
    "es-US": "Miguel Pedro",
    "fr-CA": "Liam",
    "fr-FR": "Mathieu Remi",
    "is-IS": "Karl",
    "it-IT": "Adriano Giorgio",
    "ja-JP": "Takumi",
    "pl-PL": "Jacek Jan",
    "pt-BR": "Ricardo Thiago",
    "pt-PT": "Cristiano",
    "ru-RU": "Maxim",
}
_POLLY: Mapping[str, tuple[str, Gender]] = MappingProxyType(
    {
        name.lower(): (language, gender)
        for gender, voices in ((Gender.WOMAN, _WOMEN), (Gender.MAN, _MEN))
        for language, names in voices.items()
        for name in names.split()
    }
)
_ALSO_SPEAKS: Mapping[str, str] = MappingProxyType({"aditi": "hi-IN", "kajal": "hi-IN"})
_PREFIX = "polly."
_SUFFIXES = ("-neural", "-generative", "-longform", "-standard")


@dataclass(frozen=True, slots=True)
class NamedVoice:
    """What the name of a voice says."""

    gender: Gender
    language: str = ""
    """The voice's own; empty when it speaks any."""
    also: str = ""
    """The other language of a bilingual voice."""
    note: str = ""
    """What is wrong with the name, if anything."""


def named_voice(name: str) -> NamedVoice:
    """Return what `name` stands for; an unknown one is a woman, with a note."""
    folded = _plain(name).strip().lower()
    if folded in ("", "woman"):
        return NamedVoice(Gender.WOMAN)
    if folded == "man":
        return NamedVoice(Gender.MAN)
    short = folded.removeprefix(_PREFIX)
    for suffix in _SUFFIXES:
        short = short.removesuffix(suffix)
    found = _POLLY.get(short)
    if found is None or not folded.startswith(_PREFIX):
        expected = "expected WOMAN, MAN or Polly.<Name>"
        return NamedVoice(Gender.WOMAN, note=f"voice {name[:40]!r} is unknown, {expected}; WOMAN is used")
    language, gender = found
    return NamedVoice(gender, language, _ALSO_SPEAKS.get(short, ""))


def _plain(name: str) -> str:
    """Return the name without accents: `Polly.Léa` is written both ways."""
    return "".join(letter for letter in unicodedata.normalize("NFD", name[:80]) if not unicodedata.combining(letter))
