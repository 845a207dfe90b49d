"""`/Request/`: cancel a call before it is answered (specification 4.8)."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ringback.api.auth import CurrentAccount
from ringback.api.responses import no_content
from ringback.api.services import ServicesOf
from ringback.errors import NotFound
from ringback.ids import CallUuid

router = APIRouter(tags=["Calls"])


@router.delete("/Request/{request_uuid}/", summary="Cancel a call request", status_code=204)
async def cancel_request(account: CurrentAccount, services: ServicesOf, request_uuid: str) -> Response:
    """End a call that is queued or rings."""
    if not await services.calls.cancel_request(account, CallUuid(request_uuid)):
        raise NotFound("no unanswered call of this id")
    return no_content()
