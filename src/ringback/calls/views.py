"""What the REST layer asks of calls and what it is given: plain values, validated at the edge.

Texts are as the customer wrote them after trimming; absent texts are empty. Times of day are `wall_ms` (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.ids import CallUuid


class CallDirection(Enum):
    """Who started a call, seen from the platform; the value is the spelling of the wire."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class LiveStatus(Enum):
    """State of a call that has not ended; the value is `call_status` on the wire."""

    QUEUED = "queued"
    RINGING = "ringing"
    IN_PROGRESS = "in-progress"


@dataclass(frozen=True, slots=True)
class MachineDetection:
    """How an outbound call finds out whether a machine answered; times in milliseconds, 0 leaves a rule out.

    Spec: wire specification 4.5.
    """

    hangs_up: bool = False
    """Whether a machine ends the call (9100)."""
    url: str = ""
    """Told of a machine while the document runs already; empty: the document waits for the verdict."""
    method: str = "POST"
    total_ms: int = 5_000
    initial_silence_ms: int = 4_500
    speech_ms: int = 5_000
    words: int = 0
    greeting_ms: int = 3_600
    silence_ms: int = 800


@dataclass(frozen=True, slots=True)
class MakeCall:
    """One outbound call as asked for by `POST /Call/`.

    Spec: wire specification 4.5. `hangup_url` and `fallback_url` are empty when not given.
    """

    from_number: str
    """Caller id: digits (a leading `+` removed), or the text as given when it is not a number."""
    to: str
    """Destination: digits (a leading `+` removed), or a `sip:` / `sips:` URI."""
    answer_url: str
    answer_method: str = "POST"
    ring_url: str = ""
    ring_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    caller_name: str = ""
    send_digits: str = ""
    """Digits to send after the answer: `0-9*#ABCD`, `w` and `W` pauses, optional `@` and tone milliseconds."""
    send_on_preanswer: bool = False
    time_limit_s: int = 14_400
    """At most 86,400."""
    hangup_on_ring_s: int | None = None
    ring_timeout_s: int = 120
    sip_headers: tuple[tuple[str, str], ...] = ()
    """Names without the `X-PH-` prefix, and values."""
    parent_call_uuid: str = ""
    error_if_parent_not_found: bool = False
    machine_detection: MachineDetection | None = None
    call_uuid: str = ""
    """The id that the call gets; empty lets one be made."""


@dataclass(frozen=True, slots=True)
class MadeCall:
    """The answer to `MakeCall`: one request id per destination and the message of the wire.

    The request id of a call is also its `CallUUID` (specification 4.5).
    """

    request_uuids: tuple[CallUuid, ...]
    message: str = "call fired"


@dataclass(frozen=True, slots=True)
class LiveCallFilters:
    """Which calls that have not ended are wanted; `None` and empty mean any.

    `queued` asks for calls that wait for their turn; otherwise calls from ringing onward are meant.
    """

    queued: bool = False
    direction: CallDirection | None = None
    from_number: str = ""
    to_number: str = ""
    limit: int = 20
    offset: int = 0


@dataclass(frozen=True, slots=True)
class LiveCallView:
    """A call that has not ended (specification 4.7)."""

    call_uuid: CallUuid
    status: LiveStatus
    direction: CallDirection
    from_number: str
    to_number: str
    started_wall_ms: int
    caller_name: str = ""
    parent_call_uuid: str = ""
    stir_verification: str = "Not Applicable"
    stir_attestation: str = ""


@dataclass(frozen=True, slots=True)
class Transfer:
    """New documents for the legs of a live call (specification 4.8)."""

    legs: str
    """`aleg`, `bleg` or `both`; the URL of each named leg is given."""
    aleg_url: str = ""
    aleg_method: str = "POST"
    bleg_url: str = ""
    bleg_method: str = "POST"


class Comparison(Enum):
    """How a filter compares; the value is the suffix of the query parameter."""

    EQUAL = ""
    GREATER = "__gt"
    AT_LEAST = "__gte"
    LESS = "__lt"
    AT_MOST = "__lte"


@dataclass(frozen=True, slots=True)
class Bound:
    """One comparison of a number or of an instant in `wall_ms`."""

    comparison: Comparison
    value: int


@dataclass(frozen=True, slots=True)
class After:
    """Where a page of a list that is sorted by time, newest first, begins: behind the object of this time and name."""

    wall_ms: int
    name: str


@dataclass(frozen=True, slots=True)
class CdrFilters:
    """Which call records are wanted; empty texts, empty tuples and `None` mean any (specification 4.6).

    Numbers match exactly or as a prefix. All bounds must hold.
    """

    direction: CallDirection | None = None
    from_number: str = ""
    to_number: str = ""
    parent_call_uuid: str = ""
    bill_duration_s: tuple[Bound, ...] = ()
    ended_wall_ms: tuple[Bound, ...] = ()
    hangup_cause_code: int | None = None
    hangup_source: str = ""
    stir_verification: str = ""
    after: After | None = None
    """Leaves out what stands before, without counting less."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """The record of an ended call (specification 4.6).

    `billed_duration_s` is `bill_duration_s` rounded up to full minutes.
    """

    call_uuid: CallUuid
    direction: CallDirection
    from_number: str
    to_number: str
    initiated_wall_ms: int
    answered_wall_ms: int | None
    ended_wall_ms: int
    call_duration_s: int
    bill_duration_s: int
    billed_duration_s: int
    hangup_cause_code: int
    hangup_cause_name: str
    hangup_source: str
    call_state: str
    """`ANSWER` for an answered call, else the SIP-like state name the hang-up table gives."""
    parent_call_uuid: str = ""
    conference_uuid: str = ""
    caller_name: str = ""
    stir_verification: str = "Not Applicable"
    stir_attestation: str = ""
    source_ip: str = ""
    total_amount: str = "0.00000"
    total_rate: str = "0.00000"
