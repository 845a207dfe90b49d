"""`python -m benchmarks.audio [--output FILE]`: audio quality by measurement, as one page."""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.audio.borders import borders_table
from benchmarks.audio.codecs import g711_table, rates_table
from benchmarks.audio.concealment import concealment_table
from benchmarks.audio.measures import NO
from benchmarks.audio.noise import cost_table, quality_table, wide_table
from benchmarks.audio.words import grammar_table, sentences_table
from benchmarks.figures import Table
from benchmarks.processes import describe_machine
from benchmarks.report import table_as_markdown
from ringback import clock

PARTS: dict[str, tuple[Callable[[], Table | None], ...]] = {
    "codecs": (g711_table, rates_table),
    "borders": (borders_table,),
    "concealment": (concealment_table,),
    "noise": (quality_table, wide_table, cost_table),
    "words": (grammar_table,),
    "sentences": (sentences_table,),
}
_HEAD = """# Audio quality

Written by `make bench-audio` on {date}, with CPython {python}. Speech is the committed set of `tests/vectors/greetings`
(synthetic voices, phone band): the figures compare ways of doing things, they are no promise about your callers.

Quality is told by STOI and ESTOI (0 to 1, by the wheel `pystoi`; ESTOI notices noise that comes and goes) and by the
log-spectral distance over the blocks in which somebody speaks (smaller is nearer): none of them needs a compiler.
PESQ, ITU-T P.862, stands beside them where the package `pesq` is installed; {pesq}. It has no wheels, so
`make` leaves it out: with a C compiler, `make setup-dev && .venv/bin/pip install pesq` brings it.
What is to hold says so in the last column; `make bench-audio` fails when one says no.
"""


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(prog="make bench-audio", description=__doc__)
    parser.add_argument("--only", choices=tuple(PARTS), action="append", help="parts to measure; all unless named")
    parser.add_argument("--output", type=Path, default=Path(__file__).parent.parent / "audio.md", help="the page")
    arguments = parser.parse_args()
    has_pesq = importlib.util.find_spec("pesq") is not None
    pesq = "here it was" if has_pesq else "here it was not, and verdicts go by the others"
    parts = [
        _HEAD.format(pesq=pesq, date=clock.utc().strftime("%Y-%m-%d"), python=describe_machine()["python"].split()[-1])
    ]
    holds = True
    for name, tables in PARTS.items():
        if name not in (arguments.only or PARTS):
            continue
        for make in tables:
            sys.stderr.write(f"measuring: {name}, {make.__name__.removesuffix('_table')}\n")
            table = make()
            if table is None:
                parts.append("Free speech was not measured: the extra `free-speech` is not installed.\n")
                continue
            holds = holds and not any(NO in row for row in table.rows)
            parts.append(table_as_markdown(table))
    page = "\n".join(parts)
    sys.stdout.write(page)
    if not arguments.only:
        arguments.output.write_text(page)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
