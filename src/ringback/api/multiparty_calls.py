"""`/MultiPartyCall/`: multiparty calls, live and ended: list, look up, start, end (specification 7.8)."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount, account_of_subaccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query, invalid, shown
from ringback.api.moments import read_moment
from ringback.api.paging import read_page
from ringback.api.responses import account_time, no_content, reply, sub_account
from ringback.api.services import ServicesOf
from ringback.multiparty.payloads import billed_s
from ringback.multiparty.spec import NAME_MAX_CHARS
from ringback.multiparty.state import State
from ringback.multiparty.views import Between, MultipartyFilters, MultipartyView

router = APIRouter(tags=["Multiparty calls"])

_STATES = {state.value.lower(): state for state in State}


def read_filters(form: Form) -> MultipartyFilters:
    """Return which multiparty calls are wanted.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    state = form.choice("status", tuple(_STATES), "")
    return MultipartyFilters(
        name=form.text("friendly_name", max_chars=NAME_MAX_CHARS),
        state=_STATES[state] if state else None,
        cause_code=form.optional_integer("termination_cause_code", 0, 99_999),
        created=_read_between(form, "creation_time"),
        ended=_read_between(form, "end_time"),
    )


def _read_between(form: Form, name: str) -> Between:
    exactly = read_moment(form, name)
    after, before = read_moment(form, f"{name}__gt"), read_moment(form, f"{name}__lt")
    firsts = [exactly, read_moment(form, f"{name}__gte"), None if after is None else after + 1]
    lasts = [exactly, read_moment(form, f"{name}__lte"), None if before is None else before - 1]
    return Between(
        max((each for each in firsts if each is not None), default=None),
        min((each for each in lasts if each is not None), default=None),
    )


def _read_sub_account(form: Form) -> str:
    return form.text("sub_account", max_chars=40, about="One of the account's subaccounts instead of it.")


@router.get(
    "/MultiPartyCall/",
    summary="List multiparty calls",
    openapi_extra=described_query(lambda form: (read_page(form), read_filters(form), _read_sub_account(form))),
)
async def list_multiparty_calls(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return multiparty calls, live ones first, newest first."""
    form = Form(read_query(request))
    page, filters = read_page(form), read_filters(form)
    owner = await account_of_subaccount(request, account, _read_sub_account(form))
    views, total = ((), 0) if owner is None else await services.multiparty.page(owner, filters, page.limit, page.offset)
    objects = [multiparty_object(view, owner or account) for view in views]
    return reply(200, {"meta": {"count": total, **page.meta(request, total)}, "objects": objects})


@router.get("/MultiPartyCall/{mpc_id}/", summary="Retrieve a multiparty call")
async def retrieve_multiparty_call(account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """Return a multiparty call; `mpc_id` is `name_{friendly_name}` of a live one, or `uuid_{mpc_uuid}`."""
    return reply(200, multiparty_object(await services.multiparty.view(account, mpc_id), account))


@dataclass(frozen=True, slots=True)
class _Start:
    """The only change there is."""


def read_start(form: Form) -> _Start:
    """Check that a request asks for the start; the Python SDK sends the status as a list.

    Raises:
        InvalidParameter: it asks for something else.
    """
    schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    value = form.raw("status", schema, "`Active`.", required=True)
    words = value if isinstance(value, list) else [value]
    if [str(word).lower() for word in words] != ["active"]:
        invalid("status", f"{shown(str(value))}, expected Active")
    return _Start()


@router.post(
    "/MultiPartyCall/{mpc_id}/",
    summary="Start a multiparty call",
    status_code=202,
    openapi_extra=described_body(read_start, {"status": "Active"}),
)
async def start_multiparty_call(
    request: Request, account: CurrentAccount, services: ServicesOf, mpc_id: str
) -> Response:
    """Let the participants hear each other before someone has entered who starts it."""
    read_start(Form(await read_body(request)))
    return reply(202, {"message": f"MPC: {services.multiparty.start(account, mpc_id)} started"})


@router.delete("/MultiPartyCall/{mpc_id}/", summary="End a multiparty call", status_code=204)
async def stop_multiparty_call(account: CurrentAccount, services: ServicesOf, mpc_id: str) -> Response:
    """End it for everyone: documents go on at their exit URL, calls without one end with 4020."""
    services.multiparty.stop(account, mpc_id)
    return no_content()


def multiparty_object(view: MultipartyView, account: Account) -> dict[str, object]:
    """Return a multiparty call as it is spelled on the wire (specification 7.8)."""
    uri = f"/v1/Account/{account.auth_id}/MultiPartyCall/uuid_{view.mpc_uuid}/"
    duration_s = None if view.ended_wall_ms is None else seconds(view.started_wall_ms, view.ended_wall_ms)
    return {
        "billed_amount": None if duration_s is None else "0.00000",
        "billed_duration": None if duration_s is None else billed_s(duration_s),
        "creation_time": account_time(view.created_wall_ms, account.timezone),
        "duration": duration_s,
        "end_time": account_time(view.ended_wall_ms, account.timezone),
        "friendly_name": view.name,
        "mpc_uuid": view.mpc_uuid,
        "participants": f"{uri}Participant/",
        "recording": view.recording.value,
        "resource_uri": uri,
        "start_time": account_time(view.started_wall_ms, account.timezone),
        "status": view.state.value,
        "stay_alone": view.stays_alone,
        "sub_account": sub_account(account),
        "termination_cause": view.cause.title if view.cause is not None else None,
        "termination_cause_code": view.cause.code if view.cause is not None else None,
    }


def seconds(first_wall_ms: int | None, last_wall_ms: int) -> int:
    """Return the whole seconds between two times, 0 when there was no first one."""
    return 0 if first_wall_ms is None else max(0, last_wall_ms - first_wall_ms) // 1000
