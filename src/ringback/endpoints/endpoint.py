"""The endpoint: a SIP user of an account."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.endpoints.secrets import Secrets
from ringback.ids import AccountId, AppId


@dataclass(frozen=True, slots=True)
class Registration:
    """The phone of an endpoint that registered last."""

    contact: str
    expires_wall_ms: int
    user_agent: str


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as other rooms see it (specification 7.5).

    `username` is the one that was asked for and twelve digits, unique on this node. `app_id` is the application that
    answers calls which the endpoint makes.
    """

    endpoint_id: str
    account_id: AccountId
    username: str
    alias: str = ""
    app_id: AppId | None = None
    registration: Registration | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """What a phone's credentials are judged by."""

    endpoint_id: str
    account_id: AccountId
    username: str
    secrets: Secrets
