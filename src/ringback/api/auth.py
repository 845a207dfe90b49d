"""Who asks: HTTP Basic with auth_id and auth_token, compared in constant time."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from starlette.types import Scope

from ringback.accounts.account import Account
from ringback.accounts.store import find_account
from ringback.api.errors import Unauthorized
from ringback.api.forms import Form, invalid, shown
from ringback.api.services import Context, context_of
from ringback.errors import LimitReached
from ringback.ids import CallUuid

_CREDENTIALS_MAX_CHARS = 1_024
_ADMITTED = "ringback.account"
_ABSENT = "\x00"
"""Stands in for the token of an account that does not exist, so that both cases take as long."""


async def account_of_path(request: Request, auth_id: str) -> Account:
    """Return the account in the path if the credentials are its own, or its main account's.

    Where the path names a call of one of its subaccounts, that subaccount is returned: a main account sees and controls
    their calls as its own.

    Raises:
        Unauthorized: they are not.
        LimitReached: the account asks too often, or the source failed too often.
    """
    account = await _authenticate(request, auth_id)
    call_uuid = request.path_params.get("call_uuid") or request.path_params.get("request_uuid")
    if call_uuid is None:
        return account
    return await context_of(request).services.calls.owner_of(account, CallUuid(call_uuid))


async def account_of_subaccount(request: Request, account: Account, auth_id: str) -> Account | None:
    """Return the account that a `subaccount` parameter names, `account` itself for an empty one, `None` for a stranger.

    Only a main account may name another account: one of its own subaccounts.
    """
    if auth_id in ("", account.auth_id):
        return account
    found = await context_of(request).services.database.read(lambda session: find_account(session, auth_id))
    return found if found is not None and found.parent_auth_id == account.auth_id else None


def read_owner(form: Form) -> str:
    """Return the `subaccount` parameter of lists and new resources."""
    return form.text("subaccount", max_chars=40, about="One of the account's subaccounts instead of it.")


async def owner_of_new(request: Request, account: Account, form: Form) -> Account:
    """Return the account that a new resource is for.

    Raises:
        InvalidParameter: `subaccount` names none of the account's subaccounts.
    """
    name = read_owner(form)
    owner = await account_of_subaccount(request, account, name)
    if owner is None or owner.is_deleted:
        invalid("subaccount", f"no subaccount {shown(name)}")
    return owner


async def account_of_credentials(request: Request) -> Account:
    """Return the account whose credentials were sent; raises as `account_of_path` does."""
    return await _authenticate(request, None)


CurrentAccount = Annotated[Account, Depends(account_of_path)]
"""Parameter type of a handler below `/v1/Account/{auth_id}/`."""
CallingAccount = Annotated[Account, Depends(account_of_credentials)]
"""Parameter type of a handler whose path names no account."""


def admitted(scope: Scope, account: Account) -> Scope:
    """Return the scope of a request that is served for `account` without looking at its credentials again."""
    return {**scope, _ADMITTED: account}


async def _authenticate(request: Request, path_auth_id: str | None) -> Account:
    known: Account | None = request.scope.get(_ADMITTED)
    if known is not None:
        return known
    context = context_of(request)
    auth_id, auth_token = parse_basic(request.headers.get("authorization", ""))
    account = None
    if auth_id and auth_id.isascii():
        account = await context.services.database.read(lambda session: find_account(session, auth_id))
    is_known = matches(account.auth_token if account else _ABSENT, auth_token)
    if account is None or not is_known or not account.is_enabled:
        raise _refusal(context, request)
    asked = account
    if path_auth_id not in (None, account.auth_id):
        child = await account_of_subaccount(request, account, path_auth_id or "") if path_auth_id else None
        if child is None or child.is_deleted:
            raise _refusal(context, request)
        asked = child
    if seconds := context.request_limit.retry_after_s(account.auth_id):
        settings = context.services.settings
        raise LimitReached(
            f"more than {settings.requests_per_window} requests in {settings.window_ms // 1000} seconds",
            retry_after_s=seconds,
        )
    return asked


def _refusal(context: Context, request: Request) -> Exception:
    source = request.client.host if request.client else ""
    if seconds := context.failure_limit.retry_after_s(source):
        return LimitReached("too many failed logins", retry_after_s=seconds)
    return Unauthorized("credentials are missing or wrong")


def parse_basic(header: str) -> tuple[str, str]:
    """Return user and password of a Basic `Authorization` header, both empty when it is none (RFC 7617)."""
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic" or len(encoded) > _CREDENTIALS_MAX_CHARS:
        return "", ""
    try:
        user, separator, password = base64.b64decode(encoded.strip(), validate=True).decode("utf-8").partition(":")
    except (binascii.Error, ValueError):
        return "", ""
    return (user, password) if separator and "\x00" not in user else ("", "")


def matches(expected: str, given: str) -> bool:
    """Return whether two secrets are equal, in a time that depends on neither."""
    return hmac.compare_digest(_digest(expected), _digest(given))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
