"""Requests of client verbs to the server, with their failures in the command line's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from ringback.cli.failure import Failure
from ringback.cli.find_server import find_server

if TYPE_CHECKING:
    from ringback.phones.platform_api import PlatformApi

ResultT = TypeVar("ResultT")
_PREFIX_MIN_CHARACTERS = 4
_UUID_CHARACTERS = 36
_PAGE = 20


def platform_api(url: str) -> PlatformApi:
    """Return the API of the server that `--url` or the surroundings name."""
    from ringback.phones.platform_api import PlatformApi

    server = find_server(url)
    return PlatformApi(server.url, server.auth_id, server.auth_token)


def api_call(
    request: Callable[..., ResultT], *arguments: object, missing: Failure | None = None, **options: object
) -> ResultT:
    """Return what `request` returns for the given arguments.

    Raises:
        Failure: RB5006, RB6001, RB5009; `missing` (RB6002 unless given) when the server knows no such thing.
    """
    from ringback.phones.platform_api import PlatformRefused, PlatformUnreachable

    try:
        return request(*arguments, **options)
    except PlatformUnreachable as error:
        raise Failure("RB5006", error.message, fix="start one with `ringback dev`, or name it by --url") from None
    except PlatformRefused as error:
        if error.status == 401:
            raise Failure("RB6001", "the server refused the credentials", fix="compare with `ringback creds`") from None
        if error.status == 404:
            raise missing or Failure("RB6002", "no such call", fix="list calls: ringback call list") from None
        raise Failure("RB5009", error.message) from None
    except ValueError as error:
        raise Failure("RB5009", f"the server's answer is not JSON: {error}") from None


def recent_calls(api: PlatformApi, limit: int = _PAGE) -> list[dict[str, Any]]:
    """Return live calls, then ended ones, newest first, at most `limit` of each."""
    live = api_call(api.account, "Call/", status="live")["calls"]
    calls: list[dict[str, Any]] = [{"call_uuid": uuid, "state": "live"} for uuid in live[:limit]]
    ended: list[dict[str, Any]] = []
    while len(ended) < limit:
        wanted = min(_PAGE, limit - len(ended))
        page = api_call(api.account, "Call/", limit=wanted, offset=len(ended))["objects"]
        ended += page
        if len(page) < wanted:
            break
    return calls + [{**record, "state": "ended"} for record in ended]


def whole_uuid(api: PlatformApi, text: str) -> str:
    """Return the CallUUID that `text` means: itself, a unique beginning of it, or `last`.

    Raises:
        Failure: RB6002 when no call or several calls fit.
    """
    if len(text) == _UUID_CHARACTERS:
        return text
    if text != "last" and len(text) < _PREFIX_MIN_CHARACTERS:
        raise Failure("RB5002", f"read {text}", fix=f"give {_PREFIX_MIN_CHARACTERS} characters or more, or `last`")
    uuids = [str(call["call_uuid"]) for call in recent_calls(api, limit=200)]
    fitting = uuids[:1] if text == "last" else [uuid for uuid in uuids if uuid.startswith(text.lower())]
    if len(fitting) != 1:
        found = "no call" if not fitting else f"{len(fitting)} calls"
        raise Failure("RB6002", f"{found} for {text}", fix="list calls: ringback call list")
    return fitting[0]
