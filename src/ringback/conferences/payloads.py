"""The parameters of a conference's callbacks.

Spec: wire spec 6.11.
"""

from __future__ import annotations

from ringback.conferences.machine import Report
from ringback.rooms.facts import RecordingFacts


def action_params(name: str, conference_uuid: str, member_id: str, recording: RecordingFacts | None) -> dict[str, str]:
    """Return the parameters of an action request besides the base set."""
    params = {"ConferenceName": name, "ConferenceUUID": conference_uuid, "ConferenceMemberID": member_id}
    if recording is not None:
        params["RecordUrl"] = recording.url
        params["RecordingID"] = recording.recording_id
    return params


def callback_params(
    report: Report,
    name: str,
    conference_uuid: str,
    member_id: str,
    call_uuid: str,
    digits: str = "",
    recording: RecordingFacts | None = None,
    *,
    is_alone: bool = False,
) -> dict[str, str]:
    """Return the parameters of a request to the callback URL besides the base set; with `Report.RECORD` those of the
    file are added.

    `Event`, `ConferenceFirstMember` and `ConferenceLastMember` are in no table of Plivo's, but in what applications
    have captured, and many of them decide by these.
    """
    params = {
        "Event": f"Conference{report.value.capitalize()}",
        "ConferenceAction": report.value,
        "ConferenceName": name,
        "ConferenceUUID": conference_uuid,
        "ConferenceMemberID": member_id,
        "CallUUID": call_uuid,
    }
    if report is Report.ENTER:
        params["ConferenceFirstMember"] = "true" if is_alone else "false"
    if report is Report.EXIT:
        params["ConferenceLastMember"] = "true" if is_alone else "false"
    if report is Report.DIGITS:
        params["ConferenceDigitsMatch"] = digits
    if recording is not None:
        params["RecordUrl"] = recording.url
        params["RecordingID"] = recording.recording_id
    return params
