"""One leg whole: audio both ways, checkpoints to the slot, clear, overflow, digits, playbacks, hold, renegotiation."""

from __future__ import annotations

import audioop
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.media_leg import (
    MS_NS,
    PCMA_CODEC,
    PEER,
    SLOT_NS,
    WALL_MS,
    Leg,
    Sender,
    measured,
    play_audio,
    remote,
    samples,
    sine_pcm,
    sine_ulaw,
    stream_settings,
    unhurried,
)

from ringback.ids import PlayId, SessionId
from ringback.machine import Instant
from ringback.media.codecs.convert import L16_8K, L16_16K, STREAM_FORMATS, ULAW_8K
from ringback.media.codecs.g711 import PCMA, PCMU
from ringback.media.control.events import (
    DigitReceived,
    DigitsSent,
    PlayFinished,
    PlayStarted,
    StreamCheckpointPlayed,
    StreamCleared,
    StreamDegraded,
    StreamFaulted,
    StreamFirstAudio,
)
from ringback.media.control.values import AudioFormat, PlayEnd, SessionEnd, Track
from ringback.media.playback import PcmClip
from ringback.media.rtp.packet import RtpPacket, timestamp_distance
from ringback.media.rtp.telephone_event import PAYLOAD
from ringback.media.session import MediaSession
from ringback.media.settings import MediaSettings
from ringback.media.stats import estimated_mos
from ringback.media.stream.session import StreamSession
from ringback.media.tone import digit_frequencies, digit_tone, tone

STRANGER = ("203.0.113.66", 5000)


def echo(leg: Leg, audio: bytes, slots: int, *, format: AudioFormat = ULAW_8K) -> bytes:
    """Send audio as RTP, let the agent return each chunk, and return what is sent back."""
    sender = Sender(audio)
    returned = b""
    for slot in range(slots):
        leg.now = slot * SLOT_NS
        if slot < sender.count():
            leg.receive(sender.packet(slot))
        for message in leg.heard:
            if message["event"] == "media":
                leg.stream.feed_text(
                    Instant(leg.now),
                    json.dumps(
                        {
                            "event": "playAudio",
                            "media": {
                                "contentType": format.encoding.value,
                                "sampleRate": format.rate_hz,
                                "payload": message["media"]["payload"],
                            },
                        }
                    ).encode(),
                )
        leg.heard.clear()
        returned += b"".join(packet.payload for packet in leg.tick(at=leg.now + 9 * MS_NS))
    return returned


@pytest.mark.parametrize("format", STREAM_FORMATS)
def test_a_tone_comes_back_through_the_agent(format: AudioFormat) -> None:
    leg = Leg(format=format)
    tone_in = sine_ulaw(1000, 3000)
    returned = echo(leg, tone_in, 150, format=format)
    assert len(returned) == 150 * 160
    amplitude, purity = measured(samples(PCMU.decode(returned))[800:-800], 1000, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.02)
    assert purity > 30
    if format is ULAW_8K:
        assert returned == tone_in
    assert leg.session.quality().queued_ms == 0


def test_an_echo_is_played_in_the_slot_of_its_arrival() -> None:
    leg = Leg()
    pulse = b"\xff" * 160 * 10 + b"\x80" * 160 + b"\xff" * 160 * 10
    returned = echo(leg, pulse, 21)
    assert returned == pulse


def test_frames_begin_right_after_start() -> None:
    leg = Leg()
    leg.slots(3)
    assert [frame["event"] for frame in leg.heard] == ["start", "media", "media", "media"]
    leg.assert_gapless()


def test_nothing_is_sent_before_the_remote_is_known() -> None:
    session = MediaSession(MediaSettings(), session_id=SessionId("s"), now=Instant(0), chance=lambda: 0.999999)
    out: list[tuple[bytes, tuple[str, int]]] = []
    session.tick(Instant(SLOT_NS), out)
    session.receive(Instant(SLOT_NS), [(RtpPacket(0, 1, 1, 1, b"x" * 160).to_bytes(), PEER)])
    assert not out
    assert session.quality().refused_packets == 1
    assert session.quality().suppressed_packets == 1


def test_the_far_side_gets_silence_when_nothing_is_played() -> None:
    leg = Leg()
    assert leg.slots(5) == PCMU.silence * 5
    first, second = leg.sent[0][1], leg.sent[1][1]
    assert first.marker
    assert not second.marker
    assert timestamp_distance(second.timestamp, first.timestamp) == 160
    assert leg.destinations == [PEER]


# -- checkpoints and clear


def test_a_checkpoint_is_acknowledged_in_the_slot_of_its_last_sample() -> None:
    leg = Leg()
    leg.play(b"\x80" * (160 * 3 + 1))
    leg.command({"event": "checkpoint", "name": "turn-1"})
    leg.slots(3)
    assert not leg.named("playedStream")
    leg.slots(1)
    assert leg.named("playedStream")[0]["name"] == "turn-1"
    assert leg.heard_at[leg.heard.index(leg.named("playedStream")[0])] == 4 * SLOT_NS
    assert leg.of(StreamCheckpointPlayed)[0].name == "turn-1"


def test_a_checkpoint_behind_whole_frames_is_acknowledged_with_the_last_of_them() -> None:
    leg = Leg()
    leg.play(b"\x80" * 480)
    leg.command({"event": "checkpoint", "name": "x"})
    leg.slots(2)
    assert not leg.named("playedStream")
    leg.slots(1)
    assert len(leg.named("playedStream")) == 1


def test_a_checkpoint_on_an_empty_queue_is_acknowledged_at_once() -> None:
    leg = Leg()
    leg.command({"event": "checkpoint", "name": "pre-mark"})
    assert leg.named("playedStream")[0]["name"] == "pre-mark"
    assert leg.named("playedStream")[0]["sequenceNumber"] == 2


def test_equal_names_are_acknowledged_each_in_order() -> None:
    leg = Leg()
    for name in ("a", "a", "b"):
        leg.play(b"\x80" * 160)
        leg.command({"event": "checkpoint", "name": name})
    leg.slots(5)
    assert [frame["name"] for frame in leg.named("playedStream")] == ["a", "a", "b"]


@pytest.mark.parametrize("format", [L16_8K, L16_16K])
def test_checkpoints_are_exact_with_conversion(format: AudioFormat) -> None:
    leg = Leg(format=format)
    unit = format.rate_hz // 8000 * 2
    for name in ("a", "b"):
        leg.play(bytes(160 * unit * 2), format)
        leg.command({"event": "checkpoint", "name": name})
    leg.slots(2)
    assert [frame["name"] for frame in leg.named("playedStream")] == ["a"]
    leg.slots(2)
    assert [frame["name"] for frame in leg.named("playedStream")] == ["a", "b"]


@unhurried
@given(st.lists(st.one_of(st.integers(1, 900), st.just(0)), max_size=25))
def test_every_checkpoint_is_acknowledged_exactly_when_its_audio_is_out(program: list[int]) -> None:
    leg = Leg()
    queued = 0
    marks: list[tuple[str, int]] = []
    for index, step in enumerate(program):
        if step:
            leg.play(b"\x80" * step)
            queued += step
        else:
            leg.command({"event": "checkpoint", "name": str(index)})
            marks.append((str(index), queued))
    for slot in range(1, queued // 160 + 3):
        leg.slots(1)
        done = [frame["name"] for frame in leg.named("playedStream")]
        assert done == [name for name, position in marks if position <= slot * 160]


def test_clear_silences_the_next_frame_and_drops_marks() -> None:
    leg = Leg()
    leg.play(sine_ulaw(300, 5000))
    leg.command({"event": "checkpoint", "name": "never"})
    leg.slots(10)
    leg.command({"event": "clearAudio"})
    assert len(leg.named("clearedAudio")) == 1
    silent = samples(PCMU.decode(leg.slots(10)))
    assert not silent[16:].any()
    leg.slots(300)
    assert not leg.named("playedStream")
    assert leg.of(StreamCleared)[0].dropped_ms == 4800
    assert leg.of(StreamCleared)[0].dropped_checkpoints == 1
    leg.command({"event": "clearAudio"})
    assert len(leg.named("clearedAudio")) == 2
    leg.play(b"\x80" * 160)
    leg.command({"event": "checkpoint", "name": "after"})
    assert leg.slots(1) == b"\x80" * 160
    assert leg.named("playedStream")[0]["name"] == "after"


def test_the_1001st_waiting_checkpoint_is_refused() -> None:
    leg = Leg()
    leg.play(b"\x80" * 160)
    for number in range(1001):
        leg.command({"event": "checkpoint", "name": str(number)})
    assert [frame["reason"] for frame in leg.named("incorrectPayload")] == ["too many checkpoints"]
    leg.slots(1)
    assert len(leg.named("playedStream")) == 1000


# -- overflow


def test_sixty_seconds_fit_and_one_sample_more_does_not() -> None:
    leg = Leg()
    leg.play(b"\x80" * 480_000)
    assert not leg.named("playFailed")
    leg.play(b"\x81")
    assert leg.named("playFailed")[0]["reason"] == "buffer_overflow"
    assert leg.of(StreamFaulted)[0].reason == "buffer_overflow"
    leg.slots(1)
    leg.play(b"\x82" * 160)
    assert len(leg.named("playFailed")) == 1
    assert leg.session.quality().queued_ms == 60_000


def test_the_operator_may_raise_the_bound() -> None:
    leg = Leg(stream=stream_settings(playout_max_ms=90_000))
    leg.play(b"\x80" * 480_000)
    leg.play(b"\x80" * 240_000)
    leg.play(b"\x80")
    assert len(leg.named("playFailed")) == 1


def test_a_dump_in_small_chunks_is_answered_once_a_second() -> None:
    leg = Leg()
    for _ in range(4000):
        leg.play(b"\x80" * 160)
    assert len(leg.named("playFailed")) == 1
    assert leg.session.quality().queued_ms == 60_000


def test_degraded_is_reported_at_30_60_and_90_percent_of_40_s() -> None:
    leg = Leg()
    for _ in range(40):
        leg.play(b"\x80" * 8000)
    assert [(event.percent, event.queued_ms) for event in leg.of(StreamDegraded)] == [
        (30, 12_000),
        (60, 24_000),
        (90, 36_000),
    ]
    leg.slots(50 * 33)
    leg.play(b"\x80" * 8000 * 4)
    assert [event.percent for event in leg.of(StreamDegraded)] == [30, 60, 90]
    leg.slots(50 * 7)
    leg.play(b"\x80" * 8000 * 8)
    assert [event.percent for event in leg.of(StreamDegraded)] == [30, 60, 90, 30]


def test_one_jump_over_several_thresholds_reports_the_highest() -> None:
    leg = Leg()
    leg.play(b"\x80" * 8000 * 37)
    assert [event.percent for event in leg.of(StreamDegraded)] == [90]


def test_first_audio_is_reported_once() -> None:
    leg = Leg()
    leg.slots(4)
    leg.play(b"\x80" * 160)
    assert not leg.of(StreamFirstAudio)
    leg.slots(3)
    assert [event.after_open_ms for event in leg.of(StreamFirstAudio)] == [100]


# -- digits


def key(leg: Leg, event: int, timestamp: int, sequence: int, *, end: bool = False, payload_type: int = 101) -> None:
    payload = PAYLOAD.pack(event, (0x80 if end else 0) | 10, 160)
    leg.receive(RtpPacket(payload_type, sequence, timestamp, 77, payload))


def test_a_digit_reaches_the_agent_and_the_owner_once() -> None:
    leg = Leg()
    leg.slots(2)
    for sequence in range(5):
        key(leg, 5, 4000, sequence, end=sequence > 2)
    dtmf = leg.named("dtmf")
    assert [(frame["dtmf"]["digit"], frame["dtmf"]["track"]) for frame in dtmf] == [("5", "inbound")]
    assert dtmf[0]["dtmf"]["timestamp"] == str(WALL_MS + 40)
    assert [event.digit for event in leg.of(DigitReceived)] == ["5"]


def test_events_of_another_payload_type_are_no_digits() -> None:
    leg = Leg()
    key(leg, 5, 4000, 1, payload_type=96)
    assert not leg.of(DigitReceived)
    leg.session.set_remote(Instant(0), remote(dtmf_payload_type=96))
    key(leg, 5, 4000, 2, payload_type=96)
    key(leg, 5, 4000, 3, payload_type=96)
    assert len(leg.of(DigitReceived)) == 1


def test_a_digit_that_comes_both_ways_counts_once() -> None:
    leg = Leg()
    key(leg, 5, 4000, 1)
    leg.now += 150 * MS_NS
    leg.session.signalled_digit(Instant(leg.now), "5")
    leg.now += 200 * MS_NS
    leg.session.signalled_digit(Instant(leg.now), "5")
    leg.session.signalled_digit(Instant(leg.now), "a")
    leg.session.signalled_digit(Instant(leg.now), "a")
    leg.session.signalled_digit(Instant(leg.now), "!")
    leg.session.signalled_digit(Instant(leg.now), "12")
    leg.collect()
    assert [event.digit for event in leg.of(DigitReceived)] == ["5", "5", "A", "A"]


def test_audio_around_a_digit_stays_on_the_grid() -> None:
    leg = Leg()
    sender = Sender(sine_ulaw(400, 2000))
    for index in range(60):
        leg.now = index * SLOT_NS + 5 * MS_NS
        packet = sender.packet(index)
        if 20 <= index < 30:
            payload = PAYLOAD.pack(5, (0x80 if index >= 27 else 0) | 10, (index - 19) * 160)
            packet = RtpPacket(101, packet.sequence, sender.packet(20).timestamp, 77, payload)
        leg.receive(packet)
        leg.tick(at=index * SLOT_NS + 10 * MS_NS)
    leg.assert_gapless()
    assert len(leg.media()) >= 59
    assert [event.digit for event in leg.of(DigitReceived)] == ["5"]
    assert leg.session.quality().lost_packets == 0
    assert sender.audio[160 * 30 : 160 * 60] in leg.audio()


def test_digits_are_sent_at_once_and_agent_audio_waits() -> None:
    leg = Leg()
    leg.play(b"\x80" * 320)
    leg.command({"event": "sendDTMF", "dtmf": "1#"})
    packets: list[RtpPacket] = []
    for _ in range(22):
        leg.now += SLOT_NS
        packets += leg.tick()
    events = [packet for packet in packets if packet.payload_type == 101]
    audio = [packet for packet in packets if packet.payload_type == 0]
    assert [packet.payload[0] for packet in events] == [1] * 5 + [11] * 5
    assert [packet.marker for packet in events] == [True, False, False, False, False] * 2
    assert b"".join(packet.payload for packet in audio).startswith(b"\x80" * 320)
    assert audio[0].marker
    assert timestamp_distance(audio[0].timestamp, events[0].timestamp) == 18 * 160
    sequences = [packet.sequence for packet in packets]
    assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
    assert [event.digits for event in leg.of(DigitsSent)] == ["1#"]


def test_without_telephone_event_digits_are_tones() -> None:
    leg = Leg(command=remote(dtmf_payload_type=-1))
    assert leg.session.send_digits(Instant(0), "8", 200, 60)
    audio = samples(PCMU.decode(leg.slots(13)))[160:1440]
    for frequency in digit_frequencies("8"):
        amplitude, _ = measured(audio, frequency, 8000)
        assert amplitude == pytest.approx(32767 * 10 ** (-12 / 20), rel=0.1)
    assert len(leg.of(DigitsSent)) == 1


def test_digits_in_the_queue_are_bounded() -> None:
    leg = Leg()
    assert leg.session.send_digits(Instant(0), "1" * 128)
    assert not leg.session.send_digits(Instant(0), "1")
    assert not Leg().session.send_digits(Instant(0), "1" * 129)
    assert not Leg().session.send_digits(Instant(0), "x")


# -- playbacks


def test_a_playback_is_heard_and_reported() -> None:
    leg = Leg()
    clip = tone((440,), 200, -10)
    assert leg.session.start_play(Instant(0), PlayId("p"), PcmClip(clip))
    assert PCMU.decode(leg.slots(10)) == PCMU.decode(PCMU.encode(clip))
    leg.slots(1)
    assert [event.play_id for event in leg.of(PlayStarted)] == ["p"]
    finished = leg.of(PlayFinished)
    assert [(event.reason, event.played_ms) for event in finished] == [(PlayEnd.COMPLETED, 200)]


def test_playbacks_queue_behind_each_other_and_loop_without_a_gap() -> None:
    leg = Leg()
    first, second = sine_pcm(400, 50), sine_pcm(800, 40)
    leg.session.start_play(Instant(0), PlayId("a"), PcmClip(first, 3))
    leg.session.start_play(Instant(0), PlayId("b"), PcmClip(second))
    audio = PCMU.decode(leg.slots(12))
    assert audio[: 3 * len(first)] == PCMU.decode(PCMU.encode(first * 3))
    assert PCMU.decode(PCMU.encode(second)) in audio
    assert [event.play_id for event in leg.of(PlayFinished)] == ["a", "b"]


def test_a_playback_is_mixed_with_agent_audio() -> None:
    leg = Leg()
    leg.play(sine_ulaw(1000, 1000, 6000))
    leg.session.start_play(Instant(0), PlayId("p"), PcmClip(sine_pcm(400, 1000, 8000, 5000)))
    audio = samples(PCMU.decode(leg.slots(50)))
    assert measured(audio, 1000, 8000)[0] == pytest.approx(6000, rel=0.03)
    assert measured(audio, 400, 8000)[0] == pytest.approx(5000, rel=0.03)


def test_mixing_limits_instead_of_wrapping() -> None:
    leg = Leg()
    loud = sine_pcm(400, 100, 8000, 32_000)
    leg.play(audioop.lin2ulaw(loud, 2))
    leg.session.start_play(Instant(0), PlayId("p"), PcmClip(loud))
    audio = samples(PCMU.decode(leg.slots(5)))
    assert np.abs(np.diff(audio)).max() < 22_000
    assert audio.max() > 31_000


def test_stopping_a_playback_ends_it_with_its_length() -> None:
    leg = Leg()
    leg.session.start_play(Instant(0), PlayId("p"), PcmClip(sine_pcm(400, 50), 0))
    leg.slots(100)
    assert leg.session.stop_play(Instant(leg.now), PlayId("p"))
    assert not leg.session.stop_play(Instant(leg.now), PlayId("p"))
    assert leg.slots(2) == PCMU.silence * 2
    assert [(event.reason, event.played_ms) for event in leg.of(PlayFinished)] == [(PlayEnd.STOPPED, 2000)]


class SlowSource:
    """A source that has nothing at first, gives odd amounts, then ends."""

    def __init__(self) -> None:
        self.answers: list[bytes | None] = [b"", b"\x01\x02" * 10, b"", b"\x01\x02" * 500, None]

    def take(self, samples: int) -> bytes | None:
        return self.answers.pop(0)


def test_a_source_that_is_not_ready_plays_silence_meanwhile() -> None:
    leg = Leg()
    leg.session.start_play(Instant(0), PlayId("p"), SlowSource())
    audio = leg.slots(1)
    assert not leg.of(PlayStarted)
    audio += leg.slots(4)
    assert len(audio) == 5 * 160
    assert leg.of(PlayFinished)[0].played_ms == (10 + 160) // 8


def test_playbacks_are_bounded_and_ids_unique() -> None:
    leg = Leg(settings=MediaSettings(plays_max=2))
    assert leg.session.start_play(Instant(0), PlayId("a"), PcmClip(bytes(320)))
    assert not leg.session.start_play(Instant(0), PlayId("a"), PcmClip(bytes(320)))
    assert leg.session.start_play(Instant(0), PlayId("b"), PcmClip(bytes(320)))
    assert not leg.session.start_play(Instant(0), PlayId("c"), PcmClip(bytes(320)))
    closed = leg.session.closed(Instant(0), SessionEnd.RELEASED)
    leg.collect()
    assert [event.reason for event in leg.of(PlayFinished)] == [PlayEnd.STOPPED] * 2
    assert closed.reason is SessionEnd.RELEASED


def test_an_empty_clip_ends_at_once() -> None:
    assert PcmClip(b"").take(160) is None
    assert PcmClip(b"\x01").take(160) is None


# -- streams on a leg


def test_streams_per_leg_are_bounded() -> None:
    leg = Leg()
    second = StreamSession(stream_settings(stream_id="two"))
    assert not leg.session.attach(Instant(0), second)
    for number in range(4):
        assert leg.session.attach(
            Instant(0), StreamSession(stream_settings(stream_id=str(number), bidirectional=False))
        )
    assert not leg.session.attach(Instant(0), StreamSession(stream_settings(stream_id="x", bidirectional=False)))
    leg.session.detach(Instant(0), leg.stream.stream_id)
    leg.session.detach(Instant(0), leg.stream.stream_id)
    assert leg.session.attach(Instant(0), second)
    assert not leg.session.attach(Instant(0), second)


def test_a_detached_agent_takes_its_audio_with_it() -> None:
    leg = Leg()
    leg.play(b"\x80" * 16_000)
    leg.command({"event": "checkpoint", "name": "x"})
    leg.slots(5)
    leg.session.detach(Instant(leg.now), leg.stream.stream_id)
    assert set(leg.slots(5)[20:]) == {0xFF}
    assert not leg.named("playedStream")
    assert leg.stream.played_ms == 100


def test_a_slow_agent_changes_nothing_for_the_other_direction() -> None:
    leg = Leg()
    sender = Sender(sine_ulaw(400, 10_000))
    leg.play(sine_ulaw(800, 10_000))
    sent = b""
    for index in range(400):
        now = Instant(index * SLOT_NS)
        leg.session.receive_packet(now, sender.packet(index).to_bytes(), PEER)
        out: list[tuple[bytes, tuple[str, int]]] = []
        leg.session.tick(now, out)
        sent += b"".join(data[12:] for data, _ in out)
    assert sent == sine_ulaw(800, 10_000)[: 400 * 160]
    assert len(leg.stream.outbox) <= 101


def test_the_tap_hears_what_is_received() -> None:
    leg = Leg(command=remote(codec=PCMA_CODEC))
    frames: list[bytes] = []
    leg.session.tap = frames.append
    sender = Sender(sine_ulaw(400, 200).translate(PCMA.from_other), payload_type=8)
    for index in range(10):
        leg.receive(sender.packet(index), at=index * SLOT_NS)
        leg.tick(at=index * SLOT_NS + MS_NS)
    assert {len(frame) for frame in frames} == {320}
    assert b"".join(frames) == PCMA.decode(sender.audio)


def test_figures() -> None:
    leg = Leg()
    sender = Sender(sine_ulaw(400, 4000))
    for index in range(100):
        if index % 10 != 5:
            leg.receive(sender.packet(index), at=index * SLOT_NS)
        leg.tick(at=index * SLOT_NS + 15 * MS_NS)
    for index in range(100, 105):
        leg.tick(at=index * SLOT_NS + 15 * MS_NS)
    stats, quality = leg.session.stats(), leg.session.quality()
    assert (stats.received_packets, stats.lost_packets, stats.sent_packets) == (90, 10, 105)
    assert stats.concealed_ms >= 200
    assert quality.loss_percent == 10.0
    assert quality.mos < 3.5
    closed = leg.session.closed(Instant(0), SessionEnd.RELEASED)
    assert (closed.received_packets, closed.lost_packets) == (90, 10)


def test_opinion_scores() -> None:
    assert estimated_mos(0, 0) == pytest.approx(4.39, abs=0.05)
    assert estimated_mos(0, 100) < estimated_mos(0, 10)
    assert estimated_mos(100, 1000) == pytest.approx(1.0, abs=0.3)
    assert Leg().session.quality().loss_percent == 0.0


def test_tones() -> None:
    assert digit_frequencies("d") == (941, 1633)
    audio = samples(digit_tone("1", 100))
    assert len(audio) == 800
    assert abs(audio[0]) < 100
    assert tone((), 0, -10) == b""


def test_every_event_type_is_a_control_event() -> None:
    leg = Leg(stream=stream_settings(track=Track.INBOUND))
    leg.play(b"\x80" * 160)
    leg.slots(2)
    for event in leg.events:
        assert event.session_id == "s"
        assert event.seq == 0


def test_rubbish_between_good_commands_keeps_order() -> None:
    leg = Leg()
    for message in (play_audio(b"\x80" * 160), {"event": "bad"}, {"event": "checkpoint", "name": "x"}):
        leg.command(message)
    leg.slots(1)
    assert [frame["event"] for frame in leg.heard] == ["start", "incorrectPayload", "media", "playedStream"]
