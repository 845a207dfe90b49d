"""Which engines can recognise speech here, without loading any."""

from __future__ import annotations

import importlib.util

HINT = "pip install 'ringback[speech]' for expected phrases, 'ringback[free-speech]' for free speech"
_PACKAGES = {"pocketsphinx": "pocketsphinx", "whisper": "faster_whisper"}
_SWITCHED_OFF = "none"


def installed_engines(wanted: str = "auto") -> list[str]:
    """Return the names of the engines that `wanted` (as in the settings) leads to, best for expected phrases first."""
    if ":" in wanted:
        return [wanted]
    names = list(_PACKAGES) if wanted == "auto" else [name for name in _PACKAGES if name == wanted]
    return [name for name in names if importlib.util.find_spec(_PACKAGES[name]) is not None]


def transcription_fault(wanted: str) -> str:
    """Return why whole recordings cannot be transcribed here and what to do; empty when they can."""
    if ":" in wanted:
        return ""
    if wanted == _SWITCHED_OFF:
        return "speech recognition is switched off: set recognition.engine"
    if "whisper" not in installed_engines(wanted):
        return "free speech recognition is not installed: pip install 'ringback[free-speech]'"
    return ""


def fault_of(wanted: str, language: str) -> str:
    """Return why speech in this language cannot be recognised here and what to do; empty when it can."""
    if ":" in wanted:
        return ""
    if wanted == _SWITCHED_OFF:
        return "speech recognition is switched off: set recognition.engine"
    if not installed_engines(wanted):
        return f"speech recognition is not installed: {HINT}"
    if language.lower().partition("-")[0] != "en":
        return f"speech in {language[:20]} cannot be recognised: the engines here know English"
    return ""
