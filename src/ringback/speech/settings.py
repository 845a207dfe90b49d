"""Settings of the speech room: of the server's side and of the synthesiser process.

The server hands the process its settings as JSON on the command line; both ship together.
"""

from __future__ import annotations

import msgspec

from ringback.speech.voices import Engine


class SynthesiserSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one synthesiser process may use and how long it may take."""

    voices_dir: str = ""
    """A folder of further Piper voices (`*.onnx` with their `*.onnx.json`)."""
    engines: tuple[Engine, ...] = tuple(Engine)
    """Which engines may be used."""
    threads: int = 2
    """Passages that are synthesised at the same time."""
    load_timeout_ms: int = 20_000
    say_timeout_ms: int = 20_000
    length_max_ms: int = 120_000
    """The longest audio of one passage; more is an engine gone wrong."""


class SpeechSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds of speech out, and which voices are preferred."""

    prefer: tuple[Engine, ...] = ()
    """Engines that are preferred whatever gender was asked for, best first; empty: by quality and gender."""
    is_preloaded: bool = True
    """Whether voices that take long to load are loaded at start."""
    waiting_max: int = 256
    """Passages that may wait for the process, of all calls; one more is refused."""
    cache_max_bytes: int = 268_435_456
    restart_pause_ms: int = 1_000
    """Between a death of the process and its next start."""
    synthesiser: SynthesiserSettings = SynthesiserSettings()
