"""`/Subaccount/`: accounts below an account, with credentials and resources of their own (specification 7.2)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ringback import ids
from ringback.accounts import store
from ringback.accounts.account import Account, Subaccount
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query
from ringback.api.paging import read_page
from ringback.api.responses import date, no_content, reply
from ringback.api.services import ServicesOf
from ringback.endpoints import store as endpoints_store
from ringback.errors import NotAllowed, NotFound
from ringback.numbers import store as numbers_store
from ringback.storage.database import Session

router = APIRouter(tags=["Subaccounts"])

_NAME_MAX_CHARS = 255
_EXAMPLE = {"name": "Customer 7", "enabled": True}


def read_new(form: Form) -> tuple[str, bool]:
    """Return name and switch of a new subaccount.

    Raises:
        InvalidParameter: the name is missing, or a parameter is wrong.
    """
    name = form.text("name", required=True, max_chars=_NAME_MAX_CHARS)
    return name, form.boolean("enabled", about="Whether it may use the API.")


def read_changes(form: Form) -> tuple[str, bool | None]:
    """Return name (empty: as it was) and switch (`None`: as it was) of a subaccount that is changed.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    name, enabled = form.text("name", max_chars=_NAME_MAX_CHARS), form.boolean("enabled")
    return name, enabled if form.is_given("enabled") else None


@router.post(
    "/Subaccount/", summary="Create a subaccount", status_code=201, openapi_extra=described_body(read_new, _EXAMPLE)
)
async def create_subaccount(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Create a subaccount and return its credentials; it is disabled unless `enabled` says otherwise."""
    name, enabled = read_new(Form(await read_body(request)))
    _check_is_main(account)
    auth_id, auth_token = ids.new_subaccount_id(), ids.new_secret()
    await services.database.write(
        lambda session: store.create_subaccount(session, account, auth_id, auth_token, name, enabled)
    )
    return reply(201, {"auth_id": auth_id, "auth_token": auth_token, "message": "created"})


@router.get("/Subaccount/", summary="List subaccounts", openapi_extra=described_query(read_page))
async def list_subaccounts(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return the account's subaccounts, newest first."""
    page = read_page(Form(read_query(request)))
    _check_is_main(account)
    found, total = await services.database.read(
        lambda session: store.list_subaccounts(session, account.auth_id, page.limit, page.offset)
    )
    return reply(200, {"meta": page.meta(request, total), "objects": [subaccount_object(each) for each in found]})


@router.get("/Subaccount/{subaccount_id}/", summary="Retrieve a subaccount")
async def retrieve_subaccount(account: CurrentAccount, services: ServicesOf, subaccount_id: str) -> Response:
    """Return one subaccount with its token."""
    _check_is_main(account)
    found = await services.database.read(lambda session: store.find_subaccount(session, account.auth_id, subaccount_id))
    if found is None:
        raise NotFound("subaccount not found")
    return reply(200, subaccount_object(found))


@router.post(
    "/Subaccount/{subaccount_id}/",
    summary="Change a subaccount",
    status_code=202,
    openapi_extra=described_body(read_changes, _EXAMPLE),
)
async def change_subaccount(
    request: Request, account: CurrentAccount, services: ServicesOf, subaccount_id: str
) -> Response:
    """Change name or switch; a subaccount that is switched off keeps its calls and loses its access at once."""
    name, enabled = read_changes(Form(await read_body(request)))
    _check_is_main(account)
    await services.database.write(
        lambda session: store.update_subaccount(session, account.auth_id, subaccount_id, name, enabled)
    )
    return reply(202, {"message": "changed"})


def _read_cascade(form: Form) -> bool:
    return form.boolean("cascade", about="Whether its applications, numbers and endpoints go with it.")


@router.delete(
    "/Subaccount/{subaccount_id}/",
    summary="Delete a subaccount",
    status_code=204,
    openapi_extra=described_query(_read_cascade),
)
async def delete_subaccount(
    request: Request, account: CurrentAccount, services: ServicesOf, subaccount_id: str
) -> Response:
    """Delete a subaccount and hang up its calls; what it has goes to the main account, or with it when `cascade`."""
    cascade = _read_cascade(Form({**read_query(request), **await read_body(request)}))
    _check_is_main(account)

    def delete(session: Session) -> Account | None:
        found = store.find_subaccount(session, account.auth_id, subaccount_id)
        if found is None:
            return None
        numbers_store.leave_subaccount(session, subaccount_id, account.auth_id, cascade=cascade)
        endpoints_store.leave_subaccount(session, subaccount_id, account.auth_id, cascade=cascade)
        store.delete_subaccount(session, account.auth_id, subaccount_id, cascade=cascade)
        return found.account

    deleted = await services.database.write(delete)
    if deleted is None:
        raise NotFound("subaccount not found")
    await services.calls.hangup_all(deleted)
    return no_content()


def subaccount_object(subaccount: Subaccount) -> dict[str, object]:
    """Return a subaccount as it is spelled on the wire."""
    account = subaccount.account
    base = f"/v1/Account/{account.parent_auth_id}/"
    return {
        "account": base,
        "auth_id": account.auth_id,
        "auth_token": account.auth_token,
        "created": date(subaccount.created_wall_ms),
        "enabled": subaccount.is_enabled,
        "modified": None if subaccount.modified_wall_ms is None else date(subaccount.modified_wall_ms),
        "name": account.name,
        "new_auth_token": account.auth_token,
        "resource_uri": f"{base}Subaccount/{account.auth_id}/",
    }


def _check_is_main(account: Account) -> None:
    if account.parent_auth_id is not None:
        raise NotAllowed("a subaccount has no subaccounts")
