"""`/ringback/v1/webhooks`: the callbacks in the outbox, and sending one again."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from ringback.api.auth import CallingAccount
from ringback.api.bodies import read_query
from ringback.api.forms import Form, described_query
from ringback.api.responses import reply
from ringback.api.services import ServicesOf
from ringback.errors import NotFound
from ringback.webhooks import store
from ringback.webhooks.request import HIDDEN, PRIVATE_PARAMS
from ringback.webhooks.store import StoredCallback

router = APIRouter(tags=["Operation"])

PAGE_MAX = 1_000


def _read(form: Form) -> tuple[str, str, int]:
    return (
        form.choice("state", store.STATES, "", about="Only callbacks in this state."),
        form.text("call_uuid", max_chars=64, about="Only callbacks of this call."),
        form.integer("limit", 100, 1, PAGE_MAX),
    )


@router.get("/ringback/v1/webhooks", summary="Callbacks in the outbox", openapi_extra=described_query(_read))
async def list_webhooks(request: Request, account: CallingAccount, services: ServicesOf) -> Response:
    """Return the account's callbacks, newest first; sent ones are kept for three days."""
    state, call_uuid, limit = _read(Form(read_query(request)))
    found = await services.database.read(
        lambda session: store.list_callbacks(session, account.auth_id, call_uuid=call_uuid, state=state, limit=limit)
    )
    return reply(200, {"objects": [_shown(callback) for callback in found]})


@router.get("/ringback/v1/webhooks/{event_id}", summary="One callback")
async def get_webhook(account: CallingAccount, services: ServicesOf, event_id: str) -> Response:
    """Return a callback; its attempts are in the event log of its call."""
    found = await services.database.read(lambda session: store.find_callback(session, account.auth_id, event_id))
    if found is None:
        raise NotFound("webhook not found")
    return reply(200, _shown(found))


@router.post("/ringback/v1/webhooks/{event_id}/replay", summary="Send a callback again", status_code=202)
async def replay_webhook(account: CallingAccount, services: ServicesOf, event_id: str) -> Response:
    """Send a callback that was delivered or set aside again: same id, same bytes, same signatures."""
    found = await services.database.read(lambda session: store.find_callback(session, account.auth_id, event_id))
    if found is None:
        raise NotFound("webhook not found")
    is_queued = await services.callbacks.replay(account, event_id)
    return reply(202, {"message": "queued again" if is_queued else "waits to be sent already", "event_id": event_id})


def _shown(callback: StoredCallback) -> Mapping[str, object]:
    return {
        "event_id": callback.event_id,
        "kind": callback.kind,
        "call_uuid": callback.call_uuid,
        "method": callback.method,
        "url": callback.url,
        "params": {
            name: HIDDEN if callback.is_private and name in PRIVATE_PARAMS else value for name, value in callback.pairs
        },
        "state": callback.state,
        "attempts": callback.attempts,
        "outcome": callback.outcome,
        "created_wall_ms": callback.created_wall_ms,
        "next_wall_ms": callback.next_wall_ms if callback.state == "pending" else None,
    }
