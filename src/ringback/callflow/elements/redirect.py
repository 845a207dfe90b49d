"""`<Redirect>`: go on with the document at another URL.

Spec: wire spec 6.6; failures end the call with 7014, 7024, 7034 or 8014.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import DocumentKind, ReplaceDocument
from ringback.callflow.elements.base import Reader, Steps


@dataclass(frozen=True, slots=True)
class Redirect:
    """Replaces the document by the one at `url`."""

    TAG: ClassVar[str] = "Redirect"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"method"})

    url: str
    method: str = "POST"

    @classmethod
    def from_xml(cls, read: Reader) -> Redirect:
        """Return the element; URL and method are judged when it runs, because their faults have codes of their own."""
        return cls(read.node.text, read.method())

    @property
    def is_answering(self) -> bool:
        """Return yes: only PreAnswer and Hangup come before the answer."""
        return True

    def run(self) -> Steps[None]:
        """Ask for the other document."""
        yield ReplaceDocument(DocumentKind.REDIRECT, self.url, self.method)
