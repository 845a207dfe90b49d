"""Runs one document: a sans-IO machine that takes events and gives commands.

It drives the generators of the elements one after the other, keeps their timers, answers the call before the first
element that needs it, and hangs up with 4010 after the last. It is total: every event is accepted in every state, and
after `is_done` nothing comes out any more.
"""

from __future__ import annotations

from ringback.callflow.commands import (
    Answer,
    Command,
    ElementFinished,
    EndCall,
    HangUp,
    ReplaceDocument,
    SendDigits,
    SetTimer,
    SipReject,
    StopTimer,
)
from ringback.callflow.elements.base import (
    CallEnded,
    DocumentReplaced,
    Interrupted,
    NextEvent,
    Steps,
    next_event,
    started,
)
from ringback.callflow.elements.registry import Program
from ringback.callflow.elements.wait import Wait
from ringback.callflow.events import DigitsRefused, DigitsSent, Event, Interruption, Timer, TimerFired
from ringback.calls.hangup import Code, HangupSource
from ringback.errors import Bug
from ringback.machine import Instant, Timers, after_ms

_STEPS_MAX = 10_000
"""Commands that one event may cause; more is a loop in an element."""
_CLEAN_UP_MAX = 16


class Interpreter:
    """One run of one document.

    State: `start` once, then `handle_input` and `handle_timeout` in any order; the last output is an `EndCall` or a
    `ReplaceDocument`, unless the run was interrupted.
    """

    def __init__(self, program: Program, *, is_answered: bool, does_wait_ring: bool = False) -> None:
        """Make one that has not begun.

        Args:
            is_answered: Whether the call is already.
            does_wait_ring: Whether a `<Wait>` does not answer it.
        """
        self._program = program
        self._does_wait_ring = does_wait_ring
        self._is_answered = is_answered
        self._timers: Timers[Timer] = Timers()
        # A list: few wait at once, and an empty deque takes 760 bytes of every call.
        self._outputs: list[Command] = []
        self._run: Steps[None] | None = None
        self._is_done = False
        self._keys_leaving: list[str] = []
        """Keys that are on their way to the far party."""

    @property
    def is_done(self) -> bool:
        """Return whether nothing more will come out but what is queued."""
        return self._is_done

    def start(self, now: Instant) -> None:
        """Run until the first element waits."""
        if self._run is not None:
            raise Bug("a document was started twice")
        self._run = self._steps()
        self._advance(now, None, is_first=True)

    def handle_input(self, now: Instant, event: Event) -> None:
        """Resume the waiting element with `event`."""
        match event:
            case DigitsSent(digits) if digits in self._keys_leaving:
                self._keys_leaving.remove(digits)
            case DigitsRefused() if self._keys_leaving:
                # Told at once: it is about the last ones.
                self._keys_leaving.pop()
            case _:
                pass
        self._advance(now, event)

    def handle_timeout(self, now: Instant) -> None:
        """Resume the waiting element for every timer that is due."""
        for timer in self._timers.expired(now):
            self._advance(now, TimerFired(timer))

    def poll_output(self) -> Command | None:
        """Return the next command, or `None`."""
        return self._outputs.pop(0) if self._outputs else None

    def poll_timeout(self) -> Instant | None:
        """Return the earliest deadline, or `None`."""
        return self._timers.next_deadline()

    def interrupt(self, now: Instant, reason: Interruption) -> None:
        """End the document; its clean-up commands come out, and nothing after them."""
        if self._is_done or self._run is None:
            self._finish()
            return
        run = self._run
        given = 0
        try:
            step = run.throw(CallEnded() if reason is Interruption.CALL_ENDED else DocumentReplaced())
            while not isinstance(step, NextEvent) and given < _CLEAN_UP_MAX:
                self._give(now, step)
                given += 1
                step = run.send(None)
        except (StopIteration, Interrupted):
            self._finish()
            return
        self._finish()
        raise Bug("an element did not end when it was interrupted")

    def _steps(self) -> Steps[None]:
        yield from self._program.notes
        for bound in self._program.steps:
            is_ringing_on = self._does_wait_ring and isinstance(bound.element, Wait)
            if bound.element.is_answering and not self._is_answered and not is_ringing_on:
                self._is_answered = True
                yield Answer()
            yield started(bound)
            yield from bound.element.run()
            yield ElementFinished(bound.node.tag, bound.node.line)
        while self._keys_leaving:
            # A document that ends with keys, asynchronous as they are by default, is there to send them.
            yield from next_event()
        yield EndCall(Code.END_OF_XML, HangupSource.PLATFORM)

    def _advance(self, now: Instant, event: Event | None, *, is_first: bool = False) -> None:
        if self._is_done or self._run is None:
            return
        try:
            step = next(self._run) if is_first else self._run.send(event)
            for _ in range(_STEPS_MAX):
                if isinstance(step, NextEvent):
                    return
                self._give(now, step)
                if isinstance(step, EndCall | HangUp | ReplaceDocument):
                    self._finish()
                    return
                step = self._run.send(None)
        except StopIteration:
            raise Bug("a document ended without saying how the call goes on") from None
        raise Bug(f"an element gave more than {_STEPS_MAX} commands without waiting")

    def _give(self, now: Instant, command: Command) -> None:
        match command:
            case SetTimer(timer, delay_ms):
                self._timers.arm(timer, after_ms(now, delay_ms))
            case StopTimer(timer):
                self._timers.stop(timer)
            case HangUp(reason):
                self._outputs.append(self._end_by_xml(reason))
            case SendDigits(digits):
                self._keys_leaving.append(digits)
                self._outputs.append(command)
            case _:
                self._outputs.append(command)

    def _end_by_xml(self, reason: SipReject | None) -> EndCall:
        if self._is_answered:
            return EndCall(Code.NORMAL, HangupSource.XML)
        if reason is SipReject.BUSY:
            return EndCall(Code.BUSY_LINE, HangupSource.XML, SipReject.BUSY)
        return EndCall(Code.REJECTED, HangupSource.XML, SipReject.REJECTED)

    def _finish(self) -> None:
        self._is_done = True
        self._timers.stop_all()
