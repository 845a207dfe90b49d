"""What an engine is to the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

RATE_HZ = 16_000


class Heard(NamedTuple):
    """A text and how sure it is, 0 to 1."""

    text: str
    confidence: float


class Engine(Protocol):
    """A recogniser: constructed without arguments, once a process."""

    def recognize(self, pcm: bytes, language: str, hints: Sequence[str]) -> Heard:
        """Return what is said in 16-bit audio of 16,000 Hz; an empty text for nothing.

        Args:
            hints: Phrases to expect; with some, one of them (as written) or digits are wanted.
        """
