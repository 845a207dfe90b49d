"""Call records in the database: every filter, any combination of them, and pages, against a plain model."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from ringback.accounts.store import ensure_account
from ringback.calls import store
from ringback.calls.models import CallRow
from ringback.calls.views import After, Bound, CallDirection, CdrFilters, Comparison
from ringback.storage.database import Database

MA = "MADEVDEVDEVDEVDEVDEV"
CALLS = 60


def row(number: int) -> dict[str, Any]:
    is_answered = number % 3 > 0
    return {
        "call_uuid": f"call-{number:02}",
        "account_id": MA,
        "direction": ("inbound", "outbound")[number % 2],
        "from_number": ("14150001", "14160002", "sip:a@b")[number % 3],
        "to_number": ("15550001", "15550002")[number % 2],
        "parent_call_uuid": ("", "parent")[number % 5 == 0],
        "state": "ended",
        # Pairs have the same time: the id decides their order.
        "initiated_wall_ms": 1_000 * (number // 2),
        "answered_wall_ms": 1_000 * number if is_answered else None,
        "ended_wall_ms": 100_000 + 1_000 * number,
        "bill_duration_s": number if is_answered else 0,
        "hangup_code": (4000, 3010)[number % 2],
        "hangup_source": ("Caller", "API Request")[number % 2],
    }


@pytest.fixture
async def database(database: Database) -> Database:
    def fill(session: Any) -> None:
        ensure_account(session, MA, "token")
        ensure_account(session, "MA000000000000000001", "other")
        for number in range(CALLS):
            session.add(CallRow(**row(number)))
        session.add(CallRow(**{**row(0), "call_uuid": "foreign", "account_id": "MA000000000000000001"}))
        session.add(CallRow(**{**row(0), "call_uuid": "live", "ended_wall_ms": None}))

    await database.write(fill)
    return database


FILTERS: dict[str, tuple[Any, Any]] = {
    "direction": (CallDirection.INBOUND, lambda each: each["direction"] == "inbound"),
    "from_number": ("1415", lambda each: each["from_number"].startswith("1415")),
    "to_number": ("+15550001", lambda each: each["to_number"] == "15550001"),
    "parent_call_uuid": ("parent", lambda each: each["parent_call_uuid"] == "parent"),
    "bill_duration_s": (
        (Bound(Comparison.GREATER, 3), Bound(Comparison.AT_MOST, 50)),
        lambda each: 3 < each["bill_duration_s"] <= 50,
    ),
    "ended_wall_ms": (
        (Bound(Comparison.AT_LEAST, 105_000), Bound(Comparison.LESS, 150_000)),
        lambda each: 105_000 <= each["ended_wall_ms"] < 150_000,
    ),
    "hangup_cause_code": (4000, lambda each: each["hangup_code"] == 4000),
    "hangup_source": ("caller", lambda each: each["hangup_source"] == "Caller"),
    "stir_verification": ("Not Applicable", lambda _each: True),
}


def expected(*names: str) -> list[str]:
    fitting = [row(number) for number in range(CALLS)]
    fitting = [each for each in fitting if all(FILTERS[name][1](each) for name in names)]
    return [
        each["call_uuid"] for each in sorted(fitting, key=lambda one: (-one["initiated_wall_ms"], one["call_uuid"]))
    ]


async def test_any_combination_of_filters_finds_what_fits_all_newest_first(database: Database) -> None:
    for size in range(len(FILTERS) + 1):
        for names in combinations(FILTERS, size):
            filters = CdrFilters(**{name: FILTERS[name][0] for name in names})
            records, total = await database.read(lambda session: store.list_records(session, MA, filters, 100, 0))  # noqa: B023 - awaited in the turn
            assert [record.call_uuid for record in records] == expected(*names), names
            assert total == len(records)


async def test_pages_by_offset_and_by_cursor_give_the_whole_list_once(database: Database) -> None:
    filters = CdrFilters(direction=CallDirection.OUTBOUND)
    by_offset: list[str] = []
    for offset in range(0, CALLS, 7):
        records, total = await database.read(lambda session: store.list_records(session, MA, filters, 7, offset))  # noqa: B023 - awaited in the turn
        by_offset += [record.call_uuid for record in records]
        assert total == 30
    by_cursor: list[str] = []
    behind = filters
    while True:
        records, total = await database.read(lambda session: store.list_records(session, MA, behind, 7, 0))  # noqa: B023 - awaited in the turn
        assert total == 30, "what stands before the page is counted all the same"
        if not records:
            break
        by_cursor += [record.call_uuid for record in records]
        behind = replace(filters, after=After(records[-1].initiated_wall_ms, records[-1].call_uuid))
    wanted = [uuid for uuid in expected() if int(uuid[5:]) % 2]
    assert by_offset == by_cursor == wanted


@pytest.mark.parametrize("verification", ["Verified", "Not Verified"])
async def test_no_call_is_verified(database: Database, verification: str) -> None:
    filters = CdrFilters(stir_verification=verification)
    assert await database.read(lambda session: store.list_records(session, MA, filters, 20, 0)) == ([], 0)
