"""What a listener hears where audio begins, ends, or is cut: steps that a sine does not have."""

from __future__ import annotations

import numpy as np
from tests.support.media_leg import Leg, sine_ulaw

from benchmarks.audio.measures import verdict
from benchmarks.figures import Table
from ringback.media.codecs.g711 import PCMU

_PITCH_HZ = 220.0
_LEVEL = 10_000.0
_SILENCE = 40
_CLICK = 1.1


def borders_table() -> Table:
    """Return the largest step between two samples at each kind of border, against the sine's own largest step."""
    own = 2 * np.pi * _PITCH_HZ / 8_000 * _LEVEL
    cases = (
        ("inside, the agent sends 20 ms at a time", _played(20, 50)),
        ("inside, the agent sends 37 ms at a time", _played(37, 50)),
        ("inside, the agent sends all at once", _played(1_000, 50)),
        ("the agent clears in the middle", _cleared()),
        ("the agent falls silent in the middle (underrun)", _played(20, 23)),
        ("the agent runs dry in the middle and goes on after 60 ms", _resumed()),
    )
    rows = tuple((name, f"{step:.0f}", f"{step / own:.2f}", verdict(step <= _CLICK * own)) for name, step in cases)
    head = ("where", "largest step", "against the sine's own", f"no click (at most {_CLICK})")
    return Table("Borders of a 220 Hz sine, as the caller hears them", head, rows)


def _played(chunk_ms: int, slots: int) -> float:
    """Return the largest step when the agent sends in chunks, in time, for so many slots of 20 ms."""
    leg, audio = Leg(), sine_ulaw(_PITCH_HZ, slots * 20, _LEVEL)
    size, sent, heard = chunk_ms * 8, 0, b""
    for slot in range(slots + 10):
        # Three frames ahead, as an agent that keeps its speech flowing.
        while sent < len(audio) and sent < (slot + 3) * 160:
            leg.play(audio[sent : sent + size])
            sent += size
        heard += leg.slots(1)
    return _largest_step(heard)


def _resumed() -> float:
    """Return the largest step up to the gap and behind it; the sine goes on at its own level, as agents' audio does."""
    leg, audio = Leg(), sine_ulaw(_PITCH_HZ, 1_000, _LEVEL)
    leg.play(audio[: 23 * 160 + 55])
    heard = leg.slots(27)
    # What comes next begins where an agent's next chunk begins: at the zero of a wave.
    leg.play(audio[: 20 * 160])
    return max(_largest_step(heard), _largest_step(leg.slots(25)))


def _cleared() -> float:
    leg = Leg()
    leg.play(sine_ulaw(_PITCH_HZ, 1_000, _LEVEL))
    heard = leg.slots(21)
    leg.command({"event": "clearAudio", "streamId": leg.stream.stream_id})
    return _largest_step(heard + leg.slots(10))


def _largest_step(heard: bytes) -> float:
    wave = np.frombuffer(PCMU.decode(heard), np.int16).astype(np.float64)
    sounding = np.flatnonzero(np.abs(wave) > _SILENCE)
    # The onset is the agent's own: a sine begins at zero.
    return float(np.abs(np.diff(wave[sounding[0] : sounding[-1] + 200])).max())
