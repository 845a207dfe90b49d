"""`ringback call list`: live and ended calls, newest first."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ringback.cli.api_call import platform_api, recent_calls
from ringback.cli.failure import ExitCode
from ringback.cli.output import printable, write_json, write_result


def call_list(
    *,
    limit: Annotated[int, Parameter(help="At most so many live and so many ended calls.")] = 20,
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print JSON Lines.")] = False,
) -> int:
    """Print calls, live ones first."""
    for call in recent_calls(platform_api(url), max(limit, 1)):
        if json:
            write_json(call)
            continue
        if call["state"] == "live":
            write_result(f"{call['call_uuid']}  live")
            continue
        parties = f"{call.get('from_number', '')} → {call.get('to_number', '')}"
        cause = f"{call.get('hangup_cause_code', '')} {call.get('hangup_cause_name', '')}"
        row = f"{call['call_uuid']}  {call.get('end_time', '')}  {call.get('call_direction', ''):<9}"
        write_result(printable(f"{row}{parties:<30}{call.get('call_duration', 0):>5} s  {cause}"))
    return ExitCode.DONE
