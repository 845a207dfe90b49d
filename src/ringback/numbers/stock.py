"""Numbers of the operator's that accounts may take: blocks of numbers, and which of them a search wants. Pure.

The stock says what there is; who has a number stands in the table of numbers alone, so that nothing can disagree.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from ringback.numbers.countries import COUNTRIES
from ringback.numbers.digits import normalised

NUMBERS_MAX = 20_000
"""Numbers of a stock: a search without filters looks at all of them."""
BLOCKS_MAX = 200
KINDS = ("local", "national", "mobile", "tollfree")
_FIXED = ("local", "national")
_CONTAINED_MIN_CHARS = 3


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive numbers of as many digits, and what is known about them."""

    first: str
    last: str
    country: str
    """ISO 3166-1 alpha-2."""
    kind: str = "local"
    region: str = ""
    city: str = ""
    carrier: str = ""
    prefix: str = ""
    """Area code."""
    lata: str = ""
    rate_center: str = ""

    def __len__(self) -> int:
        return int(self.last) - int(self.first) + 1

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and len(number) == len(self.first) and self.first <= number <= self.last

    @property
    def country_code(self) -> str:
        """Return the digits with which numbers of the country begin."""
        return country_code(self.country)

    @property
    def country_name(self) -> str:
        """Return the country's English name."""
        return COUNTRIES[self.country][0]

    @property
    def is_fixed(self) -> bool:
        """Return whether the numbers are of a landline."""
        return self.kind in _FIXED

    def numbers(self) -> Iterator[str]:
        """Yield the numbers in ascending order."""
        width = len(self.first)
        return (f"{value:0{width}}" for value in range(int(self.first), int(self.last) + 1))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a search asks for; empty is anything."""

    country: str
    kind: str = ""
    """One of `KINDS`, or `fixed`: both local and national ones."""
    digits: str = ""
    """With which digits after the country's a number must begin."""
    region: str = ""
    city: str = ""
    lata: str = ""
    rate_center: str = ""

    def has(self, block: Block) -> bool:
        """Return whether a block may have numbers that are wanted."""
        return (
            block.country == self.country
            and (self.kind in ("", block.kind) or (self.kind == "fixed" and block.is_fixed))
            and _is_named(self.region, block.region)
            and _is_named(self.city, block.city)
            and self.lata in ("", block.lata)
            and self.rate_center.casefold() in ("", block.rate_center.casefold())
        )


class Stock:
    """The blocks of a node, of which no number is in two."""

    def __init__(self, blocks: Sequence[Block] = ()) -> None:
        """Take the blocks.

        Raises:
            ValueError: there are too many, or a number is in two of them.
        """
        total = sum(map(len, blocks))
        if total > NUMBERS_MAX or len(blocks) > BLOCKS_MAX:
            raise ValueError(
                f"[[number_stock]] has {total} numbers in {len(blocks)} ranges, "
                f"expected at most {NUMBERS_MAX} in {BLOCKS_MAX}"
            )
        self.blocks = tuple(sorted(blocks, key=lambda block: (len(block.first), block.first)))
        for one, other in pairwise(self.blocks):
            if other.first in one:
                raise ValueError(f"[[number_stock]] {other.first} stands twice")

    def block_of(self, number: str) -> Block | None:
        """Return the block that has a number, or `None`."""
        return next((block for block in self.blocks if number in block), None)

    def blocks_for(self, wanted: Wanted) -> list[Block]:
        """Return the blocks in which a search may find something."""
        return [block for block in self.blocks if wanted.has(block)]


def find(
    blocks: Sequence[Block], wanted: Wanted, taken: frozenset[str], limit: int, offset: int
) -> tuple[list[tuple[str, Block]], int]:
    """Return one page of the numbers of `blocks` that are wanted and not taken, and how many there are in all."""
    beginning = country_code(wanted.country) + wanted.digits
    found: list[tuple[str, Block]] = []
    total = 0
    for block in blocks:
        for number in block.numbers():
            if number.startswith(beginning) and number not in taken:
                if offset <= total < offset + limit:
                    found.append((number, block))
                total += 1
    return found, total


def country_code(country: str) -> str:
    """Return the digits with which numbers of a country begin: 1 for all of North America, whatever the area.

    Raises:
        KeyError: there is no such country.
    """
    code = str(COUNTRIES[country][1])
    return "1" if code.startswith("1") else code


def read_blocks(texts: Sequence[str], *, country: str, **known: str) -> list[Block]:
    """Return one block for each number or range, with what else is known about them.

    Raises:
        ValueError: there is no such country, or a text names no numbers of it.
    """
    if country not in COUNTRIES:
        raise ValueError(f"[[number_stock]] country {country!r}, expected a code such as US")
    code = country_code(country)
    blocks = []
    for text in texts:
        first, last = read_range(text)
        if not (first.startswith(code) and last.startswith(code)):
            raise ValueError(f"[[number_stock]] {text}, expected numbers of {country}, beginning with {code}")
        blocks.append(Block(first, last, country, **known))
    return blocks


def read_range(text: str) -> tuple[str, str]:
    """Return first and last number of `NUMBER` or `NUMBER..NUMBER`; spaces, dashes and `+` do not matter.

    Raises:
        ValueError: it is none.
    """
    ends = [normalised(end) for end in re.split(r"\.{2,3}", text)]
    first, last = ends[0], ends[-1]
    if len(ends) > 2 or first is None or last is None or len(first) != len(last) or first > last:
        raise ValueError(f"[[number_stock]] read {text[:60]!r}, expected a number, or FIRST..LAST of as many digits")
    return first, last


def _is_named(wanted: str, name: str) -> bool:
    """Return whether a name is the wanted one, or contains it where it is more than a code."""
    wanted, name = wanted.casefold(), name.casefold()
    return wanted in ("", name) or (len(wanted) >= _CONTAINED_MIN_CHARS and wanted in name)
