"""`<PreAnswer>`: play to the caller before the call is answered (183 with SDP, no billing).

Spec: wire spec 6.6; nesting as in 6.1. It is useful only as a document's first element.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import StartEarlyMedia
from ringback.callflow.elements.base import Bound, Reader, Steps
from ringback.callflow.elements.playing import run_nested


@dataclass(frozen=True, slots=True)
class PreAnswer:
    """Runs what is nested in it as early media; on an answered call the same elements just run."""

    TAG: ClassVar[str] = "PreAnswer"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset()

    nested: tuple[Bound, ...] = ()

    @classmethod
    def from_xml(cls, read: Reader) -> PreAnswer:
        """Return the element."""
        return cls(read.nested)

    @property
    def is_answering(self) -> bool:
        """Return no: that is its purpose."""
        return False

    def run(self) -> Steps[None]:
        """Open the caller's ear, then run what is inside."""
        if not self.nested:
            return
        yield StartEarlyMedia()
        yield from run_nested(self.nested)
