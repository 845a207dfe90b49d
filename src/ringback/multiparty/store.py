"""Multiparty calls in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select, update

from ringback.multiparty.machine import Exit
from ringback.multiparty.models import MultipartyRow, ParticipantRow
from ringback.multiparty.state import Cause, State
from ringback.multiparty.views import Between, MultipartyFilters, MultipartyView, ParticipantView
from ringback.storage.database import Session

PARTICIPANTS_MAX = 200
"""Participants of an ended multiparty call that are shown, the last ones."""
_CAUSES = {cause.code: cause for cause in Cause}


def save(session: Session, account_id: str, view: MultipartyView, participants: Iterable[ParticipantView]) -> None:
    """Store a multiparty call, and some who are or were in it, as they are now; repeating it is harmless."""
    row = session.get(MultipartyRow, view.mpc_uuid) or MultipartyRow(
        mpc_uuid=view.mpc_uuid,
        account_id=account_id,
        name=view.name,
        stays_alone=view.stays_alone,
        created_wall_ms=view.created_wall_ms,
    )
    row.state = view.state.value
    row.started_wall_ms = view.started_wall_ms
    row.ended_wall_ms = view.ended_wall_ms
    row.cause_code = view.cause.code if view.cause is not None else None
    session.add(row)
    for each in participants:
        session.merge(
            ParticipantRow(
                mpc_uuid=each.mpc_uuid,
                member_id=each.member_id,
                call_uuid=each.call_uuid,
                address=each.address[:255],
                role=each.role,
                is_muted=each.is_muted,
                is_held=each.is_held,
                is_coach=each.is_coach,
                starts_on_enter=each.starts_on_enter,
                ends_on_exit=each.ends_on_exit,
                joined_wall_ms=each.joined_wall_ms,
                exited_wall_ms=each.exited_wall_ms,
                exit_cause=each.exit_cause,
            )
        )
    session.flush()


def find_ended(session: Session, account_id: str, mpc_uuid: str) -> MultipartyView | None:
    """Return the account's ended multiparty call with its participants, or `None`."""
    row = session.get(MultipartyRow, mpc_uuid)
    if row is None or row.account_id != account_id or row.state != State.ENDED.value:
        return None
    rows = session.scalars(
        select(ParticipantRow)
        .where(ParticipantRow.mpc_uuid == mpc_uuid)
        .order_by(ParticipantRow.joined_wall_ms.desc(), ParticipantRow.member_id.desc())
        .limit(PARTICIPANTS_MAX)
    )
    return _view(row, tuple(_participant(each) for each in reversed(rows.all())))


def list_ended(
    session: Session, account_id: str, filters: MultipartyFilters, but: Collection[str], limit: int, offset: int
) -> tuple[Sequence[MultipartyView], int]:
    """Return one page of ended multiparty calls, newest first, and how many match in all; `but` are left out."""
    if filters.state not in (None, State.ENDED):
        return (), 0
    wanted: list[ColumnElement[bool]] = [
        MultipartyRow.account_id == account_id,
        MultipartyRow.state == State.ENDED.value,
        MultipartyRow.mpc_uuid.not_in(list(but)),
    ]
    if filters.name:
        wanted.append(MultipartyRow.name == filters.name)
    if filters.cause_code is not None:
        wanted.append(MultipartyRow.cause_code == filters.cause_code)
    for column, between in (
        (MultipartyRow.created_wall_ms, filters.created),
        (MultipartyRow.ended_wall_ms, filters.ended),
    ):
        wanted.extend(_within(column, between))
    total = session.scalar(select(func.count()).select_from(MultipartyRow).where(*wanted)) or 0
    rows = session.scalars(
        select(MultipartyRow)
        .where(*wanted)
        .order_by(MultipartyRow.created_wall_ms.desc(), MultipartyRow.mpc_uuid)
        .limit(limit)
        .offset(offset)
    )
    return [_view(row) for row in rows], total


def end_orphans(session: Session, now_wall_ms: int) -> int:
    """End what an earlier server left live, with everyone in it; return how many multiparty calls that were."""
    session.execute(
        update(ParticipantRow)
        .where(ParticipantRow.exited_wall_ms.is_(None))
        .values(exited_wall_ms=now_wall_ms, exit_cause=Exit.HUNG_UP.value)
    )
    ended = session.execute(
        update(MultipartyRow)
        .where(MultipartyRow.state != State.ENDED.value)
        .values(state=State.ENDED.value, ended_wall_ms=now_wall_ms, cause_code=Cause.EMPTY.code)
    )
    return int(getattr(ended, "rowcount", 0))


def _within(column: Any, between: Between) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if between.first_wall_ms is not None:
        found.append(column >= between.first_wall_ms)
    if between.last_wall_ms is not None:
        found.append(column <= between.last_wall_ms)
    return found


def _view(row: MultipartyRow, participants: tuple[ParticipantView, ...] = ()) -> MultipartyView:
    return MultipartyView(
        mpc_uuid=row.mpc_uuid,
        name=row.name,
        state=State(row.state),
        created_wall_ms=row.created_wall_ms,
        stays_alone=row.stays_alone,
        started_wall_ms=row.started_wall_ms,
        ended_wall_ms=row.ended_wall_ms,
        cause=_CAUSES.get(row.cause_code) if row.cause_code is not None else None,
        participants=participants,
    )


def _participant(row: ParticipantRow) -> ParticipantView:
    return ParticipantView(
        member_id=row.member_id,
        mpc_uuid=row.mpc_uuid,
        call_uuid=row.call_uuid,
        address=row.address,
        role=row.role,
        is_muted=row.is_muted,
        is_held=row.is_held,
        is_coach=row.is_coach,
        starts_on_enter=row.starts_on_enter,
        ends_on_exit=row.ends_on_exit,
        joined_wall_ms=row.joined_wall_ms,
        exited_wall_ms=row.exited_wall_ms,
        exit_cause=row.exit_cause,
    )
