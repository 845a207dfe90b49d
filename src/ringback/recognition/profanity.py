"""`profanityFilter`: swear words in what was heard, masked behind their first letter. Pure; English as the engines.

Words that are also names or things (Dick, cock) are left alone: a masked name is worse than an unmasked oath.
"""

from __future__ import annotations

import re

_STEMS = (
    "arsehole", "asshole", "bastard", "bitch", "bullshit", "cocksucker", "cunt", "damn", "dickhead", "dumbass",
    "faggot", "fuck", "goddamn", "jackass", "motherfucker", "nigger", "piss", "shit", "shithead", "slut", "twat",
    "wank", "wanker", "whore",
)  # fmt: skip
_ENDINGS = ("s", "es", "d", "ed", "er", "ers", "in", "in'", "ing", "y", "ty", "ted", "ting")
_WHOLE = ("arse", "ass", "crap", "crappy", "tits")
_WORD = re.compile(rf"\b(?:(?:{'|'.join(_STEMS)})(?:{'|'.join(_ENDINGS)})?|{'|'.join(_WHOLE)})(?![\w'])", re.IGNORECASE)


def masked(text: str) -> str:
    """Return the text with every swear word as its first letter and asterisks, all else untouched."""
    return _WORD.sub(lambda found: found[0][0] + "*" * (len(found[0]) - 1), text)
