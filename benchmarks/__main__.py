"""Measures the whole product against its budgets: `python -m benchmarks`, which is what `make bench` runs.

    make bench                                    everything; writes benchmarks/results.md and results.json
    make bench ARGS="--only calls --calls 25"     one scenario; only prints, unless --output names a folder

Exits with 1 when a budget is missed or a call's audio was not good.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from benchmarks.calibration import is_calm
from benchmarks.figures import Outcome
from benchmarks.options import Options
from benchmarks.processes import describe_machine
from benchmarks.report import as_json, as_markdown, write_report
from benchmarks.scenarios import (
    agents,
    calls,
    clear,
    conference,
    machine,
    noise,
    overload,
    rate,
    ready,
    recovery,
    speech,
    wideband,
)
from ringback import clock

SCENARIOS: dict[str, Callable[[Options], Awaitable[Outcome]]] = {
    "machine": machine.run,
    "calls": calls.run,
    "wideband": wideband.run,
    "clear": clear.run,
    "rate": rate.run,
    "conference": conference.run,
    "recovery": recovery.run,
    "ready": ready.run,
    "speech": speech.run,
    "noise": noise.run,
    "overload": overload.run,
    "agents": agents.run,
}


_DEFAULTS = Options()
_PAUSE_S = 3.0


def main() -> int:
    """Run the scenarios, write the report, and say whether every budget was kept."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures Ringback against its budgets.")
    parser.add_argument("--only", action="append", choices=SCENARIOS, help="one scenario; may be repeated")
    parser.add_argument("--calls", type=_numbers, default=_DEFAULTS.calls, help="calls held at once: 25,100,300,500")
    parser.add_argument(
        "--seconds", type=float, default=_DEFAULTS.seconds, help="length of a window; there are two each"
    )
    parser.add_argument("--base-calls", type=int, default=_DEFAULTS.base_calls, help="calls of the other scenarios")
    parser.add_argument("--workers", type=int, default=0, help="media workers; one per core")
    parser.add_argument(
        "--patience", type=float, default=_DEFAULTS.patience_s, help="seconds to wait for a calm machine"
    )
    parser.add_argument("--output", type=Path, help="folder of the results; by default only a full run writes them")
    arguments = parser.parse_args()
    options = Options(
        calls=arguments.calls,
        seconds=arguments.seconds,
        workers=arguments.workers or os.cpu_count() or 1,
        base_calls=arguments.base_calls,
        patience_s=arguments.patience,
    )
    _allow_many_sockets()
    # Without bytecode files every start would compile every module, which no installation does.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    names = [name for name in SCENARIOS if name in (arguments.only or SCENARIOS)]
    outcomes = []
    for name in names:
        outcomes.append(uvloop.run(_run(name, options)))
        gc.collect()
    report = (outcomes, describe_machine(), clock.utc().strftime("%Y-%m-%d %H:%M UTC"), _command())
    markdown = as_markdown(*report)
    sys.stdout.write(markdown)
    is_full = set(names) == set(SCENARIOS) and options.calls == _DEFAULTS.calls and options.seconds == _DEFAULTS.seconds
    folder = arguments.output or (Path(__file__).parent if is_full else None)
    if folder is not None:
        write_report(folder, markdown, as_json(*report))
    return 0 if all(_is_good(outcome) for outcome in outcomes) else 1


async def _run(name: str, options: Options) -> Outcome:
    """Measure when the machine is calm, or say that it was not."""
    deadline = asyncio.get_running_loop().time() + options.patience_s
    while not (calm := await is_calm()) and asyncio.get_running_loop().time() < deadline:
        sys.stderr.write("waiting for a calm machine\n")
        await asyncio.sleep(_PAUSE_S)
    sys.stderr.write(f"measuring: {name}\n")
    outcome = await SCENARIOS[name](options)
    if not calm:
        outcome.remarks.append("The machine was not calm when this began: others used it, or its host was busy.")
    return outcome


def _is_good(outcome: Outcome) -> bool:
    return not outcome.faults and all(figure.is_met is not False for figure in outcome.figures)


def _numbers(text: str) -> tuple[int, ...]:
    numbers = tuple(int(part) for part in text.split(","))
    if not numbers or numbers != tuple(sorted(set(numbers))) or numbers[0] < 1:
        raise argparse.ArgumentTypeError("expected rising numbers such as 25,100")
    return numbers


def _command() -> str:
    arguments = " ".join(sys.argv[1:])
    return f'make bench ARGS="{arguments}"' if arguments else "make bench"


def _allow_many_sockets() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 65_536), hard), hard))


if __name__ == "__main__":
    raise SystemExit(main())
