"""`<Message>`: a text message, which a voice platform of one's own cannot send.

Spec: wire spec 6.13: accepted, noted, and nothing is sent.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import Note
from ringback.callflow.elements.base import Reader, Steps


@dataclass(frozen=True, slots=True)
class Message:
    """Notes that a message was asked for; the document goes on at once."""

    TAG: ClassVar[str] = "Message"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"src", "dst", "type", "callbackUrl", "callbackMethod"})

    destinations: int
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Message:
        """Return the element; nothing in it can make a document invalid."""
        return cls(sum(bool(number.strip()) for number in read.text("dst").split("<")), read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: only PreAnswer and Hangup come before the answer."""
        return True

    def run(self) -> Steps[None]:
        """Note it."""
        yield Note(f"message to {self.destinations} numbers not sent: this platform sends no SMS", self.TAG, self.line)
