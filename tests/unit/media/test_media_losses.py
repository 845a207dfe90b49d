"""Nothing is dropped silently: what an agent that asked is told, what the event log and the counters get."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.media_leg import MS_NS, Leg, Sender, play_audio, samples, sine_pcm, stream_settings, unhurried

from ringback.machine import Instant
from ringback.media.codecs.convert import L16_8K
from ringback.media.codecs.g711 import PCMU
from ringback.media.control.events import StreamFaulted
from ringback.media.control.values import AudioFormat, Encoding
from ringback.media.stream.faults import FaultCounts, FaultReport

ASKS = "ringback.truth=1"


def asking(**more: Any) -> Leg:
    return Leg(stream=stream_settings(extra_headers=ASKS, **more))


def dropped(leg: Leg) -> list[tuple[str, int, int]]:
    return [(message["reason"], message["count"], message["ms"]) for message in leg.named("dropped")]


def faults(leg: Leg) -> list[tuple[str, int, int]]:
    return [(event.reason, event.count, event.ms) for event in leg.of(StreamFaulted)]


def l16(data: bytes) -> dict[str, Any]:
    media = {"contentType": "audio/x-l16", "sampleRate": 8000, "payload": base64.b64encode(data).decode()}
    return {"event": "playAudio", "media": media}


def test_binary_messages_are_told_once_a_second_and_none_is_forgotten() -> None:
    for leg, is_told in ((asking(), True), (Leg(), False)):
        for _ in range(5):
            leg.stream.feed_binary(Instant(leg.now))
        leg.slots(120)
        assert faults(leg) == [("binary_ignored", 1, 0), ("binary_ignored", 4, 0)]
        assert dropped(leg) == (faults(leg) if is_told else [])


def test_back_pressure_is_told_when_the_agent_reads_again() -> None:
    leg = asking(uplink_max_ms=200)
    for _ in range(60):
        leg.now += 20 * MS_NS
        leg.session.tick(Instant(leg.now), [])
    leg.slots(60)
    lost = leg.stream.dropped_frames
    assert lost >= 45
    assert sum(count for reason, count, _ in faults(leg) if reason == "uplink_dropped") == lost
    assert sum(ms for reason, _, ms in dropped(leg) if reason == "uplink_dropped") == 20 * lost


def test_an_overflow_says_how_much_was_refused_and_what_is_queued() -> None:
    leg = asking(playout_max_ms=1_000)
    for _ in range(4):
        leg.play(b"\x80" * 4_000)
    leg.slots(120)
    [failed] = leg.named("playFailed")
    assert failed["audio"]["queuedMs"] == 1_000
    assert failed["audio"]["droppedMs"] == 500
    assert faults(leg) == [("buffer_overflow", 1, 500), ("buffer_overflow", 1, 500)]
    plain = Leg(stream=stream_settings(playout_max_ms=1_000))
    plain.play(b"\x80" * 8_001)
    assert set(plain.named("playFailed")[0]) == {"event", "sequenceNumber", "streamId", "reason"}


def test_half_a_sample_does_not_turn_the_next_utterance_into_noise() -> None:
    leg = Leg()
    leg.command(l16(sine_pcm(500, 100) + b"\x55"))
    leg.slots(70)
    leg.command(l16(sine_pcm(500, 200)))
    leg.slots(60)
    again = Leg()
    again.command(l16(sine_pcm(500, 100) + b"\x55"))
    again.slots(70)
    again.command(l16(sine_pcm(500, 200)))
    heard = samples(PCMU.decode(again.slots(8)[160:]))
    assert float(abs(heard[1:] - heard[:-1]).max()) < 4_500, "the samples are shifted by a byte"
    assert [message["reason"] for message in leg.named("incorrectPayload")] == ["incomplete sample"]
    assert faults(leg) == [("incomplete sample", 1, 0)]


def test_the_rest_of_a_sample_still_joins_the_next_chunk() -> None:
    leg = Leg()
    whole = sine_pcm(500, 100)
    leg.command(l16(whole[:801]))
    leg.command(l16(whole[801:]))
    direct = Leg()
    direct.command(l16(whole))
    assert leg.slots(60) == direct.slots(60)
    assert faults(leg) == []


def test_another_format_after_half_a_sample_is_told() -> None:
    leg = Leg()
    leg.command(l16(sine_pcm(500, 20) + b"\x55"))
    leg.play(b"\x80" * 160)
    leg.command(l16(sine_pcm(500, 20) + b"\x55"))
    leg.command(play_audio(sine_pcm(500, 20), L16_8K))
    leg.command({"event": "playAudio", "media": {"contentType": "audio/x-l16", "sampleRate": 16000, "payload": "AAAA"}})
    leg.slots(60)
    assert sum(count for reason, count, _ in faults(leg) if reason == "incomplete sample") == 2


def test_half_a_sample_alone_in_silence_is_told_and_does_not_wait_for_the_next_utterance() -> None:
    leg = Leg()
    leg.slots(70)
    leg.command(l16(b"\x55"))
    leg.slots(110)
    assert faults(leg) == [("incomplete sample", 1, 0)]
    leg.command(l16(sine_pcm(500, 200)))
    heard = samples(PCMU.decode(leg.slots(8)[160:]))
    assert float(abs(heard[1:] - heard[:-1]).max()) < 4_500, "the samples are shifted by a byte"


@pytest.mark.parametrize(("rate_hz", "samples_sent"), [(16_000, 3_201), (24_000, 4_801), (48_000, 9_605)])
def test_whole_samples_that_make_none_of_the_leg_are_no_fault(rate_hz: int, samples_sent: int) -> None:
    leg = Leg()
    leg.command(play_audio(bytes(2 * samples_sent), AudioFormat(Encoding.L16, rate_hz)))
    leg.slots(110)
    assert leg.named("incorrectPayload") == []
    assert faults(leg) == []


def test_packets_that_come_too_late_are_told_to_an_agent_that_asked() -> None:
    for leg, is_told in ((asking(), True), (Leg(), False)):
        sender = Sender(b"\x80" * 160 * 200)
        for index in range(100):
            leg.now += 20 * MS_NS
            if index != 30:
                leg.receive(sender.packet(index))
            if index == 60:
                leg.receive(sender.packet(30))
            leg.tick()
        leg.slots(60)
        assert leg.session.quality().late_packets == 1
        assert dropped(leg) == ([("packets_late", 1, 0)] if is_told else [])


def test_what_waits_at_the_end_is_reported() -> None:
    leg = Leg()
    for _ in range(3):
        leg.command(b"no json")
    leg.session.detach(Instant(leg.now), leg.stream.stream_id)
    leg.collect()
    assert sum(count for _, count, _ in faults(leg)) == 3


@unhurried
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2_000), st.integers(1, 9), st.integers(0, 50))))
def test_counts_are_complete_and_at_most_one_a_second(notes: list[tuple[int, int, int, int]]) -> None:
    counts, now = FaultCounts(), 0
    told: list[tuple[int, FaultReport]] = []
    for reason, later_ms, count, ms in notes:
        now += later_ms * MS_NS
        report = counts.note(Instant(now), f"r{reason}", count=count, ms=ms)
        told += [(now, report)] if report is not None else []
        told += [(now, each) for each in counts.due(Instant(now))]
    told += [(now + 10**10, each) for each in counts.rest()]
    for name in {report.reason for _, report in told}:
        mine = [(at, report) for at, report in told if report.reason == name]
        wanted = [(count, ms) for reason, _, count, ms in notes if f"r{reason}" == name]
        assert sum(report.count for _, report in mine) == sum(count for count, _ in wanted)
        assert sum(report.ms for _, report in mine) == sum(ms for _, ms in wanted)
        times = [at for at, _ in mine]
        assert all(later - earlier >= 10**9 for earlier, later in pairwise(times))


def test_reasons_are_bounded() -> None:
    counts = FaultCounts()
    for number in range(40):
        counts.note(Instant(0), str(number))
    reports = counts.rest()
    assert [(report.reason, report.count, report.detail) for report in reports] == [("other", 7, "39")]
