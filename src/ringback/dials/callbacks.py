"""The parameters that a dial adds to its callbacks. Pure.

Spec: wire spec 6.9; `Event`, `DialBLegPosition`, `DialBLegBillRate`, `DialBLegTotalCost` and the times of a
hang-up are as applications have captured or read them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ringback.dials.spec import DialAction, DialOutcome

_EVENTS = {
    DialAction.ANSWER: "DialAnswer",
    DialAction.CONNECTED: "DialConnected",
    DialAction.DIGITS: "DialDigitsMatch",
    DialAction.HANGUP: "DialHangup",
}
_STATUS_OF_ACTION = {
    DialAction.ANSWER: "answer",
    DialAction.CONNECTED: "connected",
    DialAction.DIGITS: "connected",
    DialAction.HANGUP: "hangup",
}


@dataclass(frozen=True, slots=True)
class PartyFacts:
    """A party as its callbacks describe it: `position` is its place in the `<Dial>`, 1 is the first; durations and the
    cause belong to the hang-up only.
    """

    call_uuid: str
    from_number: str
    to_number: str
    position: int
    bill_rate: str
    duration_s: int = 0
    bill_duration_s: int = 0
    cause: str = ""
    cause_name: str = ""
    cause_code: int = 0
    source: str = ""
    times: Mapping[str, str] = field(default_factory=dict)
    """Its `StartTime`, `AnswerTime`, `EndTime`, as its own hang-up callback has them; empty for one never dialled."""
    total_cost: str = "0.00000"


def action_params(outcome: DialOutcome, a_leg_uuid: str, b_leg_uuid: str) -> dict[str, str]:
    """Return what the action URL is told besides the base set; `b_leg_uuid` is empty when nobody was joined."""
    return {
        "DialStatus": outcome.status.value,
        "DialRingStatus": "true" if outcome.has_rung else "false",
        "DialHangupCause": outcome.cause,
        "DialALegUUID": a_leg_uuid,
        "DialBLegUUID": b_leg_uuid,
    }


def event_params(
    action: DialAction, a_leg_uuid: str, party: PartyFacts, digits: str = "", *, is_by_caller: bool = False
) -> dict[str, str]:
    """Return what the callback URL is told of one party besides the base set."""
    params = {
        "Event": _EVENTS[action],
        "DialAction": action.value,
        "DialBLegStatus": _STATUS_OF_ACTION[action],
        "DialALegUUID": a_leg_uuid,
        "DialBLegUUID": party.call_uuid,
        "DialBLegFrom": party.from_number,
        "DialBLegTo": party.to_number,
        "DialBLegPosition": str(party.position),
        "DialBLegBillRate": party.bill_rate,
        "STIRVerification": "Not Applicable",
    }
    if action is DialAction.DIGITS:
        params["DialDigitsMatch"] = digits
        params["DialDigitsPressedBy"] = "ALeg" if is_by_caller else "BLeg"
    if action is DialAction.HANGUP:
        params |= {
            "DialBLegDuration": str(party.duration_s),
            "DialBLegBillDuration": str(party.bill_duration_s),
            "DialBLegHangupCause": party.cause,
            "DialBLegHangupCauseName": party.cause_name,
            "DialBLegHangupCauseCode": str(party.cause_code),
            "DialBLegHangupSource": party.source,
            "DialBLegTotalCost": party.total_cost,
            **party.times,
        }
    return params
