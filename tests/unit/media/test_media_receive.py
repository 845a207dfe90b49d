"""The receive grid: whatever the network does, one frame per 20 ms, in order, without drift."""

from __future__ import annotations

import random

import numpy as np
import pytest
from tests.support.media_leg import MS_NS, SLOT_NS, Leg, Sender, measured, samples, sine_ulaw

from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMA, PCMU
from ringback.media.receive import Receiver
from ringback.media.rtp.packet import RtpPacket

TONE = sine_ulaw(400, 20_000)
OTHER_TONE = sine_ulaw(650, 2_000)


class Network:
    """Delivers a sender's packets to a receiver on fake time, ticking it each 20 ms."""

    def __init__(self, *, start_ns: int = 50_000_000, window_ms: int = 60) -> None:
        self.frames: list[tuple[int, bytes]] = []
        self.now = 0
        self.start_ns = start_ns
        self.receiver = Receiver(Instant(0), PCMU, self._emit, window_ms=window_ms, window_max_ms=200)
        self.receiver.set_types(PCMU, {0: PCMU, 8: PCMA})

    def _emit(self, frame: bytes) -> None:
        assert len(frame) == 160
        self.frames.append((self.now, frame))

    def run(self, arrivals: list[tuple[int, RtpPacket]], until_ns: int, phase_ns: int = 7_000_000) -> None:
        """Deliver packets at their instants, relative to the start, and tick until the end."""
        events = [(at + self.start_ns, 0, index, packet) for index, (at, packet) in enumerate(arrivals)]
        first = self.now // SLOT_NS * SLOT_NS + phase_ns
        ticks = [(at, 1, 0, None) for at in range(first, until_ns, SLOT_NS) if at > self.now]
        for at, _, _, packet in sorted([*events, *ticks], key=lambda event: event[:3]):
            self.now = at
            if packet is None:
                self.receiver.tick(Instant(at))
            else:
                self.receiver.packet(Instant(at), packet.to_bytes())

    def audio(self) -> bytes:
        """Return everything given out."""
        return b"".join(frame for _, frame in self.frames)

    def assert_on_grid(self, slack_frames: int = 1) -> None:
        """Check that the number of frames given out never leaves the wall clock by more than the slack and window."""
        window = 200_000_000 + SLOT_NS
        for number, (at, _) in enumerate(self.frames, start=1):
            due = number * SLOT_NS
            assert due - at <= slack_frames * SLOT_NS + 60_000_000
            assert at - due <= window + slack_frames * SLOT_NS


def steady(
    sender: Sender, *, size: int = 160, count: int | None = None, rate: float = 1.0
) -> list[tuple[int, RtpPacket]]:
    """Return packets at their exact instants; `rate` above 1 is a fast clock."""
    step = size * 125_000 / rate
    return [(round(index * step), sender.packet(index, size)) for index in range(count or sender.count(size))]


def test_packets_in_order_pass_at_once_and_untouched() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 500])
    network.run(steady(sender), network.start_ns + 500 * SLOT_NS)
    carried = [frame for at, frame in network.frames if frame != PCMU.silence]
    assert b"".join(carried) == sender.audio
    arrivals = [at for at, frame in network.frames if frame != PCMU.silence]
    assert arrivals == [network.start_ns + index * SLOT_NS for index in range(500)]
    assert network.receiver.lost == network.receiver.late == network.receiver.concealed_samples == 0


def test_silence_flows_before_the_first_packet() -> None:
    network = Network()
    network.run([], 100 * SLOT_NS)
    assert len(network.frames) == 99
    assert network.audio() == PCMU.silence * 99


@pytest.mark.parametrize("size", [80, 160, 240, 320])
def test_every_packet_length_gives_20_ms_frames(size: int) -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 300])
    network.run(steady(sender, size=size), network.start_ns + 300 * SLOT_NS)
    carried = b"".join(frame for _, frame in network.frames if frame != PCMU.silence)
    assert carried == sender.audio[: len(carried)]
    assert len(carried) >= len(sender.audio) - 160
    network.assert_on_grid(slack_frames=2)
    assert network.receiver.concealed_samples == 0


def test_reordered_packets_are_put_in_order_without_loss() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 400])
    arrivals = steady(sender)
    for index in range(10, 390, 7):
        arrivals[index] = (arrivals[index][0] + 30 * MS_NS, arrivals[index][1])
    network.run(arrivals, network.start_ns + 400 * SLOT_NS)
    assert b"".join(frame for _, frame in network.frames if frame != PCMU.silence) == sender.audio
    assert network.receiver.lost == network.receiver.late == 0


def test_a_lost_packet_is_concealed_in_its_place() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 200])
    arrivals = [arrival for index, arrival in enumerate(steady(sender)) if index not in (50, 101, 102)]
    network.run(arrivals, network.start_ns + 200 * SLOT_NS)
    receiver = network.receiver
    assert receiver.lost == 3
    assert receiver.concealed_samples == 480
    carried = [frame for _, frame in network.frames if frame != PCMU.silence]
    assert len(carried) == 200
    assert carried[49] == sender.audio[160 * 49 : 160 * 50]
    assert carried[52] == sender.audio[160 * 52 : 160 * 53]
    # 400 Hz has a whole number of periods in a frame: concealment continues the tone nearly perfectly.
    amplitude, purity = measured(samples(PCMU.decode(b"".join(carried))), 400, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.02)
    assert purity > 20


def test_duplicates_are_dropped_and_counted() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 100])
    arrivals = [pair for arrival in steady(sender) for pair in (arrival, (arrival[0] + MS_NS, arrival[1]))]
    network.run(arrivals, network.start_ns + 100 * SLOT_NS)
    assert network.receiver.duplicates == 100
    assert b"".join(frame for _, frame in network.frames if frame != PCMU.silence) == sender.audio


def test_a_packet_after_its_place_was_filled_is_late() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 100])
    arrivals = steady(sender)
    arrivals[50] = (arrivals[50][0] + 130 * MS_NS, arrivals[50][1])
    network.run(arrivals, network.start_ns + 100 * SLOT_NS)
    assert network.receiver.late == 1
    assert network.receiver.lost == 0
    assert network.receiver.window_ms > 60
    assert len([frame for _, frame in network.frames if frame != PCMU.silence]) == 100


def test_the_window_grows_with_jitter_and_shrinks_again() -> None:
    network = Network()
    sender = Sender(TONE * 4)
    arrivals = steady(sender, count=3900)
    for index in (100, 110, 120):
        arrivals[index] = (arrivals[index][0] + 110 * MS_NS, arrivals[index][1])
    network.run(arrivals[:200], network.start_ns + 200 * SLOT_NS)
    assert 110 <= network.receiver.window_ms <= 150
    assert network.receiver.late == 1
    network.run(arrivals[200:], network.start_ns + 3900 * SLOT_NS)
    assert network.receiver.window_ms == 60


def test_discontinuous_transmission_is_silence_and_not_loss() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 300])
    arrivals = steady(sender)
    # Sequence numbers go on, timestamps leave out 60 ms (no packet was lost), then 3 s.
    spurts = [
        (at, packet) for index, (at, packet) in enumerate(arrivals) if not 50 <= index < 53 and not 100 <= index < 250
    ]
    renumbered = [
        (at, RtpPacket(0, (65_500 + number) & 0xFFFF, packet.timestamp, packet.ssrc, packet.payload))
        for number, (at, packet) in enumerate(spurts)
    ]
    network.run(renumbered, network.start_ns + 300 * SLOT_NS)
    assert network.receiver.lost == 0
    carried = network.audio()
    assert sender.audio[160 * 53 : 160 * 100] in carried
    assert sender.audio[160 * 250 :] in carried
    network.assert_on_grid()
    assert abs(len(network.frames) - (network.start_ns // SLOT_NS + 300)) <= 1


def test_a_new_ssrc_and_time_base_continue_the_grid() -> None:
    network = Network()
    first, second = Sender(TONE[: 160 * 100]), Sender(OTHER_TONE, ssrc=99, sequence=5, timestamp=4_000)
    arrivals = steady(first) + [(at + 100 * SLOT_NS, packet) for at, packet in steady(second)]
    network.run(arrivals, network.start_ns + 200 * SLOT_NS)
    assert network.receiver.restarts == 1
    assert network.audio().count(first.audio) == 1
    assert second.audio in network.audio()
    network.assert_on_grid()


def test_a_timestamp_that_stood_still_during_a_pause_is_a_new_base() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 200])
    arrivals = steady(sender)
    paused = arrivals[:100] + [(at + 10_000 * MS_NS, packet) for at, packet in arrivals[100:]]
    network.run(paused, network.start_ns + 700 * SLOT_NS)
    assert sender.audio[160 * 100 :] in network.audio()
    assert network.receiver.late == 0
    assert abs(len(network.frames) - (network.start_ns // SLOT_NS + 700)) <= 1


def test_a_restarted_sequence_of_the_same_ssrc_is_followed() -> None:
    network = Network()
    first = Sender(TONE[: 160 * 50], sequence=1000)
    second = Sender(TONE[: 160 * 50], sequence=40_000, timestamp=99)
    network.run(
        steady(first) + [(at + 50 * SLOT_NS, packet) for at, packet in steady(second)], network.start_ns + 100 * SLOT_NS
    )
    assert network.receiver.restarts == 1
    assert second.audio[160:] in network.audio()


@pytest.mark.parametrize("ppm", [-200, 200, -1000, 1000])
def test_clock_skew_causes_no_drift(ppm: int) -> None:
    network = Network()
    sender = Sender(TONE * 15)
    seconds = 290
    arrivals = steady(sender, count=seconds * 50, rate=1 + ppm / 1e6)
    network.run(arrivals, network.start_ns + (seconds - 1) * 1_000_000_000)
    frames = len(network.frames)
    expected = (network.now) // SLOT_NS
    assert abs(frames - expected) <= 4
    moved = network.receiver.skipped_frames if ppm > 0 else network.receiver.inserted_frames
    assert moved == pytest.approx(abs(ppm) * 1e-6 * seconds * 50, abs=2.5)
    assert network.receiver.late == 0
    wave = samples(PCMU.decode(b"".join(frame for _, frame in network.frames)))
    assert np.abs(np.diff(wave)).max() < 2.6 * np.abs(np.diff(samples(PCMU.decode(TONE)))).max()


def test_a_flood_is_bounded() -> None:
    network = Network()
    sender = Sender(TONE)
    network.run([(index * MS_NS, sender.packet(index)) for index in range(900)], network.start_ns + 1_000_000_000)
    assert network.receiver.flooded > 500
    assert len(network.frames) <= 52 + 10 + 3


def test_a_stopped_process_resumes_without_a_burst() -> None:
    network = Network()
    sender = Sender(TONE)
    arrivals = steady(sender, count=100)
    network.run(arrivals, network.start_ns + 100 * SLOT_NS)
    before = len(network.frames)
    network.now += 15_000_000_000
    network.receiver.tick(Instant(network.now), has_stalled=True)
    network.now += SLOT_NS
    network.receiver.tick(Instant(network.now))
    assert len(network.frames) - before <= 2


def test_a_burst_after_our_own_stall_is_heard_whole() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 100])
    arrivals = steady(sender)
    network.run(arrivals[:50], network.start_ns + 50 * SLOT_NS)
    network.now = network.start_ns + 62 * SLOT_NS
    network.receiver.tick(Instant(network.now), has_stalled=True)
    for _, packet in arrivals[50:62]:
        network.receiver.packet(Instant(network.now), packet.to_bytes())
    network.run(arrivals[62:], network.start_ns + 100 * SLOT_NS)
    assert sender.audio in network.audio()
    assert network.receiver.late == 0


def test_the_other_law_is_translated() -> None:
    network = Network()
    sender = Sender(PCMU.decode(TONE) and TONE.translate(PCMA.from_other)[: 160 * 50], payload_type=8)
    network.run(steady(sender), network.start_ns + 50 * SLOT_NS)
    carried = b"".join(frame for _, frame in network.frames if frame != PCMU.silence)
    assert carried == sender.audio.translate(PCMU.from_other)


def test_a_law_change_keeps_the_past() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 50])
    network.run(steady(sender), network.start_ns + 49 * SLOT_NS)
    network.receiver.set_types(PCMA, {8: PCMA, 0: PCMU})
    after = Sender(TONE.translate(PCMA.from_other), payload_type=8, sequence=65_530, timestamp=2**32 - 800)
    network.run([(index * SLOT_NS, after.packet(index)) for index in range(52, 100)], network.start_ns + 100 * SLOT_NS)
    assert network.receiver.lost == 2
    assert set(network.audio()[-160:]) <= set(TONE.translate(PCMA.from_other))


def test_comfort_noise_packets_set_the_level_of_what_follows() -> None:
    network = Network()
    sender = Sender(TONE[: 160 * 50])
    arrivals = steady(sender)
    noise = RtpPacket(13, (65_530 + 50) & 0xFFFF, arrivals[49][1].timestamp + 160 & 0xFFFFFFFF, 77, b"\x28")
    network.run([*arrivals, (50 * SLOT_NS, noise)], network.start_ns + 60 * SLOT_NS)
    tail = samples(PCMU.decode(network.audio()[-320:]))
    assert 50 < np.abs(tail).max() < 2000
    assert network.receiver.concealed_samples == 0


def test_rubbish_is_counted() -> None:
    network = Network()
    packets = [
        RtpPacket(96, 1, 1, 1, b"x" * 160).to_bytes(),
        b"\x00" + bytes(30),
        b"\xbf" + bytes(12),
    ]
    for data in packets:
        network.receiver.packet(Instant(0), data)
    assert network.receiver.unusable == 3
    assert network.receiver.received == 0


def test_an_empty_packet_and_a_huge_one_are_survived() -> None:
    network = Network()
    sender = Sender(TONE)
    network.run([(0, sender.packet(0, 0)), (SLOT_NS, sender.packet(0, 1440))], network.start_ns + 20 * SLOT_NS)
    assert len(network.frames) >= 20


@pytest.mark.parametrize("seed", range(12))
def test_any_network_gives_one_frame_per_20_ms(seed: int) -> None:
    chance = random.Random(seed)
    loss, jitter_ms, duplicates = (
        chance.choice([0, 0.05, 0.3]),
        chance.choice([0, 10, 40, 200]),
        chance.choice([0, 0.1]),
    )
    size = chance.choice([80, 160, 240, 320])
    sender = Sender(TONE * 2)
    arrivals: list[tuple[int, RtpPacket]] = []
    for at, packet in steady(sender, size=size, count=1500 * 160 // size, rate=1 + chance.uniform(-2e-4, 2e-4)):
        if chance.random() < loss:
            continue
        arrivals.append((at + int(chance.random() * jitter_ms * MS_NS), packet))
        if chance.random() < duplicates:
            arrivals.append((at + int(chance.random() * jitter_ms * MS_NS), packet))
    network = Network()
    network.run(arrivals, network.start_ns + 1500 * SLOT_NS)
    assert abs(len(network.frames) - network.now // SLOT_NS) <= 14
    network.assert_on_grid(slack_frames=3)
    # Delay does not grow: the last frame is no later against the grid than the bound of the window.
    at, _ = network.frames[-1]
    assert at - len(network.frames) * SLOT_NS <= 260_000_000


@pytest.mark.parametrize("seed", range(6))
def test_the_agent_sees_gapless_chunks_through_any_network(seed: int) -> None:
    chance = random.Random(1000 + seed)
    sender = Sender(TONE)
    leg = Leg()
    events: list[tuple[int, int, RtpPacket | None]] = [(slot * SLOT_NS, 1, None) for slot in range(1, 500)]
    for index in range(480):
        if chance.random() < 0.1:
            continue
        events.append((index * SLOT_NS + int(chance.random() * 80 * MS_NS), 0, sender.packet(index)))
    for at, _, packet in sorted(events, key=lambda event: event[:2]):
        if packet is None:
            leg.tick(at=at)
        else:
            leg.receive(packet, at=at)
    leg.assert_gapless()
    assert abs(len(leg.media()) - 499) <= 10


def events_between(sender: Sender, first: int, last: int) -> list[RtpPacket]:
    """Return the packets of a stream in which some are telephone events, not audio."""
    packets = [sender.packet(index) for index in range(60)]
    for index in range(first, last):
        packets[index] = RtpPacket(101, packets[index].sequence, packets[first].timestamp, 77, b"\x05\x0a\x00\xa0")
    return packets


def test_reordered_events_keep_their_place_in_the_sequence() -> None:
    network = Network()
    sender = Sender(TONE)
    packets = events_between(sender, 20, 23)
    order = [*range(20), 21, 20, 22, 24, 23, *range(25, 60)]
    for number, index in enumerate(order):
        network.now = number * SLOT_NS
        packet = packets[index]
        network.receiver.odd_packet(Instant(network.now), packet, is_audio=packet.payload_type == 0)
    assert network.receiver.lost == network.receiver.late == network.receiver.duplicates == 0
    assert sender.audio[160 * 23 : 160 * 60] in network.audio()


def test_too_many_packets_behind_a_hole_give_it_up() -> None:
    network = Network()
    sender = Sender(TONE)
    network.receiver.packet(Instant(0), sender.packet(0).to_bytes())
    for index in range(2, 2 + 25):
        network.receiver.packet(Instant(0), sender.packet(index).to_bytes())
    assert len(network.frames) == 1
    network.receiver.packet(Instant(0), sender.packet(27).to_bytes())
    assert network.receiver.lost == 1
    assert len(network.frames) == 10
    assert network.receiver.flooded > 10


def test_a_held_type_that_was_negotiated_away_is_dropped() -> None:
    network = Network()
    sender = Sender(TONE)
    network.receiver.packet(Instant(0), sender.packet(0).to_bytes())
    network.receiver.packet(Instant(0), sender.packet(2).to_bytes())
    network.receiver.set_types(PCMA, {8: PCMA})
    network.receiver.tick(Instant(10 * SLOT_NS))
    assert network.receiver.unusable == 1


def test_packets_that_overlap_are_cut_to_what_is_new() -> None:
    network = Network()
    sender = Sender(TONE)
    for index in range(20):
        packet = sender.packet(index)
        if index:
            # Each packet repeats the last 10 ms of the one before.
            start = packet.timestamp - 80 & 0xFFFFFFFF
            packet = RtpPacket(0, packet.sequence, start, 77, TONE[index * 160 - 80 : index * 160 + 160])
        network.receiver.packet(Instant(index * SLOT_NS), packet.to_bytes())
    assert network.audio() == TONE[: 160 * 20]


@pytest.mark.parametrize("jump", [100_000, -100_000])
def test_a_jump_of_the_timestamp_alone_is_a_new_base(jump: int) -> None:
    network = Network()
    before, after = Sender(TONE), Sender(TONE, timestamp=2**32 - 800 + jump)
    arrivals = steady(before, size=80, count=101) + steady(after, size=80, count=200)[101:]
    network.run(arrivals, network.start_ns + 200 * SLOT_NS // 2)
    assert network.receiver.lost == network.receiver.late == 0
    assert TONE[80 * 101 : 80 * 190] in network.audio()
    network.assert_on_grid()


def test_a_time_base_that_went_back_a_little_is_followed_after_ten_packets() -> None:
    network = Network()
    before, after = Sender(TONE), Sender(TONE, timestamp=2**32 - 800 - 1600)
    arrivals = steady(before, count=50) + steady(after, count=100)[50:]
    network.run(arrivals, network.start_ns + 100 * SLOT_NS)
    assert network.receiver.late == 10
    assert TONE[160 * 60 : 160 * 100] in network.audio()


def test_a_restart_after_a_process_stop_does_not_burst() -> None:
    network = Network()
    sender = Sender(TONE)
    network.run(steady(sender, count=50), network.start_ns + 50 * SLOT_NS)
    before = len(network.frames)
    fresh = Sender(TONE, ssrc=5)
    network.receiver.packet(Instant(network.now + 5_000_000_000), fresh.packet(0).to_bytes())
    assert len(network.frames) - before <= 3
