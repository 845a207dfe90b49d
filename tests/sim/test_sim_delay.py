"""Delay never ratchets: what trouble adds to the round trip is gone a second after the trouble, on fake time.

A caller speaks numbered frames, an agent returns each at once, and the round trip of every frame is known.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import pytest
from tests.support.media_leg import MS_NS, PEER, SLOT_NS, Leg, Sender, play_audio, stream_settings

from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.events import StreamFaulted
from ringback.media.control.values import DelayPolicy
from ringback.media.rtp.packet import parse_rtp
from ringback.media.session import Datagram
from ringback.testing.bad_network import Faults, FaultyPath

TROUBLE = (250, 300)
"""Slots: from 5 s to 6 s."""
BACK_SLOTS = 50
"""The added delay is gone within so many slots, whatever the policy: 1 s."""
SLOTS = 700
BURST_NS = 20 * SLOT_NS
SAME_MS = 21
"""One frame more than before is not more delay: slots are whole."""


_DICE = np.random.default_rng(9)
FRAMES = [_DICE.integers(0x90, 0xF0, 160, dtype=np.uint8).tobytes() for _ in range(SLOTS)]
"""Frames that no other looks like."""
WORDS = [
    frame if index % 25 < 17 else PCMU.encode((_DICE.integers(-200, 200, 160)).astype(np.int16).tobytes())
    for index, frame in enumerate(FRAMES)
]
"""The same with pauses of 160 ms between words of 340 ms."""


@dataclass
class Loop:
    """The call: caller, leg, agent. A test replaces what it wants to go wrong."""

    policy: DelayPolicy = DelayPolicy.DROP_OLDEST
    trouble: tuple[int, int] = TROUBLE
    frames: list[bytes] = field(default_factory=lambda: FRAMES)
    leg: Leg = field(init=False)
    sent_at: dict[int, int] = field(default_factory=dict)
    round_trips: list[tuple[int, float]] = field(default_factory=list)
    """(slot, ms) of every frame that came back unaltered."""
    index_at: dict[int, int] = field(default_factory=dict)
    network: list[tuple[int, bytes]] = field(default_factory=list)
    at_agent: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.leg = Leg(stream=stream_settings(delay_policy=self.policy))
        self.sender = Sender(b"".join(self.frames))
        self.numbers = {frame: index for index, frame in enumerate(self.frames)}

    def run(self, trouble: str) -> None:
        lossy = FaultyPath(Faults(delay_ms=0, jitter_ms=0, loss=0.3, duplicates=0, late=0), 7)
        for slot in range(SLOTS):
            now = slot * SLOT_NS
            is_trouble = self.trouble[0] <= slot < self.trouble[1]
            self.sent_at[slot] = now
            if not (trouble == "loss" and is_trouble and not lossy.arrivals(now)):
                self.network.append((now, self.sender.packet(slot).to_bytes()))
            if trouble == "machine" and is_trouble:
                continue
            if not (trouble == "burst" and is_trouble):
                self.arrive(now, is_backlog=trouble == "machine" and slot == self.trouble[1])
            if not (trouble == "agent" and is_trouble):
                self.answer(now + 5 * MS_NS)
            self.tick(slot, now + 10 * MS_NS)

    def arrive(self, now: int, *, is_backlog: bool) -> None:
        waiting, self.network = self.network, []
        if is_backlog:
            self.leg.session.receive_backlog(Instant(now), [(data, PEER) for _, data in waiting])
        else:
            for _, data in waiting:
                self.leg.session.receive_packet(Instant(now), data, PEER)
        self.collect()

    def collect(self) -> None:
        outbox = self.leg.stream.outbox
        while outbox:
            message = json.loads(outbox.popleft())
            if message["event"] == "media":
                self.at_agent.append(base64.b64decode(message["media"]["payload"]))

    def answer(self, now: int) -> None:
        said, self.at_agent = self.at_agent, []
        for audio in said:
            self.leg.stream.feed_text(Instant(now), json.dumps(play_audio(audio)).encode())

    def tick(self, slot: int, now: int) -> None:
        out: list[Datagram] = []
        self.leg.session.tick(Instant(now), out)
        self.collect()
        for data, _ in out:
            packet = parse_rtp(data)
            assert packet is not None
            index = self.numbers.get(packet.payload)
            if index is not None:
                self.index_at[slot] = index
                self.round_trips.append((slot, (now - self.sent_at[index]) / MS_NS))

    def worst_ms(self, first: int, last: int) -> float:
        trips = [ms for slot, ms in self.round_trips if first <= slot < last]
        assert len(trips) > (last - first) * 0.5, "hardly a frame came back unaltered"
        return max(trips)


@pytest.mark.parametrize("policy", [DelayPolicy.DROP_OLDEST, DelayPolicy.SHORTEN_SILENCE])
@pytest.mark.parametrize("frames", [FRAMES, WORDS], ids=["no-pauses", "pauses"])
@pytest.mark.parametrize("slots", [15, 50, 120])
@pytest.mark.parametrize("trouble", ["burst", "agent", "machine", "loss"])
def test_added_delay_is_gone_a_second_after_the_trouble(
    trouble: str, slots: int, frames: list[bytes], policy: DelayPolicy
) -> None:
    loop = Loop(policy, (TROUBLE[0], TROUBLE[0] + slots), frames)
    loop.run(trouble)
    end = loop.trouble[1]
    base = loop.worst_ms(100, TROUBLE[0])
    after = loop.worst_ms(end + BACK_SLOTS, SLOTS)
    assert base < 80
    assert after <= base + SAME_MS
    during = [ms for slot, ms in loop.round_trips if TROUBLE[0] <= slot < end + 50]
    if trouble in ("burst", "agent"):
        assert max(during, default=0.0) > base + 100, "the test made no trouble"


def test_what_finds_no_pause_is_cut_where_it_is_quiet() -> None:
    soft = [
        frame if index % 10 < 7 else PCMU.encode((_DICE.integers(-1_500, 1_500, 160)).astype(np.int16).tobytes())
        for index, frame in enumerate(FRAMES)
    ]
    loop = Loop(DelayPolicy.SHORTEN_SILENCE, (250, 270), soft)
    loop.run("agent")
    heard = [loop.index_at[slot] for slot in range(272, 330) if slot in loop.index_at]
    (before, after), *rest = [(one, two) for one, two in pairwise(heard) if two - one > 4]
    assert not rest, "one cut, not many"
    # The first frame behind the cut is cross-faded and looks like no other.
    assert before % 10 >= 6
    assert after % 10 >= 7 or after % 10 == 0


def test_keeping_everything_keeps_the_delay_too() -> None:
    loop = Loop(DelayPolicy.KEEP)
    loop.run("agent")
    base = loop.worst_ms(100, TROUBLE[0])
    assert loop.worst_ms(SLOTS - 100, SLOTS) > base + 500
    assert loop.leg.session.quality().playout_trimmed_ms == 0


@pytest.mark.parametrize("policy", [DelayPolicy.DROP_OLDEST, DelayPolicy.SHORTEN_SILENCE])
def test_cut_audio_is_counted(policy: DelayPolicy) -> None:
    loop = Loop(policy)
    loop.run("agent")
    loop.leg.collect()
    told = [event.ms for event in loop.leg.of(StreamFaulted) if event.reason == "delay_cut"]
    assert sum(told) == pytest.approx(loop.leg.session.quality().playout_trimmed_ms, abs=1)
    assert sum(told) > 500


def test_pauses_are_shortened_before_speech_is_cut() -> None:
    """An agent that stalls and catches up: with pauses in what it says, no word loses a sample."""
    words = [b"\x20\xa0" * 80 if index % 10 < 6 else b"\xff" * 160 for index in range(400)]
    loud: dict[DelayPolicy, int] = {}
    for policy in (DelayPolicy.DROP_OLDEST, DelayPolicy.SHORTEN_SILENCE):
        leg = Leg(stream=stream_settings(delay_policy=policy))
        heard = b""
        waiting: list[bytes] = []
        for index, word in enumerate(words):
            waiting.append(word)
            if not 100 <= index < 115:
                for chunk in waiting:
                    leg.play(chunk)
                waiting.clear()
            heard += leg.slots(1)
        frames = np.frombuffer(heard, dtype=np.uint8).reshape(-1, 160)
        loud[policy] = int(np.sum(np.any(frames != 0xFF, axis=1)))
        assert leg.session.quality().playout_trimmed_ms >= 200
    assert loud[DelayPolicy.SHORTEN_SILENCE] > loud[DelayPolicy.DROP_OLDEST]
    assert loud[DelayPolicy.SHORTEN_SILENCE] >= 236


@pytest.mark.parametrize(("cushion_ms", "is_cut"), [(1_500, True), (400, False), (4_000, False)])
def test_only_what_was_missed_counts_as_a_stall(cushion_ms: int, is_cut: bool) -> None:
    """After 1.5 s of silence in a real-time stream, audio of another length is a cushion that the agent wants."""
    leg = Leg()
    for _ in range(150):
        leg.play(FRAMES[0])
        leg.slots(1)
    leg.slots(75)
    for _ in range(cushion_ms // 20):
        leg.play(FRAMES[0])
    for _ in range(150):
        leg.play(FRAMES[0])
        leg.slots(1)
    assert (leg.session.quality().playout_trimmed_ms > 1_000) is is_cut
    assert (leg.session.quality().playout_trimmed_ms == 0) is not is_cut
