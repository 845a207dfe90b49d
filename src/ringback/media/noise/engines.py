"""Which noise suppression engines there are, and how one is had.

An engine is imported when the first stream wants it: its libraries are optional.
Spec: wire spec 2.2 (`noiseCancellation`, `noiseCancellationLevel`); reference product.md 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from types import MappingProxyType

from ringback.media.noise.engine import EngineKind, EngineMissing, NoiseEngine

SPEEX = EngineKind("speex", 8_000, 80, "speexdsp_ns", "pip install 'ringback[noise]'")
DTLN = EngineKind("dtln", 16_000, 247, "onnxruntime", "pip install 'ringback[noise]'")
KINDS: Mapping[str, EngineKind] = MappingProxyType({kind.name: kind for kind in (SPEEX, DTLN)})


@cache
def fault_of(kind: EngineKind) -> str:
    """Return why an engine cannot be had and what to do, empty when its library is there; nothing is imported."""
    return "" if find_spec(kind.library) is not None else _missing(kind, kind.library)


def make_engine(kind: EngineKind) -> NoiseEngine:
    """Return a fresh engine.

    Raises:
        EngineMissing: its library is not installed; the message names what to install.
    """
    try:
        if kind is DTLN:
            from ringback.media.noise.dtln import DtlnEngine

            return DtlnEngine()
        from ringback.media.noise.speex import SpeexEngine

        return SpeexEngine()
    except ImportError as error:
        raise EngineMissing(_missing(kind, str(error.name))) from error


def _missing(kind: EngineKind, library: str) -> str:
    return f"noise engine {kind.name} is not installed ({library}): {kind.install}"
