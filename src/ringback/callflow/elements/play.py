"""`<Play>`: play a wav or mp3 from a URL.

Spec: wire spec 6.3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import Play as PlayCommand
from ringback.callflow.document import InvalidDocument
from ringback.callflow.elements.base import Reader, Steps
from ringback.callflow.elements.playing import play_through

LOOPS_MAX = 1_000


@dataclass(frozen=True, slots=True)
class Play:
    """Plays the file at `url`; one that cannot be had or decoded is skipped."""

    TAG: ClassVar[str] = "Play"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"loop"})

    url: str
    loops: int = 1
    """0 plays until the call ends."""
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Play:
        """Return the element.

        Raises:
            InvalidDocument: it names no URL.
        """
        if not read.node.text:
            raise InvalidDocument("<Play> names no URL", read.node.line, hint="put the URL of a wav or mp3 inside")
        return cls(read.node.text, read.loops(LOOPS_MAX), read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: the caller must hear it."""
        return True

    def run(self) -> Steps[None]:
        """Play to the end."""
        yield from play_through(PlayCommand(self.url, self.loops), self.TAG, self.line)
