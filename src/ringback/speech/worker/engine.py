"""What a synthesiser is to the process, and how it runs one program for one passage."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from ringback.errors import MediaError
from ringback.speech.messages import VoiceListed
from ringback.speech.worker.sound import Samples, read_wav

_PLAIN = str.maketrans({"‘": "'", "’": "'", "“": '"', "”": '"', "…": "...", "\u00ad": None})


class SynthesisFailed(MediaError):
    """An engine gave no audio."""

    default_code = "synthesis-failed"


class Synthesiser(Protocol):
    """One engine; `say` is called from several threads."""

    def voices(self) -> list[VoiceListed]:
        """Return what is installed; empty when the engine is not."""

    def warm(self) -> None:
        """Load what takes long to load."""

    def say(self, voice: str, text: str, rate: float, phonemes: str = "") -> tuple[Samples, int, float]:
        """Return the audio, its sample rate, and by how much its speed still has to be changed.

        Args:
            phonemes: English IPA that is said in the place of the text (`speech.phonemes.normalised`).
        Raises:
            SynthesisFailed: no audio came within the time.
        """

    def close(self) -> None:
        """End the engine's programs."""


def harmless(text: str) -> str:
    """Return the text in one line, with plain quotes, and without `[[phonemes]]`, which some engines would obey."""
    return " ".join(text.translate(_PLAIN).split()).replace("[[", "( (").replace("]]", ") )")


def run_program(
    command: Sequence[str], text: str, *, timeout_ms: int, longest_ms: int, environment: dict[str, str] | None = None
) -> tuple[Samples, int]:
    """Run a program that reads a text file and writes a wav file, and return what it wrote.

    Shape: `{text}` and `{wav}` in `command` are replaced by the paths. The text is in a file and never an argument: no
    text can be an option, and none is seen in a list of processes.
    Raises:
        SynthesisFailed: it did not end in time, ended with an error, or wrote no audio.
    """
    with TemporaryDirectory(prefix="ringback-speech-") as folder:
        text_path, wav_path = Path(folder, "text"), Path(folder, "said.wav")
        text_path.write_text(text, encoding="utf-8")
        words = [word.replace("{text}", str(text_path)).replace("{wav}", str(wav_path)) for word in command]
        try:
            done = subprocess.run(
                words,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                timeout=timeout_ms / 1000,
                check=False,
                env=environment,
            )
        except subprocess.TimeoutExpired:
            raise SynthesisFailed(f"{Path(words[0]).name} took longer than {timeout_ms} ms") from None
        except OSError as error:
            raise SynthesisFailed(f"{words[0]} cannot be run: {error.strerror}") from error
        if done.returncode != 0:
            said = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise SynthesisFailed(f"{Path(words[0]).name} ended with {done.returncode}: {' '.join(said)[:200]}")
        try:
            return read_wav(wav_path, longest_ms)
        except (OSError, EOFError, ValueError, ArithmeticError) as error:
            raise SynthesisFailed(f"{Path(words[0]).name} wrote no audio: {error}") from error
        except Exception as error:
            # The error of the standard library's wave module derives from nothing else.
            raise SynthesisFailed(f"{Path(words[0]).name} wrote no audio: {error}") from error
