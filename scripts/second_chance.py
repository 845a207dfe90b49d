"""Runs real-time tests, and those that failed again, alone, when they are few; says loudly which ones are unsteady.

`second_chance.py NAME PYTEST-ARGUMENTS…` ends with 0 when every test passed, at once or in the second run. More than
three failures, one that fails again, and an error after a test are failures: a second chance is for a machine that was
busy, not for what a test leaves behind (a leak, a process, a line at ERROR in a log). It hides nothing: what needed it
is written to `build/unsteady/NAME`, and `second_chance.py --told` prints all of it, as `make ci` does last. So is what
tests themselves have played again, because the machine stood still (`tests/support/stalls.py`).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).parent.parent
FOLDER = ROOT / "build" / "unsteady"
AGAIN_MAX = 3
"""More than this many failures are no coincidence."""
TESTS_FAILED = 1
"""pytest's exit code when tests ran and some failed; every other one is no matter of a second run."""


@dataclass(frozen=True)
class Ran:
    """One run of pytest: its exit code, the ids of the tests that failed, and how many errors stood behind tests."""

    code: int
    failed: tuple[str, ...]
    errors: int = 0


Run = Callable[[Sequence[str]], Ran]


@dataclass(frozen=True)
class Verdict:
    """What the runs come to: the exit code, and the tests that failed beside others and passed alone."""

    code: int
    unsteady: tuple[str, ...] = ()


def judge(run: Run, arguments: Sequence[str]) -> Verdict:
    """Return the verdict on the tests that `arguments` select."""
    first = run(arguments)
    if first.code != TESTS_FAILED or first.errors or not 1 <= len(first.failed) <= AGAIN_MAX:
        return Verdict(first.code)
    second = run(first.failed)
    return Verdict(second.code, () if second.code else first.failed)


def run_pytest(arguments: Sequence[str]) -> Ran:
    """Run pytest in a process of its own, with a cache and a report of its own that tell what failed."""
    with tempfile.TemporaryDirectory(prefix="second-chance-") as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-o", f"cache_dir={folder}", f"--junitxml={report}"]
        code = subprocess.run([sys.executable, "-m", "pytest", *options, *arguments], cwd=ROOT, check=False).returncode
        return Ran(code, failed_in(Path(folder)), errors_in(report))


def failed_in(cache: Path) -> tuple[str, ...]:
    """Return the ids of the failed tests as pytest's cache tells them."""
    listed = cache / "v" / "cache" / "lastfailed"
    return tuple(json.loads(listed.read_text())) if listed.exists() else ()


def errors_in(report: Path) -> int:
    """Return how many fixtures failed after a test, as pytest's report tells it.

    One that fails before its test is a test that failed: it calls and waits as tests do.
    """
    if not report.exists():
        return 0
    errors = ElementTree.parse(report).getroot().iter("error")
    return sum(not error.get("message", "").startswith("failed on setup") for error in errors)


def told(folder: Path) -> list[str]:
    """Return one line for each unsteady test of the suites that were run last."""
    if not folder.is_dir():
        return []
    return [f"UNSTEADY: {test}" for path in sorted(folder.iterdir()) for test in path.read_text().splitlines()]


def remember(folder: Path, name: str, unsteady: Sequence[str]) -> None:
    """Replace what is known of a suite."""
    folder.mkdir(parents=True, exist_ok=True)
    if unsteady:
        (folder / name).write_text("\n".join(unsteady) + "\n")
    else:
        (folder / name).unlink(missing_ok=True)


def main(words: Sequence[str]) -> int:
    """Run a suite, or tell what is unsteady."""
    if list(words) == ["--told"]:
        for line in told(FOLDER):
            sys.stdout.write(f"{line}\n")
        return 0
    name, *arguments = words
    FOLDER.mkdir(parents=True, exist_ok=True)
    notes = FOLDER / f"{name}.stalls"
    notes.unlink(missing_ok=True)
    os.environ["UNSTEADY_NOTES"] = str(notes)
    verdict = judge(run_pytest, arguments)
    remember(FOLDER, name, verdict.unsteady)
    if verdict.unsteady:
        sys.stdout.write("\nfailed beside others and passed alone (a timing that is too tight? mend it):\n")
        sys.stdout.writelines(f"UNSTEADY: {test}\n" for test in verdict.unsteady)
    return verdict.code


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
