"""The verdict on an echo: does what came back hold the melody that was sung?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from ringback.testing import tones

_JUDGED_MS = 3_000
_WINDOW_MS = 300
_GOOD_WINDOWS = 2
_LIKENESS = 0.85
"""Another melody of the same notes reaches 0.67 in nearly every window, and 0.85 in one of fifty."""
_LEVEL_WITHIN_DB = 3.0
_PATIENCE_S = 20.0


def assert_echo(melody: tones.Samples, heard: tones.Samples) -> None:
    """Check that the melody was coming back at the end of `heard`: its notes in their order, at their level.

    Both are 8 kHz. Judged in windows of three notes of which some must be right: on a loaded machine a test's own
    sender is late now and then, and a lost frame shifts what follows it. Functional tests judge every frame.
    """
    last = heard[-_JUDGED_MS * 8 :]
    windows = [last[at : at + _WINDOW_MS * 8] for at in range(0, len(last), _WINDOW_MS * 8)]
    likeness = [tones.find(window, melody).likeness for window in windows if len(window) == _WINDOW_MS * 8]
    good = [window for window, alike in zip(windows, likeness, strict=False) if alike > _LIKENESS]
    told = f"likeness {[round(alike, 2) for alike in likeness]} in the last of {len(heard) // 8} ms"
    assert len(good) >= _GOOD_WINDOWS, told
    difference = tones.level_dbov(np.concatenate(good)) - tones.level_dbov(melody)
    assert abs(difference) < _LEVEL_WITHIN_DB, f"the echo is {difference:.1f} dB off"


async def until_echo(melody: tones.Samples, heard: Callable[[], tones.Samples]) -> None:
    """Return as soon as the melody comes back.

    Raises:
        AssertionError: it does not within 20 s.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_S
    while True:
        try:
            assert_echo(melody, heard())
        except AssertionError:
            if loop.time() > deadline:
                raise
        else:
            return
        await asyncio.sleep(_WINDOW_MS / 1000)
