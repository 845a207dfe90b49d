"""A document under test: give it events and time, look at its commands."""

from __future__ import annotations

from ringback.callflow.commands import Command, ElementFinished, ElementStarted, Note
from ringback.callflow.document import parse_document
from ringback.callflow.elements.registry import bind
from ringback.callflow.events import Event, Interruption
from ringback.callflow.interpreter import Interpreter
from ringback.machine import SECOND, Instant


class Run:
    """A document under test: give it events and time, look at its commands."""

    def __init__(self, body: str, *, is_answered: bool = True) -> None:
        self.interpreter = Interpreter(
            bind(parse_document(f"<Response>{body}</Response>".encode())), is_answered=is_answered
        )
        self.now = Instant(0)
        self.interpreter.start(self.now)

    def all(self) -> list[Command]:
        found = []
        while (command := self.interpreter.poll_output()) is not None:
            found.append(command)
        return found

    def out(self) -> list[Command]:
        """Return the commands that have an effect."""
        return [command for command in self.all() if not isinstance(command, Note | ElementStarted | ElementFinished)]

    def notes(self) -> list[str]:
        return [command.text for command in self.all() if isinstance(command, Note)]

    def give(self, *events: Event) -> list[Command]:
        for event in events:
            self.interpreter.handle_input(self.now, event)
        return self.out()

    def after(self, seconds: float) -> list[Command]:
        self.now = Instant(self.now + int(seconds * SECOND))
        self.interpreter.handle_timeout(self.now)
        return self.out()

    def interrupt(self, reason: Interruption) -> list[Command]:
        self.interpreter.interrupt(self.now, reason)
        assert self.interpreter.is_done
        assert self.interpreter.poll_timeout() is None
        return self.out()
