"""What `<Dial>` asks for and what became of it: plain values.

Spec: wire spec 6.9.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

DESTINATIONS_MAX = 10
"""How many parties one `<Dial>` rings at once."""
TIMEOUT_S = 120
"""Ring time when the document names none; that of a call made by the API."""
TIME_LIMIT_S = 14_400
CONFIRM_TIMEOUT_S = 15
"""How long the key of a challenge is waited for after its sound."""
REAL_RINGING = "real"
"""`dialMusic` that lets the caller hear what the callee's network sends."""


@dataclass(frozen=True, slots=True)
class Destination:
    """One party to ring: a `<Number>` or a `<User>`.

    `address`: digits without `+`, or a `sip:` URI. `sip_headers`: names without `X-PH-`, and values.
    """

    address: str
    send_digits: str = ""
    send_on_preanswer: bool = False
    sip_headers: tuple[tuple[str, str], ...] = ()
    caller_id: str = ""
    """Shown to this party instead of what the dial names."""
    caller_name: str = ""
    username: str = ""
    password: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class DialSpec:
    """One `<Dial>`, checked. Absent URLs, keys and ids are empty."""

    destinations: tuple[Destination, ...]
    action_url: str = ""
    action_method: str = "POST"
    is_redirecting: bool = True
    """Whether the reply to the action URL replaces the document."""
    timeout_s: int = TIMEOUT_S
    time_limit_s: int = TIME_LIMIT_S
    caller_id: str = ""
    caller_name: str = ""
    hangs_up_on_star: bool = False
    confirm_sound_url: str = ""
    confirm_key: str = ""
    confirm_timeout_s: int = CONFIRM_TIMEOUT_S
    music: str = ""
    """A URL of a document, `real`, or empty for a ring-back tone."""
    callback_url: str = ""
    callback_method: str = "POST"
    digits_match: tuple[str, ...] = ()
    digits_match_b_leg: tuple[str, ...] = ()

    @property
    def is_challenging(self) -> bool:
        """Return whether a party that answers is asked before it is joined."""
        return bool(self.confirm_sound_url or self.confirm_key)


class DialStatus(Enum):
    """`DialStatus` on the wire."""

    COMPLETED = "completed"
    BUSY = "busy"
    FAILED = "failed"
    CANCEL = "cancel"
    TIMEOUT = "timeout"
    NO_ANSWER = "no-answer"


@dataclass(frozen=True, slots=True)
class DialOutcome:
    """What became of a dial, for its action URL."""

    status: DialStatus
    has_rung: bool
    cause: str
    """Upper-case name of the hang-up cause of the party that decided."""
    winner: int | None = None
    """Index of the party that was joined."""


class DialAction(Enum):
    """`DialAction` on the wire: what happened to a party."""

    ANSWER = "answer"
    CONNECTED = "connected"
    HANGUP = "hangup"
    DIGITS = "digits"
