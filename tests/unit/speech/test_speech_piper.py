"""What one caller's odd text costs: nothing but its own sound."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import pytest

from ringback.speech.settings import SynthesiserSettings
from ringback.speech.worker import piper
from ringback.speech.worker.engine import SynthesisFailed
from ringback.speech.worker.piper import Piper


class EndedProgram:
    """A program that has said why it ends; `asked` is what it was given."""

    asked = b""

    def __init__(self, last_words: bytes) -> None:
        reader, writer = os.pipe()
        os.write(writer, b"Traceback\n" + last_words + b"\n")
        os.close(writer)
        self.stdin = io.BytesIO()
        self.stderr = os.fdopen(reader, "rb")

    def poll(self) -> None:
        """Seem to run."""

    def kill(self) -> None:
        type(self).asked = self.stdin.getvalue()

    def wait(self) -> int:
        return 1


@pytest.fixture
def ends_with(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what makes every program end with these words."""

    def choose(last_words: bytes) -> Piper:
        monkeypatch.setattr(piper.subprocess, "Popen", lambda *_args, **_options: EndedProgram(last_words))
        made = Piper(SynthesiserSettings())
        made._models = {"joe": Path("joe.onnx")}
        return made

    return choose


def test_text_without_any_sound_is_silence_and_no_fault_of_the_engine(ends_with: Any) -> None:
    samples, _, _ = ends_with(b"wave.Error: # channels not specified").say("joe", "\u02bb", 1.0)
    assert len(samples) == 0


def test_any_other_end_is_a_fault(ends_with: Any) -> None:
    with pytest.raises(SynthesisFailed, match="no weights"):
        ends_with(b"RuntimeError: no weights").say("joe", "Hello.", 1.0)


def test_digits_of_all_scripts_are_plain_for_the_voice(ends_with: Any) -> None:
    ends_with(b"wave.Error: # channels not specified").say("joe", "\u0663 \u0967", 1.0)
    assert EndedProgram.asked == b"3 1\n"
