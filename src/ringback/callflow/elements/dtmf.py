"""`<DTMF>`: send keys to the far party.

Spec: wire spec 6.4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import SendDigits
from ringback.callflow.document import InvalidDocument
from ringback.callflow.elements.base import Reader, Steps, next_event
from ringback.callflow.events import DigitsRefused, DigitsSent

_KEYS = frozenset("0123456789*#ABCDwW")
_DIGITS_MAX = 100


@dataclass(frozen=True, slots=True)
class Dtmf:
    """Sends `digits`; with `is_async` the next element runs while the tones leave."""

    TAG: ClassVar[str] = "DTMF"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"async"})

    digits: str
    is_async: bool = True

    @classmethod
    def from_xml(cls, read: Reader) -> Dtmf:
        """Return the element.

        Raises:
            InvalidDocument: it names no keys, or what is none.
        """
        digits = "".join(read.node.text.split())
        unknown = "".join(sorted(set(digits) - _KEYS))
        if unknown or not digits:
            found = f"<DTMF> holds {unknown[:20]!r}" if unknown else "<DTMF> is empty"
            raise InvalidDocument(f"{found}, expected 0-9 * # A-D, w and W", read.node.line)
        if len(digits) > _DIGITS_MAX:
            read.note(f"{len(digits)} keys are more than {_DIGITS_MAX}; the rest is left out")
        return cls(digits[:_DIGITS_MAX], read.boolean("async", default=True))

    @property
    def is_answering(self) -> bool:
        """Return yes: tones need audio."""
        return True

    def run(self) -> Steps[None]:
        """Send the keys, and wait for the last one unless asynchronous."""
        yield SendDigits(self.digits)
        if self.is_async:
            return
        while True:
            match (yield from next_event()):
                case DigitsRefused():
                    return
                case DigitsSent(digits) if digits == self.digits:
                    return
                case _:
                    # What the far party does meanwhile is for elements that listen.
                    pass
