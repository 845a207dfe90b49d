"""What a scripted caller does in one call, decided without loop, socket or clock.

Driven as `machine.Machine`: the shell hands in what the phone met, takes commands out, and sleeps until `poll_timeout`.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from ringback.machine import Instant, Timers, after_ms


@dataclass(frozen=True, slots=True)
class CallScript:
    """The plan of one call.

    `talk_ms` is how long the call lasts from its answer; `digits` are sent `digits_after_ms` after the answer.
    """

    talk_ms: int
    digits: str = ""
    digits_after_ms: int = 1_000
    ring_limit_ms: int = 60_000
    goodbye_limit_ms: int = 5_000
    """How long the phone waits for the end of a call that it has hung up."""


class Timer(Enum):
    """The waits of a scripted call."""

    RING = "ring"
    """Armed at the start, stopped by answer or refusal; firing gives up the attempt. Value: `ring_limit_ms`."""
    DIGITS = "digits"
    """Armed by the answer if there are digits; firing sends them. Value: `digits_after_ms`."""
    TALK = "talk"
    """Armed by the answer; firing hangs up. Value: `talk_ms`."""
    GOODBYE = "goodbye"
    """Armed by our hang-up, stopped by the end; firing ends the script without waiting on. `goodbye_limit_ms`."""


class Met(Enum):
    """What happened to the phone."""

    ANSWERED = "answered"
    ENDED = "ended"
    """Nothing of the call is left, whoever ended it."""
    INTERRUPTED = "interrupted"
    """The person at the terminal pressed Ctrl-C; the second time it ends at once."""


class Do(Enum):
    """What the phone must do."""

    PLAY = "play"
    SEND_DIGITS = "send-digits"
    HANG_UP = "hang-up"
    FINISH = "finish"


class State(Enum):
    """Where the call is."""

    CALLING = "calling"
    TALKING = "talking"
    HANGING_UP = "hanging-up"
    FINISHED = "finished"


class ScriptedCall:
    """One run of a `CallScript`.

    State: gives `Do.FINISH` exactly once, last; after it every input is ignored.
    """

    def __init__(self, script: CallScript, now: Instant) -> None:
        self.state = State.CALLING
        self.was_interrupted = False
        self._script = script
        self._timers: Timers[Timer] = Timers()
        self._outputs: deque[Do] = deque()
        self._timers.arm(Timer.RING, after_ms(now, script.ring_limit_ms))

    def handle_input(self, now: Instant, event: Met) -> None:
        """Take what the phone met."""
        if self.state is State.FINISHED:
            return
        match event:
            case Met.ANSWERED:
                if self.state is State.CALLING:
                    self._talk(now)
            case Met.ENDED:
                self._finish()
            case Met.INTERRUPTED:
                if self.was_interrupted:
                    self._finish()
                else:
                    self.was_interrupted = True
                    self._hang_up(now)
            case _:
                assert_never(event)

    def handle_timeout(self, now: Instant) -> None:
        """Fire what is due."""
        for timer in self._timers.expired(now):
            match timer:
                case Timer.RING | Timer.TALK:
                    self._hang_up(now)
                case Timer.DIGITS:
                    if self.state is State.TALKING:
                        self._outputs.append(Do.SEND_DIGITS)
                case Timer.GOODBYE:
                    self._finish()
                case _:
                    assert_never(timer)

    def poll_output(self) -> Do | None:
        """Return what to do next, or `None`."""
        return self._outputs.popleft() if self._outputs else None

    def poll_timeout(self) -> Instant | None:
        """Return the next deadline, or `None`."""
        return self._timers.next_deadline()

    def _talk(self, now: Instant) -> None:
        self.state = State.TALKING
        self._timers.stop(Timer.RING)
        self._timers.arm(Timer.TALK, after_ms(now, self._script.talk_ms))
        if self._script.digits:
            self._timers.arm(Timer.DIGITS, after_ms(now, self._script.digits_after_ms))
        self._outputs.append(Do.PLAY)

    def _hang_up(self, now: Instant) -> None:
        if self.state in (State.HANGING_UP, State.FINISHED):
            return
        self.state = State.HANGING_UP
        self._timers.stop_all()
        self._timers.arm(Timer.GOODBYE, after_ms(now, self._script.goodbye_limit_ms))
        self._outputs.append(Do.HANG_UP)

    def _finish(self) -> None:
        self.state = State.FINISHED
        self._timers.stop_all()
        self._outputs.append(Do.FINISH)
