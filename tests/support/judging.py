"""Whether a melody comes through.

A phone that gets no processor sends nothing meanwhile, a media worker that gets none drops what would be heard late; no
product could give back what it never got. So a melody during which either stood still is sung again.
"""

from __future__ import annotations

from collections.abc import Callable

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.tones import Samples
from tests.support.live_calls import until_heard_ms
from tests.support.stalls import tell_stall

_PIECE_MS = 200
_ALIKE = 0.6
_SHARE = 0.9
_TRIES = 5
_BACK_MS, _LATE_MS = 500, 1_000


def share_found(sent: Samples, received: Samples, rate_hz: int = 8000) -> float:
    """Return which share of the pieces of `sent` stand in `received`, in their order."""
    size = _PIECE_MS * rate_hz // 1000
    pieces = [sent[at : at + size] for at in range(0, len(sent) - size + 1, size)]
    found, at = 0, 0
    for piece in pieces:
        match = tones.find(piece, received[at:])
        if match.likeness > _ALIKE and match.lag_samples >= 0:
            found += 1
            # The next piece may begin a little early, where a late phone has skipped.
            at += match.lag_samples + size // 2
    return found / len(pieces)


async def assert_sung_through(
    call: PhoneCall,
    seed: int,
    duration_ms: int,
    listener: Callable[[], Samples] | None = None,
    *,
    rate_hz: int = 8000,
    is_echoed: bool = True,
) -> None:
    """Let the phone sing a melody, and check that a listener hears it and, if it is echoed, the phone too.

    Args:
        listener: Returns what it has heard so far, at `rate_hz`; the phone hears at 8 kHz.
    """
    shares: list[float] = []
    for attempt in range(_TRIES):
        still_before_ms = call.stood_still_ms
        sung = tones.melody(seed + 100 * attempt, duration_ms)
        call.play(sung)
        await call.until_played()
        for more_ms in (_BACK_MS, _LATE_MS):
            await until_heard_ms(call, len(call.heard_samples()) / 8 + more_ms)
            shares = [share_found(sung, call.heard_samples())] if is_echoed else []
            if listener is not None:
                there = tones.melody(seed + 100 * attempt, duration_ms, rate_hz)
                shares.append(share_found(there, listener(), rate_hz))
            if min(shares) >= _SHARE:
                return
        assert call.stood_still_ms > still_before_ms, f"{shares} of a melody came through, and nothing stood still"
        tell_stall(call.stood_still_ms - still_before_ms)
    raise AssertionError(f"{shares} of a melody came through at the last of {_TRIES} attempts")
