"""Recordings in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from operator import eq, ge, gt, le, lt
from typing import Any

from sqlalchemy import ColumnElement, delete, func, or_, select, update

from ringback import clock
from ringback.calls.store import behind
from ringback.calls.views import Bound, Comparison
from ringback.ids import CallUuid, RecordingId
from ringback.media.control.values import RecordingChannels
from ringback.recordings.models import RecordingRow, TranscriptionRow, TranscriptRow
from ringback.recordings.spec import CallbackStyle, FileFormat, RecordingKind
from ringback.recordings.views import DAY_MS, RecordingFilters, RecordingView, State, TextState, Transcript, Wish
from ringback.storage.database import Session

_COMPARE = {
    Comparison.EQUAL: eq,
    Comparison.GREATER: gt,
    Comparison.AT_LEAST: ge,
    Comparison.LESS: lt,
    Comparison.AT_MOST: le,
}
_SWEEP_MAX = 200
"""Rows that one turn of the housekeeping takes."""


def insert_recording(session: Session, view: RecordingView) -> None:
    """Store a recording that is about to begin."""
    session.add(
        RecordingRow(
            recording_id=view.recording_id,
            account_id=view.account_id,
            call_uuid=view.call_uuid,
            kind=view.kind.value,
            conference_name=view.conference_name[:255],
            conference_uuid=view.conference_uuid,
            from_number=view.from_number[:255],
            to_number=view.to_number[:255],
            file_format=view.file_format.value,
            channels=view.channels.value,
            state=view.state.value,
            created_wall_ms=view.created_wall_ms,
            callback_url=view.callback_url,
            callback_method=view.callback_method,
            callback_style=view.callback_style.value,
            api_id=view.api_id,
            member_id=view.member_id,
        )
    )
    session.flush()


def update_recording(session: Session, recording_id: str, **columns: object) -> None:
    """Set columns of one recording."""
    session.execute(update(RecordingRow).where(RecordingRow.recording_id == recording_id).values(**columns))


def count_event(session: Session, recording_id: str) -> int:
    """Return the number of the next event that a recording's callback URL is told, from 1 on."""
    row = session.get(RecordingRow, recording_id)
    if row is None:
        return 1
    row.events_told += 1
    session.flush()
    return row.events_told


def complete_recording(session: Session, recording_id: str, state: State, **columns: object) -> RecordingView | None:
    """Move a recording that is not complete to its last state; `None` when it was there already, or is deleted."""
    row = session.scalars(select(RecordingRow).where(RecordingRow.recording_id == recording_id)).first()
    if row is None or row.state in (State.READY.value, State.FAILED.value):
        return None
    row.state = state.value
    for name, value in columns.items():
        setattr(row, name, value)
    if state is State.FAILED:
        session.execute(delete(TranscriptionRow).where(TranscriptionRow.recording_id == recording_id))
    session.flush()
    return _view(row)


def find_recording(session: Session, account_id: str, recording_id: str) -> RecordingView | None:
    """Return the account's recording in whatever state, or `None`."""
    row = session.scalars(
        select(RecordingRow).where(RecordingRow.recording_id == recording_id, RecordingRow.account_id == account_id)
    ).first()
    return _view(row) if row else None


def owner_of(session: Session, recording_id: str) -> str:
    """Return the account of a recording, empty when there is none."""
    query = select(RecordingRow.account_id).where(RecordingRow.recording_id == recording_id)
    return session.scalar(query) or ""


def list_recordings(
    session: Session, account_id: str, filters: RecordingFilters, now_wall_ms: int, limit: int, offset: int
) -> tuple[Sequence[RecordingView], int]:
    """Return one page of recordings that are ready, newest first, and how many match in all."""
    wanted = [
        RecordingRow.account_id == account_id,
        RecordingRow.state == State.READY.value,
        *_conditions(filters, now_wall_ms),
    ]
    total = session.scalar(select(func.count()).select_from(RecordingRow).where(*wanted)) or 0
    if filters.after is not None:
        wanted.append(behind(RecordingRow.created_wall_ms, RecordingRow.recording_id, filters.after))
    rows = session.scalars(
        select(RecordingRow)
        .where(*wanted)
        .order_by(RecordingRow.created_wall_ms.desc(), RecordingRow.recording_id)
        .limit(limit)
        .offset(offset)
    )
    return [_view(row) for row in rows], total


def delete_recording(session: Session, account_id: str, recording_id: str) -> RecordingView | None:
    """Forget a recording that is complete and return what it was; `None` when the account has none of that id."""
    found = find_recording(session, account_id, recording_id)
    if found is None or found.state in (State.RECORDING, State.PROCESSING):
        return None
    session.execute(delete(TranscriptionRow).where(TranscriptionRow.recording_id == recording_id))
    session.execute(delete(TranscriptRow).where(TranscriptRow.recording_id == recording_id))
    session.execute(delete(RecordingRow).where(RecordingRow.recording_id == recording_id))
    return found


def stored_bytes(session: Session, account_id: str) -> int:
    """Return how much the account's recordings take."""
    return session.scalar(select(func.sum(RecordingRow.size_bytes)).where(RecordingRow.account_id == account_id)) or 0


def incomplete_recordings(session: Session, before_wall_ms: int, but: Collection[str]) -> list[RecordingView]:
    """Return recordings made before a time that are not complete, without those that this server looks after."""
    rows = session.scalars(
        select(RecordingRow)
        .where(
            RecordingRow.state.in_((State.RECORDING.value, State.PROCESSING.value)),
            RecordingRow.created_wall_ms < before_wall_ms,
            RecordingRow.recording_id.not_in(list(but)),
        )
        .order_by(RecordingRow.created_wall_ms)
        .limit(_SWEEP_MAX)
    )
    return [_view(row) for row in rows]


def expired_recordings(session: Session, before_wall_ms: int) -> list[RecordingView]:
    """Return complete recordings that were added before a time, the oldest ones, a bounded number at once."""
    rows = session.scalars(
        select(RecordingRow)
        .where(
            RecordingRow.state.in_((State.READY.value, State.FAILED.value)),
            RecordingRow.created_wall_ms < before_wall_ms,
        )
        .order_by(RecordingRow.created_wall_ms)
        .limit(_SWEEP_MAX)
    )
    return [_view(row) for row in rows]


def known_recordings(session: Session, recording_ids: Collection[str]) -> set[str]:
    """Return which of these ids have a row."""
    rows = session.scalars(select(RecordingRow.recording_id).where(RecordingRow.recording_id.in_(list(recording_ids))))
    return set(rows)


def insert_wish(session: Session, recording_id: str, wish: Wish) -> None:
    """Store the wish for a recording that is about to begin."""
    session.add(TranscriptionRow(recording_id=recording_id, url=wish.url, method=wish.method, ready_wall_ms=0))
    session.flush()


def find_wish(session: Session, recording_id: str) -> Wish | None:
    """Return the wish for a recording, or `None`."""
    row = session.get(TranscriptionRow, recording_id)
    return Wish(row.url, row.method) if row is not None else None


def count_ready_wishes(session: Session) -> int:
    """Return how many recordings wait for their text."""
    ready = select(func.count()).select_from(TranscriptionRow).where(TranscriptionRow.ready_wall_ms > 0)
    return session.scalar(ready) or 0


def make_wish_ready(session: Session, recording_id: str) -> None:
    """Say that the recording's file can be read."""
    values = {"ready_wall_ms": clock.wall_ms()}
    session.execute(update(TranscriptionRow).where(TranscriptionRow.recording_id == recording_id).values(**values))


def first_ready_wish(session: Session) -> tuple[RecordingView, Wish] | None:
    """Return the recording that has waited longest for its text, or `None`."""
    found = session.execute(
        select(RecordingRow, TranscriptionRow)
        .join(TranscriptionRow, TranscriptionRow.recording_id == RecordingRow.recording_id)
        .where(TranscriptionRow.ready_wall_ms > 0)
        .order_by(TranscriptionRow.ready_wall_ms, TranscriptionRow.recording_id)
        .limit(1)
    ).first()
    return (_view(found[0]), Wish(found[1].url, found[1].method)) if found is not None else None


def remove_wish(session: Session, recording_id: str) -> bool:
    """Forget a wish; `False` when there is none any more."""
    done = session.execute(
        delete(TranscriptionRow)
        .where(TranscriptionRow.recording_id == recording_id)
        .returning(TranscriptionRow.recording_id)
    )
    return done.first() is not None


def put_transcript(session: Session, recording_id: str, text: str, detail: str) -> None:
    """Keep the text of a recording, or why there is none, in place of an earlier one."""
    session.merge(TranscriptRow(recording_id=recording_id, text=text, detail=detail))
    session.flush()


def find_transcript(session: Session, recording: RecordingView) -> Transcript | None:
    """Return the text of a recording, one that is being made included, or `None` when nobody wanted one."""
    if find_wish(session, recording.recording_id) is not None:
        return Transcript(recording, TextState.IN_PROGRESS)
    row = session.get(TranscriptRow, recording.recording_id)
    if row is None:
        return None
    return Transcript(recording, TextState.FAILED if row.detail else TextState.SUCCESS, row.text, row.detail)


def remove_transcript(session: Session, recording_id: str) -> bool:
    """Forget a text, and that one is wanted; `False` when there is neither."""
    is_wanted = remove_wish(session, recording_id)
    of_recording = TranscriptRow.recording_id == recording_id
    done = session.execute(delete(TranscriptRow).where(of_recording).returning(TranscriptRow.recording_id))
    return done.first() is not None or is_wanted


def _conditions(filters: RecordingFilters, now_wall_ms: int) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if filters.mpc_name or filters.mpc_uuid:
        found.append(RecordingRow.kind == RecordingKind.MULTIPARTY.value)
    if filters.conference_name or filters.conference_uuid:
        found.append(RecordingRow.kind == RecordingKind.CONFERENCE.value)
    for column, value in (
        (RecordingRow.call_uuid, filters.call_uuid),
        (RecordingRow.conference_name, filters.conference_name),
        (RecordingRow.conference_uuid, filters.conference_uuid),
        (RecordingRow.conference_name, filters.mpc_name),
        (RecordingRow.conference_uuid, filters.mpc_uuid),
        (RecordingRow.kind, filters.kind.value if filters.kind else ""),
    ):
        if value:
            found.append(column == value)
    for number, wanted in (
        (RecordingRow.from_number, filters.from_number),
        (RecordingRow.to_number, filters.to_number),
    ):
        if wanted:
            bare = wanted.lstrip("+")
            found.append(or_(number.startswith(bare, autoescape=True), number.startswith(f"+{bare}", autoescape=True)))
    found.extend(_compared(RecordingRow.created_wall_ms, bound) for bound in filters.added_wall_ms)
    for bound in filters.age_days:
        found.extend(_aged(bound, now_wall_ms))
    return found


def _aged(bound: Bound, now_wall_ms: int) -> list[ColumnElement[bool]]:
    """Return the conditions for an age in whole days: `n` days are passed from `n` times 24 hours on."""
    created: Any = RecordingRow.created_wall_ms
    reached, passed = now_wall_ms - bound.value * DAY_MS, now_wall_ms - (bound.value + 1) * DAY_MS
    match bound.comparison:
        case Comparison.EQUAL:
            return [created <= reached, created > passed]
        case Comparison.GREATER:
            return [created <= passed]
        case Comparison.AT_LEAST:
            return [created <= reached]
        case Comparison.LESS:
            return [created > reached]
        case Comparison.AT_MOST:
            return [created > passed]


def _compared(column: Any, bound: Bound) -> ColumnElement[bool]:
    found: ColumnElement[bool] = _COMPARE[bound.comparison](column, bound.value)
    return found


def _view(row: RecordingRow) -> RecordingView:
    return RecordingView(
        recording_id=RecordingId(row.recording_id),
        account_id=row.account_id,
        call_uuid=CallUuid(row.call_uuid),
        file_format=FileFormat(row.file_format),
        channels=RecordingChannels(row.channels),
        state=State(row.state),
        created_wall_ms=row.created_wall_ms,
        kind=RecordingKind(row.kind),
        conference_name=row.conference_name,
        conference_uuid=row.conference_uuid,
        from_number=row.from_number,
        to_number=row.to_number,
        start_wall_ms=row.start_wall_ms,
        end_wall_ms=row.end_wall_ms,
        duration_ms=row.duration_ms,
        size_bytes=row.size_bytes,
        callback_url=row.callback_url,
        callback_method=row.callback_method,
        callback_style=CallbackStyle(row.callback_style),
        api_id=row.api_id,
        detail=row.detail,
        member_id=row.member_id,
    )
