from __future__ import annotations

import pytest

from ringback.dials.callbacks import PartyFacts, action_params, event_params
from ringback.dials.spec import DialAction, DialOutcome, DialStatus

TIMES = {"StartTime": "2026-01-31 12:00:00", "AnswerTime": "", "EndTime": "2026-01-31 12:00:07"}
FACTS = PartyFacts(
    "b1", "1555", "sip:x@y", 2, "0.00000", 7, 60, "USER_BUSY", "Busy Line", 3010, "Callee", TIMES, "0.01000"
)
COMMON = {
    "DialALegUUID": "a1",
    "DialBLegUUID": "b1",
    "DialBLegFrom": "1555",
    "DialBLegTo": "sip:x@y",
    "DialBLegPosition": "2",
    "DialBLegBillRate": "0.00000",
    "STIRVerification": "Not Applicable",
}


def test_action_is_told_status_ringing_cause_and_both_calls() -> None:
    outcome = DialOutcome(DialStatus.NO_ANSWER, False, "NO_ANSWER")
    assert action_params(outcome, "a1", "") == {
        "DialStatus": "no-answer",
        "DialRingStatus": "false",
        "DialHangupCause": "NO_ANSWER",
        "DialALegUUID": "a1",
        "DialBLegUUID": "",
    }


@pytest.mark.parametrize(
    ("action", "more"),
    [
        (DialAction.ANSWER, {"Event": "DialAnswer", "DialAction": "answer", "DialBLegStatus": "answer"}),
        (DialAction.CONNECTED, {"Event": "DialConnected", "DialAction": "connected", "DialBLegStatus": "connected"}),
        (
            DialAction.DIGITS,
            {
                "Event": "DialDigitsMatch",
                "DialAction": "digits",
                "DialBLegStatus": "connected",
                "DialDigitsMatch": "12",
                "DialDigitsPressedBy": "ALeg",
            },
        ),
        (
            DialAction.HANGUP,
            {
                "Event": "DialHangup",
                "DialAction": "hangup",
                "DialBLegStatus": "hangup",
                "DialBLegDuration": "7",
                "DialBLegBillDuration": "60",
                "DialBLegHangupCause": "USER_BUSY",
                "DialBLegHangupCauseName": "Busy Line",
                "DialBLegHangupCauseCode": "3010",
                "DialBLegHangupSource": "Callee",
                "DialBLegTotalCost": "0.01000",
                **TIMES,
            },
        ),
    ],
)
def test_callback_is_told_what_happened_to_a_party(action: DialAction, more: dict[str, str]) -> None:
    assert event_params(action, "a1", FACTS, "12", is_by_caller=True) == COMMON | more
