"""Endpoints in the database: whose they are, which application they have, what becomes of them."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from ringback import clock
from ringback.accounts.application import Application
from ringback.accounts.models import AccountRow
from ringback.accounts.store import create_application, create_subaccount, ensure_account
from ringback.endpoints import store
from ringback.endpoints.endpoint import Endpoint, Registration
from ringback.endpoints.secrets import secrets_of
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, AppId
from ringback.sip.flow import Transport
from ringback.sip.registrar import Binding
from ringback.storage.database import Database, Session

MAIN, SUB = AccountId("MA000000000000000001"), AccountId("SA000000000000000001")
APP, DEFAULT = AppId("11111111111111111"), AppId("22222222222222222")


def endpoint(number: int, account_id: AccountId = MAIN, app_id: AppId | None = None) -> Endpoint:
    return Endpoint(f"{number:014}", account_id, f"user{number:012}", f"e{number}", app_id)


def fill(session: Session) -> None:
    main = ensure_account(session, MAIN, "token")
    create_subaccount(session, main, SUB, "token", "s", True)
    create_application(session, Application(APP, MAIN, "a"))
    create_application(session, Application(DEFAULT, MAIN, "d", is_default_for_endpoints=True))


async def test_an_endpoint_is_found_by_its_account_alone(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP), "secret")
        assert store.find_endpoint(session, MAIN, f"{1:014}") == endpoint(1, app_id=APP)
        assert store.find_endpoint(session, SUB, f"{1:014}") is None
        assert store.list_endpoints(session, SUB, 20, 0) == ([], 0)
        assert not store.delete_endpoint(session, SUB, f"{1:014}")
        with pytest.raises(NotFound):
            store.update_endpoint(session, SUB, f"{1:014}", {"alias": "x"})
        assert store.delete_endpoint(session, MAIN, f"{1:014}")
        assert not store.delete_endpoint(session, MAIN, f"{1:014}")

    await database.write(work)


async def test_without_an_application_it_gets_the_default_one(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1), "secret")
        store.create_endpoint(session, endpoint(2, SUB), "secret")
        with pytest.raises(InvalidParameter, match="no application 333"):
            store.create_endpoint(session, endpoint(3, app_id=AppId("333")), "secret")
        with pytest.raises(InvalidParameter):
            store.create_endpoint(session, endpoint(4, SUB, APP), "secret")
        assert [each.app_id for each in store.list_endpoints(session, MAIN, 20, 0)[0]] == [DEFAULT]
        assert [each.app_id for each in store.list_endpoints(session, SUB, 20, 0)[0]] == [None]

    await database.write(work)


async def test_changes_keep_what_is_not_named(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP), "secret")
        store.update_endpoint(session, MAIN, f"{1:014}", {"password": "other"})
        found = store.find_endpoint(session, MAIN, f"{1:014}")
        assert found is not None
        assert (found.alias, found.app_id) == ("e1", APP)
        login = store.find_login(session, found.username)
        assert login is not None
        assert login.secrets == secrets_of(found.username, "other")
        assert login.secrets.md5 not in repr(login)
        store.update_endpoint(session, MAIN, f"{1:014}", {"app_id": None, "alias": "desk"})
        found = store.find_endpoint(session, MAIN, f"{1:014}")
        assert found is not None
        assert (found.alias, found.app_id) == ("desk", None)
        assert store.find_login(session, found.username) == login

    await database.write(work)


@pytest.mark.parametrize("cascade", [True, False])
async def test_leaving_an_application_or_a_subaccount(database: Database, cascade: bool) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP), "secret")
        store.create_endpoint(session, endpoint(2, SUB), "secret")
        store.leave_application(session, APP, DEFAULT, cascade=cascade)
        store.leave_subaccount(session, SUB, MAIN, cascade=cascade)
        session.expire_all()
        left, _ = store.list_endpoints(session, MAIN, 20, 0)
        assert [(each.alias, each.app_id) for each in left] == ([] if cascade else [("e2", None), ("e1", DEFAULT)])

    await database.write(work)


def phone(contact: str, *, expires_in_s: int = 60, q: int = 1000, port: int = 40000) -> Binding:
    now = clock.wall_ms()
    return Binding(
        contact,
        now + expires_in_s * 1000,
        "call-1",
        7,
        Transport.TCP,
        ("192.0.2.1", port),
        q,
        ("<sip:edge;lr>", "<sip:core;lr>"),
        "urn:uuid:1",
        2,
        "desk phone/1",
        now,
    )


async def test_phones_are_kept_whole_and_shown_until_their_time_is_over(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1), "secret")
        endpoint_id, username, now = f"{1:014}", f"user{1:012}", clock.wall_ms()
        first, second = phone("sip:a@192.0.2.1", q=300), phone("sip:b@192.0.2.1", port=40001)
        over = phone("sip:c@192.0.2.1", expires_in_s=-1)
        store.replace_bindings(session, endpoint_id, (first, second, over))
        assert store.bindings_of(session, endpoint_id, now) == (first, second)
        assert store.phones_of(session, username, now) == (second, first)
        assert store.phones_of(session, "nobody", now) == ()
        assert store.count_registered(session, now) == 1
        assert store.registered_sources(session, now, 5) == [
            ("192.0.2.1", max(first.expires_wall_ms, second.expires_wall_ms))
        ]
        found = store.find_endpoint(session, MAIN, endpoint_id)
        assert found is not None
        assert found.registration == Registration(second.contact, second.expires_wall_ms, "desk phone/1")
        assert store.list_endpoints(session, MAIN, 20, 0)[0] == [found]
        assert store.drop_expired(session, now) == [(endpoint_id, "sip:c@192.0.2.1")]
        assert store.drop_connection(session, Transport.TCP, ("192.0.2.1", 40001)) == [endpoint_id]
        assert store.bindings_of(session, endpoint_id, now) == (first,)
        store.delete_endpoint(session, MAIN, endpoint_id)
        assert store.count_registered(session, now) == 0

    await database.write(work)


async def test_endpoints_of_a_disabled_account_neither_log_in_nor_ring_nor_call(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP), "secret")
        username = f"user{1:012}"
        store.replace_bindings(session, f"{1:014}", (phone("sip:a@192.0.2.1"),))
        caller = store.find_caller(session, f"{1:014}")
        assert caller is not None
        assert (caller[0].auth_id, caller[1].app_id) == (MAIN, APP)
        assert store.is_username(session, username)
        assert not store.is_username(session, "user")
        session.execute(update(AccountRow).values(is_enabled=False))
        assert store.find_login(session, username) is None
        assert store.phones_of(session, username, clock.wall_ms()) == ()
        assert store.find_caller(session, f"{1:014}") is None
        assert store.find_caller(session, "none") is None

    await database.write(work)
