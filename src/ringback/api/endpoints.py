"""`/Endpoint/`: names and passwords for phones (specification 7.5)."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from ringback import ids
from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query, invalid, shown
from ringback.api.paging import read_page
from ringback.api.responses import no_content, reply, sub_account
from ringback.api.services import ServicesOf
from ringback.endpoints import store
from ringback.endpoints.endpoint import Endpoint
from ringback.errors import NotFound
from ringback.ids import AppId
from ringback.storage.database import Session
from ringback.webhooks.payloads import second_text

router = APIRouter(tags=["Endpoints"])

USERNAME_DIGITS = 12
"""Digits that are put behind the name that was asked for, so that names need not be unique."""
ENDPOINT_ID_DIGITS = 14
_PASSWORD_MIN_CHARS = 5
_PASSWORD_MAX_CHARS = 128
_USERNAME = re.compile(r"[A-Za-z0-9._-]{1,50}")


def read_new(form: Form) -> tuple[str, dict[str, str | None]]:
    """Return the user name that a request asks for, and the other fields of a new endpoint.

    Raises:
        InvalidParameter: a parameter is missing or wrong.
    """
    username = form.text("username", required=True, max_chars=50, about="Twelve digits are put behind it.")
    if not _USERNAME.fullmatch(username):
        invalid("username", f"{shown(username)}, expected letters, digits, dots, dashes and underscores")
    form.text("password", required=True)
    form.text("alias", required=True)
    return username, read_changes(form)


def read_changes(form: Form) -> dict[str, str | None]:
    """Return what a request changes about an endpoint; an `app_id` that is empty or null detaches the application.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    changes: dict[str, str | None] = {}
    if alias := form.text("alias", max_chars=255):
        changes["alias"] = alias
    if password := form.text("password", max_chars=_PASSWORD_MAX_CHARS):
        if len(password) < _PASSWORD_MIN_CHARS:
            invalid("password", f"{len(password)} characters, expected at least {_PASSWORD_MIN_CHARS}")
        changes["password"] = password
    app_id = form.text("app_id", max_chars=40, about="Empty or null detaches the application.")
    if form.has("app_id"):
        changes["app_id"] = app_id or None
    return changes


_EXAMPLE = {"username": "alice", "password": "a-long-password", "alias": "Alice", "app_id": "29986316244302815"}


@router.post(
    "/Endpoint/", summary="Create an endpoint", status_code=201, openapi_extra=described_body(read_new, _EXAMPLE)
)
async def create_endpoint(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Create an endpoint and return its id and its full user name."""
    username, fields = read_new(Form(await read_body(request)))
    endpoint = Endpoint(
        endpoint_id=ids.new_digits(ENDPOINT_ID_DIGITS),
        account_id=account.auth_id,
        username=username + ids.new_digits(USERNAME_DIGITS),
        alias=fields["alias"] or "",
        app_id=AppId(app_id) if (app_id := fields.get("app_id")) else None,
    )

    def create(session: Session) -> None:
        store.create_endpoint(session, endpoint, fields["password"] or "")

    await services.database.write(create)
    return reply(
        201,
        {
            "alias": endpoint.alias,
            "endpoint_id": endpoint.endpoint_id,
            "message": "created",
            "username": endpoint.username,
        },
    )


@router.get("/Endpoint/", summary="List endpoints", openapi_extra=described_query(read_page))
async def list_endpoints(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return the account's endpoints, newest first."""
    page = read_page(Form(read_query(request)))
    found, total = await services.database.read(
        lambda session: store.list_endpoints(session, account.auth_id, page.limit, page.offset)
    )
    objects = [endpoint_object(endpoint, account, services.settings.sip_domain) for endpoint in found]
    return reply(200, {"meta": page.meta(request, total), "objects": objects})


@router.get("/Endpoint/{endpoint_id}/", summary="Retrieve an endpoint")
async def retrieve_endpoint(account: CurrentAccount, services: ServicesOf, endpoint_id: str) -> Response:
    """Return one endpoint, never its password."""
    found = await services.database.read(lambda session: store.find_endpoint(session, account.auth_id, endpoint_id))
    if found is None:
        raise NotFound("endpoint not found")
    return reply(200, endpoint_object(found, account, services.settings.sip_domain))


@router.post(
    "/Endpoint/{endpoint_id}/",
    summary="Change an endpoint",
    status_code=202,
    openapi_extra=described_body(read_changes, {"alias": "Reception"}),
)
async def change_endpoint(
    request: Request, account: CurrentAccount, services: ServicesOf, endpoint_id: str
) -> Response:
    """Change password, alias or application."""
    changes = read_changes(Form(await read_body(request)))
    await services.database.write(lambda session: store.update_endpoint(session, account.auth_id, endpoint_id, changes))
    return reply(202, {"message": "changed"})


@router.delete("/Endpoint/{endpoint_id}/", summary="Delete an endpoint", status_code=204)
async def delete_endpoint(account: CurrentAccount, services: ServicesOf, endpoint_id: str) -> Response:
    """Delete an endpoint."""
    if not await services.database.write(lambda session: store.delete_endpoint(session, account.auth_id, endpoint_id)):
        raise NotFound("endpoint not found")
    return no_content()


def endpoint_object(endpoint: Endpoint, account: Account, sip_domain: str) -> dict[str, object]:
    """Return an endpoint as it is spelled on the wire, with the phone that registered last."""
    base, phone = f"/v1/Account/{endpoint.account_id}", endpoint.registration
    return {
        "alias": endpoint.alias,
        "application": f"{base}/Application/{endpoint.app_id}/" if endpoint.app_id else None,
        "endpoint_id": endpoint.endpoint_id,
        "resource_uri": f"{base}/Endpoint/{endpoint.endpoint_id}/",
        "sip_contact": phone.contact if phone else None,
        "sip_expires": second_text(phone.expires_wall_ms) if phone else None,
        "sip_registered": "true" if phone else "false",
        "sip_uri": f"sip:{endpoint.username}@{sip_domain}",
        "sip_user_agent": phone.user_agent if phone else None,
        "sub_account": sub_account(account),
        "username": endpoint.username,
    }
