"""The parameters of a multiparty call's callbacks.

Spec: wire spec 6.12.
"""

from __future__ import annotations

from ringback.multiparty.machine import Participant, Report
from ringback.multiparty.spec import Role
from ringback.recordings.payloads import moment


def status_params(
    report: Report, name: str, mpc_uuid: str, participant: Participant, wall_ms: int, *, duration_s: int, digit: str
) -> dict[str, str]:
    """Return the parameters of a request to the status URL; of the end also durations and the amount, which is 0."""
    params = {
        "EventName": report.title,
        "EventTimestamp": moment(wall_ms),
        "MPCUUID": mpc_uuid,
        "MPCName": name,
    }
    if report is Report.ENDED:
        params |= {
            "MPCDuration": str(duration_s),
            "MPCBilledDuration": str(billed_s(duration_s)),
            "MPCBilledAmount": "0.00000",
        }
    elif report not in (Report.INITIALIZED, Report.STARTED):
        params |= {
            "MemberID": participant.member_id,
            "ParticipantRole": participant.spec.role.value,
            "ParticipantCallUUID": participant.call_uuid,
            "ParticipantCoachMode": "true" if participant.coaches else "false",
        }
    if digit:
        params["Digit"] = digit
    return params


def exit_params(name: str, mpc_uuid: str, participant: Participant, ended_wall_ms: int) -> dict[str, str]:
    """Return the parameters of a request to the exit URL besides the base set."""
    return {
        "MPCUUID": mpc_uuid,
        "MPCFriendlyName": name,
        "MemberID": participant.member_id,
        "ParticipantCallUUID": participant.call_uuid,
        "ParticipantJoinTime": moment(participant.joined_wall_ms),
        "ParticipantEndTime": moment(ended_wall_ms),
        "ParticipantRole": participant.spec.role.value,
    }


def addition_params(
    name: str,
    mpc_uuid: str,
    role: Role,
    request_uuid: str,
    wall_ms: int,
    *,
    is_completed: bool,
    member: Participant | None,
) -> dict[str, str]:
    """Return the parameters of an event about a request to add a participant; one that failed names no member."""
    params = {
        "EventName": f"AddParticipantByAPIAction{'Completed' if is_completed else 'Initiated'}",
        "EventTimestamp": moment(wall_ms),
        "MPCUUID": mpc_uuid,
        "MPCName": name,
        "ParticipantRole": role.value,
        "RequestUUID": request_uuid,
    }
    if member is not None:
        params |= {"MemberID": member.member_id, "ParticipantCallUUID": member.call_uuid}
    return params


def billed_s(duration_s: int) -> int:
    """Return whole minutes, as calls are billed."""
    return -(-duration_s // 60) * 60
