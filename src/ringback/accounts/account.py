"""The account: who may use the API, and whose token signs callbacks."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.ids import AccountId


@dataclass(frozen=True, slots=True)
class Account:
    """An account as other rooms see it.

    `str` and `repr` never show the token.
    """

    auth_id: AccountId
    auth_token: str
    name: str = ""
    timezone: str = "UTC"
    """IANA name; times of call records are given in it."""
    city: str = ""
    state: str = ""
    address: str = ""
    is_enabled: bool = True

    def __repr__(self) -> str:
        return f"Account(auth_id={self.auth_id!r}, name={self.name!r})"

    __str__ = __repr__
