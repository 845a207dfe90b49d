"""How answers are spelled: `api_id`, JSON, times, durations."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec
from fastapi import Response

from ringback import ids
from ringback.accounts.account import Account

_encode = msgspec.json.Encoder().encode


def reply(status: int, payload: Mapping[str, object], headers: Mapping[str, str] | None = None) -> Response:
    """Return a JSON answer with a fresh `api_id`."""
    body = _encode({"api_id": ids.new_uuid(), **payload})
    return Response(body, status, dict(headers) if headers else None, "application/json")


def no_content() -> Response:
    """Return 204 without a body."""
    return Response(status_code=204)


def sub_account(account: Account) -> str | None:
    """Return the `sub_account` of a resource: where its subaccount is found, or `None` for a main account's."""
    if account.parent_auth_id is None:
        return None
    return f"/v1/Account/{account.parent_auth_id}/Subaccount/{account.auth_id}/"


def account_time(wall_ms: int | None, timezone: str) -> str | None:
    """Return `2017-05-22 17:49:30+05:30` in the account's time zone, or `None`."""
    if wall_ms is None:
        return None
    moment = datetime.fromtimestamp(wall_ms // 1000, _zone(timezone))
    return moment.isoformat(" ")


def precise_time(wall_ms: int) -> str:
    """Return `2023-06-21 13:23:44.136000+00:00` in UTC."""
    return f"{session_time(wall_ms)}+00:00"


def precise_account_time(wall_ms: int, timezone: str) -> str:
    """Return `2022-04-12 16:08:53.523000+05:30` in the account's time zone."""
    return datetime.fromtimestamp(wall_ms / 1000, _zone(timezone)).isoformat(" ", "microseconds")


def session_time(wall_ms: int) -> str:
    """Return `2017-05-22 13:17:49.050000` in UTC, without a zone (specification 4.7)."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")


def date(wall_ms: int) -> str:
    """Return `2014-02-14` in UTC."""
    return datetime.fromtimestamp(wall_ms / 1000, UTC).strftime("%Y-%m-%d")


@lru_cache(64)
def _zone(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        # Slim systems carry no zone files; UTC with its offset is still a right time.
        return UTC
