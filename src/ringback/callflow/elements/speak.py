"""`<Speak>`: say a text, plain or as SSML.

Spec: wire spec 6.2. Polly voices are those of the cloud; the nearest local voice speaks in their place.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import Note
from ringback.callflow.commands import Speak as SpeakCommand
from ringback.callflow.elements.base import Reader, Steps
from ringback.callflow.elements.play import LOOPS_MAX
from ringback.callflow.elements.playing import play_through
from ringback.speech.markup import read_speech
from ringback.speech.passage import Speech


@dataclass(frozen=True, slots=True)
class Speak:
    """Says a text; one that cannot be said is skipped, and the timeline says why."""

    TAG: ClassVar[str] = "Speak"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"voice", "language", "loop"})

    speech: Speech
    loops: int = 1
    """0 speaks until the call ends."""
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Speak:
        """Return the element; whatever its text is, it is bearable.

        Raises:
            InvalidDocument: `loop` is no number.
        """
        speech = read_speech(read.node.content, read.text("voice"), read.text("language"))
        for note in speech.notes:
            read.note(note)
        return cls(speech, read.loops(LOOPS_MAX), read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: the caller must hear it."""
        return True

    def run(self) -> Steps[None]:
        """Speak to the end."""
        if not self.speech.passages:
            yield Note("there is nothing to say", self.TAG, self.line)
            return
        yield from play_through(SpeakCommand(self.speech, self.loops), self.TAG, self.line, "not spoken")
