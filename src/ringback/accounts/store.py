"""Accounts and applications in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

from sqlalchemy import ColumnElement, Row, bindparam, delete, func, select, update

from ringback import clock
from ringback.accounts.account import Account, Subaccount
from ringback.accounts.application import Application
from ringback.accounts.models import AccountRow, ApplicationRow
from ringback.errors import Conflict, NotFound
from ringback.ids import AccountId, AppId
from ringback.storage.database import Session
from ringback.storage.statements import table_of

_APPLICATION_COLUMNS = tuple(f.name for f in fields(Application))
_CHANGEABLE = frozenset(_APPLICATION_COLUMNS) - {"app_id", "account_id"}
SUBACCOUNTS_MAX = 1_000
"""Subaccounts of one account: paces and request limits are kept for each."""
_ACCOUNT_CHANGEABLE = frozenset({"name", "city", "state", "address", "timezone"})


_ACCOUNTS, _APPLICATIONS = table_of(AccountRow), table_of(ApplicationRow)
_ACCOUNT = select(_ACCOUNTS).where(_ACCOUNTS.c.auth_id == bindparam("of_account"))
_APPLICATION = select(_APPLICATIONS).where(
    _APPLICATIONS.c.account_id == bindparam("of_account"), _APPLICATIONS.c.app_id == bindparam("of_app")
)


def sealed(auth_token: str) -> str:
    """Return a token as it is stored: the one place where sealing at rest begins."""
    return auth_token


def unsealed(stored: str) -> str:
    """Return a stored token as the customer knows it: the inverse of `sealed`."""
    return stored


def find_account(session: Session, auth_id: str) -> Account | None:
    """Return the account of that id, also a deleted subaccount, which is not enabled; or `None`."""
    row = _account_row(session, auth_id)
    return None if row is None else _account(session, row)


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
    return _account(session, row)


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
    return _account(session, row)


def create_subaccount(
    session: Session, parent: Account, auth_id: str, auth_token: str, name: str, enabled: bool
) -> None:
    """Add a subaccount to a main account.

    Raises:
        Conflict: the main account has `SUBACCOUNTS_MAX` of them.
    """
    count = session.scalar(select(func.count()).select_from(AccountRow).where(*_children_of(parent.auth_id))) or 0
    if count >= SUBACCOUNTS_MAX:
        raise Conflict(f"the account has {count} subaccounts, at most {SUBACCOUNTS_MAX}")
    session.add(
        AccountRow(
            auth_id=auth_id,
            auth_token=sealed(auth_token),
            name=name,
            timezone=parent.timezone,
            city="",
            state="",
            address="",
            is_enabled=enabled,
            created_wall_ms=clock.wall_ms(),
            parent_auth_id=parent.auth_id,
        )
    )
    session.flush()


def find_subaccount(session: Session, parent_id: str, auth_id: str) -> Subaccount | None:
    """Return a main account's subaccount, or `None`."""
    row = _child_row(session, parent_id, auth_id)
    return None if row is None else _subaccount(session, row)


def list_subaccounts(session: Session, parent_id: str, limit: int, offset: int) -> tuple[Sequence[Subaccount], int]:
    """Return one page of a main account's subaccounts, newest first, and how many there are."""
    wanted = _children_of(parent_id)
    total = session.scalar(select(func.count()).select_from(AccountRow).where(*wanted)) or 0
    rows = session.scalars(
        select(AccountRow)
        .where(*wanted)
        .order_by(AccountRow.created_wall_ms.desc(), AccountRow.auth_id)
        .limit(limit)
        .offset(offset)
    )
    return [_subaccount(session, row) for row in rows], total


def update_subaccount(session: Session, parent_id: str, auth_id: str, name: str, enabled: bool | None) -> None:
    """Change a subaccount's name unless it is empty, and its switch unless it is `None`.

    Raises:
        NotFound: the main account has no such subaccount.
    """
    row = _child_row(session, parent_id, auth_id)
    if row is None:
        raise NotFound("subaccount not found")
    row.name = name or row.name
    row.is_enabled = row.is_enabled if enabled is None else enabled
    row.modified_wall_ms = clock.wall_ms()
    session.flush()


def delete_subaccount(session: Session, parent_id: str, auth_id: str, *, cascade: bool) -> bool:
    """Close a subaccount for good; `False` when there is none.

    Its applications go with it, or to the main account without `cascade`. The caller sees to what else it has.
    """
    row = _child_row(session, parent_id, auth_id)
    if row is None:
        return False
    row.is_enabled = False
    row.deleted_wall_ms = clock.wall_ms()
    owned = ApplicationRow.account_id == auth_id
    if cascade:
        session.execute(delete(ApplicationRow).where(owned))
    else:
        session.execute(
            update(ApplicationRow)
            .where(owned)
            .values(account_id=parent_id, is_default_for_numbers=False, is_default_for_endpoints=False)
        )
    session.flush()
    return True


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


def move_application(session: Session, account_id: AccountId, app_id: AppId, owner_id: AccountId) -> None:
    """Give an application to another account, which gets no default by it.

    Raises:
        NotFound: the account has no such application.
    """
    row = _application_row(session, account_id, app_id)
    if row is None:
        raise NotFound("application not found")
    row.account_id = owner_id
    row.is_default_for_numbers = row.is_default_for_endpoints = False
    session.flush()


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
    row = session.execute(_APPLICATION, {"of_account": account_id, "of_app": app_id}).first()
    return None if row is None else _application(row)


def find_default_application(
    session: Session, account_id: AccountId, *, for_endpoints: bool = False
) -> Application | None:
    """Return the application that new numbers, or new endpoints, of the account get, or `None`."""
    flag = ApplicationRow.is_default_for_endpoints if for_endpoints else ApplicationRow.is_default_for_numbers
    row = session.scalars(select(ApplicationRow).where(ApplicationRow.account_id == account_id, flag.is_(True))).first()
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


def _children_of(parent_id: str) -> tuple[ColumnElement[bool], ...]:
    return AccountRow.parent_auth_id == parent_id, AccountRow.deleted_wall_ms.is_(None)


def _child_row(session: Session, parent_id: str, auth_id: str) -> AccountRow | None:
    return session.scalars(select(AccountRow).where(AccountRow.auth_id == auth_id, *_children_of(parent_id))).first()


def _subaccount(session: Session, row: AccountRow) -> Subaccount:
    return Subaccount(_account(session, row), row.is_enabled, row.created_wall_ms, row.modified_wall_ms)


def _account_row(session: Session, auth_id: str) -> Row[Any] | None:
    return session.execute(_ACCOUNT, {"of_account": auth_id}).first()


def _account(session: Session, row: AccountRow | Row[Any]) -> Account:
    parent = _account_row(session, row.parent_auth_id) if row.parent_auth_id else None
    return Account(
        auth_id=AccountId(row.auth_id),
        auth_token=unsealed(row.auth_token),
        name=row.name,
        timezone=row.timezone,
        city=row.city,
        state=row.state,
        address=row.address,
        is_enabled=row.is_enabled and (parent is None or parent.is_enabled),
        parent_auth_id=AccountId(parent.auth_id) if parent else None,
        parent_auth_token=unsealed(parent.auth_token) if parent else "",
        is_deleted=row.deleted_wall_ms is not None,
    )


def _application(row: ApplicationRow | Row[Any]) -> Application:
    return Application(**{column: getattr(row, column) for column in _APPLICATION_COLUMNS})
