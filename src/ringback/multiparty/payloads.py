"""The parameters of a multiparty call's callbacks.

Spec: wire spec 6.12.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ringback.multiparty.machine import Participant, Report


def moment(wall_ms: int) -> str:
    """Return `2023-06-21 13:23:44.136000+00:00`."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).isoformat(" ", "microseconds")


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


def billed_s(duration_s: int) -> int:
    """Return whole minutes, as calls are billed."""
    return -(-duration_s // 60) * 60
