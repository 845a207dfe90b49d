"""Entry point of the recognising process: `python -m ringback.recognition.worker.main ENGINE [background]`.

One utterance at a time. It ends when its standard input does.
"""

from __future__ import annotations

import os
import sys
import threading
import wave

import numpy as np
import soxr

from ringback.recognition import messages
from ringback.recognition.messages import Ready, Text, Utterance
from ringback.recognition.worker.choice import load_engine
from ringback.recognition.worker.engine import RATE_HZ, Engine
from ringback.recognition.worker.long import transcribed

_APPEARS_WITHIN_S = 2.0
_POLL_S = 0.01
_PARTIAL_MAX_S = 15
_EDGE_MS = 200
_NICENESS = 10
"""Nobody waits for the text of a recording on the telephone."""


def main(arguments: list[str]) -> int:
    """Answer utterances until the server goes away."""
    if arguments[1:] == ["background"]:
        os.nice(_NICENESS)
    engine = load_engine(arguments[0])
    _say(messages.encode(Ready(type(engine).__name__)))
    for line in sys.stdin.buffer:
        utterance = messages.decode_utterance(line)
        _say(messages.encode(_answer(engine, utterance)))
    return 0


def _answer(engine: Engine, utterance: Utterance) -> Text:
    try:
        if utterance.is_long:
            text, confidence = transcribed(engine, utterance.path)
            return Text(utterance.number, text, round(confidence, 4))
        pcm = _read(utterance.path, is_partial=utterance.is_partial)
        text, confidence = engine.recognize(pcm, utterance.language, utterance.hints)
    except Exception as error:
        # One utterance's fault must not end the others' process.
        return Text(utterance.number, detail=f"{type(error).__name__}: {error}"[:200])
    return Text(utterance.number, text[:4_096], round(confidence, 4))


def _read(path: str, *, is_partial: bool) -> bytes:
    """Return the audio at 16,000 Hz between short silences, of a growing file what it holds by now."""
    if is_partial:
        path += ".part"
    waited = 0.0
    pause = threading.Event()
    while not os.path.exists(path) and waited < _APPEARS_WITHIN_S:
        pause.wait(_POLL_S)
        waited += _POLL_S
    with wave.open(path, "rb") as file:
        rate_hz = file.getframerate()
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2")
    if is_partial:
        samples = samples[-_PARTIAL_MAX_S * rate_hz :]
    wide = soxr.resample(samples.astype(np.float32), rate_hz, RATE_HZ)
    edge = np.zeros(RATE_HZ * _EDGE_MS // 1000, dtype=np.float32)
    joined = np.clip(np.concatenate([edge, wide, edge]), -32_768, 32_767)
    return bytes(joined.astype(np.int16).tobytes())


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
