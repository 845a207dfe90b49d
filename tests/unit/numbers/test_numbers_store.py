"""Phone numbers belong to one account and lead to one application."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.accounts.application import Application
from ringback.accounts.store import create_application, delete_application, ensure_account
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import AccountId, AppId
from ringback.numbers import store
from ringback.numbers.models import PhoneNumber
from ringback.numbers.stock import Block
from ringback.storage.database import Database, Session

ME, OTHER = AccountId("MATESTTESTTESTTEST01"), AccountId("MATESTTESTTESTTEST02")
APP, FOREIGN_APP = AppId("1" * 17), AppId("2" * 17)


@pytest.fixture
async def numbers(database: Database) -> Database:
    def fill(session: Session) -> None:
        for account_id, app_id in ((ME, APP), (OTHER, FOREIGN_APP)):
            ensure_account(session, account_id, "token")
            create_application(session, Application(app_id, account_id, "agent"))

    await database.write(fill)
    return database


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+14151234567", "14151234567"),
        (" 1 (415) 123-45.67 ", "14151234567"),
        ("100", "100"),
        ("1" * 20, "1" * 20),
        ("1" * 21, None),
        ("10", None),
        ("", None),
        ("+", None),
        ("++123", None),
        ("12a4", None),
        ("٣٣٣٣", None),
        ("sip:123@h", None),
    ],
)
def test_spellings(text: str, digits: str | None) -> None:
    assert store.normalised(text) == digits


@given(st.text())
def test_any_text_is_normalised_or_none(text: str) -> None:
    digits = store.normalised(text)
    assert digits is None or store.normalised(f"+{digits}") == digits


async def test_number_is_kept_whole(numbers: Database) -> None:
    wanted = PhoneNumber("14151234567", ME, APP, "desk", "acme", "US", "tollfree")
    added = await numbers.write(lambda session: store.add_number(session, wanted))
    assert added.added_wall_ms > 0
    assert await numbers.read(lambda session: store.find_number(session, ME, "14151234567")) == added
    assert (added.app_id, added.alias, added.carrier) == (APP, "desk", "acme")
    assert (added.region, added.number_type) == ("US", "tollfree")
    assert await numbers.read(lambda session: store.find_number(session, OTHER, "14151234567")) is None


async def test_adding_again_keeps_what_is_not_said(numbers: Database) -> None:
    await numbers.write(lambda session: store.add_number(session, PhoneNumber("100", ME, APP, carrier="acme")))
    again = await numbers.write(lambda session: store.add_number(session, PhoneNumber("100", ME, region="US")))
    assert (again.app_id, again.carrier, again.region) == (APP, "acme", "US")
    assert (await numbers.read(lambda session: store.list_numbers(session, ME)))[1] == 1


async def test_number_of_another_account_is_refused(numbers: Database) -> None:
    await numbers.write(lambda session: store.ensure_number(session, "100", ME, APP))
    with pytest.raises(InvalidParameter, match="100 belongs to another account"):
        await numbers.write(lambda session: store.ensure_number(session, "100", OTHER, None))


async def test_application_of_another_account_is_refused(numbers: Database) -> None:
    with pytest.raises(InvalidParameter, match="no application 2222"):
        await numbers.write(lambda session: store.ensure_number(session, "100", ME, FOREIGN_APP))
    await numbers.write(lambda session: store.ensure_number(session, "100", ME, APP))
    with pytest.raises(InvalidParameter, match="no application 2222"):
        await numbers.write(lambda session: store.update_number(session, ME, "100", {"app_id": FOREIGN_APP}))


@pytest.mark.parametrize("nothing", [None, ""])
async def test_detaching(numbers: Database, nothing: str | None) -> None:
    await numbers.write(lambda session: store.ensure_number(session, "100", ME, APP))
    changed = await numbers.write(lambda session: store.update_number(session, ME, "100", {"alias": "desk"}))
    assert (changed.app_id, changed.alias) == (APP, "desk")
    changed = await numbers.write(lambda session: store.update_number(session, ME, "100", {"app_id": nothing}))
    assert (changed.app_id, changed.alias) == (None, "desk")
    with pytest.raises(NotFound):
        await numbers.write(lambda session: store.update_number(session, OTHER, "100", {"alias": "x"}))


async def test_deleted_application_leaves_its_numbers_behind(numbers: Database) -> None:
    await numbers.write(lambda session: store.ensure_number(session, "100", ME, APP))
    await numbers.write(lambda session: delete_application(session, ME, APP))
    found = await numbers.read(lambda session: store.find_number(session, ME, "100"))
    assert found is not None
    assert found.app_id is None


async def test_removal_by_the_owner_alone(numbers: Database) -> None:
    await numbers.write(lambda session: store.ensure_number(session, "100", ME, APP))
    assert await numbers.write(lambda session: store.delete_number(session, OTHER, "100")) is False
    assert await numbers.write(lambda session: store.delete_number(session, ME, "100")) is True
    assert await numbers.write(lambda session: store.delete_number(session, ME, "100")) is False


async def test_lists_are_filtered_and_paged(numbers: Database) -> None:
    def fill(session: Session) -> None:
        for number, alias, kind in (("100", "a", "local"), ("101", "b", "local"), ("200", "b", "tollfree")):
            store.add_number(session, PhoneNumber(number, ME, alias=alias, number_type=kind))

    await numbers.write(fill)

    async def listed(**filters: object) -> tuple[list[str], int]:
        found, total = await numbers.read(lambda session: store.list_numbers(session, ME, **filters))  # type: ignore[arg-type]
        return [entry.number for entry in found], total

    assert await listed() == (["200", "101", "100"], 3)
    assert await listed(limit=1, offset=1) == (["101"], 3)
    assert await listed(starts_with="10") == (["101", "100"], 2)
    assert await listed(starts_with="%") == ([], 0)
    assert await listed(alias="b", number_type="tollfree") == (["200"], 1)


async def test_a_number_of_the_stock_is_taken_once_and_free_again_when_it_is_given_back(numbers: Database) -> None:
    block = Block("14151234560", "14151234569", "US")
    mine = PhoneNumber("14151234567", ME, APP)
    await numbers.write(lambda session: store.take_number(session, mine))
    others = ("14151234560", "14151234570", "141512345600", "1415123456")
    for other in others:
        await numbers.write(lambda session, other=other: store.ensure_number(session, other, OTHER, None))
    taken = await numbers.read(lambda session: store.taken_numbers(session, [block]))
    assert taken == {"14151234560", "14151234567"}
    for account in (ME, OTHER):
        again = PhoneNumber("14151234567", account)
        with pytest.raises(NotFound, match="number not available"):
            await numbers.write(lambda session, again=again: store.take_number(session, again))
    assert (await numbers.read(lambda session: store.find_number(session, ME, "14151234567"))).app_id == APP  # type: ignore[union-attr]
    await numbers.write(lambda session: store.delete_number(session, ME, "14151234567"))
    theirs = PhoneNumber("14151234567", OTHER)
    assert (await numbers.write(lambda session: store.take_number(session, theirs))).account_id == OTHER
