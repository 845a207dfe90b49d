"""Whether a call of a phone in this process is echoed, judged by audio."""

from __future__ import annotations

import asyncio

from ringback.phones.call import PhoneCall
from ringback.testing import tones
from tests.support.judging import share_found

_MELODY_MS = 1_500
_BACK_S = 0.5
_TRIES = 3
_SHARE = 0.6
"""Of the melody's pieces, in their order: what a busy process must at least hear of what it sang."""


async def assert_echoed(call: PhoneCall, seed: int) -> None:
    """Check that a melody comes back.

    Up to three melodies: a test's own agents and phones share one process, which may be busy for a moment.
    """
    for attempt in range(_TRIES):
        melody, before = tones.melody(_TRIES * seed + attempt, _MELODY_MS), len(call.heard_samples())
        call.play(melody)
        await call.until_played()
        await asyncio.sleep(_BACK_S)
        if (heard := call.heard()).likeness > 0.75:
            return
        if (share := share_found(melody, call.heard_samples()[before:])) >= _SHARE:
            return
    raise AssertionError(f"no echo: {share:.0%} of the melody came back, {heard}")
