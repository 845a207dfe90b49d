"""Writes results.md and results.json: what was measured, on what, by which command."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import Figure, Outcome, Table


def as_markdown(outcomes: Sequence[Outcome], machine: Mapping[str, str], date: str, command: str) -> str:
    """Return the whole report."""
    parts = [
        "# Benchmark results\n\n"
        f"Written by `{command}` on {date}. Everything ran on one machine over loopback: server, media workers, the "
        "agent that echoes, and the load generator with its callers. A call counts when its own audio came back.\n",
        table_as_markdown(Table("", ("machine", ""), tuple(machine.items()))),
        "## Budgets\n",
        table_as_markdown(Table("", ("figure", "measured", "must", "goal", "met"), tuple(_rows(outcomes)))),
    ]
    for outcome in outcomes:
        parts.append(f"## {outcome.name.capitalize()}\n")
        if not outcome.is_reliable:
            parts.append("**Unreliable: the load generator itself was late (p99 above 5 ms).**\n")
        parts += [f"{remark}\n" for remark in outcome.remarks]
        parts += [f"**Fault:** {fault}\n" for fault in outcome.faults]
        parts += [table_as_markdown(table) for table in outcome.tables]
    return "\n".join(parts)


def as_json(outcomes: Sequence[Outcome], machine: Mapping[str, str], date: str, command: str) -> str:
    """Return the same for programs."""
    document = {
        "date": date,
        "command": command,
        "machine": dict(machine),
        "scenarios": [
            {
                "name": outcome.name,
                "is_reliable": outcome.is_reliable,
                "faults": outcome.faults,
                "remarks": outcome.remarks,
                "figures": [
                    {
                        "subject": figure.subject,
                        "measured": None if figure.measured is None else round(figure.measured, figure.digits),
                        "unit": figure.unit,
                        "sense": figure.sense.value,
                        "must": figure.must,
                        "goal": figure.goal,
                        "met": figure.is_met,
                        "goal_reached": figure.reaches_goal,
                    }
                    for figure in outcome.figures
                ],
                "tables": [asdict(table) for table in outcome.tables],
            }
            for outcome in outcomes
        ],
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def write_report(folder: Path, markdown: str, document: str) -> None:
    """Write both files into `folder`, which is made when it is missing: a run takes minutes."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "results.md").write_text(markdown, encoding="utf-8")
    (folder / "results.json").write_text(document, encoding="utf-8")


def _rows(outcomes: Sequence[Outcome]) -> Iterable[tuple[str, ...]]:
    for outcome in outcomes:
        for figure in outcome.figures:
            yield (
                figure.subject,
                "not measured" if figure.measured is None else _value(figure, figure.measured),
                f"{figure.sense.value} {_bound(figure.must)} {figure.unit}",
                "–" if figure.goal is None else f"{figure.sense.value} {_bound(figure.goal)} {figure.unit}",
                _verdict(figure, outcome.is_reliable),
            )


def _verdict(figure: Figure, is_reliable: bool) -> str:
    if figure.is_met is None:
        return "–"
    verdict = "goal" if figure.is_met and figure.reaches_goal else "yes" if figure.is_met else "**no**"
    return verdict if is_reliable else f"{verdict} (unreliable)"


def _value(figure: Figure, value: float) -> str:
    return f"{value:.{figure.digits}f} {figure.unit}"


def _bound(value: float) -> str:
    return f"{value:g}"


def table_as_markdown(table: Table) -> str:
    lines = [f"### {table.title}\n"] if table.title else []
    lines.append("| " + " | ".join(table.columns) + " |")
    lines.append("|" + "---|" * len(table.columns))
    lines += ["| " + " | ".join(row) + " |" for row in table.rows]
    return "\n".join(lines) + "\n"
