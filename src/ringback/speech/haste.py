"""What is said when many callers wait for their first word: the opening of a text as a passage of its own.

A neural voice makes a clause in 100 ms and two or three words in 40, so with ten callers at once the last one hears
something in half the time. The words run on behind a comma, which is why nobody is hurried without need.
"""

from __future__ import annotations

from dataclasses import replace

from ringback.speech.passage import Speech

_WANTED_CHARS = 16
_LEAST_CHARS = 8
_MOST_CHARS = 28
_WORTH_CHARS = 34
"""A passage up to this length is not worth a cut."""
_LEANING = frozenset(
    {
        *("a", "an", "and", "are", "at", "by", "for", "from", "her", "his", "i", "in", "is", "its", "my", "of", "on"),
        *("or", "our", "that", "the", "their", "this", "to", "was", "were", "with", "your"),
    }
)
"""Words that belong to the next one: nothing is cut behind them."""


def hastened(speech: Speech) -> Speech:
    """Return the speech with the first words of its first passage as a passage; unchanged where that gains nothing."""
    if not speech.passages:
        return speech
    first = speech.passages[0]
    at = _cut(first.text) if len(first.text) > _WORTH_CHARS and not first.phonemes else 0
    if not at:
        return speech
    opening = replace(first, text=f"{first.text[:at]},", pause_ms=0)
    rest = replace(first, text=first.text[at:].strip())
    return replace(speech, passages=(opening, rest, *speech.passages[1:]))


def _cut(text: str) -> int:
    """Return where the opening words end, nearest to the wanted length; 0 when there is no such place."""
    places = [
        at
        for at, sign in enumerate(text[: _MOST_CHARS + 1])
        if sign == " " and at >= _LEAST_CHARS and text[at - 1].isalnum() and _last_word(text[:at]) not in _LEANING
    ]
    return min(places, key=lambda at: abs(at - _WANTED_CHARS), default=0)


def _last_word(text: str) -> str:
    return text.rpartition(" ")[2].lower()
