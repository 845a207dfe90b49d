"""`<GetInput>`: prompt the caller and take keys, speech, or whichever comes first.

Spec: wire spec 6.8. Decided here: the first key or word stops the prompts; a key ends the listening, so that noise
never keeps a caller from pressing; speech that is none of the expected is listened past until `executionTimeout`;
`auto` is 2 s between keys and 1 s of silence after speech; `retries` counts attempts; words at the beginning of a guess
that the guess before had as well are stable, the others unstable.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import ClassVar

from ringback.callflow.commands import (
    DocumentKind,
    Listen,
    Note,
    ReplaceDocument,
    SendCallback,
    SetTimer,
    ShowDigits,
    SpeechQuery,
    StopListening,
    StopTimer,
)
from ringback.callflow.document import InvalidDocument
from ringback.callflow.elements.base import Bound, DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.elements.keys import finishing_keys
from ringback.callflow.elements.playing import Prompts, run_nested
from ringback.callflow.events import (
    DigitPressed,
    Event,
    ListenRefused,
    SilenceReached,
    SpeechGuessed,
    SpeechRecognised,
    SpeechStarted,
    Timer,
    TimerFired,
)
from ringback.recognition.profanity import masked

_NOTHING_BILLED = "0.00000"
_DIGITS_MAX = 32
_RETRIES_MAX = 100
_HINTS_MAX = 500
_HINT_MAX_CHARS = 100
_HINTS_MAX_CHARS = 10_000
_AUTO_DIGITS_MS = 2_000
_AUTO_SPEECH_MS = 1_000
_MODELS = ("default", "command_and_search", "phone_call")
_TIMERS = (Timer.START, Timer.EXECUTION, Timer.NEXT_DIGIT)


@dataclass(frozen=True, slots=True)
class Input:
    """What the caller gave."""

    digits: str = ""
    speech: str = ""
    confidence: float = 0.0

    @property
    def params(self) -> dict[str, str]:
        """Return the parameters of the action request."""
        return {
            "InputType": "dtmf" if self.digits else "speech",
            "Digits": self.digits,
            "Speech": self.speech,
            "SpeechConfidenceScore": f"{self.confidence:.4f}" if self.speech else "",
            "BilledAmount": _NOTHING_BILLED,
        }


@dataclass(frozen=True, slots=True)
class GetInput:
    """Takes keys or speech and sends them to `action`; without input the document goes on."""

    TAG: ClassVar[str] = "GetInput"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "action",
            "method",
            "inputType",
            "executionTimeout",
            "digitEndTimeout",
            "speechEndTimeout",
            "startInputTimeout",
            "retries",
            "numDigits",
            "finishOnKey",
            "speechModel",
            "hints",
            "language",
            "profanityFilter",
            "log",
            "redirect",
            "interimSpeechResultsCallback",
            "interimSpeechResultsCallbackMethod",
        }
    )

    action: str
    takes_digits: bool
    takes_speech: bool
    method: str = "POST"
    execution_s: int = 15
    digit_end_ms: int = _AUTO_DIGITS_MS
    speech_end_ms: int = _AUTO_SPEECH_MS
    start_s: int = 0
    """How long the caller may take to begin; 0: as long as `execution_s`."""
    retries: int = 1
    num_digits: int = _DIGITS_MAX
    finish_on: str = "#"
    hints: tuple[str, ...] = ()
    language: str = "en-US"
    masks_profanity: bool = False
    log: bool = True
    redirect: bool = True
    interim_url: str = ""
    interim_method: str = "POST"
    nested: tuple[Bound, ...] = ()
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> GetInput:
        """Return the element; URL and method are judged when they are used, because their faults have codes.

        Raises:
            InvalidDocument: no `action`, an unknown `inputType`, or a number or boolean that is none.
        """
        action = read.text("action")
        if not action:
            raise InvalidDocument("<GetInput> has no action", read.node.line, hint="name the URL that takes the input")
        kinds = read.text("inputType", "dtmf").lower().split()
        if not kinds or not set(kinds) <= {"dtmf", "speech"}:
            raise read.illegal("inputType", "dtmf, speech, or dtmf speech")
        if not read.text("inputType"):
            read.note("inputType is missing; dtmf is used")
        model = read.text("speechModel", "default")
        if model not in _MODELS:
            read.note(f"speechModel {model[:40]!r} is unknown; the engine's own is used")
        return cls(
            action=action,
            takes_digits="dtmf" in kinds,
            takes_speech="speech" in kinds,
            method=read.method(),
            execution_s=read.integer("executionTimeout", 15, least=1, most=60),
            digit_end_ms=_end_ms(read, "digitEndTimeout", _AUTO_DIGITS_MS),
            speech_end_ms=_end_ms(read, "speechEndTimeout", _AUTO_SPEECH_MS),
            start_s=read.integer("startInputTimeout", 0, least=1, most=60),
            retries=read.integer("retries", 1, least=1, most=_RETRIES_MAX),
            num_digits=read.integer("numDigits", _DIGITS_MAX, least=1, most=_DIGITS_MAX),
            finish_on=finishing_keys(read),
            hints=_hints(read),
            language=read.text("language") or "en-US",
            masks_profanity=read.boolean("profanityFilter", default=False),
            log=read.boolean("log", default=True),
            redirect=read.boolean("redirect", default=True),
            interim_url=read.text("interimSpeechResultsCallback"),
            interim_method=read.method("interimSpeechResultsCallbackMethod"),
            nested=read.nested,
            line=read.node.line,
        )

    @property
    def is_answering(self) -> bool:
        """Return yes: input comes from callers who are connected."""
        return True

    def run(self) -> Steps[None]:
        """Prompt and listen, attempt after attempt; go on with the document at `action` once there is input."""
        if not self.log:
            yield ShowDigits(False)
        found: Input | None = None
        try:
            for _ in range(self.retries):
                found = yield from _Attempt(self).run()
                if found is not None:
                    break
        except DocumentReplaced:
            if not self.log:
                yield ShowDigits(True)
            raise
        if not self.log:
            yield ShowDigits(True)
        if found is None:
            yield Note("no input", self.TAG, self.line, is_warning=False)
        elif self.redirect:
            yield ReplaceDocument(DocumentKind.ACTION, self.action, self.method, found.params, not self.log)
        else:
            yield SendCallback("action", self.action, self.method, found.params, not self.log)


class _Attempt:
    """One attempt: its prompts, its listening, and what has come so far."""

    def __init__(self, element: GetInput) -> None:
        self._element = element
        self._prompts = Prompts(run_nested(element.nested))
        self._digits = ""
        self._is_timing = False
        self._is_listening = False
        self._is_speaking = False
        self._is_late = False
        self._guesses = 0
        self._guessed: tuple[str, ...] = ()
        """The words of the last guess."""

    def run(self) -> Steps[Input | None]:
        """Return the input, or `None` without any."""
        try:
            if self._element.takes_speech:
                yield from self._listen()
            yield from self._prompts.begin()
            yield from self._time_if_prompted()
            while True:
                event = yield from next_event()
                is_over, found = yield from self._take(event)
                if is_over:
                    break
        except DocumentReplaced:
            yield from self._clean_up()
            raise
        yield from self._clean_up()
        return found

    def _take(self, event: Event) -> Steps[tuple[bool, Input | None]]:
        """Return whether the attempt is over, and with what."""
        match event:
            case DigitPressed(digit) if self._element.takes_digits:
                return (yield from self._take_digit(digit))
            case TimerFired(Timer.NEXT_DIGIT | Timer.START):
                return True, self._typed()
            case TimerFired(Timer.EXECUTION):
                self._is_late = True
                if self._digits or not self._is_speaking:
                    return True, self._typed()
                yield StopListening(is_heard=True)
            case SpeechStarted() if self._is_listening:
                self._is_speaking = True
                yield from self._prompts.stop()
                yield StopTimer(Timer.START)
                yield from self._time_if_prompted(has_begun=True)
            case SilenceReached():
                # The utterance, if there was one, is being recognised.
                pass
            case SpeechGuessed(text, stability):
                yield from self._pass_on(self._shown(text), stability)
            case SpeechRecognised(text, confidence, detail) if self._is_listening:
                return (yield from self._take_speech(self._shown(text), confidence, detail))
            case ListenRefused(detail):
                self._is_listening = False
                yield Note(f"not listening: {detail}", GetInput.TAG, self._element.line)
            case _:
                yield from self._prompts.resume(event)
                yield from self._time_if_prompted()
        return False, None

    def _take_digit(self, digit: str) -> Steps[tuple[bool, Input | None]]:
        element = self._element
        yield from self._prompts.stop()
        yield from self._stop_listening()
        yield StopTimer(Timer.START)
        yield from self._time_if_prompted(has_begun=True)
        if digit in element.finish_on:
            return True, self._typed()
        self._digits += digit
        if len(self._digits) >= element.num_digits:
            return True, self._typed()
        yield SetTimer(Timer.NEXT_DIGIT, element.digit_end_ms)
        return False, None

    def _take_speech(self, text: str, confidence: float, detail: str) -> Steps[tuple[bool, Input | None]]:
        element = self._element
        self._is_speaking = self._is_listening = False
        if detail:
            yield Note(f"speech not recognised: {detail}", element.TAG, element.line)
        if text:
            shown = f"recognised {text[:200]!r}" if element.log else "speech recognised"
            yield Note(f"{shown} ({confidence:.2f})", element.TAG, element.line, is_warning=False)
            return True, Input(speech=text, confidence=confidence)
        if self._is_late:
            return True, None
        yield from self._listen()
        return False, None

    def _shown(self, text: str) -> str:
        return masked(text) if self._element.masks_profanity else text

    def _typed(self) -> Input | None:
        return Input(digits=self._digits) if self._digits else None

    def _listen(self) -> Steps[None]:
        element = self._element
        self._is_listening = True
        query = SpeechQuery(element.language, element.hints, wants_guesses=bool(element.interim_url))
        yield Listen(silence_ms=element.speech_end_ms, speech=query)

    def _stop_listening(self) -> Steps[None]:
        if self._is_listening:
            self._is_listening = self._is_speaking = False
            yield StopListening()

    def _time_if_prompted(self, *, has_begun: bool = False) -> Steps[None]:
        """Start the clocks once the prompts are over."""
        if self._is_timing or not self._prompts.is_over:
            return
        self._is_timing = True
        element = self._element
        yield SetTimer(Timer.EXECUTION, element.execution_s * 1000)
        if element.start_s and not has_begun:
            yield SetTimer(Timer.START, element.start_s * 1000)

    def _pass_on(self, text: str, stability: float) -> Steps[None]:
        element = self._element
        self._guesses += 1
        words = tuple(text.split())
        agreed = [
            word for word, _ in takewhile(lambda pair: pair[0] == pair[1], zip(words, self._guessed, strict=False))
        ]
        self._guessed = words
        params = {
            "StableSpeech": " ".join(agreed),
            "UnstableSpeech": " ".join(words[len(agreed) :]),
            "Stability": f"{stability:.4f}",
            "SequenceNumber": str(self._guesses),
        }
        yield SendCallback("interim-speech", element.interim_url, element.interim_method, params, not element.log)

    def _clean_up(self) -> Steps[None]:
        yield from self._prompts.stop()
        yield from self._stop_listening()
        for timer in _TIMERS:
            yield StopTimer(timer)


def _end_ms(read: Reader, name: str, auto_ms: int) -> int:
    if read.text(name, "auto").lower() in ("", "auto"):
        return auto_ms
    return 1000 * read.integer(name, 0, least=1, most=10)


def _hints(read: Reader) -> tuple[str, ...]:
    text = read.text("hints")
    if len(text) > _HINTS_MAX_CHARS:
        read.note(f"hints has {len(text)} characters; the first {_HINTS_MAX_CHARS} are used")
    found = [phrase.strip() for phrase in text[:_HINTS_MAX_CHARS].split(",")]
    usable = tuple(phrase for phrase in found if phrase and len(phrase) <= _HINT_MAX_CHARS)
    if len(usable) < sum(map(bool, found)):
        read.note(f"hints of more than {_HINT_MAX_CHARS} characters are left out")
    if len(usable) > _HINTS_MAX:
        read.note(f"{len(usable)} hints are more than {_HINTS_MAX}; the rest is left out")
    return usable[:_HINTS_MAX]
