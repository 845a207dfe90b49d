"""`media.mix`: what agent, playbacks and room give at the same time."""

from __future__ import annotations

import pytest
from tests.support.media_leg import sine_pcm

from ringback.media.codecs.g711 import PCMA, PCMU, Law
from ringback.media.mix import mixed
from ringback.media.room import Member, Room
from ringback.testing.tones import Samples, goertzel_dbov

FRAME = 160


def room_with(frequency: float, law: Law = PCMU) -> tuple[Member, list[bytes]]:
    """Return a listener, and the frames that the other member has said."""
    room = Room("r")
    listener, speaker = room.join("a", law), room.join("b", law)
    audio = law.encode(sine_pcm(frequency, 40))
    frames = [audio[:FRAME], audio[FRAME:]]
    for frame in frames:
        speaker.push(frame)
    # The first one is faded in.
    listener.hear_frame()
    return listener, frames


def levels(frame: bytes, law: Law, *pitches: float) -> list[bool]:
    import numpy as np

    samples: Samples = np.frombuffer(law.decode(frame), dtype=np.int16)
    return [goertzel_dbov(samples, pitch) > -25 for pitch in pitches]


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_everything_is_heard_together(law: Law) -> None:
    listener, _ = room_with(500, law)
    frame = mixed(law, sine_pcm(1_000, 20), law.encode(sine_pcm(2_000, 20)), listener, is_alone=False)
    assert len(frame) == FRAME
    assert levels(frame, law, 500, 1_000, 2_000, 3_000) == [True, True, True, False]


def test_a_lone_room_passes_untouched() -> None:
    listener, frames = room_with(500)
    assert mixed(PCMU, b"", None, listener, is_alone=False) == frames[1]


def test_nothing_is_silence_and_agent_audio_alone_is_untouched() -> None:
    agent = PCMU.encode(sine_pcm(700, 20))
    assert mixed(PCMU, b"", None, None, is_alone=False) == PCMU.silence
    assert mixed(PCMU, b"", agent, None, is_alone=False) == agent
    assert mixed(PCMU, b"", None, Room("r").join("a", PCMU), is_alone=False) == PCMU.silence


def test_a_playback_that_is_heard_alone_covers_everything_and_nothing_comes_late() -> None:
    listener, _ = room_with(500)
    frame = mixed(PCMU, sine_pcm(1_000, 20), PCMU.encode(sine_pcm(2_000, 20)), listener, is_alone=True)
    assert levels(frame, PCMU, 500, 1_000, 2_000) == [False, True, False]
    (ear,) = listener._ears
    assert ear.behind == 0


def test_one_that_has_nothing_yet_covers_nothing() -> None:
    listener, _ = room_with(500)
    frame = mixed(PCMU, b"", PCMU.encode(sine_pcm(2_000, 20)), listener, is_alone=True)
    assert levels(frame, PCMU, 500, 2_000) == [True, True]


def test_a_short_last_piece_is_filled_up() -> None:
    assert len(mixed(PCMU, sine_pcm(1_000, 5), None, None, is_alone=False)) == FRAME
