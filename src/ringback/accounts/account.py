"""The account: who may use the API, and whose token signs callbacks. A subaccount is an account with a parent."""

from __future__ import annotations

from dataclasses import dataclass, field

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
    """Whether the account may use the API; a subaccount's main account must be enabled too."""
    parent_auth_id: AccountId | None = None
    """The main account of a subaccount."""
    parent_auth_token: str = field(default="", repr=False)
    is_deleted: bool = False
    """A subaccount that only its records remember."""

    @property
    def main_auth_id(self) -> AccountId:
        """Return the main account: this one, or the one that a subaccount belongs to."""
        return self.parent_auth_id or self.auth_id

    @property
    def main_tokens(self) -> tuple[str, ...]:
        """Return what the main account of a subaccount signs with, nothing for a main account."""
        return (self.parent_auth_token,) if self.parent_auth_token else ()

    def __repr__(self) -> str:
        return f"Account(auth_id={self.auth_id!r}, name={self.name!r})"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class Subaccount:
    """A subaccount as its main account sees it; times are `wall_ms`."""

    account: Account
    is_enabled: bool
    """Its own switch, whatever that of the main account says."""
    created_wall_ms: int
    modified_wall_ms: int | None = None
