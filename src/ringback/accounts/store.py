"""Accounts and applications in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.ids import AccountId, AppId
from ringback.storage.database import Session


def find_account(session: Session, auth_id: str) -> Account | None:
    """Return the account of that id, or `None`."""
    raise NotImplementedError


def ensure_account(session: Session, auth_id: str, auth_token: str, name: str = "", timezone: str = "UTC") -> Account:
    """Return the account of that id, made or updated so that it has this token."""
    raise NotImplementedError


def update_account(session: Session, auth_id: AccountId, changes: Mapping[str, str]) -> Account:
    """Change `name`, `city`, `state`, `address` or `timezone`.

    Raises:
        NotFound: no such account.
    """
    raise NotImplementedError


def ensure_application(session: Session, application: Application) -> Application:
    """Return the account's application of that name, made (with `application.app_id`) or updated to these values."""
    raise NotImplementedError


def create_application(session: Session, application: Application) -> None:
    """Add an application; as default for numbers it takes the place of the former default."""
    raise NotImplementedError


def update_application(
    session: Session, account_id: AccountId, app_id: AppId, changes: Mapping[str, object]
) -> Application:
    """Change the named fields of an application.

    Raises:
        NotFound: the account has no such application.
    """
    raise NotImplementedError


def delete_application(session: Session, account_id: AccountId, app_id: AppId) -> bool:
    """Remove an application and detach its numbers; `False` when there is none."""
    raise NotImplementedError


def find_application(session: Session, account_id: AccountId, app_id: str) -> Application | None:
    """Return the account's application, or `None`."""
    raise NotImplementedError


def list_applications(
    session: Session, account_id: AccountId, *, name: str = "", limit: int = 20, offset: int = 0
) -> tuple[Sequence[Application], int]:
    """Return one page, newest first, and how many match in all."""
    raise NotImplementedError
