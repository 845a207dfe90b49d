"""Which detector a worker uses, and what a foreign one that breaks costs."""

from __future__ import annotations

import pathlib
from typing import Any

import pytest

from ringback.ids import CommandId, SessionId
from ringback.media.control.commands import DetectMachine
from ringback.media.control.values import Answerer
from ringback.media.detect.answering_machine import MachineRules, RuleDetector, Verdict
from ringback.media.worker.machine_detection import LISTENS_MAX_MS, MachineEar, UnusableDetector, load_factory

COMMAND = DetectMachine(
    command_id=CommandId("1"),
    session_id=SessionId("s"),
    total_ms=5_000,
    initial_silence_ms=4_500,
    speech_ms=5_000,
    words=0,
    greeting_ms=3_600,
    silence_ms=800,
)


class Broken:
    """A model that fails."""

    def __init__(self, rules: MachineRules) -> None:
        assert rules == MachineRules()

    def take(self, pcm: bytes) -> Verdict | None:
        raise ValueError("no weights")


def test_rules_are_the_default() -> None:
    assert load_factory("") is RuleDetector


@pytest.mark.parametrize("name", ["nothing", "no_such_module:x", "json:no_such_name", "json:__name__"])
def test_detector_that_cannot_be_had_says_why(name: str) -> None:
    with pytest.raises(UnusableDetector, match=name.partition(":")[0]):
        load_factory(name)


def test_named_factory_is_called() -> None:
    assert load_factory("ringback.media.detect.answering_machine:RuleDetector") is RuleDetector


def test_failing_detector_gives_unknown_and_is_over() -> None:
    ear = MachineEar(COMMAND, Broken)
    verdict = ear.take(bytes(320))
    assert verdict is not None
    assert (verdict.answerer, ear.is_over) == (Answerer.UNKNOWN, True)
    assert "no weights" in verdict.reason


def test_detector_that_cannot_be_made_is_unusable() -> None:
    def without_weights(_rules: MachineRules) -> Any:
        raise FileNotFoundError("no weights")

    with pytest.raises(UnusableDetector, match="no weights"):
        MachineEar(COMMAND, without_weights)


def test_module_that_fails_while_it_is_imported_is_unusable(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing_detector.py").write_text("raise RuntimeError('no model folder')")
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("failing_detector:make", ":make", ".relative:make"):
        with pytest.raises(UnusableDetector):
            load_factory(name)


def test_answer_that_is_no_verdict_gives_unknown() -> None:
    class Talkative:
        def take(self, pcm: bytes) -> Any:
            return "machine"

    ear = MachineEar(COMMAND, lambda _rules: Talkative())
    verdict = ear.take(bytes(320))
    assert verdict is not None
    assert (verdict.answerer, ear.is_over) == (Answerer.UNKNOWN, True)


def test_listening_is_bounded() -> None:
    class Silent:
        def __init__(self, rules: MachineRules) -> None:
            pass

        def take(self, pcm: bytes) -> Any:
            return None

    ear = MachineEar(COMMAND, Silent)
    for _ in range(LISTENS_MAX_MS // 20 - 1):
        ear.take(b"")
    assert not ear.is_over
    ear.take(b"")
    assert ear.is_over
