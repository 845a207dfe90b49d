"""Whether a melody came through: strict on a machine that keeps time, lenient on one that does not.

A phone that is late itself sends late and skips; no product could give back what it never got. So the melody is judged
in pieces, and how many of them must be found depends on how late the phone was.
"""

from __future__ import annotations

from ringback.phones import tones
from ringback.phones.audio import Pacer
from ringback.phones.tones import Samples

_PIECE_MS = 200
_ALIKE = 0.6
_ON_TIME_MS = 25
_SHARE_ON_TIME, _SHARE_LATE = 0.9, 0.4


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


def assert_came_through(sent: Samples, received: Samples, pacer: Pacer, rate_hz: int = 8000) -> None:
    """Check that `sent` stands in `received`, as well as the phone's timing lets it."""
    share = share_found(sent, received, rate_hz)
    wanted = _SHARE_ON_TIME if pacer.worst_lateness_ms < _ON_TIME_MS else _SHARE_LATE
    assert share >= wanted, f"{share:.0%} of the melody was found, the phone was {pacer.worst_lateness_ms:.0f} ms late"
