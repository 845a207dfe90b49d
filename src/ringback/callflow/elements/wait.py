"""`<Wait>`: let time pass.

Spec: wire spec 6.5. Listening for silence and for a voicemail beep is not built: such a wait lasts its whole length.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import SetTimer, StopTimer
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.events import Timer, TimerFired

LONGEST_S = 86_400


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits for `length_s` seconds."""

    TAG: ClassVar[str] = "Wait"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"length", "silence", "minSilence", "beep"})

    length_s: int = 1
    silence: bool = False
    min_silence_ms: int = 2_000
    beep: str = ""

    @classmethod
    def from_xml(cls, read: Reader) -> Wait:
        """Return the element; `silence` and `beep` are read and noted as not acted upon."""
        made = cls(
            length_s=read.integer("length", 1, least=1, most=LONGEST_S),
            silence=read.boolean("silence", default=False),
            min_silence_ms=read.integer("minSilence", 2_000, least=1, most=LONGEST_S * 1000),
            beep=read.text("beep"),
        )
        if made.silence:
            read.note("silence is not detected yet: the wait lasts its whole length")
        if made.beep and made.beep.lower() != "false":
            read.note("beep is not detected yet: the wait lasts its whole length")
        return made

    @property
    def is_answering(self) -> bool:
        """Return yes: only PreAnswer and Hangup come before the answer."""
        return True

    def run(self) -> Steps[None]:
        """Wait."""
        yield SetTimer(Timer.WAIT, self.length_s * 1000)
        try:
            while True:
                match (yield from next_event()):
                    case TimerFired(Timer.WAIT):
                        return
                    case _:
                        # Digits and the ends of parallel streams do not shorten a wait.
                        pass
        except DocumentReplaced:
            yield StopTimer(Timer.WAIT)
            raise
