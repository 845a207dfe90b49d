"""Calls in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, and_, bindparam, delete, func, or_, select, update

from ringback.accounts.account import Account
from ringback.accounts.store import find_account
from ringback.billing.cdr import billed_duration_s, duration_s
from ringback.billing.rating import RateTable, amount, money
from ringback.calls.hangup import Code, Hangup, HangupSource, hangup
from ringback.calls.models import CallRow, QueuedCallRow
from ringback.calls.settings import CallSettings
from ringback.calls.state import State
from ringback.calls.views import After, Bound, CallDirection, CallRecord, CdrFilters, Comparison, MakeCall
from ringback.ids import CallUuid
from ringback.storage.database import Session
from ringback.storage.statements import insert_row, table_of
from ringback.webhooks.payloads import CallFacts, HangupFacts, hangup_params
from ringback.webhooks.store import OutboundCallback, enqueue

_COMPARE = {
    Comparison.EQUAL: eq,
    Comparison.GREATER: gt,
    Comparison.AT_LEAST: ge,
    Comparison.LESS: lt,
    Comparison.AT_MOST: le,
}


_CALLS = table_of(CallRow)
_UPDATE_LIVE = update(_CALLS).where(_CALLS.c.call_uuid == bindparam("of_call"), _CALLS.c.ended_wall_ms.is_(None))
"""Sets the columns that it is given; a call that is over stays as it is."""


def insert_call(session: Session, row: CallRow) -> None:
    """Store a call before its first effect."""
    insert_row(session, row)


@dataclass(frozen=True, slots=True)
class WaitingCall:
    """A call in the queue as it is stored."""

    call_uuid: str
    account_id: str
    trunk: str
    request: MakeCall
    queued_wall_ms: int


def insert_queued(session: Session, rows: Sequence[tuple[CallRow, WaitingCall]]) -> None:
    """Store calls that wait for their turn, in this order."""
    for row, waiting in rows:
        insert_row(session, row)
        insert_row(
            session,
            QueuedCallRow(
                call_uuid=waiting.call_uuid,
                account_id=waiting.account_id,
                trunk=waiting.trunk,
                request=msgspec.json.encode(waiting.request).decode(),
                queued_wall_ms=waiting.queued_wall_ms,
            ),
        )


def load_queue(session: Session) -> tuple[list[WaitingCall], list[str]]:
    """Return the waiting calls, oldest first, and the ids of those that cannot be read any more."""
    found, unreadable = [], []
    for row in session.scalars(select(QueuedCallRow).order_by(QueuedCallRow.id)):
        try:
            request = msgspec.json.decode(row.request, type=MakeCall)
        except msgspec.MsgspecError:
            unreadable.append(row.call_uuid)
            continue
        found.append(WaitingCall(row.call_uuid, row.account_id, row.trunk, request, row.queued_wall_ms))
    return found, unreadable


def take_from_queue(session: Session, call_uuid: str, now_wall_ms: int) -> bool:
    """Mark a waiting call as dialled before it is; `False` when it does not wait any more."""
    taken = session.execute(delete(QueuedCallRow).where(QueuedCallRow.call_uuid == call_uuid))
    if not getattr(taken, "rowcount", 0):
        return False
    update_call(session, call_uuid, state=State.DIALLING.value, dialled_wall_ms=now_wall_ms)
    return True


def end_undialled(session: Session, call_uuid: str, reason: Hangup, now_wall_ms: int, settings: CallSettings) -> bool:
    """Turn a call that was never dialled into a CDR, with its hang-up callback; `False` when it is one already."""
    session.execute(delete(QueuedCallRow).where(QueuedCallRow.call_uuid == call_uuid))
    row = session.get(CallRow, call_uuid)
    if row is None or row.ended_wall_ms is not None:
        return False
    complete_call(
        session,
        call_uuid,
        reason,
        call_status=reason.status,
        answered_wall_ms=None,
        ended_wall_ms=now_wall_ms,
        call_duration_s=0,
        rates=settings.rates,
    )
    if row.hangup_url:
        enqueue(session, _ended_callback(session, row, reason, reason.status, 0, now_wall_ms, settings))
    return True


def update_call(session: Session, call_uuid: str, **columns: object) -> None:
    """Set columns of one call, unless it is over."""
    session.execute(_UPDATE_LIVE, {"of_call": call_uuid, **columns})


def complete_call(
    session: Session,
    call_uuid: str,
    reason: Hangup,
    *,
    call_status: str,
    answered_wall_ms: int | None,
    ended_wall_ms: int,
    call_duration_s: int,
    rates: RateTable,
) -> bool:
    """Turn the row into a CDR; `False` when it was one already, so that a call has exactly one."""
    result = session.execute(
        _UPDATE_LIVE,
        {
            "of_call": call_uuid,
            "state": State.ENDED.value,
            "answered_wall_ms": answered_wall_ms,
            "ended_wall_ms": ended_wall_ms,
            "call_duration_s": call_duration_s,
            "bill_duration_s": call_duration_s,
            "billed_duration_s": billed_duration_s(call_duration_s),
            "call_status": call_status,
            "hangup_code": int(reason.code),
            "hangup_cause": reason.cause,
            "hangup_name": reason.name,
            "hangup_source": reason.source.value,
            "hangup_detail": reason.detail[:1000],
            "total_amount": money(amount(call_duration_s, rates.call_per_minute)),
            "total_rate": money(rates.call_per_minute),
            "dialog": "",
        },
    )
    return bool(getattr(result, "rowcount", 0))


def owner_of(session: Session, account: Account, call_uuid: str) -> Account:
    """Return whose call it is: a subaccount of `account`, else `account`, which then may or may not have it."""
    owner_id = session.scalar(select(CallRow.account_id).where(CallRow.call_uuid == call_uuid))
    owner = find_account(session, owner_id) if owner_id not in (None, account.auth_id) else None
    return owner if owner is not None and owner.parent_auth_id == account.auth_id else account


def has_call(session: Session, account_id: str, call_uuid: str) -> bool:
    """Return whether the account has or had this call."""
    found = session.scalar(
        select(CallRow.call_uuid).where(CallRow.call_uuid == call_uuid, CallRow.account_id == account_id)
    )
    return found is not None


def is_stored(session: Session, call_uuid: str) -> bool:
    """Return whether any account has or had this call."""
    return session.scalar(select(CallRow.call_uuid).where(CallRow.call_uuid == call_uuid)) is not None


def find_record(session: Session, account_id: str, call_uuid: str) -> CallRecord | None:
    """Return the CDR of an ended call, or `None`."""
    row = session.scalars(
        select(CallRow).where(
            CallRow.call_uuid == call_uuid, CallRow.account_id == account_id, CallRow.ended_wall_ms.is_not(None)
        )
    ).first()
    return _record(row) if row else None


def list_records(
    session: Session, account_id: str, filters: CdrFilters, limit: int, offset: int
) -> tuple[Sequence[CallRecord], int]:
    """Return one page of CDRs, newest first, and how many match in all."""
    wanted = [CallRow.account_id == account_id, CallRow.ended_wall_ms.is_not(None), *_conditions(filters)]
    total = session.scalar(select(func.count()).select_from(CallRow).where(*wanted)) or 0
    if filters.after is not None:
        wanted.append(behind(CallRow.initiated_wall_ms, CallRow.call_uuid, filters.after))
    rows = session.scalars(
        select(CallRow)
        .where(*wanted)
        .order_by(CallRow.initiated_wall_ms.desc(), CallRow.call_uuid)
        .limit(limit)
        .offset(offset)
    )
    return [_record(row) for row in rows], total


def behind(time: Any, name: Any, after: After) -> ColumnElement[bool]:
    """Return the condition for what comes after an object in a list by time, newest first, then by name."""
    return or_(time < after.wall_ms, and_(time == after.wall_ms, name > after.name))


def close_orphaned_calls(session: Session, now_wall_ms: int, settings: CallSettings) -> list[tuple[str, str]]:
    """Turn the rows that an earlier server left open into CDRs with cause 5010, and enqueue their hang-up callbacks;
    return their call ids and dialogs. Calls that wait for their turn are not touched.
    """
    reason = hangup(Code.INTERNAL_ERROR, HangupSource.ERROR, "the server restarted during the call")
    waiting = select(QueuedCallRow.call_uuid)
    rows = session.scalars(
        select(CallRow).where(CallRow.ended_wall_ms.is_(None), CallRow.call_uuid.not_in(waiting))
    ).all()
    left = [(row.call_uuid, row.dialog) for row in rows]
    for row in rows:
        seconds = duration_s(row.answered_wall_ms, now_wall_ms)
        is_completed = row.direction == CallDirection.INBOUND.value or row.answered_wall_ms is not None
        status = "completed" if is_completed else reason.status
        complete_call(
            session,
            row.call_uuid,
            reason,
            call_status=status,
            answered_wall_ms=row.answered_wall_ms,
            ended_wall_ms=now_wall_ms,
            call_duration_s=seconds,
            rates=settings.rates,
        )
        if row.hangup_url:
            enqueue(session, _ended_callback(session, row, reason, status, seconds, now_wall_ms, settings))
    return left


def _ended_callback(
    session: Session,
    row: CallRow,
    reason: Hangup,
    status: str,
    seconds: int,
    now_wall_ms: int,
    settings: CallSettings,
) -> OutboundCallback:
    owner = find_account(session, row.account_id)
    facts = CallFacts(
        call_uuid=row.call_uuid,
        from_number=row.from_number,
        to_number=row.to_number,
        direction=row.direction,
        parent_auth_id=owner.main_auth_id if owner else row.account_id,
        session_start_wall_ms=row.initiated_wall_ms,
        bill_rate=money(settings.rates.call_per_minute),
        has_plus=settings.has_plus,
    )
    ended = HangupFacts(
        cause=reason.cause,
        cause_name=reason.name,
        cause_code=int(reason.code),
        source=reason.source.value,
        call_status=status,
        duration_s=seconds,
        bill_duration_s=billed_duration_s(seconds),
        start_wall_ms=row.initiated_wall_ms,
        end_wall_ms=now_wall_ms,
        answer_wall_ms=row.answered_wall_ms,
        total_cost=money(amount(seconds, settings.rates.call_per_minute)),
    )
    return OutboundCallback(
        kind="hangup",
        account_id=row.account_id,
        call_uuid=row.call_uuid,
        url=row.hangup_url,
        method=row.hangup_method,
        params=hangup_params(facts, ended),
        event_id=f"{row.call_uuid}:hangup",
    )


def _conditions(filters: CdrFilters) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.direction:
        found.append(CallRow.direction == filters.direction.value)
    if filters.from_number:
        found.append(_number(CallRow.from_number, filters.from_number))
    if filters.to_number:
        found.append(_number(CallRow.to_number, filters.to_number))
    if filters.parent_call_uuid:
        found.append(CallRow.parent_call_uuid == filters.parent_call_uuid)
    if filters.hangup_cause_code is not None:
        found.append(CallRow.hangup_code == filters.hangup_cause_code)
    if filters.hangup_source:
        found.append(func.lower(CallRow.hangup_source) == filters.hangup_source.lower())
    if filters.stir_verification and filters.stir_verification != "Not Applicable":
        found.append(or_(False))
    found.extend(_bound(CallRow.bill_duration_s, bound) for bound in filters.bill_duration_s)
    found.extend(_bound(CallRow.ended_wall_ms, bound) for bound in filters.ended_wall_ms)
    return found


def _number(column: Any, wanted: str) -> ColumnElement[bool]:
    found: ColumnElement[bool] = column.startswith(wanted.lstrip("+"), autoescape=True)
    return found


def _bound(column: Any, bound: Bound) -> ColumnElement[bool]:
    found: ColumnElement[bool] = _COMPARE[bound.comparison](column, bound.value)
    return found


def _record(row: CallRow) -> CallRecord:
    assert row.ended_wall_ms is not None
    return CallRecord(
        call_uuid=CallUuid(row.call_uuid),
        direction=CallDirection(row.direction),
        from_number=row.from_number,
        to_number=row.to_number,
        initiated_wall_ms=row.initiated_wall_ms,
        answered_wall_ms=row.answered_wall_ms,
        ended_wall_ms=row.ended_wall_ms,
        call_duration_s=row.call_duration_s,
        bill_duration_s=row.bill_duration_s,
        billed_duration_s=row.billed_duration_s,
        hangup_cause_code=row.hangup_code,
        hangup_cause_name=row.hangup_name,
        hangup_source=row.hangup_source,
        call_state="ANSWER" if row.answered_wall_ms else row.call_status.upper().replace("-", "_"),
        parent_call_uuid=row.parent_call_uuid,
        caller_name=row.caller_name,
        source_ip=row.source_ip,
        total_amount=row.total_amount,
        total_rate=row.total_rate,
    )
