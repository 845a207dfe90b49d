"""`<say-as>`: how digits, letters and numbers are written so that every engine reads them as asked.

Engines differ in what they understand, so the text itself is rewritten. What they all read well stays as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

_TEXT_MAX_CHARS = 500
_BLEEP = "beep"


def _characters(text: str) -> str:
    return ", ".join(letter.upper() for letter in text if not letter.isspace())


def _digits(text: str) -> str:
    return ", ".join(letter for letter in text if letter.isalnum())


def _telephone(text: str) -> str:
    """Return the digits in groups as they are written, else of three and four."""
    groups = [group for group in re.split(r"[^0-9]+", text) if group]
    if len(groups) == 1 and len(groups[0]) > 5:
        digits = groups[0]
        groups = [digits[:-7], digits[-7:-4], digits[-4:]] if len(digits) > 7 else [digits[:-4], digits[-4:]]
    spoken = ", ".join(" ".join(group) for group in groups if group)
    return f"plus {spoken}" if text.strip().startswith("+") else spoken


def _ordinal(text: str) -> str:
    number = text.strip()
    if not (number.isascii() and number.isdigit()):
        return text
    ending = "th" if number[-2:] in ("11", "12", "13") else {"1": "st", "2": "nd", "3": "rd"}.get(number[-1], "th")
    return f"{number}{ending}"


def _fraction(text: str) -> str:
    return text.replace("/", " over ").replace("+", " and ")


def _same(text: str) -> str:
    return text


def _bleeped(text: str) -> str:
    return _BLEEP


_WAYS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "characters": _characters,
        "spell-out": _characters,
        "verbatim": _characters,
        "digits": _digits,
        "telephone": _telephone,
        "phone": _telephone,
        "ordinal": _ordinal,
        "fraction": _fraction,
        "expletive": _bleeped,
        # Engines read these by themselves.
        "cardinal": _same,
        "number": _same,
        "date": _same,
        "time": _same,
        "unit": _same,
        "address": _same,
        "currency": _same,
    }
)


def said_as(text: str, interpret_as: str, language: str) -> str | None:
    """Return the text as it is to be read, or `None` when we do not know the way."""
    way = _WAYS.get(interpret_as.strip().lower())
    if way is None:
        return None
    if way is _ordinal and not language.lower().startswith("en"):
        return text
    return way(text[:_TEXT_MAX_CHARS])
