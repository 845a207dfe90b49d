"""Which engines are there, and what is said when none is."""

from __future__ import annotations

import importlib.util

import pytest

from ringback.recognition import installed


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):
    """Lets only these packages be installed."""

    def choose(*packages: str) -> None:
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if name in packages else None)

    return choose


@pytest.mark.parametrize(
    ("packages", "wanted", "names"),
    [
        ((), "auto", []),
        (("pocketsphinx", "faster_whisper"), "auto", ["pocketsphinx", "whisper"]),
        (("pocketsphinx", "faster_whisper"), "whisper", ["whisper"]),
        (("pocketsphinx",), "whisper", []),
        ((), "my.engine:Engine", ["my.engine:Engine"]),
        (("pocketsphinx",), "none", []),
    ],
)
def test_engines_are_found_by_their_packages(only, packages, wanted, names):
    only(*packages)
    assert installed.installed_engines(wanted) == names


def test_missing_engine_is_said_with_the_way_to_install_it(only):
    only()
    assert "pip install 'ringback[speech]'" in installed.fault_of("auto", "en-US")
    only("pocketsphinx")
    assert installed.fault_of("auto", "en-US") == ""
    assert "know English" in installed.fault_of("auto", "de-DE")
    assert "switched off" in installed.fault_of("none", "en-US")
