"""Lanes of playbacks: what queues, what is added up, what is heard alone."""

from __future__ import annotations

import audioop

import pytest
from tests.support.media_leg import Leg, measured, samples, sine_pcm, sine_ulaw

from ringback.ids import PlayId
from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.values import PlayLane
from ringback.media.playback import PcmClip, Playback, Playbacks

ONE = b"\x01\x00" * 160
TWO = b"\x02\x00" * 160
FOUR = b"\x04\x00" * 160


class Bench:
    """Playbacks, and what they told."""

    def __init__(self, limit: int = 8) -> None:
        self.told: list[str] = []
        self.plays = Playbacks(limit, on_start=self._started, on_end=self._ended)

    def _started(self, play: Playback) -> None:
        self.told.append(f"{play.play_id} started")

    def _ended(self, play: Playback) -> None:
        self.told.append(f"{play.play_id} ended")

    def add(self, name: str, pcm: bytes, lane: PlayLane, *, mixes: bool = True) -> bool:
        return self.plays.add(PlayId(name), PcmClip(pcm), lane, mixes=mixes)


def test_lanes_are_added_up_and_each_queues_for_itself() -> None:
    bench = Bench()
    bench.add("a", ONE, PlayLane.DOCUMENT)
    bench.add("b", ONE, PlayLane.DOCUMENT)
    bench.add("c", TWO * 3, PlayLane.PLAY)
    bench.add("d", FOUR, PlayLane.SPEAK)
    assert bench.plays.take() == b"\x07\x00" * 160
    assert bench.plays.take() == b"\x03\x00" * 160
    assert bench.plays.take() == TWO
    assert bench.plays.take() == b""
    assert len(bench.plays) == 0
    assert bench.told == [
        *("a started", "c started", "d started", "a ended", "b started", "d ended", "b ended", "c ended"),
    ]


def test_one_that_does_not_mix_is_heard_alone_and_the_others_run_on() -> None:
    bench = Bench()
    bench.add("a", ONE * 2 + TWO, PlayLane.DOCUMENT)
    bench.add("b", FOUR * 2, PlayLane.PLAY, mixes=False)
    assert bench.plays.take() == FOUR
    assert bench.plays.is_alone
    bench.plays.take()
    assert bench.plays.take() == TWO
    assert not bench.plays.is_alone


def test_the_order_of_lanes_does_not_matter_to_what_is_heard_alone() -> None:
    bench = Bench()
    bench.add("b", FOUR, PlayLane.PLAY, mixes=False)
    bench.add("a", ONE, PlayLane.DOCUMENT)
    bench.add("c", TWO, PlayLane.SPEAK, mixes=False)
    assert bench.plays.take() == b"\x06\x00" * 160
    assert bench.plays.is_alone


def test_one_that_has_nothing_yet_leaves_the_others_audible() -> None:
    class Late:
        def take(self, samples: int) -> bytes | None:
            return b""

    bench = Bench()
    bench.add("a", ONE, PlayLane.DOCUMENT)
    bench.plays.add(PlayId("b"), Late(), PlayLane.PLAY, mixes=False)
    assert bench.plays.take() == ONE
    assert not bench.plays.is_alone


def test_parts_of_a_frame_are_filled_up_with_silence() -> None:
    bench = Bench()
    bench.add("a", ONE[:10], PlayLane.DOCUMENT)
    bench.add("b", TWO, PlayLane.PLAY)
    assert bench.plays.take() == b"\x03\x00" * 5 + b"\x02\x00" * 155


@pytest.mark.parametrize("limit", [1, 3])
def test_all_lanes_together_are_bounded(limit: int) -> None:
    bench = Bench(limit)
    lanes = [PlayLane.DOCUMENT, PlayLane.PLAY, PlayLane.SPEAK]
    assert all(bench.add(str(index), ONE, lanes[index]) for index in range(limit))
    assert not bench.add("more", ONE, PlayLane.DOCUMENT)


def test_an_id_is_taken_once_whatever_the_lane() -> None:
    bench = Bench()
    assert bench.add("a", ONE, PlayLane.DOCUMENT)
    assert not bench.add("a", ONE, PlayLane.PLAY)


def test_agent_audio_is_neither_heard_nor_counted_while_something_plays_alone() -> None:
    leg = Leg()
    leg.play(sine_ulaw(1000, 1000, 6000))
    leg.session.start_play(Instant(0), PlayId("p"), PcmClip(sine_pcm(400, 400, 8000, 5000)), PlayLane.PLAY, mixes=False)
    audio = samples(PCMU.decode(leg.slots(20)))
    assert measured(audio, 400, 8000)[0] == pytest.approx(5000, rel=0.03)
    assert measured(audio, 1000, 8000)[0] < 200
    rest = samples(PCMU.decode(leg.slots(30)))
    assert measured(rest, 1000, 8000)[0] == pytest.approx(6000, rel=0.05)
    report = leg.session.audio_report()
    assert (report.played_ms, report.dropped_ms, report.queued_ms) == (600, 400, 0)


def test_two_lanes_are_mixed_with_agent_audio() -> None:
    leg = Leg()
    leg.play(sine_ulaw(1000, 400, 6000))
    for name, lane, hz in (("p", PlayLane.PLAY, 400), ("s", PlayLane.SPEAK, 1600)):
        leg.session.start_play(Instant(0), PlayId(name), PcmClip(sine_pcm(hz, 400, 8000, 5000)), lane)
    audio = samples(PCMU.decode(leg.slots(20)))
    for hz, amplitude in ((1000, 6000), (400, 5000), (1600, 5000)):
        assert measured(audio, hz, 8000)[0] == pytest.approx(amplitude, rel=0.05)
    assert audioop.rms(audio.tobytes(), 2) > 5000
