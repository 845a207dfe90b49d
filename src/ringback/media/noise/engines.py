"""Which noise suppression engines there are, and how one is had.

An engine is imported when the first stream wants it: its libraries are optional.
Spec: wire spec 2.2 (`noiseCancellation`, `noiseCancellationLevel`); reference product.md 9.2.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ringback.media.noise.engine import EngineKind, EngineMissing, NoiseEngine

SPEEX = EngineKind("speex", 8_000, True, "pip install 'ringback[noise]'")
DTLN = EngineKind("dtln", 16_000, False, "pip install 'ringback[noise]'")
KINDS: Mapping[str, EngineKind] = MappingProxyType({kind.name: kind for kind in (SPEEX, DTLN)})


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
        raise EngineMissing(f"noise engine {kind.name} is not installed ({error.name}): {kind.install}") from error
