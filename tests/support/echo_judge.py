"""The verdict on an echo: does what came back hold the melody that was sung?"""

from __future__ import annotations

import numpy as np

from ringback.testing import tones

_JUDGED_MS = 1_500
_WINDOW_MS = 300


def assert_echo(melody: tones.Samples, heard: tones.Samples, level_within_db: float = 1.5) -> None:
    """Check that the melody was coming back at the end of `heard`: its notes in their order, at their level.

    Both are 8 kHz. Judged in windows: on a loaded machine a test's own sender is late now and then, and a lost frame
    shifts what follows it.
    """
    last = heard[-_JUDGED_MS * 8 :]
    assert len(last) == _JUDGED_MS * 8, f"only {len(last) // 8} ms of audio came"
    windows = [last[at : at + _WINDOW_MS * 8] for at in range(0, len(last), _WINDOW_MS * 8)]
    likeness = [tones.find(window, melody).likeness for window in windows]
    good = [window for window, alike in zip(windows, likeness, strict=True) if alike > 0.75]
    assert len(good) > len(windows) // 2, f"likeness {[round(alike, 2) for alike in likeness]}"
    difference = tones.level_dbov(np.concatenate(good)) - tones.level_dbov(melody)
    assert abs(difference) < level_within_db, f"the echo is {difference:.1f} dB off"
