"""Ten minutes of a call over a bad network on fake time: 2 % loss, 30 ms jitter, overtaking, duplicates.

The real clock runs in `make soak`, with the same faults and the whole server.
"""

from __future__ import annotations

import base64
import heapq
import json
from itertools import pairwise

import numpy as np
import pytest
from tests.support.media_leg import (
    MS_NS,
    PEER,
    SLOT_NS,
    STREAM_UUID,
    WALL_MS,
    Leg,
    Sender,
    measured,
    samples,
    sine_ulaw,
)

from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMU
from ringback.media.rtp.packet import parse_rtp
from ringback.media.session import Datagram
from ringback.testing.bad_network import Faults, FaultyPath

MINUTES = 10
SLOTS = MINUTES * 60 * 50
PITCH_HZ = 500.0
"""A whole number of periods is 2 ms long, so a loop of one second has no seam."""
ECHO_HZ = 800.0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", [1, 2])
def test_ten_minutes_lose_no_chunk_and_stay_in_time_and_in_tune(seed: int) -> None:
    leg = Leg()
    path = FaultyPath(Faults(), seed)
    second = sine_ulaw(PITCH_HZ, 1_000)
    sender = Sender(second)
    spoken = sine_ulaw(ECHO_HZ, 1_000)
    replies = [play(spoken[at : at + 160]) for at in range(0, 8_000, 160)]
    arriving: list[tuple[int, int, bytes]] = []
    agent = Agent()
    heard_by_peer: list[bytes] = []
    out: list[Datagram] = []
    for slot in range(SLOTS):
        now = slot * SLOT_NS
        packet = sender.packet(slot % 50)
        packet = type(packet)(
            packet.payload_type,
            (65_000 + slot) & 0xFFFF,
            (2**32 - 8_000 + slot * 160) & 0xFFFFFFFF,
            packet.ssrc,
            packet.payload,
        )
        # The peer sends half a slot away from our ticks.
        for number, at in enumerate(path.arrivals(now + 10 * MS_NS)):
            heapq.heappush(arriving, (at, 2 * slot + number, packet.to_bytes()))
        while arriving and arriving[0][0] < now + SLOT_NS:
            at, _, data = heapq.heappop(arriving)
            leg.session.receive_packet(Instant(at), data, PEER)
        now += SLOT_NS
        leg.stream.feed_text(Instant(now), replies[slot % 50])
        out.clear()
        leg.session.tick(Instant(now), out)
        heard_by_peer += [data for data, _ in out]
        while leg.stream.outbox:
            agent.take(leg.stream.outbox.popleft())
        while leg.session.poll_event() is not None:
            pass

    quality = leg.session.quality()
    assert path.lost > 0.015 * SLOTS
    assert path.duplicated > 0.005 * SLOTS
    assert path.held_back > 0.005 * SLOTS

    # Every chunk is there, in order, 20 ms apart.
    assert agent.chunks == SLOTS
    assert agent.faults == []
    assert quality.received_packets + path.lost == pytest.approx(SLOTS + path.duplicated, abs=3)
    assert quality.duplicate_packets == pytest.approx(path.duplicated, rel=0.1)

    # What the agent heard: the tone in every second, at its level, with little noise of ours.
    audio = samples(PCMU.decode(b"".join(agent.audio)))
    figures = [measured(audio[at : at + 8_000], PITCH_HZ, 8000) for at in range(8_000, len(audio) - 8_000, 8_000)]
    amplitudes, purities = np.array(figures).T
    assert np.min(amplitudes) > 0.9 * 10_000
    assert np.median(amplitudes) == pytest.approx(10_000, rel=0.05)
    assert np.min(purities) > 15
    assert np.median(purities) > 30
    frames = audio[: len(audio) // 160 * 160].reshape(-1, 160)
    quiet = np.flatnonzero(np.abs(frames[5:]).max(axis=1) < 500)
    assert len(quiet) < 0.002 * len(frames), "lost packets are heard as holes"

    # What the peer hears of the agent is untouched by the loss the other way: every frame, exactly.
    packets = [parse_rtp(data) for data in heard_by_peer]
    stamps = [packet.timestamp for packet in packets if packet is not None]
    assert len(stamps) == SLOTS
    assert {(b - a) & 0xFFFFFFFF for a, b in pairwise(stamps)} == {160}
    back = b"".join(packet.payload for packet in packets[1:] if packet is not None)
    assert back == (spoken * (MINUTES * 60))[: len(back)]
    assert quality.playout_trimmed_ms == 0
    assert quality.queued_ms <= 20


def play(audio: bytes) -> bytes:
    media = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": base64.b64encode(audio).decode()}
    return json.dumps({"event": "playAudio", "media": media}).encode()


class Agent:
    """Checks every message as it comes and keeps the audio."""

    def __init__(self) -> None:
        self.chunks = 0
        self.messages = 0
        self.audio: list[bytes] = []
        self.faults: list[str] = []

    def take(self, text: bytes) -> None:
        message = json.loads(text)
        self.messages += 1
        if message["sequenceNumber"] != self.messages + 1:
            # `start` went before.
            self.faults.append(f"sequence {message['sequenceNumber']} after {self.messages}")
        if message["event"] != "media":
            return
        media = message["media"]
        self.chunks += 1
        wanted = (self.chunks, str(WALL_MS + 20 * (self.chunks - 1)), "inbound", STREAM_UUID)
        if (media["chunk"], media["timestamp"], media["track"], message["streamId"]) != wanted:
            self.faults.append(f"{media['chunk']} {media['timestamp']} instead of {wanted}")
        audio = base64.b64decode(media["payload"])
        if len(audio) != 160:
            self.faults.append(f"{len(audio)} bytes in chunk {self.chunks}")
        self.audio.append(audio)
