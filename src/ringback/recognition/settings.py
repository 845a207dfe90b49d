"""Bounds of speech recognition, and which engine is used."""

from __future__ import annotations

import msgspec


class RecognizerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How speech is recognised."""

    engine: str = "auto"
    """`auto`, `pocketsphinx`, `whisper`, `none`, or `module:Class` of one's own (see `recognition.worker.engine`)."""
    waiting_max: int = 32
    """Utterances of all calls that may wait; one more is not recognised."""
    timeout_ms: int = 10_000
    """How long one utterance may take; then the process is replaced."""
    start_timeout_ms: int = 20_000
    keep_files_ms: int = 300_000
    """Age at which the file of an utterance that nobody deleted is deleted."""
