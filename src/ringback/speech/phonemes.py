"""`<phoneme>`: how a word is pronounced, from IPA or X-SAMPA to what each engine of English takes. Pure.

With a symbol that is not English the whole pronunciation is one that no local voice knows: a wrong sound is worse than
the word as it is written.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType

_CHARS_MAX = 100
_VOWELS: Mapping[str, tuple[str, str]] = {
    "i": ("iy", "i:"), "ɪ": ("ih", "I"), "ᵻ": ("ih", "I"), "e": ("eh", "E"), "ɛ": ("eh", "E"), "æ": ("ae", "a"),
    "a": ("aa", "a"), "ɑ": ("aa", "A:"), "ɒ": ("aa", "A:"), "ɔ": ("ao", "O:"), "ʊ": ("uh", "U"), "u": ("uw", "u:"),
    "ʌ": ("ah", "V"), "ə": ("ax", "@"), "ɐ": ("ax", "@"), "ɜ": ("er", "3:"), "ɝ": ("er", "3:"), "ɚ": ("er", "3"),
    "eɪ": ("ey", "eI"), "aɪ": ("ay", "aI"), "ɔɪ": ("oy", "OI"), "oʊ": ("ow", "oU"), "əʊ": ("ow", "oU"),
    "o": ("ow", "oU"), "aʊ": ("aw", "aU"), "ɪə": ("ih ax", "i@"), "eə": ("eh ax", "e@"), "ʊə": ("uh ax", "U@"),
}  # fmt: skip
_CONSONANTS: Mapping[str, tuple[str, str]] = {
    **{letter: (letter, letter) for letter in "pbtdkgfvszmnlrw"},
    "ɡ": ("g", "g"), "tʃ": ("ch", "tS"), "dʒ": ("jh", "dZ"), "θ": ("th", "T"), "ð": ("dh", "D"), "ʃ": ("sh", "S"),
    "ʒ": ("zh", "Z"), "h": ("hh", "h"), "ŋ": ("ng", "N"), "ɫ": ("l", "l"), "ɹ": ("r", "r"), "j": ("y", "j"),
    "ɾ": ("d", "t#"), "ʔ": ("t", "?"),
}  # fmt: skip
_SYMBOLS: Mapping[str, tuple[str, str]] = MappingProxyType({**_VOWELS, **_CONSONANTS})
_SYMBOL = re.compile("|".join(sorted(map(re.escape, _SYMBOLS), key=len, reverse=True)))
_STRESSES = {"ˈ": "'", "ˌ": ","}
_IGNORED = frozenset(".‿͜͡-")
_LONG = "ː"
_X_SAMPA: Mapping[str, str] = MappingProxyType(
    {
        "@`": "ɚ", "3`": "ɝ", "r\\": "ɹ", "A": "ɑ", "{": "æ", "V": "ʌ", "@": "ə", "E": "ɛ", "I": "ɪ", "O": "ɔ",
        "Q": "ɒ", "U": "ʊ", "3": "ɜ", "T": "θ", "D": "ð", "S": "ʃ", "Z": "ʒ", "N": "ŋ", '"': "ˈ", "%": "ˌ",
        ":": "ː", "4": "ɾ", "?": "ʔ", "5": "ɫ",
    }
)  # fmt: skip
_X_SAMPA_SIGN = re.compile("|".join(sorted(map(re.escape, _X_SAMPA), key=len, reverse=True)))


class Notation(Enum):
    """What an engine takes."""

    IPA = "ipa"
    FLITE = "flite"
    ESPEAK = "espeak"


def normalised(ph: str, alphabet: str) -> str:
    """Return a pronunciation as IPA with every stress before its vowel, as synthesisers want it.

    Empty when it has a sign that is none of English, says nothing, or is in another alphabet than `ipa` and `x-sampa`.
    """
    text = ph.strip()[:_CHARS_MAX]
    match alphabet.strip().lower():
        case "ipa" | "":
            pass
        case "x-sampa":
            text = _X_SAMPA_SIGN.sub(lambda found: _X_SAMPA[found[0]], text)
        case _:
            return ""
    text = unicodedata.normalize("NFC", text.replace("'", "ˈ").replace("ɡ", "g"))
    said: list[str] = []
    stress = ""
    at = 0
    while at < len(text):
        sign = text[at]
        found = _SYMBOL.match(text, at)
        if sign in _STRESSES:
            stress = sign
        elif sign.isspace():
            said.append(" ")
        elif found is not None:
            if found[0] in _VOWELS:
                said.append(stress)
                stress = ""
            said.append(found[0])
            at = found.end()
            continue
        elif sign == _LONG:
            said.append(_LONG)
        elif sign not in _IGNORED:
            return ""
        at += 1
    return " ".join("".join(said).split()) if any(part in _SYMBOLS for part in said) else ""


def written(ipa: str, notation: Notation) -> str:
    """Return what `normalised` gave as an engine takes it."""
    if notation is Notation.IPA:
        return ipa
    column = 0 if notation is Notation.FLITE else 1
    parts: list[str] = []
    at = 0
    while at < len(ipa):
        found = _SYMBOL.match(ipa, at)
        if found is not None:
            parts.append(_SYMBOLS[found[0]][column])
            at = found.end()
            continue
        if notation is Notation.ESPEAK:
            parts.append(_STRESSES.get(ipa[at], "||" if ipa[at] == " " else ""))
        at += 1
    return " ".join(parts) if notation is Notation.FLITE else "".join(parts)
