"""Tones for tests: made, found and measured exactly; the same tools that our phones use."""

from ringback.phones.tones import (
    SILENCE_DBOV,
    Match,
    Samples,
    chord,
    decode_number,
    encode_number,
    find,
    goertzel_dbov,
    level_dbov,
    levels_dbov,
    melody,
    pitch_hz,
    purity,
    silence,
    tone,
)

__all__ = [
    "SILENCE_DBOV",
    "Match",
    "Samples",
    "chord",
    "decode_number",
    "encode_number",
    "find",
    "goertzel_dbov",
    "level_dbov",
    "levels_dbov",
    "melody",
    "pitch_hz",
    "purity",
    "silence",
    "tone",
]
