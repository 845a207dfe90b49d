"""What callers are expected to say, as a grammar, and what is made of the words that were found. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher
from types import MappingProxyType

DIGIT_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "zero": "0", "oh": "0", "one": "1", "two": "2", "three": "3", "four": "4",
        "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9",
    }
)  # fmt: skip
_WORD_OF_DIGIT = {digit: word for word, digit in reversed(list(DIGIT_WORDS.items()))}
OTHER_WORDS = (
    "hello", "hi", "what", "please", "thanks", "thank you", "okay", "well", "maybe", "sorry", "wait", "sure", "right",
    "i do not know", "i would like", "can you", "how are you", "speak to", "somebody", "good", "pretty", "the", "a",
    "and", "hey", "one moment", "say that again", "excuse me", "operator", "never mind", "something else", "nothing",
    "again", "billing", "representative", "agent", "number", "weather",
)  # fmt: skip
"""What callers say instead: it competes with the expected phrases, so that not everything is taken for one of them."""
_CLOSE_ENOUGH = 0.75
_PHRASES_MAX = 500


def words_of(text: str) -> str:
    """Return a text as a recogniser knows words: lower case, digits spelled, no punctuation."""
    spaced = re.sub(r"\d", lambda match: f" {_WORD_OF_DIGIT[match[0]]} ", text.lower()) if text.isascii() else text
    return " ".join(re.findall(r"[a-z']+", spaced.lower()))


def digits_of(words: str) -> str:
    """Return the digits that the words spell, empty when any word is none."""
    found = [DIGIT_WORDS.get(word) or (word if word.isascii() and word.isdigit() else "") for word in words.split()]
    return "".join(found) if found and all(found) else ""


def grammar_of(phrases: Sequence[str], knows: Callable[[str], bool]) -> str:
    """Return a JSGF grammar of the phrases (as `words_of` gives them), of digits, and of what people say instead.

    Args:
        knows: Whether the recogniser can pronounce a word; phrases with others are left out.
    """
    usable = [phrase for phrase in phrases if phrase and all(map(knows, phrase.split()))][:_PHRASES_MAX]
    taken = set(usable)
    others = [phrase for phrase in OTHER_WORDS if phrase not in taken and all(map(knows, phrase.split()))]
    digits = " | ".join(DIGIT_WORDS)
    return (
        "#JSGF V1.0;\ngrammar said;\n"
        f"public <said> = {' | '.join([*usable, '<digits>', *others])};\n"
        f"<digits> = ({digits})+;\n"
    )


def read_hypothesis(words: str, hints: Sequence[str]) -> tuple[str, float]:
    """Return what a grammar's hypothesis means and how sure that is; nothing when it is none of what was expected.

    A hypothesis may break off in the middle of a phrase; it counts for less then, and only if one phrase begins so.
    """
    if not words:
        return "", 0.0
    begun = []
    for hint in hints:
        phrase = words_of(hint)
        if phrase == words:
            return hint, 0.9
        if phrase.startswith(words + " "):
            begun.append(hint)
    digits = digits_of(words)
    if digits:
        return digits, 0.7
    return (begun[0], 0.5) if len(begun) == 1 else ("", 0.0)


def closest_hint(text: str, hints: Sequence[str]) -> str:
    """Return the hint that a free transcript must have meant, empty when it is like none of them."""
    said = words_of(text)
    best, likeness = "", 0.0
    for hint in hints:
        phrase = words_of(hint)
        found = 1.0 if phrase and f" {phrase} " in f" {said} " else SequenceMatcher(None, said, phrase).ratio()
        if found > likeness:
            best, likeness = hint, found
    return best if likeness >= _CLOSE_ENOUGH else ""
