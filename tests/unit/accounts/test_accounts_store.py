"""Accounts and applications: made once, changed, found only by their owner."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ringback.accounts import store
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.models import AccountRow
from ringback.errors import NotFound
from ringback.ids import AccountId, AppId
from ringback.storage.database import Database, Session

ME, OTHER = AccountId("MATESTTESTTESTTEST01"), AccountId("MATESTTESTTESTTEST02")


def application(number: int, name: str = "agent", account_id: AccountId = ME, **fields: object) -> Application:
    return replace(Application(AppId(f"{number:017}"), account_id, name), **fields)  # type: ignore[arg-type]


@pytest.fixture
async def accounts(database: Database) -> Database:
    await database.write(lambda session: store.ensure_account(session, ME, "token", "Me", "Asia/Kolkata"))
    await database.write(lambda session: store.ensure_account(session, OTHER, "token"))
    return database


async def test_account_is_made_once_and_takes_a_new_token(accounts: Database) -> None:
    again = await accounts.write(lambda session: store.ensure_account(session, ME, "new-token", "Ignored", "UTC"))
    assert again == Account(ME, "new-token", "Me", "Asia/Kolkata")
    assert await accounts.read(lambda session: store.find_account(session, ME)) == again
    assert await accounts.read(lambda session: store.find_account(session, "MAUNKNOWN")) is None


async def test_account_never_shows_its_token() -> None:
    account = Account(ME, "the-secret-token", "Me")
    assert "the-secret-token" not in f"{account} {account!r} {[account]}"


async def test_account_changes(accounts: Database) -> None:
    changed = await accounts.write(
        lambda session: store.update_account(session, ME, {"name": "New", "city": "Munich", "auth_token": "stolen"})
    )
    assert (changed.name, changed.city, changed.auth_token) == ("New", "Munich", "token")
    with pytest.raises(NotFound):
        await accounts.write(lambda session: store.update_account(session, AccountId("MAUNKNOWN"), {"name": "x"}))


async def test_application_is_kept_whole(accounts: Database) -> None:
    made = application(
        1,
        answer_url="https://h.example/a",
        answer_method="GET",
        hangup_url="https://h.example/h",
        fallback_answer_url="https://h.example/f",
        message_url="https://h.example/m",
        has_public_uri=True,
        logs_incoming_messages=False,
    )
    await accounts.write(lambda session: store.create_application(session, made))
    assert await accounts.read(lambda session: store.find_application(session, ME, made.app_id)) == made
    assert await accounts.read(lambda session: store.find_application(session, OTHER, made.app_id)) is None


async def test_application_changes_only_what_is_named(accounts: Database) -> None:
    await accounts.write(lambda session: store.create_application(session, application(1, answer_method="GET")))
    changes = {"answer_url": "https://h.example/2", "app_id": "stolen", "account_id": OTHER}
    changed = await accounts.write(
        lambda session: store.update_application(session, ME, application(1).app_id, changes)
    )
    assert changed == application(1, answer_method="GET", answer_url="https://h.example/2")
    with pytest.raises(NotFound):
        await accounts.write(lambda session: store.update_application(session, OTHER, changed.app_id, changes))


async def test_one_default_for_numbers_per_account(accounts: Database) -> None:
    for number, owner in ((1, ME), (2, ME), (3, OTHER)):
        made = application(number, account_id=owner, is_default_for_numbers=True)
        await accounts.write(lambda session, made=made: store.create_application(session, made))
    default = await accounts.read(lambda session: store.find_default_application(session, ME))
    assert default is not None
    assert default.app_id == application(2).app_id
    await accounts.write(
        lambda session: store.update_application(session, ME, application(1).app_id, {"is_default_for_numbers": True})
    )
    pages = await accounts.read(lambda session: store.list_applications(session, ME))
    assert [(entry.app_id, entry.is_default_for_numbers) for entry in pages[0]] == [
        (application(2).app_id, False),
        (application(1).app_id, True),
    ]
    other = await accounts.read(lambda session: store.find_default_application(session, OTHER))
    assert other is not None
    assert other.app_id == application(3).app_id


async def test_ensured_application_is_found_by_name(accounts: Database) -> None:
    first = await accounts.write(lambda session: store.ensure_application(session, application(1)))
    again = await accounts.write(
        lambda session: store.ensure_application(session, application(2, answer_url="https://h.example/2"))
    )
    assert again.app_id == first.app_id
    assert again.answer_url == "https://h.example/2"
    assert (await accounts.read(lambda session: store.list_applications(session, ME)))[1] == 1


async def test_pages_are_newest_first(accounts: Database) -> None:
    for number in range(5):
        made = application(number, f"app-{number}")
        await accounts.write(lambda session, made=made: store.create_application(session, made))
    found, total = await accounts.read(lambda session: store.list_applications(session, ME, limit=2, offset=1))
    assert ([entry.name for entry in found], total) == (["app-3", "app-2"], 5)
    found, total = await accounts.read(lambda session: store.list_applications(session, ME, name="app-1"))
    assert ([entry.name for entry in found], total) == (["app-1"], 1)


async def test_deletion(accounts: Database) -> None:
    await accounts.write(lambda session: store.create_application(session, application(1)))
    app_id = application(1).app_id
    assert await accounts.write(lambda session: store.delete_application(session, OTHER, app_id)) is False
    assert await accounts.write(lambda session: store.delete_application(session, ME, app_id)) is True
    assert await accounts.write(lambda session: store.delete_application(session, ME, app_id)) is False


def test_hangup_url_falls_back_to_the_answer_url() -> None:
    plain = application(1, answer_url="https://h.example/a", answer_method="GET", hangup_method="POST")
    assert (plain.effective_hangup_url, plain.effective_hangup_method) == ("https://h.example/a", "GET")
    own = replace(plain, hangup_url="https://h.example/h")
    assert (own.effective_hangup_url, own.effective_hangup_method) == ("https://h.example/h", "POST")


def test_sealing_can_be_undone() -> None:
    assert store.unsealed(store.sealed("token")) == "token"


async def test_a_subaccount_signs_for_both_and_is_off_with_its_main_account(database: Database) -> None:
    def work(session: Session) -> None:
        main = store.ensure_account(session, "MA000000000000000001", "main-token", timezone="Asia/Kolkata")
        store.create_subaccount(session, main, "SA000000000000000001", "sub-token", "s", True)
        found = store.find_account(session, "SA000000000000000001")
        assert found is not None
        assert (found.auth_token, found.main_tokens, found.main_auth_id) == (
            "sub-token",
            ("main-token",),
            "MA000000000000000001",
        )
        assert (found.timezone, found.is_enabled, found.is_deleted) == ("Asia/Kolkata", True, False)
        assert "token" not in repr(found)
        row = session.get(AccountRow, "MA000000000000000001")
        assert row is not None
        row.is_enabled = False
        session.flush()
        found = store.find_account(session, "SA000000000000000001")
        assert found is not None
        assert not found.is_enabled

    await database.write(work)


async def test_a_deleted_subaccount_is_remembered_by_its_id_alone(database: Database) -> None:
    def work(session: Session) -> None:
        main = store.ensure_account(session, "MA000000000000000001", "main-token")
        store.create_subaccount(session, main, "SA000000000000000001", "sub-token", "s", True)
        assert not store.delete_subaccount(session, "MA000000000000000002", "SA000000000000000001", cascade=True)
        assert store.delete_subaccount(session, main.auth_id, "SA000000000000000001", cascade=True)
        assert not store.delete_subaccount(session, main.auth_id, "SA000000000000000001", cascade=True)
        assert store.find_subaccount(session, main.auth_id, "SA000000000000000001") is None
        assert store.list_subaccounts(session, main.auth_id, 20, 0) == ([], 0)
        gone = store.find_account(session, "SA000000000000000001")
        assert gone is not None
        assert (gone.is_enabled, gone.is_deleted) == (False, True)

    await database.write(work)
