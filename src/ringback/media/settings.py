"""Bounds and waits of every leg."""

from __future__ import annotations

import msgspec


class MediaSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Bounds and waits of every leg."""

    media_idle_ms: int = 60_000
    """RTP silence after which `MediaTimedOut` is reported once; 0 is never."""
    reorder_window_ms: int = 60
    """How long a missing packet is waited for before its audio is concealed."""
    reorder_window_max_ms: int = 200
    """Bound of the window's growth on a jittery path."""
    playout_max_ms: int = 60_000
    streams_max: int = 5
    digits_max: int = 128
    plays_max: int = 64
