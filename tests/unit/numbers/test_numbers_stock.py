"""What a stock of numbers has, and which of them a search finds."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.numbers.countries import COUNTRIES
from ringback.numbers.stock import (
    BLOCKS_MAX,
    NUMBERS_MAX,
    Block,
    Stock,
    Wanted,
    country_code,
    find,
    read_range,
)

SAN_FRANCISCO = Block("14155550100", "14155550109", "US", region="California", city="San Francisco", lata="722")
TOLL_FREE = Block("18885550100", "18885550100", "US", kind="tollfree")
BERLIN = Block("493012345", "493012349", "DE", region="BE", city="Berlin", rate_center="BLN CTR")
NATIONAL = Block("4932221000", "4932221001", "DE", kind="national")
STOCK = Stock([NATIONAL, BERLIN, SAN_FRANCISCO, TOLL_FREE])


def found(wanted: Wanted, taken: frozenset[str] = frozenset(), limit: int = 20, offset: int = 0) -> list[str]:
    return [number for number, _ in find(STOCK.blocks_for(wanted), wanted, taken, limit, offset)[0]]


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        (Wanted("US"), 11),
        (Wanted("FR"), 0),
        (Wanted("US", kind="tollfree"), 1),
        (Wanted("US", kind="mobile"), 0),
        (Wanted("DE", kind="local"), 5),
        (Wanted("DE", kind="fixed"), 7),
        (Wanted("US", digits="415"), 10),
        (Wanted("US", digits="4155550105"), 1),
        (Wanted("US", digits="555"), 0),
        (Wanted("DE", digits="30"), 5),
        (Wanted("US", region="california"), 10),
        (Wanted("US", region="ifor"), 10),
        (Wanted("US", region="CA"), 0),
        (Wanted("DE", region="be"), 5),
        (Wanted("DE", region="b"), 0),
        (Wanted("US", city="san francisco"), 10),
        (Wanted("US", lata="722"), 10),
        (Wanted("US", lata="7"), 0),
        (Wanted("DE", rate_center="bln ctr"), 5),
        (Wanted("DE", rate_center="bln"), 0),
    ],
)
def test_a_search_finds_what_it_asks_for(wanted: Wanted, count: int) -> None:
    assert len(found(wanted)) == count
    assert find(STOCK.blocks_for(wanted), wanted, frozenset(), 20, 0)[1] == count


def test_taken_numbers_are_not_found_and_pages_join() -> None:
    wanted, taken = Wanted("US"), frozenset({"14155550100", "14155550104"})
    everything = found(wanted, taken)
    assert everything[:4] == ["14155550101", "14155550102", "14155550103", "14155550105"]
    assert found(wanted, taken, limit=4) + found(wanted, taken, limit=4, offset=4) == everything[:8]
    assert find(STOCK.blocks_for(wanted), wanted, taken, 4, 8) == ([("18885550100", TOLL_FREE)], 9)
    assert found(wanted, taken, offset=9) == []


def test_a_number_is_in_its_block_alone() -> None:
    assert STOCK.block_of("493012347") is BERLIN
    assert STOCK.block_of("18885550100") is TOLL_FREE
    for number in ("493012350", "49301234", "4930123450", "", "x"):
        assert STOCK.block_of(number) is None


def test_leading_zeros_of_a_range_stay() -> None:
    block = Block("0100", "0102", "US")
    assert list(block.numbers()) == ["0100", "0101", "0102"]
    assert len(block) == 3


def test_a_number_stands_once() -> None:
    with pytest.raises(ValueError, match="14155550109 stands twice"):
        Stock([SAN_FRANCISCO, Block("14155550109", "14155550120", "US")])


def test_a_stock_has_its_bounds() -> None:
    whole = Block("14150000000", f"1415{NUMBERS_MAX - 1:07d}", "US")
    assert len(Stock([whole]).blocks[0]) == NUMBERS_MAX
    with pytest.raises(ValueError, match=f"has {NUMBERS_MAX + 1} numbers in 2 ranges"):
        Stock([whole, TOLL_FREE])
    singles = [Block(f"1415{each:07d}", f"1415{each:07d}", "US") for each in range(BLOCKS_MAX + 1)]
    assert len(Stock(singles[1:]).blocks) == BLOCKS_MAX
    with pytest.raises(ValueError, match=f"in {BLOCKS_MAX + 1} ranges"):
        Stock(singles)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+14155550100", ("14155550100", "14155550100")),
        ("4930123450..4930123499", ("4930123450", "4930123499")),
        ("+49 30 123450 ... +49 30 123499", ("4930123450", "4930123499")),
        ("1415-555-0100 .. 1415-555-0100", ("14155550100", "14155550100")),
    ],
)
def test_ranges_are_read(text: str, expected: tuple[str, str]) -> None:
    assert read_range(text) == expected


@pytest.mark.parametrize("text", ["", "x", "..", "100..", "100..99", "100..1000", "100..101..102", "1" * 21])
def test_what_is_no_range_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape("expected a number, or FIRST..LAST of as many digits")):
        read_range(text)


@given(st.text())
def test_any_text_is_a_range_or_refused(text: str) -> None:
    try:
        first, last = read_range(text)
    except ValueError:
        return
    assert len(first) == len(last)
    assert first <= last


def test_north_america_has_one_country_code() -> None:
    assert (country_code("US"), country_code("PR"), country_code("JM"), country_code("DE")) == ("1", "1", "1", "49")
    assert all(country_code(country).isdigit() for country in COUNTRIES)
