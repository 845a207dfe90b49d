"""Streams in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select, update

from ringback.accounts.store import find_account
from ringback.billing.cdr import billed_duration_s, duration_s
from ringback.billing.rating import RateTable, amount, money
from ringback.calls.models import CallRow
from ringback.ids import CallUuid, StreamId
from ringback.media.control.values import StreamEnd, Track
from ringback.storage.database import Session
from ringback.storage.statements import insert_row, table_of
from ringback.streams.models import StreamRow
from ringback.streams.spec import StreamSpec
from ringback.streams.state import LOST_DETAIL, State, status_reason
from ringback.streams.switches import StreamSwitches
from ringback.streams.views import StreamView
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.payloads import StreamFacts, stream_status_params
from ringback.webhooks.store import OutboundCallback, enqueue

_STREAMS = table_of(StreamRow)
_UPDATE_LIVE = update(_STREAMS).where(
    _STREAMS.c.stream_id == bindparam("of_stream"), _STREAMS.c.ended_wall_ms.is_(None)
)
"""Sets the columns that it is given; a stream that is over stays as it is."""


def insert_stream(session: Session, account_id: str, view: StreamView, spec: StreamSpec) -> None:
    """Store a stream that is about to be opened."""
    insert_row(
        session,
        StreamRow(
            stream_id=view.stream_id,
            call_uuid=view.call_uuid,
            account_id=account_id,
            service_url=view.service_url,
            bidirectional=view.bidirectional,
            audio_track=view.audio_track.value,
            content_type=view.content_type,
            status_callback_url=view.status_callback_url,
            status_callback_method=spec.status_callback_method,
            stream_timeout_s=spec.stream_timeout_s,
            extra_headers=spec.extra_headers,
            keep_call_alive=spec.keep_call_alive,
            status=view.status.value,
            created_wall_ms=view.created_wall_ms,
        ),
    )


def update_stream(session: Session, stream_id: str, **columns: object) -> None:
    """Set columns of one stream, unless it is over."""
    session.execute(_UPDATE_LIVE, {"of_stream": stream_id, **columns})


def find_stream(session: Session, account_id: str, call_uuid: str, stream_id: str) -> StreamView | None:
    """Return the account's stream of that call, or `None`."""
    row = session.scalars(
        select(StreamRow).where(
            StreamRow.stream_id == stream_id,
            StreamRow.call_uuid == call_uuid,
            StreamRow.account_id == account_id,
        )
    ).first()
    return _view(row) if row else None


def list_streams(
    session: Session, account_id: str, call_uuid: str, limit: int, offset: int
) -> tuple[Sequence[StreamView], int]:
    """Return one page of a call's streams, newest first, and how many there are."""
    mine = (StreamRow.call_uuid == call_uuid, StreamRow.account_id == account_id)
    total = session.scalar(select(func.count()).select_from(StreamRow).where(*mine)) or 0
    rows = session.scalars(
        select(StreamRow)
        .where(*mine)
        .order_by(StreamRow.created_wall_ms.desc(), StreamRow.stream_id)
        .limit(limit)
        .offset(offset)
    )
    return [_view(row) for row in rows], total


def close_orphaned_streams(
    session: Session,
    now_wall_ms: int,
    rates: RateTable,
    switches: StreamSwitches = StreamSwitches(),  # noqa: B008 - frozen
    *,
    has_plus: bool = False,
) -> int:
    """Mark the streams that an earlier server left open as failed, with the time they had, and enqueue their last
    status callbacks; return how many. To be called before their calls are closed: a call's last callback is its own.
    """
    rows = session.scalars(
        select(StreamRow).where(StreamRow.status.in_((State.INITIATED.value, State.IN_PROGRESS.value)))
    ).all()
    for row in rows:
        row.status = State.FAILED.value
        row.end_reason = "server-restart"
        row.ended_wall_ms = now_wall_ms
        row.bill_duration_s = duration_s(row.started_wall_ms, now_wall_ms)
        row.rounded_bill_duration_s = billed_duration_s(row.bill_duration_s)
        row.billed_amount = money(amount(row.bill_duration_s, rates.stream_per_minute))
        call = session.get(CallRow, row.call_uuid)
        if row.status_callback_url and call is not None:
            enqueue(session, _lost_callback(session, row, call, now_wall_ms, switches, has_plus=has_plus))
    return len(rows)


def _lost_callback(
    session: Session, row: StreamRow, call: CallRow, now_wall_ms: int, switches: StreamSwitches, *, has_plus: bool
) -> OutboundCallback:
    owner = find_account(session, row.account_id)
    facts = StreamFacts(
        call_uuid=row.call_uuid,
        stream_id=row.stream_id,
        from_number=call.from_number,
        to_number=call.to_number,
        direction=call.direction,
        parent_auth_id=owner.main_auth_id if owner else row.account_id,
        service_url=row.service_url,
        status_callback_url=row.status_callback_url,
        status_callback_method=row.status_callback_method,
        bidirectional=row.bidirectional,
        audio_track=row.audio_track,
        stream_timeout_s=row.stream_timeout_s,
        content_type=row.content_type,
        extra_headers=row.extra_headers,
        keep_call_alive=row.keep_call_alive,
        has_plus=has_plus,
        scheme=switches.scheme,
    )
    reason = status_reason(StreamEnd.CONNECTION_LOST)
    return OutboundCallback(
        kind=CallbackKind.STREAM_STATUS.value,
        account_id=row.account_id,
        call_uuid=row.call_uuid,
        url=row.status_callback_url,
        method=row.status_callback_method,
        params=stream_status_params(
            facts, "DroppedStream", now_wall_ms, reason, None, f"{LOST_DETAIL}: the server restarted"
        ),
        event_id=f"{row.stream_id}:restart",
        is_json=switches.has_json_status,
    )


def _view(row: StreamRow) -> StreamView:
    return StreamView(
        stream_id=StreamId(row.stream_id),
        call_uuid=CallUuid(row.call_uuid),
        service_url=row.service_url,
        bidirectional=row.bidirectional,
        audio_track=Track(row.audio_track),
        content_type=row.content_type,
        status=State(row.status),
        created_wall_ms=row.created_wall_ms,
        started_wall_ms=row.started_wall_ms,
        ended_wall_ms=row.ended_wall_ms,
        bill_duration_s=row.bill_duration_s,
        rounded_bill_duration_s=row.rounded_bill_duration_s,
        billed_amount=row.billed_amount,
        status_callback_url=row.status_callback_url,
    )
