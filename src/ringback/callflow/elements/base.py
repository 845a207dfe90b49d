"""How an element is written: a frozen dataclass with `from_xml` and `run`.

`run` is a generator. It yields commands and goes on at once, or asks for the next event with `next_event()` and is
resumed with it; a nested element is `yield from`. A hang-up or a transfer arrives as `Interrupted`, so that `finally`
(or `except`) is the clean-up: there it may yield commands, but it gets no further event.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import ClassVar, Protocol, TypeVar

from ringback.callflow.commands import Command, ElementStarted, Note
from ringback.callflow.document import InvalidDocument, Node
from ringback.callflow.events import Event, Interruption
from ringback.errors import Bug

T = TypeVar("T")
_SHOWN_CHARS = 200
_NOTHING = "none"


@dataclass(frozen=True, slots=True)
class NextEvent:
    """Asks for the next event; use `next_event()`."""


Steps = Generator[Command | NextEvent, Event | None, T]
"""The run of an element: yields commands, receives events, returns its result."""


class Interrupted(Exception):
    """Ends an element from outside; raised at its `yield` and never caught for good."""

    def __init__(self, reason: Interruption) -> None:
        super().__init__(reason.value)
        self.reason = reason


class CallEnded(Interrupted):
    """The call is gone: commands have no effect any more."""

    def __init__(self) -> None:
        super().__init__(Interruption.CALL_ENDED)


class DocumentReplaced(Interrupted):
    """A transfer brings another document: what blocks must be stopped."""

    def __init__(self) -> None:
        super().__init__(Interruption.REPLACED)


class Element(Protocol):
    """One element of a document, checked and ready to run."""

    TAG: ClassVar[str]
    ATTRIBUTES: ClassVar[frozenset[str]]
    """Every attribute that is known, supported or not."""

    @property
    def is_answering(self) -> bool:
        """Return whether an unanswered inbound call is answered before the element runs (wire spec 6.1)."""

    def run(self) -> Steps[None]:
        """Do what the element means."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An element, and where and how it was written."""

    element: Element
    node: Node


def started(bound: Bound) -> ElementStarted:
    """Return the report that an element begins, with its attributes and text cut to what a reader needs."""
    node = bound.node
    attributes = {name: value[:_SHOWN_CHARS] for name, value in node.attributes.items()}
    if node.text:
        attributes["text"] = node.text[:_SHOWN_CHARS]
    return ElementStarted(node.tag, node.line, attributes)


def next_event() -> Steps[Event]:
    """Return the next event: `event = yield from next_event()`."""
    event = yield NextEvent()
    if event is None:
        raise Bug("an element was resumed without the event it asked for")
    return event


@dataclass(slots=True)
class Reader:
    """Reads an element's attributes; what is odd but bearable becomes a note, what is illegal `InvalidDocument`."""

    node: Node
    notes: list[Note] = field(default_factory=list)
    nested: tuple[Bound, ...] = ()
    """The elements inside, for tags that `registry.NESTED` lists; other tags read `node.children` themselves."""

    def text(self, name: str, default: str = "") -> str:
        """Return the trimmed text of an attribute; `none` counts as absent.

        Official SDKs write `none` for what their user left empty: that of Ruby for `nil`, that of PHP also for an empty
        text, `false` and 0. Sounds that may be `none` are read by `word`.
        """
        text = self.word(name)
        return default if text is None or text.lower() == _NOTHING else text

    def word(self, name: str) -> str | None:
        """Return the trimmed text of an attribute as it was written, `None` when it is absent."""
        text = self.node.attributes.get(name)
        return text if text is None else text.strip()

    def boolean(self, name: str, *, default: bool) -> bool:
        """Return a `true` or `false`, in any letter case; `none` is the `false` of the official PHP SDK."""
        value = (self.word(name) or "").lower()
        if value == _NOTHING:
            return False
        if not value:
            return default
        if value not in ("true", "false"):
            raise self.illegal(name, "true or false")
        return value == "true"

    def integer(self, name: str, default: int, *, least: int, most: int) -> int:
        """Return a whole number of at least `least`; one above `most` becomes `most`, with a note."""
        value = self.whole(name)
        if name not in self.node.attributes or not self.text(name):
            return default
        if value is None or value < least:
            raise self.illegal(name, f"a whole number of at least {least}")
        if value > most:
            self.note(f"{name}={value} is more than {most}; {most} is used")
            return most
        return value

    def whole(self, name: str) -> int | None:
        """Return the attribute as a whole number, or `None` when it is none."""
        text = self.text(name)
        digits = text.removeprefix("-").removeprefix("+")
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 12):
            return None
        return int(text)

    def loops(self, most: int) -> int:
        """Return how often something plays, 0 for ever. The official PHP SDK writes 0 as `none`, or as `true`."""
        if (self.word("loop") or "").lower() in (_NOTHING, "true"):
            return 0
        return self.integer("loop", 1, least=0, most=most)

    def method(self, name: str = "method") -> str:
        """Return an HTTP method in capitals, `POST` when absent; it may be one that we do not send."""
        return self.text(name).upper() or "POST"

    def note(self, text: str) -> None:
        """Record something odd about the element."""
        self.notes.append(Note(text, self.node.tag, self.node.line))

    def illegal(self, name: str, expected: str) -> InvalidDocument:
        """Return the error of an illegal attribute value."""
        value = self.node.attributes.get(name, "")[:80]
        message = f"<{self.node.tag}> has {name}={value!r}, expected {expected}"
        return InvalidDocument(message, self.node.line)
