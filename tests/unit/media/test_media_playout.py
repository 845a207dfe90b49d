"""The play queue: every sample once and in order, no clicks, no lasting delay."""

from __future__ import annotations

import audioop
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.media_leg import SLOT_NS, measured, samples, sine_pcm, sine_ulaw, unhurried

from ringback.machine import Instant
from ringback.media.checkpoint import CHECKPOINTS_MAX, NEVER, Checkpoints
from ringback.media.codecs.convert import L16_8K, L16_16K, ULAW_8K, canonical
from ringback.media.codecs.g711 import PCMA, PCMU
from ringback.media.control.values import AudioFormat, Encoding
from ringback.media.playout import Playout

L16_24K = canonical(AudioFormat(Encoding.L16, 24_000))


def drain(playout: Playout, slots: int, start: int = 0) -> bytes:
    """Take frames as a leg does, silence where there is none."""
    frames = [playout.take(Instant((start + slot) * SLOT_NS)) or PCMU.silence for slot in range(slots)]
    assert {len(frame) for frame in frames} <= {160}
    return b"".join(frames)


@pytest.mark.parametrize("size", [1, 7, 80, 159, 160, 161, 320, 333, 1600, 8000])
def test_audio_of_any_chunk_size_comes_out_whole(size: int) -> None:
    playout = Playout(PCMU, 60_000)
    audio = sine_ulaw(440, 1000)
    for at in range(0, len(audio), size):
        assert playout.queue(Instant(0), audio[at : at + size], ULAW_8K)
    assert playout.level == len(audio)
    assert drain(playout, 50) == audio
    assert playout.position == len(audio)
    assert playout.level == 0


@unhurried
@given(st.lists(st.binary(max_size=700), max_size=20))
def test_no_sample_is_lost_or_doubled(chunks: list[bytes]) -> None:
    playout = Playout(PCMU, 60_000)
    for chunk in chunks:
        assert playout.queue(Instant(0), chunk, ULAW_8K)
    audio = b"".join(chunks)
    assert drain(playout, len(audio) // 160 + 1).startswith(audio)
    assert playout.position == len(audio)


@pytest.mark.parametrize(("format", "rate"), [(L16_8K, 8000), (L16_16K, 16_000), (L16_24K, 24_000)])
@pytest.mark.parametrize("size", [1, 3, 320, 641, 100_000])
def test_linear_audio_is_converted_across_any_chunk_borders(format: AudioFormat, rate: int, size: int) -> None:
    playout = Playout(PCMU, 60_000)
    audio = sine_pcm(1000, 500, rate)
    for at in range(0, len(audio), size):
        assert playout.queue(Instant(0), audio[at : at + size], format)
    assert playout.level == 4000
    amplitude, purity = measured(samples(PCMU.decode(drain(playout, 25)))[160:], 1000, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.02)
    assert purity > 32


def test_an_a_law_leg_gets_a_law() -> None:
    playout = Playout(PCMA, 60_000)
    audio = sine_ulaw(440, 100)
    assert playout.queue(Instant(0), audio, ULAW_8K)
    assert drain(playout, 5) == audio.translate(PCMA.from_other)


def test_a_law_change_translates_what_is_queued() -> None:
    playout = Playout(PCMU, 60_000)
    audio = sine_ulaw(440, 200)
    playout.queue(Instant(0), audio[:800], ULAW_8K)
    playout.queue(Instant(0), audioop.ulaw2lin(audio[800:], 2), L16_8K)
    first = playout.take(Instant(0))
    playout.set_law(PCMA)
    rest = b"".join(playout.take(Instant(slot * SLOT_NS)) or b"" for slot in range(1, 10))
    assert first == audio[:160]
    assert rest[:640] == audio[160:800].translate(PCMA.from_other)
    assert measured(samples(PCMA.decode(rest)), 440, 8000)[1] > 25
    playout.set_law(PCMU)
    playout.set_law(PCMU)


def test_the_queue_takes_its_bound_and_not_one_sample_more() -> None:
    playout = Playout(PCMU, 60_000)
    assert playout.queue(Instant(0), b"\x80" * 480_000, ULAW_8K)
    assert not playout.queue(Instant(0), b"\x80", ULAW_8K)
    assert not playout.queue(Instant(0), bytes(4), L16_16K)
    assert playout.level == 480_000
    playout.take(Instant(0))
    assert playout.queue(Instant(0), b"\x80" * 160, ULAW_8K)
    assert not playout.queue(Instant(0), b"\x80", ULAW_8K)


def test_clear_drops_everything_and_fades_within_2_ms() -> None:
    playout = Playout(PCMU, 60_000)
    playout.queue(Instant(0), sine_ulaw(100, 1000, 30_000)[: 160 * 3 + 20] * 4, ULAW_8K)
    before = drain(playout, 2)
    assert playout.clear() == 4 * 500 - 320
    after = drain(playout, 2, 2)
    joined = samples(PCMU.decode(before + after))
    assert not joined[320 + 16 :].any()
    assert np.abs(np.diff(joined)).max() < 3500
    assert playout.position == playout.end_position == 2000
    assert playout.clear() == 0


def test_clear_forgets_filter_state_and_odd_bytes() -> None:
    playout = Playout(PCMU, 60_000)
    playout.queue(Instant(0), sine_pcm(1000, 100, 16_000) + b"\x01", L16_16K)
    drain(playout, 1)
    playout.clear()
    playout.queue(Instant(0), bytes(640), L16_16K)
    assert not samples(PCMU.decode(drain(playout, 2, 1)))[16:].any()


def test_running_dry_ends_without_a_click() -> None:
    playout = Playout(PCMU, 60_000)
    loud = sine_ulaw(100, 25, 30_000)
    playout.queue(Instant(0), loud, ULAW_8K)
    audio = samples(PCMU.decode(drain(playout, 4)))
    assert np.abs(np.diff(audio)).max() < 3500
    assert not audio[len(loud) + 16 :].any()


def test_a_rest_shorter_than_a_frame_is_played_at_once() -> None:
    playout = Playout(PCMU, 60_000)
    playout.queue(Instant(0), b"\x80" * 10, ULAW_8K)
    frame = playout.take(Instant(0))
    assert frame is not None
    assert frame[:10] == b"\x80" * 10
    assert playout.position == 10


def paced_run(
    arrivals: list[int], slots: int, *, chunk: int = 160, phase: int = 10_000_000
) -> tuple[Playout, list[int], bytes]:
    """Play numbered chunks that arrive at instants; returns the queue, its level after each slot, and the audio."""
    playout = Playout(PCMU, 60_000)
    levels: list[int] = []
    audio = b""
    waiting = sorted(arrivals)
    tone = sine_ulaw(400, 20)
    for slot in range(slots):
        now = slot * SLOT_NS + phase
        while waiting and waiting[0] <= now:
            playout.queue(Instant(waiting.pop(0)), tone * (chunk // 160), ULAW_8K)
        audio += playout.take(Instant(now)) or PCMU.silence
        levels.append(playout.level)
    return playout, levels, audio


def test_a_real_time_agent_is_played_at_the_next_slot() -> None:
    playout, levels, audio = paced_run([slot * SLOT_NS for slot in range(500)], 500)
    assert set(levels) == {0}
    assert audio == sine_ulaw(400, 20) * 500
    assert playout.gaps == 0
    assert playout.trimmed_samples == 0


@pytest.mark.parametrize("stall_ms", [60, 200, 600])
def test_delay_of_a_stall_is_undone(stall_ms: int) -> None:
    stall = range(100, 100 + stall_ms // 20)
    arrivals = [(stall.stop if slot in stall else slot) * SLOT_NS for slot in range(500)]
    playout, levels, audio = paced_run(arrivals, 500)
    assert levels[stall.stop + 1] >= stall_ms * 8 - 320
    # Back to the base within a second after the stall.
    assert max(levels[stall.stop + 50 :]) <= 160
    wave = samples(PCMU.decode(audio[160 * stall.stop + 160 :]))
    assert np.abs(np.diff(wave)).max() < 6500
    assert playout.trimmed_samples > 0


def test_slots_that_the_process_missed_cause_no_lasting_delay() -> None:
    playout = Playout(PCMU, 60_000)
    levels = []
    for slot in range(400):
        now = slot * SLOT_NS + 10_000_000
        playout.queue(Instant(now - 8_000_000), sine_ulaw(400, 20), ULAW_8K)
        if 100 <= slot < 110:
            continue
        if slot == 110:
            playout.skip_slot(10)
        playout.take(Instant(now))
        levels.append(playout.level)
    assert max(levels) >= 1600
    assert max(levels[-200:]) <= 160


def test_a_fast_agent_clock_causes_no_lasting_delay() -> None:
    arrivals = [int(slot * SLOT_NS * 0.999) for slot in range(10_000)]
    playout, levels, _ = paced_run(arrivals, 9_900)
    assert max(levels) <= 5 * 160
    assert playout.trimmed_samples >= 4 * 160


def test_jitter_of_a_real_time_agent_settles() -> None:
    chance = random.Random(5)
    arrivals = [slot * SLOT_NS + chance.randrange(25_000_000) for slot in range(2000)]
    playout, levels, _ = paced_run(arrivals, 2000)
    assert playout.gaps < 60
    assert max(levels) <= 4 * 160


def test_speech_sent_ahead_is_never_cut() -> None:
    playout = Playout(PCMU, 60_000)
    queued = 0
    for slot in range(1000):
        now = Instant(slot * SLOT_NS)
        if slot % 200 == 0:
            for _ in range(150):
                playout.queue(now, sine_ulaw(400, 20), ULAW_8K)
                queued += 160
        playout.take(now)
    assert playout.trimmed_samples == 0
    assert playout.position + playout.level == queued


def test_a_cushion_of_a_paced_agent_is_kept() -> None:
    playout = Playout(PCMU, 60_000)
    for _ in range(10):
        playout.queue(Instant(0), sine_ulaw(400, 20), ULAW_8K)
    for slot in range(500):
        playout.queue(Instant(slot * SLOT_NS), sine_ulaw(400, 20), ULAW_8K)
        playout.take(Instant(slot * SLOT_NS + 10_000_000))
    assert playout.level == 10 * 160
    assert playout.trimmed_samples == 0


def test_the_start_waits_longer_after_utterances_with_gaps() -> None:
    playout = Playout(PCMU, 60_000)
    slot = 0
    waits = []
    for utterance in range(6):
        has_gap = utterance < 3
        started = slot
        for index in range(20):
            if index != 10 or not has_gap:
                playout.queue(Instant(slot * SLOT_NS), sine_ulaw(400, 20), ULAW_8K)
            frame = playout.take(Instant(slot * SLOT_NS + 10_000_000))
            if frame is not None and len(waits) == utterance:
                waits.append(slot - started)
            slot += 1
        for _ in range(60):
            playout.take(Instant(slot * SLOT_NS))
            slot += 1
    assert waits == [0, 1, 1, 1, 1, 0]


def test_checkpoints_are_reached_in_order_and_bounded() -> None:
    marks = Checkpoints()
    assert marks.next_position == NEVER
    for number in range(CHECKPOINTS_MAX):
        assert marks.add(number // 2, f"cp-{number}")
    assert not marks.add(1_000_000, "one too many")
    assert len(marks) == CHECKPOINTS_MAX
    assert marks.next_position == 0
    assert [marks.pop(), marks.pop()] == ["cp-0", "cp-1"]
    assert marks.next_position == 1
    assert marks.clear() == CHECKPOINTS_MAX - 2
    assert marks.next_position == NEVER
    assert marks.add(5, "last")
    assert marks.pop() == "last"
    assert marks.next_position == NEVER


def test_delay_is_cut_out_of_large_chunks_too() -> None:
    playout = Playout(PCMU, 60_000)
    formats = [L16_8K, L16_16K, L16_24K, canonical(AudioFormat(Encoding.L16, 48_000)), ULAW_8K]
    formats.append(canonical(AudioFormat(Encoding.L16, 32_000)))
    for slot in range(200):
        now = Instant(slot * SLOT_NS)
        if slot % 2 == 0 and not 60 <= slot < 70:
            format = formats[slot // 2 % len(formats)]
            unit = format.rate_hz // 8000 * (1 if format is ULAW_8K else 2)
            playout.queue(now, bytes(320 * unit) if unit > 1 else b"\xff" * 320, format)
        if slot == 70:
            for _ in range(5):
                playout.queue(now, b"\x80" * 320, ULAW_8K)
        playout.take(Instant(now + 10_000_000))
    assert playout.trimmed_samples > 0
    assert playout.level <= 3 * 160
