"""`ringback call show UUID|last`: the event log of a call as a timeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ringback.cli.api_call import api_call, platform_api, whole_uuid
from ringback.cli.failure import ExitCode, Failure
from ringback.cli.output import write_json, write_result

if TYPE_CHECKING:
    from ringback.phones.platform_api import PlatformApi


def call_show(
    uuid: Annotated[str, Parameter(help="The CallUUID, its first 4 characters or more, or `last`.")],
    /,
    *,
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print JSON Lines, every field.")] = False,
) -> int:
    """Print what happened in a call, oldest first."""
    from ringback.phones.timeline import line_of_event

    api = platform_api(url)
    whole = whole_uuid(api, uuid)
    events = all_events(api, whole)
    if not events:
        raise Failure("RB6002", f"no call {whole}", api.url, "list calls: ringback call list")
    if json:
        for event in events:
            write_json(event)
        return ExitCode.DONE
    write_result(f"call {whole}")
    start_ms = line_of_event(events[0]).wall_ms
    for event in events:
        write_result(line_of_event(event).shown(start_ms))
    return ExitCode.DONE


def all_events(api: PlatformApi, call_uuid: str) -> list[dict[str, Any]]:
    """Return every fact of a call, oldest first."""
    events: list[dict[str, Any]] = []
    while True:
        after = int(events[-1].get("id") or events[-1].get("event_id") or 0) if events else 0
        page = api_call(api.events, call_uuid, after)
        events += page
        if not page:
            return events
