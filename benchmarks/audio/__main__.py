"""`python -m benchmarks.audio [--output FILE]`: audio quality by measurement, as one page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.audio.borders import borders_table
from benchmarks.audio.codecs import g711_table, rates_table
from benchmarks.audio.concealment import concealment_table
from benchmarks.audio.noise import cost_table, quality_table, wide_table, words_table
from benchmarks.processes import describe_machine
from benchmarks.report import table_as_markdown
from ringback import clock

PARTS = {
    "codecs": (g711_table, rates_table),
    "borders": (borders_table,),
    "concealment": (concealment_table,),
    "noise": (quality_table, wide_table, words_table, cost_table),
}
_HEAD = """# Audio quality

Written by `make bench-audio` on {date}, with CPython {python}. Speech is the committed set of `tests/vectors/greetings`
(synthetic voices, phone band): the figures compare ways of doing things, they are no promise about your callers.

PESQ is ITU-T P.862 by the package `pesq`, which needs a compiler and is not installed by `make`; without it the column
is empty. STOI is 0 to 1. A smaller spectral distance is nearer to the original.
"""


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench-audio", description=__doc__)
    parser.add_argument("--only", choices=tuple(PARTS), action="append", help="parts to measure; all unless named")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "audio.md", help="the page")
    arguments = parser.parse_args()
    parts = [_HEAD.format(date=clock.utc().strftime("%Y-%m-%d"), python=describe_machine()["python"].split()[-1])]
    for name, tables in PARTS.items():
        if name not in (arguments.only or PARTS):
            continue
        for make in tables:
            sys.stderr.write(f"measuring: {name}, {make.__name__.removesuffix('_table')}\n")
            parts.append(table_as_markdown(make()))
    page = "\n".join(parts)
    sys.stdout.write(page)
    if not arguments.only:
        arguments.output.write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
