"""Finds the callback that a command line means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ringback.cli.api_call import api_call
from ringback.cli.failure import Failure

if TYPE_CHECKING:
    from ringback.phones.platform_api import PlatformApi

_PREFIX_MIN_CHARACTERS = 4
_UUID_CHARACTERS = 36
_LOOKED_THROUGH = 1_000


def find_webhook(api: PlatformApi, text: str) -> dict[str, Any]:
    """Return the callback with this event id, or whose id begins so.

    Raises:
        Failure: RB5002 for too short a beginning, RB6003 when none or several fit.
    """
    if len(text) < _PREFIX_MIN_CHARACTERS:
        raise Failure("RB5002", f"read {text}", fix=f"give {_PREFIX_MIN_CHARACTERS} characters of the event id or more")
    if len(text) == _UUID_CHARACTERS:
        return api_call(api.webhook, text, missing=no_webhook(text))
    fitting = [
        one for one in api_call(api.webhooks, "", "", _LOOKED_THROUGH) if one["event_id"].startswith(text.lower())
    ]
    if len(fitting) != 1:
        raise no_webhook(text, len(fitting))
    return fitting[0]


def no_webhook(text: str, found: int = 0) -> Failure:
    """Return the failure of a callback that cannot be told."""
    what = f"{found} webhooks" if found else "no webhook"
    return Failure("RB6003", f"{what} for {text}", fix="list them: ringback webhook list")
