"""`ringback webhook replay EVENT_ID`: send a callback again."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from ringback.cli.api_call import api_call, platform_api
from ringback.cli.failure import ExitCode
from ringback.cli.output import write_json, write_result
from ringback.cli.webhook_event import find_webhook


def webhook_replay(
    event_id: Annotated[str, Parameter(help="The X-Ringback-Event-Id, or its first 4 characters or more.")],
    /,
    *,
    url: Annotated[str, Parameter(help="The server. Default: the nearest development server.")] = "",
    json: Annotated[bool, Parameter(help="Print JSON.")] = False,
) -> int:
    """Send a callback that was delivered or set aside again: same id, same bytes, same signatures."""
    api = platform_api(url)
    callback = find_webhook(api, event_id)
    message = api_call(api.replay_webhook, callback["event_id"])
    if json:
        write_json({"event_id": callback["event_id"], "message": message})
    else:
        write_result(f"{callback['event_id']}  {message}")
        write_result(f"  next  ringback webhook show {callback['event_id']}")
    return ExitCode.DONE
