"""The endpoint: a SIP user of an account."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.ids import AccountId, AppId


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An endpoint as other rooms see it (specification 7.5).

    `username` is the one that was asked for and twelve digits, unique on this node. `app_id` is the application that
    answers calls which the endpoint makes.
    """

    endpoint_id: str
    account_id: AccountId
    username: str
    password: str = field(repr=False)
    alias: str = ""
    app_id: AppId | None = None
