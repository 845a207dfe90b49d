"""espeak-ng, which speaks more than a hundred languages: the system's program, else the library of a wheel.

The library is GPL: it is loaded by a program of its own (`espeak_program`), never by this process.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
import sys
from pathlib import Path

from ringback.speech.messages import VoiceListed
from ringback.speech.passage import Gender
from ringback.speech.phonemes import Notation, written
from ringback.speech.settings import SynthesiserSettings
from ringback.speech.voices import Engine
from ringback.speech.worker.engine import harmless, run_program
from ringback.speech.worker.sound import Samples

_VARIANTS = {Gender.WOMAN: "f3", Gender.MAN: "m3"}
_WORDS_PER_MINUTE = 160
_SLOWEST, _FASTEST = 80, 450
_VERSION_TIMEOUT_S = 5
_PROGRAM = Path(__file__).with_name("espeak_program.py")


class Espeak:
    """espeak-ng by whatever way it is installed."""

    def __init__(self, settings: SynthesiserSettings) -> None:
        self._settings = settings
        self._command, self._data = _installed()

    def voices(self) -> list[VoiceListed]:
        """Return a woman and a man for every language of the engine's data."""
        if not self._command:
            return []
        languages = sorted(path.name for path in (self._data / "lang").glob("**/*") if path.is_file())
        return [
            VoiceListed(
                name=f"{language.lower()}+{variant}",
                engine=Engine.ESPEAK,
                language=language,
                gender=gender,
                version="1",
            )
            for language in languages
            for gender, variant in _VARIANTS.items()
        ]

    def warm(self) -> None:
        """Do nothing: the program starts in less than 50 ms."""

    def say(self, voice: str, text: str, rate: float, phonemes: str = "") -> tuple[Samples, int, float]:
        """Return the audio; the engine changes the speed itself."""
        words_per_minute = min(max(round(_WORDS_PER_MINUTE * rate), _SLOWEST), _FASTEST)
        command = [*self._command, "-v", voice, "-s", str(words_per_minute), "-b", "1", "-f", "{text}", "-w", "{wav}"]
        samples, rate_hz = run_program(
            command,
            f"[[{written(phonemes, Notation.ESPEAK)}]]" if phonemes else harmless(text),
            timeout_ms=self._settings.say_timeout_ms,
            longest_ms=self._settings.length_max_ms,
        )
        return samples, rate_hz, 1.0

    def close(self) -> None:
        """Do nothing: programs end by themselves."""


def _installed() -> tuple[list[str], Path]:
    """Return the command that speaks and the folder of its data; no command when there is none."""
    program = shutil.which("espeak-ng")
    if program is not None:
        try:
            said = subprocess.run(
                [program, "--version"], capture_output=True, timeout=_VERSION_TIMEOUT_S, check=True, text=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            said = ""
        match = re.search(r"Data at:\s*(\S+)", said)
        if match is not None:
            return [program], Path(match[1])
    spec = importlib.util.find_spec("espeakng_loader")
    if spec is None or spec.origin is None:
        return [], Path()
    folder = Path(spec.origin).parent
    library = next(folder.glob("libespeak-ng.*"), None)
    if library is None:
        return [], Path()
    return [sys.executable, "-I", "-S", str(_PROGRAM), str(library), str(folder)], folder / "espeak-ng-data"
