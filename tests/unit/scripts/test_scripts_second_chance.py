"""`scripts/second_chance.py`: few failures run again alone, many do not, and nothing is hidden."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


def load() -> ModuleType:
    path = Path(__file__).parents[3] / "scripts" / "second_chance.py"
    spec = importlib.util.spec_from_file_location("second_chance", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # Its dataclasses look their module up by name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


script = load()
WANTED = ["tests/functional", "-n", "2"]


class Runs:
    """Runs that turn out as the test says."""

    def __init__(self, *outcomes: tuple[int, Sequence[str]]) -> None:
        self.outcomes = list(outcomes)
        self.asked: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> Any:
        self.asked.append(list(arguments))
        code, failed = self.outcomes.pop(0)
        return script.Ran(code, tuple(failed))


def test_green_suite_runs_once() -> None:
    runs = Runs((0, []))
    assert script.judge(runs, WANTED) == script.Verdict(0)
    assert runs.asked == [WANTED]


@pytest.mark.parametrize("count", [1, 3])
def test_few_failures_run_again_alone_and_are_named_when_they_pass(count: int) -> None:
    failed = [f"tests/functional/a.py::test_{number}" for number in range(count)]
    runs = Runs((1, failed), (0, []))
    assert script.judge(runs, WANTED) == script.Verdict(0, tuple(failed))
    assert runs.asked == [WANTED, failed], "exactly those, without the options that put tests beside each other"


def test_one_failure_more_is_no_coincidence() -> None:
    runs = Runs((1, ["a", "b", "c", "d"]))
    assert script.judge(runs, WANTED) == script.Verdict(1)
    assert len(runs.asked) == 1


def test_what_fails_again_has_failed_and_nothing_is_called_unsteady() -> None:
    runs = Runs((1, ["a", "b"]), (1, ["b"]))
    assert script.judge(runs, WANTED) == script.Verdict(1)
    assert len(runs.asked) == 2, "there is no third run"


@pytest.mark.parametrize("code", [2, 3, 4, 5, -9])
def test_other_ends_of_pytest_get_no_second_run(code: int) -> None:
    runs = Runs((code, ["a"]))
    assert script.judge(runs, WANTED) == script.Verdict(code)
    assert len(runs.asked) == 1


def test_failure_without_a_name_stays_one() -> None:
    assert script.judge(Runs((1, [])), WANTED) == script.Verdict(1)


def test_error_around_a_test_is_not_forgiven() -> None:
    runs: list[list[str]] = []

    def run(arguments: Sequence[str]) -> Any:
        runs.append(list(arguments))
        return script.Ran(1, ("a",), errors=1)

    assert script.judge(run, WANTED) == script.Verdict(1)
    assert len(runs) == 1


def test_errors_after_a_test_come_from_pytests_report(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    assert script.errors_in(report) == 0
    # As pytest 9 writes it of fixtures that fail before and after a test, and of a test that fails.
    report.write_text(
        '<testsuites name="pytest tests"><testsuite name="pytest" errors="2" failures="1" tests="3">'
        '<testcase name="test_before"><error message="failed on setup with &quot;assert 0&quot;">E</error></testcase>'
        '<testcase name="test_after"><error message="failed on teardown with &quot;assert 0&quot;">E</error></testcase>'
        '<testcase name="test_itself"><failure message="assert 0">E</failure></testcase>'
        "</testsuite></testsuites>"
    )
    assert script.errors_in(report) == 1


def test_names_come_from_pytests_cache(tmp_path: Path) -> None:
    assert script.failed_in(tmp_path) == ()
    (tmp_path / "v" / "cache").mkdir(parents=True)
    (tmp_path / "v" / "cache" / "lastfailed").write_text('{"t.py::test_a[x-1]": true, "t.py::test_b": true}')
    assert script.failed_in(tmp_path) == ("t.py::test_a[x-1]", "t.py::test_b")


def test_unsteady_tests_are_told_until_their_suite_is_steady(tmp_path: Path) -> None:
    folder = tmp_path / "unsteady"
    assert script.told(folder) == []
    script.remember(folder, "interop", ["i.py::test_a"])
    script.remember(folder, "functional", ["f.py::test_b", "f.py::test_c"])
    assert script.told(folder) == ["UNSTEADY: f.py::test_b", "UNSTEADY: f.py::test_c", "UNSTEADY: i.py::test_a"]
    script.remember(folder, "functional", [])
    assert script.told(folder) == ["UNSTEADY: i.py::test_a"]


def test_suite_ends_with_the_names_and_with_0(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setattr(script, "run_pytest", Runs((1, ["f.py::test_b"]), (0, [])))
    assert script.main(["functional", *WANTED]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "UNSTEADY: f.py::test_b"
    assert script.main(["--told"]) == 0
    assert capsys.readouterr().out == "UNSTEADY: f.py::test_b\n"


def test_scenes_that_were_played_again_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(script, "FOLDER", tmp_path)
    monkeypatch.setenv("UNSTEADY_NOTES", "of an earlier run")
    (tmp_path / "functional.stalls").write_text("of an earlier run\n")

    def run(_arguments: Sequence[str]) -> Any:
        Path(os.environ["UNSTEADY_NOTES"]).write_text("f.py::test_b (played again)\n")
        return script.Ran(0, ())

    monkeypatch.setattr(script, "run_pytest", run)
    assert script.main(["functional", "tests/functional"]) == 0
    assert script.told(tmp_path) == ["UNSTEADY: f.py::test_b (played again)"]
