"""Cuts a text where a speaker would breathe, so that the first words can be heard while the rest is synthesised.

The first piece is short; the others are whole sentences if they are not too long. A text without any place to breathe
is cut between words, and a word without end is cut anyway: every piece is bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

FIRST_MAX_CHARS = 48
SECOND_MAX_CHARS = 110
"""What is made while the first piece is heard must be ready when it ends."""
PIECE_MAX_CHARS = 220
_FIRST_MIN_CHARS = 12
_SHORT_CHARS = 24
"""A sentence up to this length is not synthesised alone: it joins the next one."""
_SENTENCE_PAUSE_MS = 350
_CLAUSE_PAUSE_MS = 150
_SENTENCE_END = re.compile(r"[.!?…]+[\"')\]»”’]*(?=\s)|[。！？।؟]+[”」』]?|\n\s*\n")
_CLAUSE_END = re.compile(r"[,;:](?=\s)|[、，；：]|\s[–—-]+(?=\s)")
_JOINT = re.compile(r"\s(?=(?:and|or|but|because|when|if|that|which|who|while|until|so|before|after|where)\s)", re.I)
"""Where a clause begins without a comma."""
_PHRASE = re.compile(r"\s(?=(?:for|from|with|to|at|in|on|by)\s)", re.I)
"""Where a phrase begins: the place to cut when there is no better one."""
_LONG_CHARS = 52
_ABBREVIATED = re.compile(
    r"(?:^|[\s(])(?:mr|mrs|ms|dr|prof|st|sr|jr|vs|no|nr|approx|dept|ext|inc|ltd|co|corp|e\.g|i\.e|etc|a\.m|p\.m|z\.b|u\.s|[a-z])\.$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a text, and the pause a speaker makes after it."""

    text: str
    pause_ms: int


def split(text: str, *, is_start: bool) -> list[Piece]:
    """Return the pieces of `text` in order, white space trimmed; none for a text without any.

    Args:
        is_start: Whether the first piece is what the listener waits for, and therefore is kept short.
    """
    pieces: list[Piece] = []
    for sentence in _cut(text, _SENTENCE_END, _SENTENCE_PAUSE_MS):
        is_first = is_start and not pieces
        for piece in _shortened(sentence, FIRST_MAX_CHARS if is_first else PIECE_MAX_CHARS):
            last = pieces[-1] if pieces else None
            joins = last is not None and len(last.text) <= _SHORT_CHARS and len(pieces) > 1
            if joins and last is not None and len(last.text) + len(piece.text) < PIECE_MAX_CHARS:
                pieces[-1] = Piece(f"{last.text} {piece.text}", piece.pause_ms)
            else:
                pieces.append(piece)
    return pieces


def _cut(text: str, end: re.Pattern[str], pause_ms: int) -> list[Piece]:
    """Return the parts of a text up to each `end`."""
    parts: list[Piece] = []
    start = 0
    for match in end.finditer(text):
        part = text[start : match.end()]
        if end is _SENTENCE_END and _ABBREVIATED.search(part):
            continue
        start = match.end()
        if part.strip():
            parts.append(Piece(" ".join(part.split()), pause_ms))
    rest = " ".join(text[start:].split())
    if rest:
        parts.append(Piece(rest, pause_ms if end is _SENTENCE_END else 0))
    return parts


def _shortened(sentence: Piece, limit: int) -> list[Piece]:
    """Return a sentence in pieces of which the first has at most `limit` characters where it can."""
    if len(sentence.text) <= limit:
        return [sentence]
    clauses = _cut(sentence.text, _CLAUSE_END, _CLAUSE_PAUSE_MS)
    if limit == FIRST_MAX_CHARS:
        clauses = [*_at_joint(clauses[0]), *clauses[1:]]
    pieces: list[Piece] = []
    for index, clause in enumerate(clauses):
        pause_ms = sentence.pause_ms if index == len(clauses) - 1 else clause.pause_ms
        most = PIECE_MAX_CHARS
        if limit == FIRST_MAX_CHARS and len(pieces) <= 2:
            most = FIRST_MAX_CHARS if len(pieces) == 1 else SECOND_MAX_CHARS
        if pieces and len(pieces[-1].text) + 1 + len(clause.text) <= most:
            pieces[-1] = Piece(f"{pieces[-1].text} {clause.text}", pause_ms)
        else:
            pieces += _by_words(Piece(clause.text, pause_ms))
    return pieces


def _at_joint(clause: Piece) -> list[Piece]:
    """Return a first clause that is too long in two, where another clause begins in it."""
    if len(clause.text) <= FIRST_MAX_CHARS:
        return [clause]
    wanted = _places(_JOINT, clause.text)
    if not wanted and len(clause.text) > _LONG_CHARS:
        wanted = _places(_PHRASE, clause.text)
    if not wanted:
        return [clause]
    at = wanted[-1]
    return [Piece(clause.text[:at], 0), Piece(clause.text[at:].strip(), clause.pause_ms)]


def _places(joint: re.Pattern[str], text: str) -> list[int]:
    """Return where the text may be cut so that neither part is a mere word or two."""
    last = min(FIRST_MAX_CHARS, len(text) - _FIRST_MIN_CHARS)
    return [match.start() for match in joint.finditer(text) if _FIRST_MIN_CHARS <= match.start() <= last]


def _by_words(clause: Piece) -> list[Piece]:
    """Return a clause that is too long in pieces of whole words."""
    pieces: list[str] = []
    text = clause.text
    while len(text) > PIECE_MAX_CHARS:
        at = text.rfind(" ", 1, PIECE_MAX_CHARS + 1)
        at = at if at > 0 else PIECE_MAX_CHARS
        pieces.append(text[:at].strip())
        text = text[at:].strip()
    pieces.append(text)
    return [*(Piece(part, 0) for part in pieces[:-1]), Piece(pieces[-1], clause.pause_ms)]
