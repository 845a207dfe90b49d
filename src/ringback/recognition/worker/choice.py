"""Which engine is taken: what the settings name and what is installed."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

from ringback.errors import ConfigError
from ringback.recognition.installed import HINT, installed_engines
from ringback.recognition.worker.engine import Engine, Heard

_SURE = 0.85
"""Below this the grammar may have taken other words for digits, or for the beginning of a phrase."""


def load_engine(name: str) -> Engine:
    """Return the engine of that name; `auto` takes what is installed.

    Raises:
        ConfigError: there is none.
    """
    if ":" in name:
        module, _, attribute = name.partition(":")
        try:
            engine: Engine = getattr(importlib.import_module(module), attribute)()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"recognition.engine {name} cannot be loaded: {error}") from error
        return engine
    found = installed_engines(name)
    sphinx, whisper = "pocketsphinx" in found, "whisper" in found
    if sphinx and not whisper:
        from ringback.recognition.worker.sphinx import Sphinx

        return Sphinx()
    if whisper and not sphinx:
        from ringback.recognition.worker.whisper import Whisper

        return Whisper()
    if sphinx and whisper:
        return Both()
    raise ConfigError(f"recognition.engine {name} is not installed", hint=HINT)


class Both:
    """The grammar first where phrases are expected, free transcription where it hears none of them."""

    def __init__(self) -> None:
        from ringback.recognition.worker.sphinx import Sphinx
        from ringback.recognition.worker.whisper import Whisper

        self._sphinx, self._whisper = Sphinx(), Whisper()

    def recognize(self, pcm: bytes, language: str, hints: Sequence[str]) -> Heard:
        """Return what is said."""
        heard = self._sphinx.recognize(pcm, language, hints) if hints else Heard("", 0.0)
        if heard.confidence >= _SURE:
            return heard
        free = self._whisper.recognize(pcm, language, hints)
        return free if free.text else heard
