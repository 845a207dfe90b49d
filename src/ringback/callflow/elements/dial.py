"""`<Dial>`: ring one or more parties and join the first that answers with the call.

Spec: wire spec 6.9. Faults of a party or an attribute are bearable: they are noted, and the dial goes on without them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import DocumentKind, Note, ReplaceDocument, StartDial, StopDial
from ringback.callflow.document import Node
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.elements.keys import sendable_digits
from ringback.callflow.events import DialFinished, DialRefused
from ringback.dials.callbacks import action_params
from ringback.dials.spec import (
    CONFIRM_TIMEOUT_S,
    DESTINATIONS_MAX,
    REAL_RINGING,
    TIME_LIMIT_S,
    TIMEOUT_S,
    Destination,
    DialSpec,
)
from ringback.numbers.digits import normalised

_TIMEOUT_MAX_S = 600
_TIME_LIMIT_MAX_S = 86_400
_CONFIRM_TIMEOUT_MAX_S = 120
_NAME_MAX_CHARS = 50
_ADDRESS_MAX_CHARS = 255
_PATTERNS_MAX = 32
_CALLER_ID = re.compile(r"[A-Za-z0-9_.+!~*'()&=$,;?/@:-]{1,255}")
_PATTERN = re.compile(r"[0-9*#A-D]{1,32}")
_SIP_URI = re.compile(r"sip:[^\s<>\"]+", re.IGNORECASE)
_USERNAME = re.compile(r"[^\s\"\\]{1,128}")
_PASSWORD_CHARS = range(8, 129)
_PARTY_ATTRIBUTES = frozenset({"sendDigits", "sendOnPreanswer", "sipHeaders", "callerId", "callerName"})
"""What every party may have; a caller id of its own is in the official Node SDK only."""


@dataclass(frozen=True, slots=True)
class Dial:
    """Rings the parties inside; the document goes on when the bridge is over or nobody could be had."""

    TAG: ClassVar[str] = "Dial"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "action",
            "method",
            "redirect",
            "timeout",
            "timeLimit",
            "callerId",
            "callerName",
            "hangupOnStar",
            "confirmSound",
            "confirmKey",
            "confirmTimeout",
            "dialMusic",
            "callbackUrl",
            "callbackMethod",
            "digitsMatch",
            "digitsMatchBLeg",
            "sipHeaders",
            "callType",
        }
    )

    spec: DialSpec
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Dial:
        """Return the element.

        Raises:
            InvalidDocument: a number or a boolean that is none.
        """
        headers = _headers(read, read.text("sipHeaders"))
        if read.text("callType").lower() not in ("", "voice"):
            read.note("callType is not supported; a voice call is made")
        spec = DialSpec(
            destinations=_destinations(read, headers),
            action_url=read.text("action"),
            action_method=read.method(),
            is_redirecting=read.boolean("redirect", default=True),
            timeout_s=read.integer("timeout", TIMEOUT_S, least=1, most=_TIMEOUT_MAX_S),
            time_limit_s=read.integer("timeLimit", TIME_LIMIT_S, least=1, most=_TIME_LIMIT_MAX_S),
            caller_id=_caller_id(read),
            caller_name=read.text("callerName")[:_NAME_MAX_CHARS],
            hangs_up_on_star=read.boolean("hangupOnStar", default=False),
            confirm_sound_url=read.text("confirmSound"),
            confirm_key="".join(_patterns(read, "confirmKey")[:1]),
            confirm_timeout_s=read.integer("confirmTimeout", CONFIRM_TIMEOUT_S, least=1, most=_CONFIRM_TIMEOUT_MAX_S),
            music=_music(read),
            callback_url=read.text("callbackUrl"),
            callback_method=_callback_method(read),
            digits_match=_patterns(read, "digitsMatch"),
            digits_match_b_leg=_patterns(read, "digitsMatchBLeg"),
        )
        return cls(spec, read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: the caller is to speak with somebody."""
        return True

    def run(self) -> Steps[None]:
        """Dial, and hand over to the action URL when it is over."""
        if not self.spec.destinations:
            yield Note("there is nobody to dial", self.TAG, self.line)
            if not self.spec.action_url:
                return
            # The dial fails at once, and its action is told: an application decides there how the call goes on.
        yield StartDial(self.spec)
        try:
            while True:
                match (yield from next_event()):
                    case DialRefused(detail):
                        yield Note(f"not dialled: {detail}", self.TAG, self.line)
                        return
                    case DialFinished(outcome, a_leg_uuid, b_leg_uuid):
                        break
                    case _:
                        # Keys belong to the bridge, and streams go on beside it.
                        pass
        except DocumentReplaced:
            yield StopDial()
            raise
        if self.spec.action_url and self.spec.is_redirecting:
            params = action_params(outcome, a_leg_uuid, b_leg_uuid)
            yield ReplaceDocument(DocumentKind.ACTION, self.spec.action_url, self.spec.action_method, params)


def _destinations(read: Reader, headers: tuple[tuple[str, str], ...]) -> tuple[Destination, ...]:
    """Return the parties in the order of the document; a text directly inside `<Dial>` is an old way to name one."""
    found: list[Destination] = []
    if read.node.text:
        address = normalised(read.node.text)
        if address is None:
            read.note("text directly inside is no phone number and is ignored")
        else:
            found.append(Destination(address, sip_headers=headers))
    for child in read.node.children:
        inner = Reader(child)
        match child.tag:
            case "Number":
                destination = _number(inner, headers)
            case "User":
                destination = _user(inner, headers)
            case _:
                read.notes.append(Note(f"<{child.tag[:40]}> inside is ignored", read.node.tag, child.line))
                continue
        read.notes += inner.notes
        if destination is not None:
            found.append(destination)
    if len(found) > DESTINATIONS_MAX:
        read.note(f"{len(found)} parties are named; the first {DESTINATIONS_MAX} are dialled")
    return tuple(found[:DESTINATIONS_MAX])


def _number(read: Reader, headers: tuple[tuple[str, str], ...]) -> Destination | None:
    _check_attributes(read, {*_PARTY_ATTRIBUTES, "sendDigitsMode"})
    if read.text("sendDigitsMode").lower() not in ("", "rfc2833"):
        read.note("sendDigitsMode: digits are sent as telephone events (rfc2833)")
    address = normalised(read.node.text)
    if address is None:
        read.note(f"{_shown(read.node)} is no phone number and is not dialled")
        return None
    return _destination(read, address, headers)


def _user(read: Reader, headers: tuple[tuple[str, str], ...]) -> Destination | None:
    _check_attributes(read, {*_PARTY_ATTRIBUTES, "sipAuthUsername", "sipAuthPassword"})
    address = read.node.text
    if not _SIP_URI.fullmatch(address) or len(address) > _ADDRESS_MAX_CHARS:
        read.note(f"{_shown(read.node)} is no sip: address and is not dialled")
        return None
    username, password = read.text("sipAuthUsername"), read.text("sipAuthPassword")
    if (username or password) and not (_USERNAME.fullmatch(username) and len(password) in _PASSWORD_CHARS):
        read.note("sipAuthUsername and sipAuthPassword (8 to 128 characters) belong together; they are not used")
        username = password = ""
    return _destination(read, address, headers, username, password)


def _destination(
    read: Reader, address: str, headers: tuple[tuple[str, str], ...], username: str = "", password: str = ""
) -> Destination:
    own = _headers(read, read.text("sipHeaders"))
    names = {name.lower() for name, _ in own}
    return Destination(
        address=address,
        send_digits=sendable_digits(read),
        send_on_preanswer=read.boolean("sendOnPreanswer", default=False),
        sip_headers=(*(pair for pair in headers if pair[0].lower() not in names), *own),
        caller_id=_caller_id(read),
        caller_name=read.text("callerName")[:_NAME_MAX_CHARS],
        username=username,
        password=password,
    )


def _headers(read: Reader, text: str) -> tuple[tuple[str, str], ...]:
    """Return `key=value,key2=value2` as pairs without `X-PH-`; the signalling room drops what cannot be sent."""
    found: list[tuple[str, str]] = []
    for part in text.split(","):
        name, equals, value = part.partition("=")
        if equals and name.strip():
            bare = name.strip()
            found.append((bare[5:] if bare.lower().startswith("x-ph-") else bare, value.strip()))
        elif part.strip():
            read.note(f"sipHeaders: {part.strip()[:40]!r} is no key=value and is ignored")
    return tuple(found)


def _patterns(read: Reader, name: str) -> tuple[str, ...]:
    found: list[str] = []
    for part in read.text(name).split(","):
        pattern = part.strip().upper()
        if _PATTERN.fullmatch(pattern):
            found.append(pattern)
        elif pattern:
            read.note(f"{name}: {pattern[:40]!r} is ignored, expected digits, * # or A-D")
    return tuple(dict.fromkeys(found))[:_PATTERNS_MAX]


def _caller_id(read: Reader) -> str:
    text = read.text("callerId")
    if not text:
        return ""
    if (digits := normalised(text)) is not None:
        return digits
    if not _CALLER_ID.fullmatch(text):
        read.note("callerId cannot stand in a call; the caller's number is shown")
        return ""
    return text


def _music(read: Reader) -> str:
    text = read.text("dialMusic")
    return REAL_RINGING if text.lower() == REAL_RINGING else text


def _callback_method(read: Reader) -> str:
    method = read.method("callbackMethod")
    if method not in ("GET", "POST"):
        read.note(f"callbackMethod {method[:20]!r} is unknown; POST is used")
        return "POST"
    return method


def _check_attributes(read: Reader, known: set[str]) -> None:
    for name in read.node.attributes:
        if name not in known:
            read.note(f"unknown attribute {name[:40]} is ignored")


def _shown(node: Node) -> str:
    return repr(node.text[:40]) if node.text else "an empty text"
