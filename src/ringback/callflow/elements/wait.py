"""`<Wait>`: let time pass, until the far party falls silent, or until a voicemail's beep.

Spec: wire spec 6.5. Decided here: `silence` wins over `beep`; of the beep's parameters `intra_silence` has no effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import Listen, Note, SetTimer, StopListening, StopTimer
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.events import BeepHeard, ListenRefused, SilenceReached, Timer, TimerFired
from ringback.media.control.values import BeepRule

LONGEST_S = 86_400
_DEFAULT_BEEP = BeepRule()
_BEEP_NAMES = ("duration", "inter_silence", "intra_silence", "threshold")
_BEEP_MOST = {"duration": 4_000, "inter_silence": 2_000, "intra_silence": 10_000, "threshold": 32_767}


@dataclass(frozen=True, slots=True)
class Wait:
    """Waits for `length_s` seconds, or less if what it listens for happens."""

    TAG: ClassVar[str] = "Wait"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"length", "silence", "minSilence", "min_silence", "beep"})

    length_s: int = 1
    silence: bool = False
    min_silence_ms: int = 2_000
    beep: BeepRule | None = None
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Wait:
        """Return the element.

        Raises:
            InvalidDocument: a number or boolean is none.
        """
        made = cls(
            length_s=read.integer("length", 1, least=1, most=LONGEST_S),
            silence=read.boolean("silence", default=False),
            min_silence_ms=read.integer(_min_silence(read), 2_000, least=1, most=LONGEST_S * 1000),
            beep=_beep(read),
            line=read.node.line,
        )
        if made.silence and made.beep is not None:
            read.note("beep has no effect beside silence")
        if made.silence and made.min_silence_ms >= made.length_s * 1000:
            read.note("minSilence is not less than length: the wait lasts its whole length")
        return made

    @property
    def is_answering(self) -> bool:
        """Return yes: only PreAnswer and Hangup come before the answer."""
        return True

    @property
    def _listens(self) -> bool:
        return self.silence or self.beep is not None

    def run(self) -> Steps[None]:
        """Wait."""
        yield SetTimer(Timer.WAIT, self.length_s * 1000)
        if self.silence:
            yield Listen(silence_ms=self.min_silence_ms)
        elif self.beep is not None:
            yield Listen(beep=self.beep)
        try:
            yield from self._until_over()
        except DocumentReplaced:
            yield StopTimer(Timer.WAIT)
            if self._listens:
                yield StopListening()
            raise
        yield StopTimer(Timer.WAIT)
        if self._listens:
            yield StopListening()

    def _until_over(self) -> Steps[None]:
        while True:
            match (yield from next_event()):
                case TimerFired(Timer.WAIT):
                    return
                case SilenceReached() if self.silence:
                    return
                case BeepHeard() if self.beep is not None:
                    return
                case ListenRefused(detail):
                    yield Note(f"not listening, the wait lasts its whole length: {detail}", self.TAG, self.line)
                case _:
                    # Digits and the ends of parallel streams do not shorten a wait.
                    pass


def _min_silence(read: Reader) -> str:
    """Return the attribute's name: older SDKs write `min_silence`."""
    return "min_silence" if "min_silence" in read.node.attributes else "minSilence"


def _beep(read: Reader) -> BeepRule | None:
    """Return what counts as a beep; `None` when none is waited for.

    Raises:
        InvalidDocument: neither a boolean nor a list of known parameters.
    """
    text = read.text("beep")
    if not text or text.lower() == "false":
        return None
    if text.lower() == "true":
        return _DEFAULT_BEEP
    found: dict[str, int] = {}
    for part in text.split(","):
        name, _, value = part.strip().partition("=")
        is_number = value.strip().isascii() and value.strip().isdigit() and len(value.strip()) <= 9
        if name.strip() not in _BEEP_NAMES or not is_number:
            raise read.illegal("beep", f"true, false, or a list such as duration=300 of {', '.join(_BEEP_NAMES)}")
        most = _BEEP_MOST[name.strip()]
        found[name.strip()] = min(int(value), most)
        if int(value) > most:
            read.note(f"{name.strip()}={int(value)} is more than {most}; {most} is used")
    if "intra_silence" in found:
        read.note("intra_silence has no effect: a beep is one tone")
    return BeepRule(
        least_ms=found.get("duration", _DEFAULT_BEEP.least_ms),
        gap_ms=found.get("inter_silence", _DEFAULT_BEEP.gap_ms),
        threshold=found.get("threshold", _DEFAULT_BEEP.threshold),
    )
