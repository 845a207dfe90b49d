"""flite, a small synthesiser of American English; it starts so fast that nothing needs to be kept warm."""

from __future__ import annotations

import shutil
import subprocess

from ringback.speech.messages import VoiceListed
from ringback.speech.passage import Gender
from ringback.speech.phonemes import Notation, written
from ringback.speech.settings import SynthesiserSettings
from ringback.speech.voices import Engine
from ringback.speech.worker.engine import harmless, run_program
from ringback.speech.worker.sound import Samples

_VOICES = {"slt": Gender.WOMAN, "rms": Gender.MAN}
_LIST_TIMEOUT_S = 5


class Flite:
    """The program `flite`, if it is installed."""

    def __init__(self, settings: SynthesiserSettings) -> None:
        self._settings = settings
        self._program = shutil.which("flite")

    def voices(self) -> list[VoiceListed]:
        """Return the woman and the man that the program has."""
        if self._program is None:
            return []
        try:
            listed = subprocess.run(
                [self._program, "-lv"], capture_output=True, timeout=_LIST_TIMEOUT_S, check=True, text=True
            ).stdout.split()
        except (OSError, subprocess.SubprocessError):
            return []
        return [
            VoiceListed(name=name, engine=Engine.FLITE, language="en-US", gender=gender, version="2")
            for name, gender in _VOICES.items()
            if name in listed
        ]

    def warm(self) -> None:
        """Do nothing: the program starts in 50 ms."""

    def say(self, voice: str, text: str, rate: float, phonemes: str = "") -> tuple[Samples, int, float]:
        """Return the audio; flite changes the speed itself."""
        command = [
            *(str(self._program), "-voice", voice, "--setf", f"duration_stretch={1 / rate:.3f}"),
            *(("-p", f"pau {written(phonemes, Notation.FLITE)} pau") if phonemes else ("-f", "{text}")),
            *("-o", "{wav}"),
        ]
        samples, rate_hz = run_program(
            command,
            harmless(text),
            timeout_ms=self._settings.say_timeout_ms,
            longest_ms=self._settings.length_max_ms,
        )
        return samples, rate_hz, 1.0

    def close(self) -> None:
        """Do nothing: programs end by themselves."""
