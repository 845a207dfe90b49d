"""`/ringback/v1/calls/{call_uuid}/events`: what happened in a call, as JSON lines, also while it happens."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from ringback.accounts.account import Account
from ringback.api.auth import CallingAccount
from ringback.api.bodies import read_query
from ringback.api.forms import Form, described_query
from ringback.api.services import Services, ServicesOf
from ringback.errors import NotFound
from ringback.ids import CallUuid
from ringback.storage.event_log import LoggedEvent

router = APIRouter(tags=["Operation"])

MEDIA_TYPE = "application/x-ndjson"
_ID_MAX = 2**62
_encode_lines = msgspec.json.Encoder().encode_lines


def _read(form: Form) -> tuple[int, int, int]:
    return (
        form.integer("after", 0, 0, _ID_MAX, about="Only events with a greater id."),
        form.integer("wait_ms", 0, 0, 600_000, about="How long to wait for the first event."),
        form.integer("limit", 500, 1, 1_000),
    )


@router.get("/ringback/v1/calls/{call_uuid}/events", summary="Events of a call", openapi_extra=described_query(_read))
async def list_events(request: Request, account: CallingAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Return events above `after`, oldest first, one JSON object per line; none when nothing happened in `wait_ms`.

    Shape: `{"id", "call_uuid", "wall_ms", "at_ms", "kind", "fields"}`; pass the last `id` as `after` to go on.
    """
    after_id, wait_ms, limit = _read(Form(read_query(request)))
    if not await services.calls.has_call(account, CallUuid(call_uuid)) and not await _may_read_as_operator(
        account, services, call_uuid
    ):
        raise NotFound("call not found")
    wait_ms = min(wait_ms, services.settings.events_wait_max_ms)
    if wait_ms:
        await services.events.wait(call_uuid, after_id, wait_ms)
    found = await services.events.read(call_uuid, after_id, min(limit, services.settings.events_page_max))
    return Response(_encode_lines([_line(event) for event in found]), media_type=MEDIA_TYPE)


async def _may_read_as_operator(account: Account, services: Services, call_uuid: str) -> bool:
    """Return whether this is a call that was refused before it was any account's, and the operator asks."""
    if account.auth_id != services.settings.operator_id:
        return False
    is_known = bool(await services.events.read(call_uuid, 0, 1))
    return is_known and await services.calls.is_nobodys(CallUuid(call_uuid))


def _line(event: LoggedEvent) -> dict[str, object]:
    return {
        "id": event.event_id,
        "call_uuid": event.call_uuid,
        "wall_ms": event.wall_ms,
        "at_ms": event.at_ms,
        "kind": event.kind,
        "fields": event.fields,
    }
