"""The elements that exist, and how a parsed document becomes a list of them.

Spec: wire spec 6.1: unknown elements and attributes are ignored, and we say so in the timeline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from ringback.callflow.commands import Note
from ringback.callflow.document import Node
from ringback.callflow.elements.base import Bound as Bound
from ringback.callflow.elements.base import Element, Reader
from ringback.callflow.elements.conference import Conference
from ringback.callflow.elements.dial import Dial
from ringback.callflow.elements.dtmf import Dtmf
from ringback.callflow.elements.get_digits import GetDigits
from ringback.callflow.elements.get_input import GetInput
from ringback.callflow.elements.hangup import Hangup
from ringback.callflow.elements.message import Message
from ringback.callflow.elements.multi_party_call import MultiPartyCall
from ringback.callflow.elements.play import Play
from ringback.callflow.elements.pre_answer import PreAnswer
from ringback.callflow.elements.record import Record
from ringback.callflow.elements.redirect import Redirect
from ringback.callflow.elements.speak import Speak
from ringback.callflow.elements.stream import Stream
from ringback.callflow.elements.wait import Wait

_READERS: Mapping[str, Callable[[Reader], Element]] = MappingProxyType(
    {
        Conference.TAG: Conference.from_xml,
        Dial.TAG: Dial.from_xml,
        Dtmf.TAG: Dtmf.from_xml,
        GetDigits.TAG: GetDigits.from_xml,
        GetInput.TAG: GetInput.from_xml,
        Hangup.TAG: Hangup.from_xml,
        Message.TAG: Message.from_xml,
        MultiPartyCall.TAG: MultiPartyCall.from_xml,
        Play.TAG: Play.from_xml,
        PreAnswer.TAG: PreAnswer.from_xml,
        Record.TAG: Record.from_xml,
        Redirect.TAG: Redirect.from_xml,
        Speak.TAG: Speak.from_xml,
        Stream.TAG: Stream.from_xml,
        Wait.TAG: Wait.from_xml,
    }
)
_ATTRIBUTES: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        kind.TAG: kind.ATTRIBUTES
        for kind in (
            Conference,
            Dial,
            Dtmf,
            GetDigits,
            GetInput,
            Hangup,
            Message,
            MultiPartyCall,
            Play,
            PreAnswer,
            Record,
            Redirect,
            Speak,
            Stream,
            Wait,
        )
    }
)
_PROMPTS = frozenset({"Speak", "Play", "Wait"})
NESTED: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        GetDigits.TAG: _PROMPTS,
        GetInput.TAG: _PROMPTS,
        PreAnswer.TAG: _PROMPTS | {"GetDigits", "Redirect", "Message", "DTMF"},
    }
)
"""Elements that may stand inside another and are run by it (`Reader.nested`); wire spec 6.1."""
OWN_CHILDREN: frozenset[str] = frozenset({Dial.TAG, Speak.TAG})
"""Elements that read what is inside them by themselves (`Reader.node.children`)."""

SUPPORTED = frozenset(_READERS)

_NAME_COMPARED_MAX_CHARS = 40
_NOTES_MAX = 64


@dataclass(frozen=True, slots=True)
class Program:
    """A document ready to run."""

    steps: tuple[Bound, ...]
    notes: tuple[Note, ...]


def bind(root: Node, allowed: frozenset[str] | None = None) -> Program:
    """Return the document's elements in order, all checked before the first one runs; those that are not `allowed`
    here are left out with a note.

    Raises:
        InvalidDocument: a known element has an illegal value.
    """
    steps: list[Bound] = []
    notes: list[Note] = []
    if root.attributes:
        notes.append(Note(f"attributes of <{root.tag}> are ignored", root.tag, root.line))
    if root.text:
        notes.append(Note(f"text directly inside <{root.tag}> is ignored", root.tag, root.line))
    for node in root.children:
        if allowed is not None and node.tag in SUPPORTED - allowed:
            notes.append(Note(f"<{node.tag}> makes no sound and is skipped here", node.tag, node.line))
        else:
            steps += _bind(node, notes)
    notes += _never_reached(steps)
    if len(notes) > _NOTES_MAX:
        left_out = len(notes) - _NOTES_MAX
        notes = [*notes[:_NOTES_MAX], Note(f"{left_out} further notes left out", root.tag, root.line)]
    return Program(tuple(steps), tuple(notes))


def _never_reached(steps: Sequence[Bound]) -> list[Note]:
    """Return a note about the first element that plays until the call ends and has others behind it."""
    for bound in steps[:-1]:
        inside = bound.element.nested if isinstance(bound.element, PreAnswer) else (bound,)
        for each in inside:
            if isinstance(each.element, Play | Speak) and each.element.loops == 0:
                text = "loop=0 plays until the call ends or a transfer: what stands behind does not run"
                return [Note(text, each.node.tag, each.node.line)]
    return []


def _bind(node: Node, notes: list[Note]) -> list[Bound]:
    """Return the element of a node and what is nested in it; nothing for one that is skipped."""
    reader = _READERS.get(node.tag)
    if reader is None:
        notes.append(_unknown_element(node))
        return []
    allowed = NESTED.get(node.tag, frozenset())
    nested: list[Bound] = []
    noted: list[Note] = []
    for child in node.children:
        if child.tag in allowed:
            nested += _bind(child, noted)
        elif node.tag not in OWN_CHILDREN:
            noted.append(Note(f"<{child.tag[:40]}> inside is ignored", node.tag, child.line))
    read = Reader(node, nested=tuple(nested))
    element = reader(read)
    notes += _unknown_attributes(node)
    notes += read.notes
    notes += noted
    return [Bound(element, node)]


def spoken_languages(program: Program) -> list[tuple[str, int]]:
    """Return the language and line of every element that needs speech to be recognised."""
    elements = (bound.element for bound in program.steps)
    return [(each.language, each.line) for each in elements if isinstance(each, GetInput) and each.takes_speech]


def _unknown_element(node: Node) -> Note:
    tag = node.tag[:_NAME_COMPARED_MAX_CHARS]
    hint = _suggestion(node.tag, SUPPORTED, "<{}>")
    return Note(f"unknown element <{tag}> is skipped{hint}", tag, node.line)


def _unknown_attributes(node: Node) -> list[Note]:
    known = _ATTRIBUTES[node.tag]
    return [
        Note(
            f"unknown attribute {name[:_NAME_COMPARED_MAX_CHARS]} is ignored{_suggestion(name, known, '{}')}",
            node.tag,
            node.line,
        )
        for name in node.attributes
        if name not in known
    ]


def _suggestion(name: str, known: frozenset[str], form: str) -> str:
    if len(name) > _NAME_COMPARED_MAX_CHARS:
        return ""
    by_lower = {candidate.lower(): candidate for candidate in sorted(known)}
    close = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.7)
    return f", did you mean {form.format(by_lower[close[0]])}?" if close else ""
