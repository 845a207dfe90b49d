"""Endpoints in the database: whose they are, which application they have, what becomes of them."""

from __future__ import annotations

import pytest

from ringback.accounts.application import Application
from ringback.accounts.store import create_application, create_subaccount, ensure_account
from ringback.endpoints import store
from ringback.endpoints.endpoint import Endpoint
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, AppId
from ringback.storage.database import Database, Session

MAIN, SUB = AccountId("MA000000000000000001"), AccountId("SA000000000000000001")
APP, DEFAULT = AppId("11111111111111111"), AppId("22222222222222222")


def endpoint(number: int, account_id: AccountId = MAIN, app_id: AppId | None = None) -> Endpoint:
    return Endpoint(f"{number:014}", account_id, f"user{number:012}", "secret", f"e{number}", app_id)


def fill(session: Session) -> None:
    main = ensure_account(session, MAIN, "token")
    create_subaccount(session, main, SUB, "token", "s", True)
    create_application(session, Application(APP, MAIN, "a"))
    create_application(session, Application(DEFAULT, MAIN, "d", is_default_for_endpoints=True))


async def test_an_endpoint_is_found_by_its_account_alone(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP))
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
        store.create_endpoint(session, endpoint(1))
        store.create_endpoint(session, endpoint(2, SUB))
        with pytest.raises(InvalidParameter, match="no application 333"):
            store.create_endpoint(session, endpoint(3, app_id=AppId("333")))
        with pytest.raises(InvalidParameter):
            store.create_endpoint(session, endpoint(4, SUB, APP))
        assert [each.app_id for each in store.list_endpoints(session, MAIN, 20, 0)[0]] == [DEFAULT]
        assert [each.app_id for each in store.list_endpoints(session, SUB, 20, 0)[0]] == [None]

    await database.write(work)


async def test_changes_keep_what_is_not_named(database: Database) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP))
        store.update_endpoint(session, MAIN, f"{1:014}", {"password": "other"})
        found = store.find_endpoint(session, MAIN, f"{1:014}")
        assert found is not None
        assert (found.password, found.alias, found.app_id) == ("other", "e1", APP)
        store.update_endpoint(session, MAIN, f"{1:014}", {"app_id": None, "alias": "desk"})
        found = store.find_endpoint(session, MAIN, f"{1:014}")
        assert found is not None
        assert (found.password, found.alias, found.app_id) == ("other", "desk", None)
        assert "other" not in repr(found)

    await database.write(work)


@pytest.mark.parametrize("cascade", [True, False])
async def test_leaving_an_application_or_a_subaccount(database: Database, cascade: bool) -> None:
    def work(session: Session) -> None:
        fill(session)
        store.create_endpoint(session, endpoint(1, app_id=APP))
        store.create_endpoint(session, endpoint(2, SUB))
        store.leave_application(session, APP, DEFAULT, cascade=cascade)
        store.leave_subaccount(session, SUB, MAIN, cascade=cascade)
        session.expire_all()
        left, _ = store.list_endpoints(session, MAIN, 20, 0)
        assert [(each.alias, each.app_id) for each in left] == ([] if cascade else [("e2", None), ("e1", DEFAULT)])

    await database.write(work)
