"""`/JWT/Token/`: access tokens for endpoints (specification 7.9)."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from ringback import clock
from ringback.accounts.tokens import LIFETIME_MAX_S, LIFETIME_MIN_S, Grant, make_token
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body
from ringback.api.forms import Form, described_body, invalid, shown
from ringback.api.responses import reply

router = APIRouter(tags=["Endpoints"])

_SECONDS_MAX = 253_402_300_799
"""The end of the year 9999."""
_EXAMPLE = {"iss": "MAXXXXXXXXXXXXXXXXXX", "sub": "alice", "per": {"voice": {"incoming_allow": True}}}
_PERMISSIONS = {
    "type": "object",
    "properties": {
        "voice": {
            "type": "object",
            "properties": {"incoming_allow": {"type": "boolean"}, "outgoing_allow": {"type": "boolean"}},
        }
    },
}


def read_grant(form: Form, now_s: int) -> Grant:
    """Return what a token is asked for.

    Raises:
        InvalidParameter: `iss` is missing, the times do not fit, or a parameter is wrong.
    """
    issuer = form.text("iss", required=True, max_chars=40, about="The account's own auth_id.")
    subject = form.text("sub", max_chars=255, about="User name of an endpoint.")
    given = form.optional_integer("nbf", 0, _SECONDS_MAX, about="Seconds since the epoch. Default: now.")
    begins = now_s if given is None else given
    given = form.optional_integer("exp", 0, _SECONDS_MAX, about="The same. Default: a day after `nbf`.")
    ends = begins + LIFETIME_MAX_S if given is None else given
    if not LIFETIME_MIN_S <= ends - begins <= LIFETIME_MAX_S:
        invalid("exp", f"{ends - begins} seconds after nbf, expected {LIFETIME_MIN_S} to {LIFETIME_MAX_S}")
    may_be_called, may_call = _read_permissions(form)
    if may_be_called and not subject:
        invalid("sub", "it is missing, expected the user name of an endpoint that may be called")
    return Grant(issuer, subject, begins, ends, may_be_called, may_call, form.text("app", max_chars=40))


def _read_permissions(form: Form) -> tuple[bool, bool]:
    """Return whether one may be called and may call: the latter alone where neither is said."""
    value = form.raw("per", _PERMISSIONS, "What the token allows. Default: calling out alone.") or {}
    voice = value.get("voice") or {} if isinstance(value, Mapping) else None
    if not isinstance(voice, Mapping):
        invalid("per", 'expected an object such as {"voice": {"outgoing_allow": true}}')
    allowed = Form(voice)
    is_said = allowed.is_given("incoming_allow") or allowed.is_given("outgoing_allow")
    return allowed.boolean("incoming_allow"), allowed.boolean("outgoing_allow", default=not is_said)


@router.post(
    "/JWT/Token/",
    summary="Make an access token",
    openapi_extra=described_body(lambda form: read_grant(form, 0), _EXAMPLE),
)
async def make_access_token(request: Request, account: CurrentAccount) -> Response:
    """Return a token signed with the account's auth token; phones register with their password, not with it."""
    grant = read_grant(Form(await read_body(request)), clock.wall_ms() // 1000)
    if grant.issuer != account.auth_id:
        invalid("iss", f"{shown(grant.issuer)}, expected {account.auth_id}")
    return reply(200, {"token": make_token(grant, account.auth_token)})
