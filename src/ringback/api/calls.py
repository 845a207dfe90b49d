"""`/Call/`: make, list, look up, transfer, hang up (specification 4.5 to 4.8)."""

from __future__ import annotations

from dataclasses import replace

from fastapi import APIRouter, Request, Response

from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount, account_of_subaccount, read_owner
from ringback.api.bodies import read_body, read_query
from ringback.api.call_parameters import read_cdr_filters, read_live_filters, read_make_calls, read_transfer
from ringback.api.forms import Form, described_body, described_query
from ringback.api.paging import read_page_with_cursor
from ringback.api.replies import read_callback
from ringback.api.responses import account_time, no_content, reply, session_time
from ringback.api.services import ServicesOf
from ringback.calls.views import After, CallRecord, LiveCallView, LiveStatus
from ringback.errors import NotFound
from ringback.ids import CallUuid

router = APIRouter(tags=["Calls"])

_EXAMPLE_CALL = {
    "from": "+14151234567",
    "to": "+14157654321",
    "answer_url": "https://yourserver.com/answer",
    "answer_method": "POST",
}


def _read_make_call_request(form: Form) -> None:
    read_make_calls(form)
    read_callback(form)


@router.post(
    "/Call/",
    summary="Make a call",
    status_code=201,
    openapi_extra=described_body(_read_make_call_request, _EXAMPLE_CALL),
)
async def make_call(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Accept an outbound call, or up to 1,000 with `<` between the destinations; `request_uuid` is also its `CallUUID`.

    With several destinations `request_uuid` is a list in their order. A call that must wait for its turn is answered
    `call queued`; several calls always wait in the queue.
    """
    made = await services.calls.make_calls(account, read_make_calls(Form(await read_body(request))))
    uuids = made.request_uuids
    return reply(201, {"message": made.message, "request_uuid": uuids[0] if len(uuids) == 1 else list(uuids)})


@router.get(
    "/Call/",
    summary="List call records, live calls or queued calls",
    openapi_extra=described_query(lambda form: (read_page_with_cursor(form), read_cdr_filters(form), read_owner(form))),
)
async def list_calls(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return call ids with `status=live` or `status=queued`, else records of ended calls."""
    form = Form(read_query(request))
    owner = await account_of_subaccount(request, account, read_owner(form))
    if form.choice("status", ("live", "queued"), ""):
        filters = read_live_filters(form)
        found = [] if owner is None else await services.calls.live_call_uuids(owner, filters)
        return reply(200, {"calls": found})
    page = read_page_with_cursor(form)
    wanted = replace(read_cdr_filters(form), after=page.after)
    if owner is None:
        return reply(200, {"meta": page.meta(request, 0), "objects": []})
    records, total = await services.calls.cdrs(owner, wanted, page.limit, page.skipped)
    last = After(records[-1].initiated_wall_ms, records[-1].call_uuid) if records else None
    meta = page.meta_with_cursor(request, total, len(records), last)
    return reply(200, {"meta": meta, "objects": [record_object(record, owner) for record in records]})


@router.delete("/Call/", summary="Hang up all calls", status_code=204)
async def hangup_all(account: CurrentAccount, services: ServicesOf) -> Response:
    """End every call of the account."""
    await services.calls.hangup_all(account)
    return no_content()


@router.get(
    "/Call/{call_uuid}/",
    summary="Retrieve a call record, a live call or a queued call",
    openapi_extra=described_query(lambda form: form.choice("status", ("live", "queued"), "")),
)
async def retrieve_call(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Return a live call with `status=live`, a queued one with `status=queued`, else the record of an ended call."""
    match Form(read_query(request)).choice("status", ("live", "queued"), ""):
        case "":
            record = await services.calls.cdr(account, CallUuid(call_uuid))
            if record is None:
                raise NotFound("call not found", hint="live calls need ?status=live")
            return reply(200, record_object(record, account))
        case status:
            view = await services.calls.live_call(account, CallUuid(call_uuid))
            if view is None or (view.status is LiveStatus.QUEUED) != (status == "queued"):
                raise NotFound(f"no {status} call of this id")
            return reply(200, live_object(view))


@router.post(
    "/Call/{call_uuid}/",
    summary="Transfer a call",
    status_code=202,
    openapi_extra=described_body(read_transfer, {"legs": "aleg", "aleg_url": "https://yourserver.com/new-flow"}),
)
async def transfer_call(request: Request, account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Give a live call a new document."""
    wanted = read_transfer(Form(await read_body(request)))
    await services.calls.transfer(account, CallUuid(call_uuid), wanted)
    # The cloud spells it so; clients compare it (specification 4.8).
    return reply(202, {"message": "call transfered"})


@router.delete("/Call/{call_uuid}/", summary="Hang up a call", status_code=204)
async def hangup_call(account: CurrentAccount, services: ServicesOf, call_uuid: str) -> Response:
    """End a queued, ringing or answered call."""
    if not await services.calls.hangup_call(account, CallUuid(call_uuid)):
        raise NotFound("no live call of this id")
    return no_content()


def record_object(record: CallRecord, account: Account) -> dict[str, object]:
    """Return a call record as it is spelled on the wire (specification 4.6)."""
    return {
        "answer_time": account_time(record.answered_wall_ms, account.timezone),
        "bill_duration": record.bill_duration_s,
        "billed_duration": record.billed_duration_s,
        "call_direction": record.direction.value,
        "call_duration": record.call_duration_s,
        "call_state": record.call_state,
        "call_uuid": record.call_uuid,
        "cnam_lookup": "",
        "conference_uuid": record.conference_uuid or None,
        "end_time": account_time(record.ended_wall_ms, account.timezone),
        "from_number": record.from_number,
        "hangup_cause_code": record.hangup_cause_code,
        "hangup_cause_name": record.hangup_cause_name,
        "hangup_source": record.hangup_source,
        "initiation_time": account_time(record.initiated_wall_ms, account.timezone),
        "parent_call_uuid": record.parent_call_uuid or None,
        "resource_uri": f"/v1/Account/{account.auth_id}/Call/{record.call_uuid}/",
        "source_ip": record.source_ip,
        "stir_attestation": record.stir_attestation,
        "stir_verification": record.stir_verification,
        "to_number": record.to_number,
        "total_amount": record.total_amount,
        "total_rate": record.total_rate,
        "voice_network_group": "",
    }


def live_object(view: LiveCallView) -> dict[str, object]:
    """Return a live or queued call as it is spelled on the wire (specification 4.7)."""
    return {
        "call_status": view.status.value,
        "call_uuid": view.call_uuid,
        "caller_name": view.caller_name,
        "direction": view.direction.value,
        "from": view.from_number,
        "parent_call_uuid": view.parent_call_uuid or None,
        "request_uuid": view.call_uuid,
        "session_start": session_time(view.started_wall_ms),
        "stir_attestation": view.stir_attestation,
        "stir_verification": view.stir_verification,
        "to": view.to_number,
    }
