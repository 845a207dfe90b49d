"""Gate: every rule of the stream protocol has a test, and every test that docs/protocol/conformance.md names exists.

Fix: name the test of a new rule in that page; when a test is renamed, rename it there; a skipped test holds no rule.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "protocol" / "conformance.md"
LIVE_CALL = ROOT / "tests" / "contract" / "test_contract_stream_protocol.py"
SECTIONS = (
    *("1.1", "1.2", "1.3.1", "1.3.2", "1.3.3", "1.3.4", "1.3.5", "1.3.6", "1.3.7"),
    *("1.4.1", "1.4.2", "1.4.3", "1.4.4", "1.4.5", "1.4.6", "1.5", "1.7"),
    *("2.1", "2.2", "2.3", "2.4", "2.5", "3.1", "3.2", "3.3", "3.4", "3.5", "3.6"),
)
"""The sections of the wire specification that have rules; 1.6 is an example."""
_UNCONDITIONAL = frozenset({"skip", "xfail"})


def rules(page: str) -> Iterator[tuple[str, str, list[str]]]:
    """Give section, text and tests of each rule of the page."""
    section = ""
    for line in page.splitlines():
        if line.startswith("## "):
            section = line[3:].split()[0]
        elif line.startswith("| ") and not line.startswith(("| rule |", "| --- |")):
            text, _, tests = line.strip("| ").rpartition(" | ")
            yield section, text, re.findall(r"`([^`]+::[^`]+)`", tests)


def functions(path: Path) -> dict[str, bool]:
    """Return the tests and live rules of a file, and whether each really runs."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            marks = [each for mark in node.decorator_list for each in ast.walk(mark)]
            names = {each.attr for each in marks if isinstance(each, ast.Attribute)}
            found[node.name] = not names & _UNCONDITIONAL
    return found


def live_rules(path: Path) -> dict[str, str]:
    """Return the rules of the live call with their sections."""
    found = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AsyncFunctionDef):
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id == "rule":
                    found[node.name] = str(ast.literal_eval(mark.args[0]))
    return found


def faults(page: str, files: dict[str, Path], live_call: Path) -> list[str]:
    """Return what is wrong with the page."""
    found, known, named, seen = [], {}, set(), set()
    live = live_rules(live_call)
    for section, text, tests in rules(page):
        seen.add(section)
        if not tests:
            found.append(f"{section}: no test for: {text}")
        for test in tests:
            file, _, function = test.partition("::")
            if file == "protocol":
                named.add(function)
                if function not in live:
                    found.append(f"{section}: the live call has no rule {function}")
                continue
            if file not in files:
                found.append(f"{section}: no file {file}.py")
                continue
            runs = known.setdefault(file, functions(files[file])).get(function)
            if runs is not True:
                found.append(f"{section}: {test} {'does not exist' if runs is None else 'is skipped'}")
    found += [f"{section}: the page has no rule of this section" for section in SECTIONS if section not in seen]
    missing = [(section, name) for name, section in live.items() if name not in named]
    found += [f"{section}: the live call's rule {name} is not on the page" for section, name in missing]
    return found


def main() -> int:
    """Print every fault; return 1 if there is one."""
    files = {path.stem: path for path in (ROOT / "tests").rglob("test_*.py")}
    found = faults(PAGE.read_text(encoding="utf-8"), files, LIVE_CALL)
    for fault in found:
        sys.stdout.write(f"{PAGE.relative_to(ROOT)}: {fault}\n")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
