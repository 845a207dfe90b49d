"""`<GetDigits>`: prompt the caller and collect keys.

Spec: wire spec 6.7. Decided here: `retries` counts attempts (1 is one attempt); an invalid key ends its attempt at
once, `invalidDigitsSound` is heard, and the next attempt begins; keys that come while it sounds belong to that attempt;
a finishing key without any other key is an attempt without input.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import ClassVar

from ringback.callflow.commands import (
    DocumentKind,
    Note,
    Play,
    PlaySound,
    ReplaceDocument,
    SendCallback,
    SetTimer,
    ShowDigits,
    Sound,
    StopTimer,
)
from ringback.callflow.elements.base import Bound, DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.elements.keys import finishing_keys, key_set
from ringback.callflow.elements.playing import Prompts, play_through, run_nested
from ringback.callflow.events import DigitPressed, Timer, TimerFired

_SECONDS_MAX = 3_600
_DIGITS_MAX = 99
_RETRIES_MAX = 100
_DIGITS = "Digits"


class _Invalid(Enum):
    """The outcome of an attempt in which a key outside `validDigits` was pressed."""

    KEY = "key"


@dataclass(frozen=True, slots=True)
class GetDigits:
    """Collects keys and sends them to `action`; without input the document goes on."""

    TAG: ClassVar[str] = "GetDigits"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "action",
            "method",
            "timeout",
            "digitTimeout",
            "finishOnKey",
            "numDigits",
            "retries",
            "redirect",
            "playBeep",
            "validDigits",
            "invalidDigitsSound",
            "log",
        }
    )

    action: str = ""
    method: str = "POST"
    timeout_s: int = 5
    digit_timeout_s: int = 2
    finish_on: str = "#"
    """Keys that end the input; empty if none does."""
    num_digits: int = _DIGITS_MAX
    retries: int = 1
    redirect: bool = True
    play_beep: bool = False
    valid_digits: str = "1234567890*#"
    invalid_digits_sound: str = ""
    log: bool = True
    nested: tuple[Bound, ...] = ()
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> GetDigits:
        """Return the element; URL and method are judged when they are used, because their faults have codes.

        Raises:
            InvalidDocument: a number, boolean or set of keys is none.
        """
        made = cls(
            action=read.text("action"),
            method=read.method(),
            timeout_s=read.integer("timeout", 5, least=1, most=_SECONDS_MAX),
            digit_timeout_s=read.integer("digitTimeout", 2, least=1, most=_SECONDS_MAX),
            finish_on=finishing_keys(read),
            num_digits=read.integer("numDigits", _DIGITS_MAX, least=1, most=_DIGITS_MAX),
            retries=read.integer("retries", 1, least=1, most=_RETRIES_MAX),
            redirect=read.boolean("redirect", default=True),
            play_beep=read.boolean("playBeep", default=False),
            valid_digits=key_set(read, "validDigits", "1234567890*#"),
            invalid_digits_sound=read.text("invalidDigitsSound"),
            log=read.boolean("log", default=True),
            nested=read.nested,
            line=read.node.line,
        )
        if not made.action:
            read.note("no action: the digits are collected and sent to nobody")
        return made

    @property
    def is_answering(self) -> bool:
        """Return yes: keys come from callers who are connected."""
        return True

    def run(self) -> Steps[None]:
        """Prompt and collect, attempt after attempt; go on with the document at `action` once there are digits."""
        if not self.log:
            yield ShowDigits(False)
        try:
            digits = yield from self._collect()
        except DocumentReplaced:
            if not self.log:
                yield ShowDigits(True)
            raise
        if not self.log:
            yield ShowDigits(True)
        if digits and self.action:
            if self.redirect:
                yield ReplaceDocument(DocumentKind.ACTION, self.action, self.method, {_DIGITS: digits}, not self.log)
            else:
                yield SendCallback("action", self.action, self.method, {_DIGITS: digits}, not self.log)

    def _collect(self) -> Steps[str]:
        was_invalid = False
        for _ in range(self.retries):
            outcome = yield from self._attempt(was_invalid)
            was_invalid = isinstance(outcome, _Invalid)
            if isinstance(outcome, str) and outcome:
                return outcome
        if was_invalid:
            yield from self._invalid_sound()
        yield Note("no digits", self.TAG, self.line, is_warning=False)
        return ""

    def _attempt(self, after_invalid: bool) -> Steps[str | _Invalid]:
        """Return the digits of one attempt, empty without any."""
        digits = ""
        prompts = Prompts(self._prompting(after_invalid))
        try:
            yield from prompts.begin()
            if prompts.is_over:
                yield SetTimer(Timer.FIRST_DIGIT, self.timeout_s * 1000)
            while True:
                match (yield from next_event()):
                    case DigitPressed(digit):
                        yield from prompts.stop()
                        yield StopTimer(Timer.FIRST_DIGIT)
                        yield StopTimer(Timer.NEXT_DIGIT)
                        if digit in self.finish_on:
                            return digits
                        if digit not in self.valid_digits:
                            return _Invalid.KEY
                        digits += digit
                        if len(digits) >= self.num_digits:
                            return digits
                        yield SetTimer(Timer.NEXT_DIGIT, self.digit_timeout_s * 1000)
                    case TimerFired(Timer.FIRST_DIGIT | Timer.NEXT_DIGIT):
                        return digits
                    case event:
                        if not prompts.is_over:
                            yield from prompts.resume(event)
                            if prompts.is_over:
                                yield SetTimer(Timer.FIRST_DIGIT, self.timeout_s * 1000)
        except DocumentReplaced:
            yield from prompts.stop()
            raise

    def _prompting(self, after_invalid: bool) -> Steps[None]:
        if after_invalid:
            yield from self._invalid_sound()
        yield from run_nested(self.nested)
        if self.play_beep:
            yield from play_through(PlaySound(Sound.BEEP), self.TAG, self.line)

    def _invalid_sound(self) -> Steps[None]:
        if self.invalid_digits_sound:
            yield from play_through(Play(self.invalid_digits_sound, 1), self.TAG, self.line)
