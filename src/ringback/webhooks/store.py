"""The outbox: callbacks written in the transaction of the fact they report.

`enqueue` runs inside the caller's transaction; `outbox.OutboxSender` delivers. All times are wall clock, because they
outlive the process.
Spec: reference reliability.md section 6 item 5 and section 4 (events).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from sqlalchemy import Row, Select, bindparam, delete, func, or_, select, update

from ringback import clock, ids
from ringback.storage.database import Session
from ringback.storage.statements import insert_row, table_of
from ringback.webhooks.models import OutboxRow

_BODY_MAX_BYTES = 65_536
_CUT_VALUE_CHARS = 1_024
_CUT_PARAMS_MAX = 64
_OUTCOME_MAX_CHARS = 255
_HOLDING_ATTEMPTS = 3
_PRIVATE = "+private"
"""Ends the kind of a callback whose private parameters are not recorded."""
_JSON = "+json"
"""Ends the kind of a callback whose body is JSON, before `_PRIVATE`."""
_PENDING, _SENT, _DEAD = STATES = "pending", "sent", "dead"


@dataclass(frozen=True, slots=True)
class OutboundCallback:
    """A callback that must reach the customer, whatever happens to this process.

    `event_id` is stable for the fact it reports; empty lets `enqueue` mint one. A repeated `event_id` is written once.
    """

    kind: str
    """Value of `fetcher.CallbackKind`: `ring`, `hangup`, `stream-status`."""
    account_id: str
    call_uuid: str
    url: str
    method: str
    params: Mapping[str, str]
    event_id: str = ""
    is_private: bool = False
    """Whether what the caller has pressed or said is not recorded."""
    is_json: bool = False
    """Whether a POST carries a JSON object instead of a form."""


@dataclass(frozen=True, slots=True)
class StoredCallback:
    """A callback as the outbox keeps it."""

    row_id: int
    event_id: str
    account_id: str
    call_uuid: str
    kind: str
    url: str
    method: str
    target: str
    pairs: tuple[tuple[str, str], ...]
    created_wall_ms: int
    attempts: int
    state: str
    outcome: str
    next_wall_ms: int
    is_private: bool = False
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class OutboxCounts:
    """How many callbacks wait and how many were set aside."""

    pending: int
    dead: int


def _due_statement() -> Select[Any]:
    earlier = _OUTBOX.alias()
    is_first = ~(
        select(earlier.c.id)
        .where(
            earlier.c.call_uuid == _OUTBOX.c.call_uuid,
            earlier.c.target == _OUTBOX.c.target,
            earlier.c.state == _PENDING,
            earlier.c.id < _OUTBOX.c.id,
            or_(earlier.c.attempts < _HOLDING_ATTEMPTS, ~earlier.c.outcome.startswith("status ")),
        )
        .exists()
    )
    return (
        select(_OUTBOX)
        .where(
            _OUTBOX.c.state == _PENDING,
            _OUTBOX.c.next_wall_ms <= bindparam("now"),
            _OUTBOX.c.id.not_in(bindparam("busy_rows", expanding=True)),
            _OUTBOX.c.target.not_in(bindparam("busy_targets", expanding=True)),
            is_first,
        )
        # One that fails again and again must not take every turn of a target that gets one request at a time.
        .order_by(_OUTBOX.c.attempts, _OUTBOX.c.id)
        .limit(bindparam("most"))
    )


_OUTBOX = table_of(OutboxRow)
_ID_OF_EVENT = select(_OUTBOX.c.id).where(_OUTBOX.c.event_id == bindparam("of_event"))
_FINISH = update(_OUTBOX).where(_OUTBOX.c.id == bindparam("of_row")).values(attempts=_OUTBOX.c.attempts + 1)
"""Counts the attempt and sets the other columns that it is given."""
_DUE = _due_statement()
_NEXT_DUE = select(func.min(_OUTBOX.c.next_wall_ms)).where(
    _OUTBOX.c.state == _PENDING, _OUTBOX.c.id.not_in(bindparam("busy_rows", expanding=True))
)


def enqueue(session: Session, callback: OutboundCallback) -> str:
    """Write a callback into the caller's transaction and return its event id.

    A body of more than 64 KiB has its long values cut and carries `Truncated=true`. Wake the sender after the commit.
    """
    event_id = callback.event_id or ids.new_uuid()
    if callback.event_id and session.scalar(_ID_OF_EVENT, {"of_event": event_id}) is not None:
        return event_id
    now = clock.wall_ms()
    insert_row(
        session,
        OutboxRow(
            event_id=event_id,
            account_id=callback.account_id,
            call_uuid=callback.call_uuid,
            kind=callback.kind + (_JSON if callback.is_json else "") + (_PRIVATE if callback.is_private else ""),
            url=callback.url,
            method=callback.method.upper(),
            target=target_of(callback.url),
            params=_rendered(callback.params),
            created_wall_ms=now,
            next_wall_ms=now,
            attempts=0,
            state=_PENDING,
            outcome="",
        ),
    )
    return event_id


def target_of(url: str) -> str:
    """Return the host and port a URL leads to: the unit of ordering, of limits and of back-off."""
    try:
        parts = urlsplit(url)
        return f"{(parts.hostname or '')[:253]}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
    except ValueError:
        return "invalid:0"


def due(
    session: Session, now_wall_ms: int, limit: int, busy_rows: Collection[int] = (), busy_targets: Collection[str] = ()
) -> list[StoredCallback]:
    """Return callbacks to send now, in the order of their facts: of each call and target only the oldest one.

    One that the customer's application has answered with an error `_HOLDING_ATTEMPTS` times holds the later ones back
    no longer: a broken status URL must not cost the hang-up.

    Args:
        busy_rows: Rows that are being sent.
        busy_targets: Targets that must not get another request now.
    """
    rows = session.execute(
        _DUE,
        {"now": now_wall_ms, "busy_rows": list(busy_rows), "busy_targets": list(busy_targets), "most": limit},
    )
    return [_stored(row) for row in rows]


def next_due_wall_ms(session: Session, busy_rows: Collection[int] = ()) -> int | None:
    """Return when the next waiting callback is due, or `None` when none waits."""
    next_ms: int | None = session.scalar(_NEXT_DUE, {"busy_rows": list(busy_rows)})
    return next_ms


def waiting_callbacks(session: Session) -> int:
    """Return how many callbacks wait to be delivered."""
    return session.scalar(select(func.count()).select_from(OutboxRow).where(OutboxRow.state == _PENDING)) or 0


def mark_sent(session: Session, row_id: int, outcome: str, now_wall_ms: int) -> None:
    """Record that the customer took a callback."""
    _finish(session, row_id, _SENT, outcome, now_wall_ms)


def mark_dead(session: Session, row_id: int, outcome: str, now_wall_ms: int) -> None:
    """Set a callback aside; `replay` brings it back."""
    _finish(session, row_id, _DEAD, outcome, now_wall_ms)


def mark_failed(session: Session, row_id: int, outcome: str, next_wall_ms: int) -> None:
    """Record a failed attempt and when the next one is due."""
    session.execute(
        update(OutboxRow)
        .where(OutboxRow.id == row_id)
        .values(attempts=OutboxRow.attempts + 1, outcome=outcome[:_OUTCOME_MAX_CHARS], next_wall_ms=next_wall_ms)
    )


def replay(session: Session, event_id: str, now_wall_ms: int, account_id: str = "") -> bool:
    """Send a finished callback again: same id, bytes and signatures; return whether there is one (of that account)."""
    owned = (OutboxRow.account_id == account_id,) if account_id else ()
    found = session.scalar(
        update(OutboxRow)
        .where(OutboxRow.event_id == event_id, OutboxRow.state.in_((_SENT, _DEAD)), *owned)
        .values(state=_PENDING, next_wall_ms=now_wall_ms, created_wall_ms=now_wall_ms, attempts=0)
        .returning(OutboxRow.id)
    )
    return found is not None


def find_callback(session: Session, account_id: str, event_id: str) -> StoredCallback | None:
    """Return one callback of an account, or `None`."""
    row = session.scalar(
        select(OutboxRow).where(OutboxRow.account_id == account_id, OutboxRow.event_id == event_id).limit(1)
    )
    return None if row is None else _stored(row)


def list_callbacks(
    session: Session, account_id: str, *, call_uuid: str = "", state: str = "", limit: int = 100
) -> list[StoredCallback]:
    """Return an account's callbacks, newest first; `state` is one of `STATES`."""
    query = select(OutboxRow).where(OutboxRow.account_id == account_id)
    if call_uuid:
        query = query.where(OutboxRow.call_uuid == call_uuid)
    if state:
        query = query.where(OutboxRow.state == state)
    return [_stored(row) for row in session.scalars(query.order_by(OutboxRow.id.desc()).limit(limit))]


def counts(session: Session) -> OutboxCounts:
    """Return the gauges of the outbox."""
    numbers = session.execute(select(OutboxRow.state, func.count()).group_by(OutboxRow.state)).all()
    by_state = {str(state): int(number) for state, number in numbers}
    return OutboxCounts(by_state.get(_PENDING, 0), by_state.get(_DEAD, 0))


def tidy(session: Session, now_wall_ms: int, keep_ms: int, account_max: int, longest_delay_ms: int) -> int:
    """Keep the table within bounds and return how many callbacks were set aside for that.

    Finished rows older than `keep_ms` go; of an account with more than `account_max` waiting callbacks the oldest are
    set aside; a due time that a step of the wall clock has moved out of reach is brought back.
    """
    session.execute(
        delete(OutboxRow).where(OutboxRow.state != _PENDING, OutboxRow.finished_wall_ms < now_wall_ms - keep_ms)
    )
    session.execute(
        update(OutboxRow)
        .where(OutboxRow.state == _PENDING, OutboxRow.next_wall_ms > now_wall_ms + longest_delay_ms)
        .values(next_wall_ms=now_wall_ms)
    )
    shed = 0
    crowded = session.execute(
        select(OutboxRow.account_id, func.count())
        .where(OutboxRow.state == _PENDING)
        .group_by(OutboxRow.account_id)
        .having(func.count() > account_max)
    ).all()
    for account_id, number in crowded:
        newest_shed = (
            select(OutboxRow.id)
            .where(OutboxRow.account_id == account_id, OutboxRow.state == _PENDING)
            .order_by(OutboxRow.id)
            .offset(number - account_max - 1)
            .limit(1)
        )
        session.execute(
            update(OutboxRow)
            .where(OutboxRow.account_id == account_id, OutboxRow.state == _PENDING)
            .where(OutboxRow.id <= newest_shed.scalar_subquery())
            .values(state=_DEAD, outcome="outbox is full", finished_wall_ms=now_wall_ms)
        )
        shed += number - account_max
    return shed


def _finish(session: Session, row_id: int, state: str, outcome: str, now_wall_ms: int) -> None:
    session.execute(
        _FINISH,
        {
            "of_row": row_id,
            "state": state,
            "outcome": outcome[:_OUTCOME_MAX_CHARS],
            "finished_wall_ms": now_wall_ms,
        },
    )


def _rendered(params: Mapping[str, str]) -> str:
    text = urlencode(list(params.items()), errors="replace")
    if len(text) <= _BODY_MAX_BYTES:
        return text
    cut = [(name[:128], value[:_CUT_VALUE_CHARS]) for name, value in list(params.items())[:_CUT_PARAMS_MAX]]
    # A character becomes at most 12 bytes of percent encoding; ASCII, the usual case, far less.
    while len(text := urlencode([*cut, ("Truncated", "true")], errors="replace")) > _BODY_MAX_BYTES:
        cut = [(name, value[: len(value) // 2]) for name, value in cut]
    return text


def _stored(row: OutboxRow | Row[Any]) -> StoredCallback:
    kind = row.kind.removesuffix(_PRIVATE)
    return StoredCallback(
        row_id=row.id,
        event_id=row.event_id,
        account_id=row.account_id,
        call_uuid=row.call_uuid,
        kind=kind.removesuffix(_JSON),
        url=row.url,
        method=row.method,
        target=row.target,
        pairs=tuple(parse_qsl(row.params, keep_blank_values=True)),
        created_wall_ms=row.created_wall_ms,
        attempts=row.attempts,
        state=row.state,
        outcome=row.outcome,
        next_wall_ms=row.next_wall_ms,
        is_private=row.kind.endswith(_PRIVATE),
        is_json=kind.endswith(_JSON),
    )
