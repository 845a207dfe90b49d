"""`ringback webhook list`: callbacks in the outbox, newest first."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ringback.cli.api_call import api_call, platform_api, whole_uuid
from ringback.cli.failure import ExitCode
from ringback.cli.output import printable, write_json, write_note, write_result


def webhook_list(
    *,
    call: Annotated[str, Parameter(help="Only those of this call: its CallUUID, the beginning of it, or `last`.")] = "",
    state: Annotated[Literal["", "pending", "sent", "dead"], Parameter(help="Only those in this state.")] = "",
    limit: Annotated[int, Parameter(help="At most so many.")] = 20,
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print JSON Lines.")] = False,
) -> int:
    """Print callbacks that wait, were taken, or were set aside (dead)."""
    api = platform_api(url)
    call_uuid = whole_uuid(api, call) if call else ""
    found = api_call(api.webhooks, call_uuid, state, min(max(limit, 1), 1_000))
    for callback in found:
        if json:
            write_json(callback)
        else:
            write_result(_row(callback))
    if not found and not json:
        write_note("no callbacks; answer and action URLs are in the call: ringback call show last")
    return ExitCode.DONE


def _row(callback: dict[str, Any]) -> str:
    at = datetime.fromtimestamp(callback["created_wall_ms"] / 1000, UTC).strftime("%H:%M:%S")
    outcome = f"{callback['attempts']}× {callback['outcome']}" if callback["attempts"] else "not tried yet"
    state = f"{callback['state']:<8}{callback['kind']:<14}"
    return printable(f"{callback['event_id']}  {at}  {state}{callback['method']} {callback['url']}  {outcome}")
