"""The parameters of every callback, from plain values.

Shape: ordered name → text; absent values are left out where the wire leaves them out. Times are UTC.
Spec: wire spec 5.2 (answer and the base set), 5.3 (hang-up), 5.4 (ring), 2.5 (stream status).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum

NO_RATE = "0.00000"
"""A self-hosted platform bills nothing unless it is told what to ask (wire spec 4.10)."""


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What every callback of one call says.

    `from_number` and `to_number` may be numbers with or without `+`, or SIP URIs. `sip_headers` are original SIP
    header texts by name (sent as `SIP-H-…`), `custom_headers` the `X-PH-…` headers with or without that prefix.
    """

    call_uuid: str
    from_number: str
    to_number: str
    direction: str
    parent_auth_id: str
    session_start_wall_ms: int
    bill_rate: str = NO_RATE
    request_uuid: str = ""
    caller_name: str = ""
    forwarded_from: str = ""
    stir_verification: str = ""
    stir_attestation: str = ""
    source_ip: str = ""
    sip_headers: tuple[tuple[str, str], ...] = ()
    custom_headers: tuple[tuple[str, str], ...] = ()
    a_leg_uuid: str = ""
    """The call that dialled this one by `<Dial>`; empty: this call is the A leg."""
    has_plus: bool = False
    """Whether numbers are written with `+`."""


@dataclass(frozen=True, slots=True)
class HangupFacts:
    """How a call ended, for its hang-up callback."""

    cause: str
    """Upper-case name, such as `NORMAL_CLEARING`."""
    cause_name: str
    cause_code: int
    source: str
    call_status: str
    duration_s: int
    """Since the answer; 0 when there was none."""
    bill_duration_s: int
    """Rounded up to the billing step."""
    start_wall_ms: int
    end_wall_ms: int
    answer_wall_ms: int | None = None
    total_cost: str = NO_RATE


class StatusScheme(Enum):
    """Which of the two published schemes a stream's status callbacks follow; the value is its first `Event`."""

    START_STREAM = "StartStream"
    STARTED = "started"
    """Other names of events, times in ISO 8601, numbers with `+`."""


_SHORT_EVENTS = {
    "StartStream": "started",
    "StopStream": "stopped",
    "DroppedStream": "failed",
    "DegradedStream": "degraded",
}
"""The names of the second scheme, which has none for a buffer that fills up: `degraded` is ours."""


@dataclass(frozen=True, slots=True)
class StreamFacts:
    """What every status callback of one stream says."""

    call_uuid: str
    stream_id: str
    from_number: str
    to_number: str
    direction: str
    parent_auth_id: str
    service_url: str
    status_callback_url: str
    status_callback_method: str = "POST"
    bidirectional: bool = False
    audio_track: str = "inbound"
    stream_timeout_s: int = 86_400
    content_type: str = "audio/x-l16;rate=8000"
    extra_headers: str = ""
    keep_call_alive: bool = False
    has_plus: bool = False
    """Whether numbers are written with `+`."""
    scheme: StatusScheme = StatusScheme.START_STREAM


def spelt(number: str, *, has_plus: bool) -> str:
    """Return a number as callbacks spell it: its digits without `+`, or with one; what is no number is unchanged.

    Only what can be an E.164 number gets a `+`: 7 to 15 digits that do not begin with 0, so no extension of a PBX.
    """
    digits = number.removeprefix("+")
    if not (digits.isascii() and digits.isdigit()):
        return number
    return f"+{digits}" if has_plus and 7 <= len(digits) <= 15 and digits[0] != "0" else digits


def second_text(wall_ms: int) -> str:
    """Return a time as `2020-04-08 11:34:33`."""
    return _utc(wall_ms).strftime("%Y-%m-%d %H:%M:%S")


def iso_text(wall_ms: int) -> str:
    """Return a time as `2020-04-08T11:34:33Z`."""
    return _utc(wall_ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_text(wall_ms: int) -> str:
    """Return a time as `2020-04-08 11:34:33.238000`."""
    return _utc(wall_ms).strftime("%Y-%m-%d %H:%M:%S.%f")


def base_params(facts: CallFacts, call_status: str, event: str) -> dict[str, str]:
    """Return the set that every callback of a call carries."""
    outbound = facts.direction == "outbound"
    params = {
        "CallUUID": facts.call_uuid,
        "From": spelt(facts.from_number, has_plus=facts.has_plus),
        "To": spelt(facts.to_number, has_plus=facts.has_plus),
        "Direction": facts.direction,
        "CallStatus": call_status,
        "Event": event,
        "BillRate": facts.bill_rate,
        "ParentAuthID": facts.parent_auth_id,
        "SessionStart": micro_text(facts.session_start_wall_ms),
    }
    if outbound:
        params["RequestUUID"] = facts.request_uuid or facts.call_uuid
        params["ALegUUID"] = facts.a_leg_uuid or facts.call_uuid
        params["ALegRequestUUID"] = facts.a_leg_uuid or facts.request_uuid or facts.call_uuid
    return params


def answer_params(facts: CallFacts, call_status: str, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the parameters of answer_url, fallback_url and every redirect, transfer and action URL.

    Args:
        call_status: `ringing` (inbound, not answered) or `in-progress`.
        extra: What the asking element adds; it wins over the base set.
    """
    params = base_params(facts, call_status, "StartApp")
    _put(params, "CallerName", facts.caller_name)
    if facts.direction == "inbound":
        _put(params, "ForwardedFrom", spelt(facts.forwarded_from, has_plus=facts.has_plus))
        _put(params, "STIRVerification", facts.stir_verification)
        _put(params, "STIRAttestation", facts.stir_attestation)
        _put(params, "SIPSourceIP", facts.source_ip)
    for name, value in facts.sip_headers:
        params[f"SIP-H-{name}"] = value
    for name, value in facts.custom_headers:
        bare = name[5:] if name.lower().startswith("x-ph-") else name
        params[f"X-PH-{bare}"] = value
    params.update(extra or {})
    return params


def ring_params(facts: CallFacts) -> dict[str, str]:
    """Return the parameters of ring_url."""
    return base_params(facts, "ringing", "Ring")


def machine_params(facts: CallFacts, *, hangs_up: bool) -> dict[str, str]:
    """Return the parameters of machine_detection_url, which is told of machines only (wire spec 5.4)."""
    found = {"Machine": "true", "IfMachine": "hangup" if hangs_up else "continue"}
    return {**base_params(facts, "in-progress", "MachineDetection"), **found}


def hangup_params(facts: CallFacts, hangup: HangupFacts) -> dict[str, str]:
    """Return the parameters of hangup_url.

    Spec: wire spec 5.3. `AnswerTime` is empty for a call that was never answered.
    """
    params = base_params(facts, hangup.call_status, "Hangup")
    params["SessionStart"] = second_text(facts.session_start_wall_ms)
    params |= {
        "HangupCause": hangup.cause,
        "HangupCauseName": hangup.cause_name,
        "HangupCauseCode": str(hangup.cause_code),
        "HangupSource": hangup.source,
        "Duration": str(hangup.duration_s),
        "BillDuration": str(hangup.bill_duration_s),
        "TotalCost": hangup.total_cost,
        "StartTime": second_text(hangup.start_wall_ms),
        "AnswerTime": "" if hangup.answer_wall_ms is None else second_text(hangup.answer_wall_ms),
        "EndTime": second_text(hangup.end_wall_ms),
    }
    return params


def stream_status_params(
    facts: StreamFacts,
    event: str,
    wall_ms: int,
    status_reason: str = "",
    duration_s: int | None = None,
    error: str = "",
) -> dict[str, str]:
    """Return the parameters of a stream's status callback: the first scheme with the extra names of the second, or the
    names and forms of the second.

    There is no `CallStatus` on purpose: a published client takes one for the end of the call.

    Args:
        event: `StartStream`, `StopStream`, `DroppedStream` or `DegradedStream`.
        status_reason: `completed`, `timeout`, `connection_failed` …; left out when empty.
        duration_s: Seconds streamed, for `StopStream`.
        error: For `DroppedStream`.
    Spec: wire spec 2.5.
    """
    is_second = facts.scheme is StatusScheme.STARTED
    has_plus = facts.has_plus or is_second
    params = {
        "CallUUID": facts.call_uuid,
        "StreamID": facts.stream_id,
        "Event": _SHORT_EVENTS[event] if is_second else event,
        "From": spelt(facts.from_number, has_plus=has_plus),
        "To": spelt(facts.to_number, has_plus=has_plus),
        "Direction": facts.direction,
        "ParentAuthID": facts.parent_auth_id,
        "ServiceURL": facts.service_url,
        "Timestamp": iso_text(wall_ms) if is_second else second_text(wall_ms),
        "status_callback_url": facts.status_callback_url,
        "status_callback_method": facts.status_callback_method,
        "bidirectional": _flag(facts.bidirectional),
        "audioTrack": facts.audio_track,
        "streamTimeout": str(facts.stream_timeout_s),
        "contentType": facts.content_type,
        "extraHeaders": facts.extra_headers,
        "keepCallAlive": _flag(facts.keep_call_alive),
    }
    _put(params, "StatusReason", status_reason)
    if duration_s is not None:
        params["Duration"] = str(duration_s)
    _put(params, "Error", error)
    return params


def _put(params: dict[str, str], name: str, value: str) -> None:
    if value:
        params[name] = value


def _flag(value: bool) -> str:
    return "true" if value else "false"


def _utc(wall_ms: int) -> datetime:
    return datetime.fromtimestamp(wall_ms / 1000, UTC)
