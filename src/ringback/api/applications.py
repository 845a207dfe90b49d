"""`/Application/`: which URLs calls go to (specification 7.3)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from ringback import ids
from ringback.accounts import store
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.api.auth import CurrentAccount, account_of_subaccount, owner_of_new, read_owner
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query, invalid, shown
from ringback.api.paging import read_page
from ringback.api.responses import no_content, reply, sub_account
from ringback.api.services import ServicesOf
from ringback.endpoints import store as endpoints_store
from ringback.errors import NotFound
from ringback.ids import AppId
from ringback.numbers.store import count_numbers_of
from ringback.storage.database import Session

router = APIRouter(tags=["Applications"])

APP_ID_DIGITS = 17
_NAME_MAX_CHARS = 255
_URLS = ("answer_url", "hangup_url", "fallback_answer_url", "message_url")
_METHODS = ("answer_method", "hangup_method", "fallback_method", "message_method")
_FLAGS = {
    "default_number_app": "is_default_for_numbers",
    "default_endpoint_app": "is_default_for_endpoints",
    "public_uri": "has_public_uri",
    "log_incoming_messages": "logs_incoming_messages",
}
"""Parameters that are truth values, and the fields they set."""


def read_changes(form: Form) -> dict[str, Any]:
    """Return the application's fields that a request sets; those it does not mention keep their values.

    An empty URL takes the URL away.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    changes: dict[str, Any] = {}
    name = form.text("app_name", max_chars=_NAME_MAX_CHARS)
    if name:
        changes["name"] = name
    for parameter in _URLS:
        url = form.url(parameter)
        if form.is_given(parameter):
            changes[parameter] = url
    for parameter in _METHODS:
        method = form.method(parameter)
        if form.is_given(parameter):
            changes[parameter] = method
    for parameter, field in _FLAGS.items():
        flag = form.boolean(parameter, parameter == "log_incoming_messages")
        if form.is_given(parameter):
            changes[field] = flag
    return changes


def _read_update(form: Form) -> dict[str, Any]:
    read_owner(form)
    return read_changes(form)


def read_new(form: Form) -> dict[str, Any]:
    """Return the fields of a new application.

    Raises:
        InvalidParameter: `app_name` is missing, or a parameter is wrong.
    """
    form.text("app_name", required=True, max_chars=_NAME_MAX_CHARS)
    read_owner(form)
    return read_changes(form)


_EXAMPLE = {"app_name": "agent", "answer_url": "https://yourserver.com/answer", "answer_method": "POST"}


@router.post(
    "/Application/", summary="Create an application", status_code=201, openapi_extra=described_body(read_new, _EXAMPLE)
)
async def create_application(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Create an application and return its id."""
    form = Form(await read_body(request))
    fields = read_new(form)
    owner = await owner_of_new(request, account, form)
    app_id = AppId(ids.new_digits(APP_ID_DIGITS))

    def create(session: Session) -> None:
        store.create_application(session, Application(app_id=app_id, account_id=owner.auth_id, **fields))

    await services.database.write(create)
    return reply(201, {"app_id": app_id, "message": "created"})


@router.get(
    "/Application/",
    summary="List applications",
    openapi_extra=described_query(lambda form: (read_page(form), form.text("app_name"), read_owner(form))),
)
async def list_applications(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return applications, newest first."""
    form = Form(read_query(request))
    page, name = read_page(form), form.text("app_name")
    owner = await account_of_subaccount(request, account, read_owner(form))
    if owner is None:
        return reply(200, {"meta": page.meta(request, 0), "objects": []})
    found, total = await services.database.read(
        lambda session: store.list_applications(session, owner.auth_id, name=name, limit=page.limit, offset=page.offset)
    )
    objects = [application_object(entry, owner, services.settings.sip_domain) for entry in found]
    return reply(200, {"meta": page.meta(request, total), "objects": objects})


@router.get("/Application/{app_id}/", summary="Retrieve an application")
async def retrieve_application(account: CurrentAccount, services: ServicesOf, app_id: str) -> Response:
    """Return one application."""
    found = await services.database.read(lambda session: store.find_application(session, account.auth_id, app_id))
    if found is None:
        raise NotFound("application not found")
    return reply(200, application_object(found, account, services.settings.sip_domain))


@router.post(
    "/Application/{app_id}/",
    summary="Change an application",
    status_code=202,
    openapi_extra=described_body(_read_update, _EXAMPLE),
)
async def change_application(request: Request, account: CurrentAccount, services: ServicesOf, app_id: str) -> Response:
    """Change the fields that are sent; calls that are being answered keep the URLs they began with.

    `subaccount` gives the application to a subaccount, unless numbers or endpoints lead to it.
    """
    form = Form(await read_body(request))
    changes = read_changes(form)
    owner = await owner_of_new(request, account, form)

    def change(session: Session) -> None:
        if owner.auth_id != account.auth_id:
            used = count_numbers_of(session, app_id) + endpoints_store.count_of_application(session, app_id)
            if used:
                invalid("subaccount", f"{used} numbers and endpoints lead to the application, expected none")
            store.move_application(session, account.auth_id, AppId(app_id), owner.auth_id)
        store.update_application(session, owner.auth_id, AppId(app_id), changes)

    await services.database.write(change)
    return reply(202, {"message": "changed"})


def _read_delete(form: Form) -> tuple[bool, str]:
    return (
        form.boolean("cascade", True, about="Whether its endpoints go with it."),
        form.text("new_endpoint_application", max_chars=40, about="The application that its endpoints get."),
    )


@router.delete(
    "/Application/{app_id}/",
    summary="Delete an application",
    status_code=204,
    openapi_extra=described_query(_read_delete),
)
async def delete_application(request: Request, account: CurrentAccount, services: ServicesOf, app_id: str) -> Response:
    """Delete an application; its numbers stay, without an application, its endpoints go with it.

    With `cascade=false` the endpoints stay too; `new_endpoint_application` then answers their calls.
    """
    cascade, successor = _read_delete(Form({**read_query(request), **await read_body(request)}))

    def delete(session: Session) -> bool:
        if successor and store.find_application(session, account.auth_id, successor) is None:
            invalid("new_endpoint_application", f"no application {shown(successor)}")
        if store.find_application(session, account.auth_id, app_id) is None:
            return False
        endpoints_store.leave_application(session, app_id, successor or None, cascade=cascade and not successor)
        return store.delete_application(session, account.auth_id, app_id)

    if not await services.database.write(delete):
        raise NotFound("application not found")
    return no_content()


def application_object(application: Application, account: Account, sip_domain: str) -> dict[str, object]:
    """Return an application as it is spelled on the wire."""
    return {
        "answer_method": application.answer_method,
        "answer_url": application.answer_url,
        "app_id": application.app_id,
        "app_name": application.name,
        "default_app": application.is_default_for_numbers,
        "default_endpoint_app": application.is_default_for_endpoints,
        "enabled": application.is_enabled,
        "fallback_answer_url": application.fallback_answer_url,
        "fallback_method": application.fallback_method,
        "hangup_method": application.effective_hangup_method,
        "hangup_url": application.effective_hangup_url,
        "message_method": application.message_method,
        "message_url": application.message_url,
        "public_uri": application.has_public_uri,
        "resource_uri": f"/v1/Account/{application.account_id}/Application/{application.app_id}/",
        "sip_uri": f"sip:{application.app_id}@{sip_domain}",
        "sub_account": sub_account(account),
    }
