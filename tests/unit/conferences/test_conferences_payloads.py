"""`conferences.payloads`: what the action URL and the callback URL are told."""

from __future__ import annotations

import pytest

from ringback.conferences.machine import Report
from ringback.conferences.payloads import RecordingFacts, action_params, callback_params

RECORDING = RecordingFacts("r1", "https://us/r1.mp3")
EVENTS = {
    Report.ENTER: "ConferenceEnter",
    Report.EXIT: "ConferenceExit",
    Report.DIGITS: "ConferenceDigits",
    Report.FLOOR: "ConferenceFloor",
    Report.RECORD: "ConferenceRecord",
}
NAMES = {"ConferenceName": "Room", "ConferenceUUID": "u", "ConferenceMemberID": "17"}


def test_the_action_url_is_told_of_the_recording_if_there_is_one() -> None:
    assert action_params("Room", "u", "17", None) == NAMES
    assert action_params("Room", "u", "17", RECORDING) == {
        **NAMES,
        "RecordUrl": "https://us/r1.mp3",
        "RecordingID": "r1",
    }


@pytest.mark.parametrize("report", list(Report))
def test_the_callback_url_is_told_what_happened(report: Report) -> None:
    params = callback_params(report, "Room", "u", "17", "c1", "42", None, is_alone=True)
    expected = {**NAMES, "ConferenceAction": report.value, "CallUUID": "c1", "Event": EVENTS[report]}
    if report is Report.ENTER:
        expected["ConferenceFirstMember"] = "true"
    if report is Report.EXIT:
        expected["ConferenceLastMember"] = "true"
    if report is Report.DIGITS:
        expected["ConferenceDigitsMatch"] = "42"
    assert params == expected
