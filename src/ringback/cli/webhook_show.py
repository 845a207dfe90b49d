"""`ringback webhook show EVENT_ID`: a callback, its parameters, every attempt."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from ringback.cli.api_call import platform_api
from ringback.cli.call_show import all_events
from ringback.cli.failure import ExitCode
from ringback.cli.output import printable, write_json, write_result
from ringback.cli.webhook_event import find_webhook


def webhook_show(
    event_id: Annotated[str, Parameter(help="The X-Ringback-Event-Id, or its first 4 characters or more.")],
    /,
    *,
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print JSON.")] = False,
) -> int:
    """Print a callback of the outbox and how each attempt to deliver it went."""
    api = platform_api(url)
    callback = find_webhook(api, event_id)
    attempts = [
        event["fields"]
        for event in all_events(api, callback["call_uuid"])
        if event["kind"] == "webhook" and event["fields"].get("event_id") == callback["event_id"]
    ]
    if json:
        write_json({**callback, "tries": attempts})
        return ExitCode.DONE
    write_result(printable(f"webhook {callback['event_id']}  {callback['kind']}  {callback['state']}"))
    write_result(printable(f"  {callback['method']} {callback['url']}  of call {callback['call_uuid']}"))
    for name, value in callback["params"].items():
        write_result(printable(f"  {name}={value}"))
    for attempt in attempts:
        write_result(_attempt_line(attempt))
    write_result(f"  next  ringback webhook replay {callback['event_id']}")
    return ExitCode.DONE


def _attempt_line(attempt: dict[str, Any]) -> str:
    found = attempt.get("status") or attempt.get("detail") or attempt["outcome"]
    body = f"  {attempt['body'][:80]}" if attempt.get("body") else ""
    return printable(f"  attempt {attempt['attempt']}: {found} after {attempt['total_ms']} ms{body}")
