"""DTLN, a small neural network in two stages, at 16 kHz: good quality, about 4 % of a core per stream.

The first stage masks the magnitudes of 32 ms blocks, the second refines the block as a wave; blocks overlap by three
quarters. Method: Westhausen and Meyer, "Dual-Signal Transformation LSTM Network", Interspeech 2020. The weights and
their licence (MIT) are in `weights`.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from ringback.media.noise.engine import Samples

_BLOCK = 512
_HOP = 128
_FRAME = 320
_STATE_SHAPE = (1, 2, 128, 2)
_PRIMING = 64
"""20 ms are two and a half hops: so many samples of silence in front let every frame give a whole one."""
_WEIGHTS = Path(__file__).parent / "weights"


@cache
def _stage(number: int) -> tuple[Any, str, str]:
    """Return one network, shared by all streams, and the names of its two inputs: signal and state."""
    options = onnxruntime.SessionOptions()
    # One thread: streams are many, and each must leave the other cores to the packets of all calls.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        str(_WEIGHTS / f"dtln_{number}.onnx"), options, providers=["CPUExecutionProvider"]
    )
    signal, state = (tensor.name for tensor in session.get_inputs())
    return session, signal, state


class DtlnEngine:
    """One stream's DTLN."""

    lag = _BLOCK - _HOP + _PRIMING

    def __init__(self) -> None:
        self._first, self._second = _stage(1), _stage(2)
        self._first_state = np.zeros(_STATE_SHAPE, np.float32)
        self._second_state = np.zeros(_STATE_SHAPE, np.float32)
        self._block = np.zeros(_BLOCK, np.float32)
        self._overlap = np.zeros(_BLOCK, np.float32)
        self._waiting = np.zeros(0, np.float32)
        self._ready = np.zeros(_PRIMING, np.float32)

    def process(self, samples: Samples) -> Samples:
        """Return 320 samples without noise for 320."""
        waiting = np.concatenate([self._waiting, samples])
        done = [self._ready]
        at = 0
        while at + _HOP <= len(waiting):
            done.append(self._hop(waiting[at : at + _HOP]))
            at += _HOP
        self._waiting = waiting[at:]
        ready = np.concatenate(done)
        self._ready = ready[_FRAME:]
        return ready[:_FRAME]

    def _hop(self, samples: Samples) -> Samples:
        block = self._block
        block[:-_HOP] = block[_HOP:]
        block[-_HOP:] = samples
        spectrum = np.fft.rfft(block)
        magnitude = np.abs(spectrum).astype(np.float32).reshape(1, 1, -1)
        session, signal, state = self._first
        mask, self._first_state = session.run(None, {signal: magnitude, state: self._first_state})
        masked = np.fft.irfft(spectrum * mask[0, 0]).astype(np.float32).reshape(1, 1, -1)
        session, signal, state = self._second
        refined, self._second_state = session.run(None, {signal: masked, state: self._second_state})
        overlap = self._overlap
        overlap[:-_HOP] = overlap[_HOP:]
        overlap[-_HOP:] = 0.0
        overlap += refined[0, 0]
        return overlap[:_HOP].copy()
