"""Endpoints in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import delete, func, select, update

from ringback.accounts.store import find_application, find_default_application, sealed, unsealed
from ringback.endpoints.endpoint import Endpoint
from ringback.endpoints.models import EndpointRow
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, AppId
from ringback.storage.database import Session


def create_endpoint(session: Session, endpoint: Endpoint) -> None:
    """Add an endpoint; without an application it gets the account's default application for endpoints.

    Raises:
        InvalidParameter: the account has no such application.
    """
    _check_application(session, endpoint.account_id, endpoint.app_id)
    default = None if endpoint.app_id else find_default_application(session, endpoint.account_id, for_endpoints=True)
    session.add(
        EndpointRow(
            endpoint_id=endpoint.endpoint_id,
            account_id=endpoint.account_id,
            username=endpoint.username,
            password=sealed(endpoint.password),
            alias=endpoint.alias,
            app_id=endpoint.app_id or (default.app_id if default else None),
        )
    )
    session.flush()


def update_endpoint(
    session: Session, account_id: AccountId, endpoint_id: str, changes: Mapping[str, str | None]
) -> None:
    """Change `password`, `alias` or `app_id` of an endpoint; an empty or absent `app_id` value detaches.

    Raises:
        NotFound: the account has no such endpoint.
        InvalidParameter: the account has no such application.
    """
    row = _row(session, account_id, endpoint_id)
    if row is None:
        raise NotFound("endpoint not found")
    if "app_id" in changes:
        app_id = changes["app_id"] or None
        _check_application(session, account_id, app_id)
        row.app_id = app_id
    row.alias = changes.get("alias") or row.alias
    if password := changes.get("password"):
        row.password = sealed(password)
    session.flush()


def delete_endpoint(session: Session, account_id: AccountId, endpoint_id: str) -> bool:
    """Remove an endpoint; `False` when there is none."""
    row = _row(session, account_id, endpoint_id)
    if row is None:
        return False
    session.execute(delete(EndpointRow).where(EndpointRow.id == row.id))
    return True


def find_endpoint(session: Session, account_id: AccountId, endpoint_id: str) -> Endpoint | None:
    """Return the account's endpoint, or `None`."""
    row = _row(session, account_id, endpoint_id)
    return None if row is None else _endpoint(row)


def list_endpoints(session: Session, account_id: AccountId, limit: int, offset: int) -> tuple[Sequence[Endpoint], int]:
    """Return one page, newest first, and how many there are."""
    mine = EndpointRow.account_id == account_id
    total = session.scalar(select(func.count()).select_from(EndpointRow).where(mine)) or 0
    rows = session.scalars(select(EndpointRow).where(mine).order_by(EndpointRow.id.desc()).limit(limit).offset(offset))
    return [_endpoint(row) for row in rows], total


def count_of_application(session: Session, app_id: str) -> int:
    """Return how many endpoints an application has."""
    return session.scalar(select(func.count()).select_from(EndpointRow).where(EndpointRow.app_id == app_id)) or 0


def leave_application(session: Session, app_id: str, successor: str | None, *, cascade: bool) -> None:
    """Before an application is deleted: remove its endpoints, or give them its successor, which may be none."""
    mine = EndpointRow.app_id == app_id
    if cascade:
        session.execute(delete(EndpointRow).where(mine))
    else:
        session.execute(update(EndpointRow).where(mine).values(app_id=successor))


def leave_subaccount(session: Session, account_id: str, parent_id: str, *, cascade: bool) -> None:
    """Before a subaccount is deleted: remove its endpoints, or give them to the main account."""
    mine = EndpointRow.account_id == account_id
    if cascade:
        session.execute(delete(EndpointRow).where(mine))
    else:
        session.execute(update(EndpointRow).where(mine).values(account_id=parent_id))


def _check_application(session: Session, account_id: AccountId, app_id: str | None) -> None:
    if app_id is not None and find_application(session, account_id, app_id) is None:
        raise InvalidParameter(f"app_id parameter is invalid: no application {app_id}", field="app_id")


def _row(session: Session, account_id: str, endpoint_id: str) -> EndpointRow | None:
    return session.scalars(
        select(EndpointRow).where(EndpointRow.account_id == account_id, EndpointRow.endpoint_id == endpoint_id)
    ).first()


def _endpoint(row: EndpointRow) -> Endpoint:
    return Endpoint(
        endpoint_id=row.endpoint_id,
        account_id=AccountId(row.account_id),
        username=row.username,
        password=unsealed(row.password),
        alias=row.alias,
        app_id=AppId(row.app_id) if row.app_id else None,
    )
