"""From a called number to the application that answers it."""

from __future__ import annotations

import pytest
from sqlalchemy import update

from ringback.accounts.application import Application
from ringback.accounts.models import AccountRow, ApplicationRow
from ringback.accounts.store import create_application, ensure_account
from ringback.ids import AccountId, AppId
from ringback.numbers.routing import application_for
from ringback.numbers.store import ensure_number
from ringback.storage.database import Database, Session

ME, OTHER = AccountId("MATESTTESTTESTTEST01"), AccountId("MATESTTESTTESTTEST02")
APP, REST = AppId("1" * 17), AppId("2" * 17)


@pytest.fixture
async def routed(database: Database) -> Database:
    def fill(session: Session) -> None:
        ensure_account(session, ME, "token")
        ensure_account(session, OTHER, "token")
        create_application(session, Application(APP, ME, "agent"))
        create_application(session, Application(REST, ME, "rest"))
        ensure_number(session, "15550001000", ME, APP)
        ensure_number(session, "15550003000", ME, None)
        ensure_number(session, "15550004000", OTHER, None)

    await database.write(fill)
    return database


async def found(database: Database, number: str, catch_all: bool = False) -> AppId | None:
    rest = (ME, REST) if catch_all else None
    result = await database.read(lambda session: application_for(session, number, rest))
    if result is None:
        return None
    account, application = result
    assert account.auth_id == application.account_id
    return application.app_id


@pytest.mark.parametrize("number", ["15550001000", "+15550001000"])
async def test_number_with_an_application(routed: Database, number: str) -> None:
    assert await found(routed, number) == APP
    assert await found(routed, number, catch_all=True) == APP


@pytest.mark.parametrize("number", ["15550003000", "15550009999", "alice", "", "\x00"])
async def test_the_rest_goes_to_the_catch_all_or_nowhere(routed: Database, number: str) -> None:
    assert await found(routed, number) is None
    assert await found(routed, number, catch_all=True) == REST


async def test_number_of_another_account_never_goes_to_the_catch_all(routed: Database) -> None:
    assert await found(routed, "15550004000", catch_all=True) is None


@pytest.mark.parametrize("table", [AccountRow, ApplicationRow])
async def test_disabled_account_or_application_answers_nothing(
    routed: Database, table: type[AccountRow] | type[ApplicationRow]
) -> None:
    await routed.write(lambda session: session.execute(update(table).values(is_enabled=False)) and None)
    assert await found(routed, "15550001000", catch_all=True) is None
