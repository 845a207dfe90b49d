"""What plays while a document waits: one playback to its end, and nested prompts beside which their parent listens."""

from __future__ import annotations

from collections.abc import Iterator

from ringback.callflow.commands import Command, ElementFinished, Note, StopPlay
from ringback.callflow.elements.base import Bound, DocumentReplaced, NextEvent, Steps, next_event, started
from ringback.callflow.events import Event, PlayFinished, PlayRefused
from ringback.errors import Bug
from ringback.media.control.values import PlayEnd


def play_through(command: Command, tag: str, line: int, skipped: str = "file skipped") -> Steps[None]:
    """Give a command that plays something and return when it is over; what cannot be played is noted as `skipped`."""
    yield command
    try:
        while True:
            match (yield from next_event()):
                case PlayRefused(detail):
                    yield Note(f"{skipped}: {detail}", tag, line)
                    return
                case PlayFinished(PlayEnd.FAILED, detail):
                    yield Note(f"{skipped}: {detail or 'it cannot be decoded'}", tag, line)
                    return
                case PlayFinished(_, detail):
                    if detail:
                        yield Note(f"in part {skipped}: {detail}", tag, line)
                    return
                case _:
                    # Digits are for elements that collect them.
                    pass
    except DocumentReplaced:
        yield StopPlay()
        raise


def run_nested(nested: tuple[Bound, ...]) -> Steps[None]:
    """Run nested elements one after the other, each reported like one of the document."""
    for bound in nested:
        yield started(bound)
        yield from bound.element.run()
        yield ElementFinished(bound.node.tag, bound.node.line)


class Prompts:
    """A run of nested elements that its parent drives, so that it can listen to keys and speech meanwhile.

    State: `begin` once; then `resume` with every event that the parent does not take itself, or `stop`. What these give
    are commands to pass on; whether the prompts are over is in `is_over`.

    Example:
        prompts = Prompts(run_nested(self.nested))
        yield from prompts.begin()
        while True:
            event = yield from next_event()
            ...
            yield from prompts.resume(event)
    """

    __slots__ = ("_steps", "is_over")

    def __init__(self, steps: Steps[None]) -> None:
        self._steps = steps
        self.is_over = False

    def begin(self) -> Iterator[Command]:
        """Give the commands up to the first wait."""
        yield from self._advance(None)

    def resume(self, event: Event) -> Iterator[Command]:
        """Hand an event on and give the commands up to the next wait; nothing when the prompts are over."""
        if not self.is_over:
            yield from self._advance(event)

    def stop(self) -> Iterator[Command]:
        """End the prompts at once and give their clean-up commands; nothing when they are over."""
        if self.is_over:
            return
        self.is_over = True
        try:
            step = self._steps.throw(DocumentReplaced())
            while not isinstance(step, NextEvent):
                yield step
                step = self._steps.send(None)
        except (StopIteration, DocumentReplaced):
            return
        raise Bug("a nested element did not end when it was interrupted")

    def _advance(self, event: Event | None) -> Iterator[Command]:
        try:
            step = next(self._steps) if event is None else self._steps.send(event)
            while not isinstance(step, NextEvent):
                yield step
                step = self._steps.send(None)
        except StopIteration:
            self.is_over = True
