"""`/v1/Account/{auth_id}/`: the account itself (specification 7.2)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ringback.accounts.account import Account
from ringback.accounts.store import update_account
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.forms import Form, described_body
from ringback.api.responses import reply
from ringback.api.services import ServicesOf

router = APIRouter(tags=["Account"])


def read_changes(form: Form) -> dict[str, str]:
    """Return the account's fields that a request changes.

    Raises:
        InvalidParameter: a field is too long or no text.
    """
    fields = {name: form.text(name, max_chars=255) for name in ("name", "city", "address")}
    return {name: text for name, text in fields.items() if text}


@router.get("/", summary="Retrieve the account")
async def retrieve_account(account: CurrentAccount) -> Response:
    """Return the account; tools ask this to check credentials."""
    return reply(200, account_object(account))


@router.post(
    "/", summary="Change the account", status_code=202, openapi_extra=described_body(read_changes, {"name": "Lunar"})
)
async def change_account(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Change name, city or address."""
    changes = read_changes(Form(await read_body(request)))
    await services.database.write(lambda session: update_account(session, account.auth_id, changes))
    return reply(202, {"message": "changed"})


def account_object(account: Account) -> dict[str, object]:
    """Return an account as it is spelled on the wire."""
    return {
        "account_type": "standard",
        "address": account.address,
        "auth_id": account.auth_id,
        "auto_recharge": False,
        "billing_mode": "prepaid",
        "cash_credits": "0.00000",
        "city": account.city,
        "name": account.name,
        "resource_uri": f"/v1/Account/{account.auth_id}/",
        "state": account.state,
        "timezone": account.timezone,
    }
