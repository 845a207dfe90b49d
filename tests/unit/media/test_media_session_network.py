"""One leg and the network: hold, renegotiation, sources that move or attack, packet lengths, stalls."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.media_leg import (
    MS_NS,
    PCMA_CODEC,
    PEER,
    SLOT_NS,
    Leg,
    Sender,
    measured,
    remote,
    samples,
    sine_ulaw,
    unhurried,
)

from ringback.machine import Instant
from ringback.media.codecs.g711 import PCMA, PCMU
from ringback.media.control.events import (
    MediaStarted,
    MediaTimedOut,
)
from ringback.media.control.values import Address, Codec, MediaDirection
from ringback.media.rtp.packet import RtpPacket, timestamp_distance
from ringback.media.rtp.telephone_event import PAYLOAD
from ringback.media.session import NoCommonCodec, RemoteRefused
from ringback.media.settings import MediaSettings

STRANGER = ("203.0.113.66", 5000)


def test_hold_sends_nothing_but_time_goes_on() -> None:
    leg = Leg()
    leg.slots(2)
    leg.session.set_remote(Instant(leg.now), remote(direction=MediaDirection.RECVONLY))
    leg.play(b"\x80" * 800)
    leg.command({"event": "checkpoint", "name": "x"})
    assert leg.slots(5) == b""
    assert len(leg.named("playedStream")) == 1
    assert leg.session.quality().suppressed_packets == 5
    before = leg.sent[-1][1]
    leg.session.set_remote(Instant(leg.now), remote())
    leg.slots(1)
    after = leg.sent[-1][1]
    assert after.marker
    assert timestamp_distance(after.timestamp, before.timestamp) == 6 * 160
    assert after.sequence == before.sequence + 1
    leg.assert_gapless()


def test_on_hold_nothing_is_heard_and_the_grid_goes_on() -> None:
    leg = Leg(command=remote(direction=MediaDirection.SENDONLY), settings=MediaSettings(media_idle_ms=1000))
    sender = Sender(sine_ulaw(400, 4000))
    for index in range(200):
        leg.receive(sender.packet(index), at=index * SLOT_NS)
        leg.tick(at=index * SLOT_NS + MS_NS)
    assert set(leg.audio()) == {0xFF}
    leg.assert_gapless()
    assert not leg.of(MediaTimedOut)


def test_media_idle_is_reported_once_and_again_after_media() -> None:
    leg = Leg(settings=MediaSettings(media_idle_ms=2000))
    sender = Sender(sine_ulaw(400, 4000))
    leg.slots(90)
    assert not leg.of(MediaTimedOut)
    leg.slots(400)
    assert len(leg.of(MediaTimedOut)) == 1
    assert 2000 <= leg.of(MediaTimedOut)[0].idle_ms < 2600
    leg.receive(sender.packet(0))
    leg.slots(200)
    assert len(leg.of(MediaTimedOut)) == 2
    never = Leg(settings=MediaSettings(media_idle_ms=0))
    never.slots(500)
    assert not never.of(MediaTimedOut)


def test_media_started_names_the_source() -> None:
    leg = Leg()
    leg.receive(Sender(sine_ulaw(400, 100)).packet(0))
    leg.receive(Sender(sine_ulaw(400, 100)).packet(1))
    assert [event.remote for event in leg.of(MediaStarted)] == [Address(*PEER)]


def test_a_codec_change_in_mid_call_keeps_stream_and_queue() -> None:
    leg = Leg()
    audio = sine_ulaw(400, 400)
    leg.play(audio)
    sender = Sender(sine_ulaw(600, 1000))
    for index in range(10):
        leg.receive(sender.packet(index), at=index * SLOT_NS)
        leg.tick(at=index * SLOT_NS + MS_NS)
    leg.session.set_remote(Instant(leg.now), remote(codec=PCMA_CODEC))
    switched = Sender(sender.audio.translate(PCMA.from_other), payload_type=8)
    out = b""
    for index in range(10, 20):
        leg.receive(switched.packet(index), at=index * SLOT_NS)
        out += b"".join(packet.payload for packet in leg.tick(at=index * SLOT_NS + MS_NS))
    assert out == audio[1600:].translate(PCMA.from_other)
    assert {packet.payload_type for _, packet in leg.sent[10:]} == {8}
    leg.assert_gapless()
    assert measured(samples(PCMU.decode(leg.audio()))[200:], 600, 8000)[1] > 30


def test_an_early_codec_switch_of_the_peer_is_followed() -> None:
    leg = Leg()
    plain, other = Sender(sine_ulaw(600, 1000)), Sender(sine_ulaw(600, 1000).translate(PCMA.from_other), payload_type=8)
    for index in range(40):
        leg.receive((other if index % 2 else plain).packet(index), at=index * SLOT_NS)
        leg.tick(at=index * SLOT_NS + MS_NS)
    assert measured(samples(PCMU.decode(leg.audio()))[200:], 600, 8000)[1] > 30


def test_a_new_remote_address_is_sent_to_and_heard() -> None:
    leg = Leg()
    leg.receive(Sender(sine_ulaw(400, 100)).packet(0))
    leg.slots(1)
    leg.session.set_remote(Instant(leg.now), remote(address=("127.0.0.1", 7000)))
    leg.slots(1)
    assert leg.destinations == [("127.0.0.1", 7000)]
    leg.receive(Sender(sine_ulaw(400, 100)).packet(1))
    assert leg.session.quality().refused_packets == 1
    leg.receive(Sender(sine_ulaw(400, 100)).packet(1), source=("127.0.0.1", 7000))
    assert leg.session.quality().received_packets == 2


def test_an_attacker_is_neither_played_nor_answered() -> None:
    leg = Leg()
    sender, attack = Sender(sine_ulaw(400, 4000)), Sender(sine_ulaw(1500, 4000), ssrc=666, sequence=9)
    for index in range(150):
        leg.receive(sender.packet(index), at=index * SLOT_NS)
        for port in (5000, 5001):
            leg.receive(attack.packet(index), source=("127.0.0.1", port))
        leg.receive(attack.packet(index), source=STRANGER)
        leg.tick(at=index * SLOT_NS + MS_NS)
        assert leg.destinations == [PEER]
    assert leg.session.quality().refused_packets == 450
    assert leg.audio() == sender.audio[: len(leg.audio())]


def test_a_lock_is_live_also_when_slots_are_missed() -> None:
    leg = Leg()
    sender, attack = Sender(sine_ulaw(400, 4000)), Sender(sine_ulaw(1500, 4000), ssrc=666)
    for index in range(100):
        leg.receive(sender.packet(index), at=index * SLOT_NS)
    for index in range(20):
        leg.receive(attack.packet(index), source=("127.0.0.1", 5000))
    leg.tick()
    assert leg.destinations == [PEER]
    assert leg.session.quality().refused_packets == 20


def test_a_moved_peer_is_followed_within_two_seconds() -> None:
    leg = Leg()
    sender = Sender(sine_ulaw(400, 10_000))
    moved = ("127.0.0.1", 4999)
    heard_at = None
    for index in range(400):
        leg.receive(sender.packet(index), at=index * SLOT_NS, source=PEER if index < 100 else moved)
        leg.tick(at=index * SLOT_NS + MS_NS)
        if heard_at is None and leg.destinations == [moved]:
            heard_at = index
    assert heard_at is not None
    assert 150 <= heard_at <= 200
    leg.assert_gapless()


def test_rtcp_and_rubbish_are_counted_only() -> None:
    leg = Leg()
    leg.receive(b"\x80\xc8\x00\x06" + bytes(24))
    for data in (b"", b"x", b"\x80" * 11, b"\x00" * 40, b"\xff" * 40):
        leg.receive(data)
    sender = Sender(sine_ulaw(400, 100))
    leg.receive(sender.packet(0))
    leg.receive(b"\x80\xc8\x00\x06" + bytes(24))
    for data in (b"", b"\x80", b"\x80" + b"\x65" + bytes(3), b"\xa0\x65" + bytes(30)):
        leg.receive(data)
    quality = leg.session.quality()
    assert quality.received_packets == 1
    assert quality.unusable_packets >= 8


@unhurried
@given(st.lists(st.binary(max_size=40), max_size=20))
def test_any_datagrams_are_survived(datagrams: list[bytes]) -> None:
    leg = Leg()
    leg.receive(Sender(sine_ulaw(400, 20)).packet(0))
    for data in datagrams:
        leg.receive(data)
        leg.receive(b"\x80\x65" + data)
        leg.receive(b"\x80\x00" + data)
        leg.slots(1)
    leg.assert_gapless()


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40])
def test_packets_go_out_in_the_negotiated_length(ptime_ms: int) -> None:
    leg = Leg(command=remote(ptime_ms=ptime_ms))
    audio = sine_ulaw(400, 1200)
    leg.play(audio)
    assert leg.slots(60) == audio
    assert {len(packet.payload) for _, packet in leg.sent} == {ptime_ms * 8}


def test_missed_slots_advance_the_rtp_clock_and_do_not_burst() -> None:
    leg = Leg()
    leg.slots(2)
    leg.now += 10 * SLOT_NS
    assert len(leg.tick()) == 1
    assert timestamp_distance(leg.sent[-1][1].timestamp, leg.sent[-2][1].timestamp) == 10 * 160


def test_late_ticks_do_not_move_the_rtp_clock() -> None:
    leg = Leg()
    chance = random.Random(3)
    for slot in range(500):
        leg.tick(at=slot * SLOT_NS + chance.randrange(29) * MS_NS)
    first, last = leg.sent[0][1], leg.sent[-1][1]
    assert timestamp_distance(last.timestamp, first.timestamp) == 499 * 160


def test_what_waited_in_the_socket_during_a_stall_is_heard_whole() -> None:
    leg = Leg()
    sender = Sender(sine_ulaw(400, 4000))
    for index in range(50):
        leg.receive(sender.packet(index), at=index * SLOT_NS)
        leg.tick(at=index * SLOT_NS + MS_NS)
    # 160 ms without a turn of the loop, then two make-up slots before the socket is read.
    leg.tick(at=56 * SLOT_NS + MS_NS)
    leg.tick(at=57 * SLOT_NS + MS_NS)
    for index in range(50, 100):
        leg.receive(sender.packet(index), at=max(index, 57) * SLOT_NS + 2 * MS_NS)
        if index > 57:
            leg.tick(at=index * SLOT_NS + 3 * MS_NS)
    assert sender.audio[: 160 * 100] in leg.audio()
    leg.assert_gapless()


def test_codecs_and_targets_that_cannot_be_used_change_nothing() -> None:
    leg = Leg()
    with pytest.raises(NoCommonCodec):
        leg.session.set_remote(Instant(0), remote(codec=Codec("G722", 9)))
    with pytest.raises(NoCommonCodec):
        leg.session.set_remote(Instant(0), remote(codec=Codec("PCMU", 0, 16_000)))
    with pytest.raises(RemoteRefused):
        leg.session.set_remote(Instant(0), remote(address=("224.0.0.1", 4000)))
    assert leg.slots(1) == PCMU.silence
    assert leg.destinations == [PEER]


def backlog(first: int, last: int) -> list[tuple[bytes, tuple[str, int]]]:
    return [(RtpPacket(0, n, n * 160, 77, bytes([n % 100 + 1]) * 160).to_bytes(), PEER) for n in range(first, last)]


def test_of_a_long_backlog_only_the_newest_audio_and_every_key_is_heard() -> None:
    leg = Leg()
    for n in range(50):
        leg.slots(1)
        leg.session.receive(Instant(leg.now), backlog(n, n + 1))
    leg.collect()
    before = len(leg.media())
    leg.now += 50 * SLOT_NS
    waited = backlog(50, 100)
    payload = PAYLOAD.pack(7, 0x80 | 10, 1600)
    waited.insert(10, (RtpPacket(101, 60, 60 * 160, 77, payload).to_bytes(), PEER))
    leg.session.receive_backlog(Instant(leg.now), waited)
    leg.collect()
    assert [frame["dtmf"]["digit"] for frame in leg.named("dtmf")] == ["7"]
    heard = leg.audio()[160 * before :]
    assert heard.endswith(bytes([99]) * 160 + bytes([100]) * 160)
    assert len(heard) <= 4 * 160
    for n in range(100, 150):
        leg.slots(1)
        leg.session.receive(Instant(leg.now), backlog(n, n + 1))
    leg.collect()
    assert leg.audio().endswith(bytes([50]) * 160)
    quality = leg.session.quality()
    assert quality.lost_packets == 0
    assert quality.flooded_frames == 48
    assert quality.concealed_ms == 0
    leg.assert_gapless()


def test_a_short_backlog_is_heard_whole() -> None:
    leg = Leg()
    leg.session.receive(Instant(leg.now), backlog(0, 1))
    leg.now += 20 * SLOT_NS
    leg.session.receive_backlog(Instant(leg.now), backlog(1, 21))
    leg.collect()
    assert leg.audio().endswith(b"".join(bytes([n + 1]) * 160 for n in range(1, 21)))


def test_a_backlog_from_elsewhere_changes_nothing() -> None:
    leg = Leg()
    leg.session.receive(Instant(leg.now), backlog(0, 1))
    strangers = [(data, ("127.0.0.9", 9)) for data, _ in backlog(1, 60)]
    leg.session.receive_backlog(Instant(leg.now), strangers)
    leg.session.receive_backlog(Instant(leg.now), [(b"", PEER), (b"\x80", PEER), (bytes(40), PEER)] * 30)
    leg.session.receive(Instant(leg.now), backlog(1, 2))
    leg.collect()
    assert leg.audio().endswith(bytes([1]) * 160 + bytes([2]) * 160)


def test_the_owner_is_asked_to_move_the_slots_of_a_real_time_agent() -> None:
    leg = Leg()
    asked: list[int] = []
    due = leg.now

    def move(by_ns: int) -> int:
        nonlocal due
        asked.append(by_ns)
        due += by_ns
        return by_ns

    leg.session.on_move = move
    waits = []
    for number in range(200):
        leg.now = number * SLOT_NS
        leg.play(bytes([number % 100 + 1]) * 160)
        due += SLOT_NS
        waits.append(due - leg.now)
        (packet,) = leg.tick(at=due)
        assert packet.payload == bytes([number % 100 + 1]) * 160
        assert packet.timestamp - leg.sent[0][1].timestamp == number * 160, "no slot counts as missed"
    assert asked == [-15_000_000]
    assert waits[-1] == 5_000_000
