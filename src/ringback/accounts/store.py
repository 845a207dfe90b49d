"""Accounts and applications in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from sqlalchemy import func, select, update

from ringback import clock
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.models import AccountRow, ApplicationRow
from ringback.errors import NotFound
from ringback.ids import AccountId, AppId
from ringback.storage.database import Session

_APPLICATION_COLUMNS = tuple(f.name for f in fields(Application))
_CHANGEABLE = frozenset(_APPLICATION_COLUMNS) - {"app_id", "account_id"}
_ACCOUNT_CHANGEABLE = frozenset({"name", "city", "state", "address", "timezone"})


def sealed(auth_token: str) -> str:
    """Return a token as it is stored: the one place where sealing at rest begins."""
    return auth_token


def unsealed(stored: str) -> str:
    """Return a stored token as the customer knows it: the inverse of `sealed`."""
    return stored


def find_account(session: Session, auth_id: str) -> Account | None:
    """Return the account of that id, or `None`."""
    row = session.get(AccountRow, auth_id)
    return None if row is None else _account(row)


def ensure_account(session: Session, auth_id: str, auth_token: str, name: str = "", timezone: str = "UTC") -> Account:
    """Return the account of that id, made or updated so that it has this token.

    `name` and `timezone` are set when the account is made; later changes by API stand.
    """
    row = session.get(AccountRow, auth_id)
    if row is None:
        row = AccountRow(
            auth_id=auth_id,
            auth_token=sealed(auth_token),
            name=name,
            timezone=timezone,
            city="",
            state="",
            address="",
            is_enabled=True,
            created_wall_ms=clock.wall_ms(),
        )
        session.add(row)
    elif unsealed(row.auth_token) != auth_token:
        row.auth_token = sealed(auth_token)
    session.flush()
    return _account(row)


def update_account(session: Session, auth_id: AccountId, changes: Mapping[str, str]) -> Account:
    """Change `name`, `city`, `state`, `address` or `timezone`; other keys are ignored.

    Raises:
        NotFound: no such account.
    """
    row = session.get(AccountRow, auth_id)
    if row is None:
        raise NotFound("account not found")
    for column in _ACCOUNT_CHANGEABLE & changes.keys():
        setattr(row, column, changes[column])
    session.flush()
    return _account(row)


def ensure_application(session: Session, application: Application) -> Application:
    """Return the account's application of that name, made (with `application.app_id`) or updated to these values."""
    row = session.scalars(
        select(ApplicationRow)
        .where(ApplicationRow.account_id == application.account_id, ApplicationRow.name == application.name)
        .order_by(ApplicationRow.id)
        .limit(1)
    ).first()
    if row is None:
        create_application(session, application)
        return application
    changes = {column: getattr(application, column) for column in _CHANGEABLE}
    return update_application(session, application.account_id, AppId(row.app_id), changes)


def create_application(session: Session, application: Application) -> None:
    """Add an application; as default for numbers or endpoints it takes the place of the former default."""
    _step_down(session, application.account_id, vars_of(application))
    session.add(ApplicationRow(**vars_of(application)))
    session.flush()


def update_application(
    session: Session, account_id: AccountId, app_id: AppId, changes: Mapping[str, object]
) -> Application:
    """Change the named fields of an application; its ids cannot be changed.

    Raises:
        NotFound: the account has no such application.
    """
    row = _application_row(session, account_id, app_id)
    if row is None:
        raise NotFound("application not found")
    _step_down(session, account_id, changes)
    for column in _CHANGEABLE & changes.keys():
        setattr(row, column, changes[column])
    session.flush()
    return _application(row)


def delete_application(session: Session, account_id: AccountId, app_id: str) -> bool:
    """Remove an application and detach its numbers; `False` when there is none."""
    row = _application_row(session, account_id, app_id)
    if row is None:
        return False
    session.delete(row)
    session.flush()
    return True


def find_application(session: Session, account_id: AccountId, app_id: str) -> Application | None:
    """Return the account's application, or `None`."""
    row = _application_row(session, account_id, app_id)
    return None if row is None else _application(row)


def find_default_application(session: Session, account_id: AccountId) -> Application | None:
    """Return the application that new numbers of the account get, or `None`."""
    row = session.scalars(
        select(ApplicationRow).where(
            ApplicationRow.account_id == account_id, ApplicationRow.is_default_for_numbers.is_(True)
        )
    ).first()
    return None if row is None else _application(row)


def list_applications(
    session: Session, account_id: AccountId, *, name: str = "", limit: int = 20, offset: int = 0
) -> tuple[Sequence[Application], int]:
    """Return one page, newest first, and how many match in all; `name` is matched exactly when given."""
    wanted = [ApplicationRow.account_id == account_id]
    if name:
        wanted.append(ApplicationRow.name == name)
    total = session.scalar(select(func.count()).select_from(ApplicationRow).where(*wanted)) or 0
    rows = session.scalars(
        select(ApplicationRow).where(*wanted).order_by(ApplicationRow.id.desc()).limit(limit).offset(offset)
    )
    return [_application(row) for row in rows], total


def vars_of(application: Application) -> dict[str, object]:
    """Return an application's fields by column."""
    return {column: getattr(application, column) for column in _APPLICATION_COLUMNS}


def _step_down(session: Session, account_id: str, values: Mapping[str, object]) -> None:
    """Take the defaults that `values` claims away from the account's other applications."""
    for column in ("is_default_for_numbers", "is_default_for_endpoints"):
        if values.get(column) is True:
            session.execute(
                update(ApplicationRow).where(ApplicationRow.account_id == account_id).values({column: False})
            )


def _application_row(session: Session, account_id: str, app_id: str) -> ApplicationRow | None:
    return session.scalars(
        select(ApplicationRow).where(ApplicationRow.account_id == account_id, ApplicationRow.app_id == app_id)
    ).first()


def _account(row: AccountRow) -> Account:
    return Account(
        auth_id=AccountId(row.auth_id),
        auth_token=unsealed(row.auth_token),
        name=row.name,
        timezone=row.timezone,
        city=row.city,
        state=row.state,
        address=row.address,
        is_enabled=row.is_enabled,
    )


def _application(row: ApplicationRow) -> Application:
    return Application(**{column: getattr(row, column) for column in _APPLICATION_COLUMNS})
