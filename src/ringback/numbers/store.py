"""Phone numbers in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select, update

from ringback import clock
from ringback.accounts.store import find_application, find_default_application
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, AppId
from ringback.numbers.digits import DIGITS_MAX as DIGITS_MAX
from ringback.numbers.digits import DIGITS_MIN as DIGITS_MIN
from ringback.numbers.digits import normalised as normalised
from ringback.numbers.models import NumberRow, PhoneNumber
from ringback.numbers.stock import Block
from ringback.storage.database import Session
from ringback.storage.statements import table_of

_NUMBERS = table_of(NumberRow)
_OWNED = select(_NUMBERS).where(_NUMBERS.c.number == bindparam("of_number"))
_CHANGEABLE = frozenset({"alias", "carrier", "region", "number_type"})


def ensure_number(session: Session, number: str, account_id: AccountId, app_id: AppId | None) -> PhoneNumber:
    """Return the number, added to the account and given this application.

    Raises:
        InvalidParameter: another account has it, or the account has no such application.
    """
    return add_number(session, PhoneNumber(number, account_id, app_id))


def add_number(session: Session, number: PhoneNumber) -> PhoneNumber:
    """Add a number to its account; one that the account has already takes the given application and details.

    Without an application a new number gets the account's default application.

    Raises:
        InvalidParameter: another account has it, or the account has no such application.
    """
    _check_application(session, number.account_id, number.app_id)
    row = session.scalars(select(NumberRow).where(NumberRow.number == number.number)).first()
    if row is None:
        default = None if number.app_id else find_default_application(session, number.account_id)
        row = NumberRow(
            number=number.number,
            account_id=number.account_id,
            app_id=number.app_id or (default.app_id if default else None),
            alias=number.alias,
            carrier=number.carrier,
            region=number.region,
            number_type=number.number_type,
            added_wall_ms=clock.wall_ms(),
        )
        session.add(row)
    elif row.account_id != number.account_id:
        raise InvalidParameter(f"numbers parameter is invalid: {number.number} belongs to another account")
    else:
        row.app_id = number.app_id or row.app_id
        for column in _CHANGEABLE:
            setattr(row, column, getattr(number, column) or getattr(row, column))
    session.flush()
    return _number(row)


def take_number(session: Session, number: PhoneNumber) -> PhoneNumber:
    """Give a number of the stock to an account; without an application it gets the account's default application.

    Raises:
        NotFound: somebody has it.
        InvalidParameter: the account has no such application.
    """
    if session.scalars(select(NumberRow.id).where(NumberRow.number == number.number)).first() is not None:
        raise NotFound("number not available")
    return add_number(session, number)


def taken_numbers(session: Session, blocks: Sequence[Block]) -> frozenset[str]:
    """Return those numbers of the blocks that some account has."""
    column = NumberRow.number
    found: set[str] = set()
    for block in blocks:
        of_block = column.between(block.first, block.last), func.length(column) == len(block.first)
        found.update(session.scalars(select(column).where(*of_block)))
    return frozenset(found)


def update_number(
    session: Session, account_id: AccountId, number: str, changes: Mapping[str, str | None]
) -> PhoneNumber:
    """Change `alias` or `app_id` of a number; an empty or absent `app_id` value detaches the application.

    Raises:
        NotFound: the account has no such number.
        InvalidParameter: the account has no such application.
    """
    row = _row(session, account_id, number)
    if row is None:
        raise NotFound("number not found")
    if "app_id" in changes:
        app_id = changes["app_id"] or None
        _check_application(session, account_id, app_id)
        row.app_id = app_id
    if (alias := changes.get("alias")) is not None:
        row.alias = alias
    session.flush()
    return _number(row)


def delete_number(session: Session, account_id: AccountId, number: str) -> bool:
    """Remove a number from the account; `False` when the account has none such."""
    row = _row(session, account_id, number)
    if row is None:
        return False
    session.execute(delete(NumberRow).where(NumberRow.id == row.id))
    return True


def move_number(session: Session, account_id: AccountId, number: str, owner_id: AccountId) -> None:
    """Give a number to another account, without its application.

    Raises:
        NotFound: the account has no such number.
    """
    row = _row(session, account_id, number)
    if row is None:
        raise NotFound("number not found")
    row.account_id, row.app_id = owner_id, None
    session.flush()


def leave_subaccount(session: Session, account_id: str, parent_id: str, *, cascade: bool) -> None:
    """Before a subaccount is deleted: remove its numbers, or give them to the main account."""
    mine = NumberRow.account_id == account_id
    if cascade:
        session.execute(delete(NumberRow).where(mine))
    else:
        session.execute(update(NumberRow).where(mine).values(account_id=parent_id))


def find_number(session: Session, account_id: AccountId, number: str) -> PhoneNumber | None:
    """Return the account's number, or `None`."""
    row = _row(session, account_id, number)
    return None if row is None else _number(row)


def list_numbers(
    session: Session,
    account_id: AccountId,
    *,
    starts_with: str = "",
    alias: str = "",
    number_type: str = "",
    limit: int = 20,
    offset: int = 0,
) -> tuple[Sequence[PhoneNumber], int]:
    """Return one page, newest first, and how many match in all."""
    wanted = [NumberRow.account_id == account_id]
    if starts_with:
        wanted.append(NumberRow.number.startswith(starts_with, autoescape=True))
    if alias:
        wanted.append(NumberRow.alias == alias)
    if number_type:
        wanted.append(NumberRow.number_type == number_type)
    total = session.scalar(select(func.count()).select_from(NumberRow).where(*wanted)) or 0
    rows = session.scalars(select(NumberRow).where(*wanted).order_by(NumberRow.id.desc()).limit(limit).offset(offset))
    return [_number(row) for row in rows], total


def count_numbers_of(session: Session, app_id: str) -> int:
    """Return how many numbers lead to an application."""
    return session.scalar(select(func.count()).select_from(NumberRow).where(NumberRow.app_id == app_id)) or 0


def find_owned(session: Session, number: str) -> PhoneNumber | None:
    """Return the number of whichever account has it, or `None`."""
    row = session.execute(_OWNED, {"of_number": number}).first()
    return None if row is None else _number(row)


def _row(session: Session, account_id: str, number: str) -> NumberRow | None:
    return session.scalars(
        select(NumberRow).where(NumberRow.account_id == account_id, NumberRow.number == number)
    ).first()


def _check_application(session: Session, account_id: AccountId, app_id: str | None) -> None:
    if app_id and find_application(session, account_id, app_id) is None:
        raise InvalidParameter(f"app_id parameter is invalid: no application {app_id[:40]}", field="app_id")


def _number(row: NumberRow | Row[Any]) -> PhoneNumber:
    return PhoneNumber(
        number=row.number,
        account_id=AccountId(row.account_id),
        app_id=AppId(row.app_id) if row.app_id else None,
        alias=row.alias,
        carrier=row.carrier,
        region=row.region,
        number_type=row.number_type,
        added_wall_ms=row.added_wall_ms,
    )
