"""Endpoints and their phones in the database: functions on a session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, delete, func, select, update

from ringback import clock
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.store import find_account, find_application, find_default_application, sealed, unsealed
from ringback.endpoints.endpoint import Endpoint, Login, Registration
from ringback.endpoints.models import BindingRow, EndpointRow
from ringback.endpoints.secrets import Secrets, secrets_of
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, AppId
from ringback.sip.flow import Transport
from ringback.sip.registrar import Binding
from ringback.storage.database import Session
from ringback.storage.statements import table_of

_ENDPOINTS, _BINDINGS = table_of(EndpointRow), table_of(BindingRow)
_BY_USERNAME = select(_ENDPOINTS).where(_ENDPOINTS.c.username == bindparam("of_username"))
_LIVE_BINDINGS = (
    select(_BINDINGS)
    .where(_BINDINGS.c.endpoint_id == bindparam("of_endpoint"), _BINDINGS.c.expires_wall_ms > bindparam("after"))
    .order_by(_BINDINGS.c.updated_wall_ms, _BINDINGS.c.id)
)


def create_endpoint(session: Session, endpoint: Endpoint, password: str) -> None:
    """Add an endpoint; without an application it gets the account's default application for endpoints.

    Raises:
        InvalidParameter: the account has no such application.
    """
    _check_application(session, endpoint.account_id, endpoint.app_id)
    default = None if endpoint.app_id else find_default_application(session, endpoint.account_id, for_endpoints=True)
    secrets = secrets_of(endpoint.username, password)
    session.add(
        EndpointRow(
            endpoint_id=endpoint.endpoint_id,
            account_id=endpoint.account_id,
            username=endpoint.username,
            secret_md5=sealed(secrets.md5),
            secret_sha256=sealed(secrets.sha256),
            alias=endpoint.alias,
            app_id=endpoint.app_id or (default.app_id if default else None),
        )
    )
    session.flush()


def update_endpoint(
    session: Session, account_id: AccountId, endpoint_id: str, changes: Mapping[str, str | None]
) -> None:
    """Change `password`, `alias` or `app_id` of an endpoint; an empty or absent `app_id` value detaches.

    Phones that are registered stay so under a new password, until they have to register again.

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
        secrets = secrets_of(row.username, password)
        row.secret_md5, row.secret_sha256 = sealed(secrets.md5), sealed(secrets.sha256)
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
    return None if row is None else _endpoint(row, _registrations(session, [row.endpoint_id]).get(row.endpoint_id))


def list_endpoints(session: Session, account_id: AccountId, limit: int, offset: int) -> tuple[Sequence[Endpoint], int]:
    """Return one page, newest first, and how many there are."""
    mine = EndpointRow.account_id == account_id
    total = session.scalar(select(func.count()).select_from(EndpointRow).where(mine)) or 0
    newest_first = select(EndpointRow).where(mine).order_by(EndpointRow.id.desc())
    rows = session.scalars(newest_first.limit(limit).offset(offset)).all()
    registrations = _registrations(session, [row.endpoint_id for row in rows])
    return [_endpoint(row, registrations.get(row.endpoint_id)) for row in rows], total


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


# ── phones ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def find_login(session: Session, username: str) -> Login | None:
    """Return what the credentials of a user are judged by; `None` when there is no such user, or its account is off."""
    row = session.execute(_BY_USERNAME, {"of_username": username}).first()
    account = None if row is None else find_account(session, row.account_id)
    if row is None or account is None or not account.is_enabled:
        return None
    secrets = Secrets(unsealed(row.secret_md5), unsealed(row.secret_sha256))
    return Login(row.endpoint_id, AccountId(row.account_id), row.username, secrets)


def is_username(session: Session, username: str) -> bool:
    """Return whether an endpoint of the node has this user name."""
    return session.execute(_BY_USERNAME, {"of_username": username}).first() is not None


def find_caller(session: Session, endpoint_id: str) -> tuple[Account, Application] | None:
    """Return whose application takes the calls that an endpoint makes, or `None` when none does."""
    row = session.scalars(select(EndpointRow).where(EndpointRow.endpoint_id == endpoint_id)).first()
    if row is None or row.app_id is None:
        return None
    account = find_account(session, row.account_id)
    application = find_application(session, AccountId(row.account_id), row.app_id)
    if account is None or application is None or not (account.is_enabled and application.is_enabled):
        return None
    return account, application


def bindings_of(session: Session, endpoint_id: str, now_wall_ms: int) -> tuple[Binding, ...]:
    """Return the phones that are registered as an endpoint, the one that was refreshed longest ago first."""
    rows = session.execute(_LIVE_BINDINGS, {"of_endpoint": endpoint_id, "after": now_wall_ms})
    return tuple(_binding(row) for row in rows)


def phones_of(session: Session, username: str, now_wall_ms: int) -> tuple[Binding, ...]:
    """Return the phones that ring for a user name, the preferred first; none when its account is off."""
    login = find_login(session, username)
    found = () if login is None else bindings_of(session, login.endpoint_id, now_wall_ms)
    return tuple(sorted(found, key=lambda binding: -binding.q))


def replace_bindings(session: Session, endpoint_id: str, bindings: Sequence[Binding]) -> None:
    """Make these the phones of an endpoint; what it had before is forgotten, expired ones too."""
    session.execute(delete(BindingRow).where(BindingRow.endpoint_id == endpoint_id))
    for binding in bindings:
        session.add(
            BindingRow(
                endpoint_id=endpoint_id,
                contact=binding.contact,
                expires_wall_ms=binding.expires_wall_ms,
                call_id=binding.call_id,
                cseq=binding.cseq,
                transport=binding.transport.value,
                received_host=binding.received[0],
                received_port=binding.received[1],
                q=binding.q,
                path="\n".join(binding.path),
                instance=binding.instance,
                reg_id=binding.reg_id,
                user_agent=binding.user_agent,
                updated_wall_ms=binding.updated_wall_ms,
            )
        )
    session.flush()


def drop_connection(session: Session, transport: Transport, received: tuple[str, int]) -> Sequence[str]:
    """Forget the phones behind a connection that has closed; return the ids of their endpoints."""
    behind_it = (
        BindingRow.transport == transport.value,
        BindingRow.received_host == received[0],
        BindingRow.received_port == received[1],
    )
    found = session.scalars(select(BindingRow.endpoint_id).where(*behind_it)).all()
    session.execute(delete(BindingRow).where(*behind_it))
    return found


def drop_expired(session: Session, now_wall_ms: int) -> Sequence[tuple[str, str]]:
    """Forget the phones whose time is over; return endpoint id and contact of each."""
    is_over = BindingRow.expires_wall_ms <= now_wall_ms
    found = session.execute(select(BindingRow.endpoint_id, BindingRow.contact).where(is_over)).all()
    session.execute(delete(BindingRow).where(is_over))
    return [(endpoint_id, contact) for endpoint_id, contact in found]


def registered_sources(session: Session, now_wall_ms: int, limit: int) -> Sequence[tuple[str, int]]:
    """Return the addresses that phones registered from, and until when; the last to expire if there are too many."""
    until = func.max(BindingRow.expires_wall_ms)
    rows = session.execute(
        select(BindingRow.received_host, until)
        .where(BindingRow.expires_wall_ms > now_wall_ms)
        .group_by(BindingRow.received_host)
        .order_by(until.desc())
        .limit(limit)
    )
    return [(host, expires) for host, expires in rows]


def count_registered(session: Session, now_wall_ms: int) -> int:
    """Return how many endpoints have a phone."""
    live = BindingRow.expires_wall_ms > now_wall_ms
    return session.scalar(select(func.count(func.distinct(BindingRow.endpoint_id))).where(live)) or 0


def _registrations(session: Session, endpoint_ids: Sequence[str]) -> dict[str, Registration]:
    """Return the phone that registered last, by endpoint."""
    rows = session.scalars(
        select(BindingRow)
        .where(BindingRow.endpoint_id.in_(endpoint_ids), BindingRow.expires_wall_ms > clock.wall_ms())
        .order_by(BindingRow.updated_wall_ms, BindingRow.id)
    )
    return {row.endpoint_id: Registration(row.contact, row.expires_wall_ms, row.user_agent) for row in rows}


def _binding(row: Row[Any]) -> Binding:
    return Binding(
        contact=row.contact,
        expires_wall_ms=row.expires_wall_ms,
        call_id=row.call_id,
        cseq=row.cseq,
        transport=Transport(row.transport),
        received=(row.received_host, row.received_port),
        q=row.q,
        path=tuple(row.path.split("\n")) if row.path else (),
        instance=row.instance,
        reg_id=row.reg_id,
        user_agent=row.user_agent,
        updated_wall_ms=row.updated_wall_ms,
    )


def _check_application(session: Session, account_id: AccountId, app_id: str | None) -> None:
    if app_id is not None and find_application(session, account_id, app_id) is None:
        raise InvalidParameter(f"app_id parameter is invalid: no application {app_id}", field="app_id")


def _row(session: Session, account_id: str, endpoint_id: str) -> EndpointRow | None:
    return session.scalars(
        select(EndpointRow).where(EndpointRow.account_id == account_id, EndpointRow.endpoint_id == endpoint_id)
    ).first()


def _endpoint(row: EndpointRow, registration: Registration | None) -> Endpoint:
    return Endpoint(
        endpoint_id=row.endpoint_id,
        account_id=AccountId(row.account_id),
        username=row.username,
        alias=row.alias,
        app_id=AppId(row.app_id) if row.app_id else None,
        registration=registration,
    )
