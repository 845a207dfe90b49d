"""`<Conference>`: put the call into a room with others.

Spec: wire spec 6.11.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import DocumentKind, EnterConference, LeaveConference, Note, ReplaceDocument
from ringback.callflow.document import InvalidDocument
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.elements.keys import sendable_digits
from ringback.callflow.events import ConferenceLeft, ConferenceRefused
from ringback.conferences.spec import MEMBERS_MAX, NAME_MAX_CHARS, TIME_LIMIT_S, ConferenceSpec
from ringback.rooms.facts import BEEPS

_FORMATS = ("mp3", "wav")
_PATTERNS_MAX = 32
_PATTERN_MAX_CHARS = 24
_KEYS = frozenset("0123456789*#ABCD")


@dataclass(frozen=True, slots=True)
class Conference:
    """Keeps the call in the conference of that name until it leaves, then asks the action URL or goes on."""

    TAG: ClassVar[str] = "Conference"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "muted",
            "enterSound",
            "exitSound",
            "startConferenceOnEnter",
            "endConferenceOnExit",
            "stayAlone",
            "waitSound",
            "maxMembers",
            "timeLimit",
            "hangupOnStar",
            "record",
            "recordFileFormat",
            "transcriptionType",
            "transcriptionUrl",
            "transcriptionMethod",
            "action",
            "method",
            "callbackUrl",
            "callbackMethod",
            "redirect",
            "digitsMatch",
            "floorEvent",
            "relayDTMF",
            "sendDigits",
            "recordWhenAlone",
        }
    )

    spec: ConferenceSpec
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Conference:
        """Return the element.

        Raises:
            InvalidDocument: it names no room, or a value is none that is allowed.
        """
        name = read.node.text
        if not 0 < len(name) <= NAME_MAX_CHARS:
            raise InvalidDocument(
                f"<Conference> names a room of {len(name)} characters, expected 1 to {NAME_MAX_CHARS}", read.node.line
            )
        spec = ConferenceSpec(
            name=name,
            is_muted=read.boolean("muted", default=False),
            enter_sound=_sound(read, "enterSound"),
            exit_sound=_sound(read, "exitSound"),
            starts_on_enter=read.boolean("startConferenceOnEnter", default=True),
            ends_on_exit=read.boolean("endConferenceOnExit", default=False),
            stays_alone=read.boolean("stayAlone", default=True),
            wait_sound=read.text("waitSound"),
            members_max=read.integer("maxMembers", MEMBERS_MAX, least=1, most=MEMBERS_MAX),
            time_limit_s=read.integer("timeLimit", TIME_LIMIT_S, least=1, most=TIME_LIMIT_S),
            leaves_on_star=read.boolean("hangupOnStar", default=False),
            is_recorded=read.boolean("record", default=False),
            record_format=_format(read),
            wants_transcription=bool(read.text("transcriptionType") or read.text("transcriptionUrl")),
            transcription_url=read.text("transcriptionUrl"),
            transcription_method=_method(read, "transcriptionMethod"),
            records_alone=read.boolean("recordWhenAlone", default=True),
            send_digits=sendable_digits(read),
            action_url=read.text("action"),
            action_method=_method(read, "method"),
            is_redirecting=read.boolean("redirect", default=True),
            callback_url=read.text("callbackUrl"),
            callback_method=_method(read, "callbackMethod"),
            digits_match=_patterns(read),
            reports_floor=read.boolean("floorEvent", default=False),
            relays_digits=read.boolean("relayDTMF", default=True),
        )
        return cls(spec, read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: members hear each other."""
        return True

    def run(self) -> Steps[None]:
        """Stay in the conference until it is over for this call."""
        yield EnterConference(self.spec)
        params: dict[str, str] = {}
        try:
            while True:
                match (yield from next_event()):
                    case ConferenceRefused(detail):
                        yield Note(f"conference not entered: {detail}", self.TAG, self.line)
                        return
                    case ConferenceLeft(left):
                        params = dict(left)
                        break
                    case _:
                        # The conference takes digits by itself.
                        pass
        except DocumentReplaced:
            yield LeaveConference()
            raise
        if self.spec.action_url and self.spec.is_redirecting:
            yield ReplaceDocument(DocumentKind.ACTION, self.spec.action_url, self.spec.action_method, params)


def _sound(read: Reader, name: str) -> str:
    """Return a beep or a URL; what is neither is left out with a note."""
    sound = read.text(name)
    if not sound or sound in BEEPS or sound.lower().startswith(("http://", "https://")):
        return sound
    read.note(f"{name}={sound[:80]!r} is ignored, expected beep:1, beep:2 or a URL")
    return ""


def _format(read: Reader) -> str:
    value = read.text("recordFileFormat").lower() or _FORMATS[0]
    if value not in _FORMATS:
        raise read.illegal("recordFileFormat", "mp3 or wav")
    return value


def _method(read: Reader, name: str) -> str:
    value = read.method(name)
    if value not in ("GET", "POST"):
        raise read.illegal(name, "GET or POST")
    return value


def _patterns(read: Reader) -> tuple[str, ...]:
    """Return the digit patterns; what is none is left out with a note."""
    patterns: list[str] = []
    for part in read.text("digitsMatch").split(","):
        pattern = part.strip().upper()
        if pattern and len(pattern) <= _PATTERN_MAX_CHARS and set(pattern) <= _KEYS and len(patterns) < _PATTERNS_MAX:
            patterns.append(pattern)
        elif pattern:
            read.note(f"digitsMatch {pattern[:40]!r} is ignored")
    return tuple(patterns)
