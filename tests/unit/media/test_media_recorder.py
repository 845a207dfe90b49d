"""`media.recorder`: two rows of frames become one recording, and what ends it."""

from __future__ import annotations

import audioop
from typing import Any

import numpy as np
import pytest
from tests.support.media_leg import Leg, Sender, sine_pcm, sine_ulaw

from ringback.ids import RecordingId
from ringback.media.codecs.g711 import PCMA, PCMU
from ringback.media.control.values import RecordingChannels, RecordingEnd
from ringback.media.recorder import LAG_MAX_FRAMES, PIECE_FRAMES, Recorder, RecorderOver, RecorderSettings

SILENCE = PCMU.silence
MS_BYTES = 16


def number(value: int) -> bytes:
    """Return a frame that says which one it is."""
    return PCMU.encode(np.full(160, value * 64, dtype="<i2").tobytes())


class Take:
    """A recorder with what it wrote."""

    def __init__(self, **settings: Any) -> None:
        self.pcm = b""
        self.over: list[RecorderOver] = []
        chosen = RecorderSettings(recording_id=RecordingId("r"), **settings)
        self.recorder = Recorder(chosen, PCMU, self.write)
        self.recorder.on_over = self.over.append
        self.is_stereo = chosen.channels is RecordingChannels.STEREO

    def write(self, pcm: bytes) -> None:
        self.pcm += pcm

    def slots(self, count: int, said: bytes = SILENCE, heard: bytes = SILENCE) -> None:
        for _ in range(count):
            self.recorder.push_inbound(said)
            self.recorder.push_outbound(heard)

    @property
    def channels(self) -> np.ndarray:
        """Return the recording, one row a channel."""
        return np.frombuffer(self.pcm, dtype="<i2").reshape(-1, 2 if self.is_stereo else 1).T


def test_stereo_has_the_caller_left_and_what_it_hears_right():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    take.slots(30, number(5), number(9))
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert len(left) == 30 * 160
    assert set(left) == {int(np.frombuffer(PCMU.decode(number(5)), "<i2")[0])}
    assert set(right) == {int(np.frombuffer(PCMU.decode(number(9)), "<i2")[0])}
    assert take.recorder.duration_ms == 600
    assert take.over == [RecorderOver(RecordingId("r"), RecordingEnd.STOPPED)]


def test_mono_adds_both_up_and_does_not_wrap():
    take = Take()
    take.recorder.start()
    loud = PCMU.encode(np.full(160, 30_000, dtype="<i2").tobytes())
    take.slots(10, number(5), number(9))
    take.slots(10, loud, loud)
    take.recorder.finish(RecordingEnd.STOPPED)
    mixed = take.channels[0]
    expected = sum(int(np.frombuffer(PCMU.decode(number(n)), "<i2")[0]) for n in (5, 9))
    assert set(mixed[:1600]) == {expected}
    assert set(mixed[1600:]) == {32_767}


def test_packets_that_come_late_or_bunched_stand_where_they_belong():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    for burst in range(20):
        for slot in range(5):
            take.recorder.push_outbound(number(burst * 5 + slot))
        for slot in range(5):
            take.recorder.push_inbound(number(burst * 5 + slot))
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert np.array_equal(left, right)
    assert len(left) == 100 * 160


def test_row_that_stays_away_is_silence_and_time_goes_on():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    for _ in range(100):
        take.recorder.push_outbound(number(7))
    take.slots(50, number(3), number(7))
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert len(left) == 150 * 160
    assert len(set(right)) == 1
    spoken = np.flatnonzero(left)
    assert spoken[0] >= (100 - LAG_MAX_FRAMES - PIECE_FRAMES) * 160, "at most the lag too early"
    assert take.pcm[: 25 * 640].count(0) > 0


def test_row_that_runs_ahead_loses_its_surplus():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    for _ in range(100):
        take.recorder.push_inbound(number(1))
    take.slots(PIECE_FRAMES, number(2))
    assert take.recorder.skipped_frames == 100 - LAG_MAX_FRAMES


def test_stall_leaves_silence():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    take.slots(10, number(4), number(4))
    take.recorder.skip(40)
    take.slots(10, number(4), number(4))
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert np.array_equal(left, right)
    assert not left[10 * 160 : 50 * 160].any()
    assert left[50 * 160 :].all()
    assert take.recorder.duration_ms == 1200


def test_stall_is_bounded_by_a_minute_and_by_the_maximum():
    take = Take()
    take.recorder.start()
    take.recorder.skip(1_000_000)
    assert take.recorder.duration_ms == 60_000
    limited = Take(max_ms=1_000)
    limited.recorder.start()
    limited.recorder.skip(1_000_000)
    assert [over.reason for over in limited.over] == [RecordingEnd.MAX_LENGTH]
    assert len(limited.pcm) == 1_000 * MS_BYTES


def test_nothing_is_taken_before_the_start_nor_after_the_end():
    take = Take(finish_digits="#")
    take.recorder.push_digit("#")
    take.slots(30, number(5))
    assert not take.over
    take.recorder.start()
    take.slots(5, number(5))
    take.recorder.finish(RecordingEnd.STOPPED)
    take.slots(30, number(5))
    take.recorder.finish(RecordingEnd.FAILED)
    assert len(take.pcm) == 100 * MS_BYTES
    assert [over.reason for over in take.over] == [RecordingEnd.STOPPED]


@pytest.mark.parametrize(("max_ms", "slots"), [(1_000, 50), (1_001, 51), (20, 1)])
def test_maximum_length_ends_it_to_the_slot(max_ms, slots):
    take = Take(max_ms=max_ms)
    take.recorder.start()
    take.slots(slots - 1)
    assert not take.over
    take.slots(1)
    assert [over.reason for over in take.over] == [RecordingEnd.MAX_LENGTH]
    assert len(take.pcm) == slots * 20 * MS_BYTES


def test_silence_of_the_caller_ends_it_whatever_the_caller_hears():
    take = Take(silence_ms=1_000)
    take.recorder.start()
    take.slots(200, number(60), number(1))
    assert not take.over
    take.slots(49, SILENCE, number(60))
    assert not take.over
    take.slots(1, SILENCE, number(60))
    assert [over.reason for over in take.over] == [RecordingEnd.SILENCE]


def test_click_does_not_break_a_silence_and_a_word_does():
    take = Take(silence_ms=1_000)
    take.recorder.start()
    take.slots(40)
    take.slots(2, number(60))
    take.slots(9)
    assert not take.over
    take.slots(3, number(60))
    take.slots(49)
    assert not take.over
    take.slots(1)
    assert [over.reason for over in take.over] == [RecordingEnd.SILENCE]


def test_line_noise_is_silence_and_quiet_speech_is_not():
    noise = np.random.default_rng(1).normal(0, 80, 160).astype("<i2").tobytes()
    take = Take(silence_ms=500)
    take.recorder.start()
    take.slots(25, PCMU.encode(noise))
    assert take.over
    quiet = sine_ulaw(300, 20, amplitude=400)
    spoken = Take(silence_ms=500)
    spoken.recorder.start()
    spoken.slots(200, quiet)
    assert not spoken.over


def test_only_the_wanted_keys_end_it():
    take = Take(finish_digits="#*")
    take.recorder.start()
    take.slots(10)
    take.recorder.push_digit("1")
    assert not take.over
    take.recorder.push_digit("*")
    assert take.over == [RecorderOver(RecordingId("r"), RecordingEnd.DIGIT, "*")]
    assert len(take.pcm) == 200 * MS_BYTES


def test_what_is_sent_on_hold_is_not_heard():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    take.recorder.is_audible = False
    take.slots(5, number(5), number(5))
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert left.all()
    assert not right.any()


def test_law_may_change_in_the_middle():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    take.slots(10, number(8), number(8))
    take.recorder.set_law(PCMA)
    take.slots(10, PCMA.encode(PCMU.decode(number(8))), PCMA.silence)
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert np.ptp(left) < 60
    assert not np.abs(right[1600:]).max() > 8


def test_room_gives_its_mix():
    take = Take(channels=RecordingChannels.STEREO, max_ms=600)
    take.recorder.start()
    for _ in range(30):
        take.recorder.push_mix(np.full(160, 77, dtype="<i2").tobytes())
    left, right = take.channels
    assert len(left) == 30 * 160
    assert set(left) == set(right) == {77}
    assert [over.reason for over in take.over] == [RecordingEnd.MAX_LENGTH]


# ── in a session ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_leg_is_recorded_with_its_agent():
    leg = Leg()
    take = Take(channels=RecordingChannels.STEREO)
    leg.session.attach_recorder(take.recorder)
    take.recorder.start()
    said = Sender(sine_ulaw(500, 2000))
    leg.play(sine_ulaw(1200, 2000))
    for index in range(100):
        leg.now += 20_000_000
        leg.receive(said.packet(index))
        leg.tick()
    take.recorder.finish(RecordingEnd.STOPPED)
    assert leg.of(RecorderOver) == []
    leg.collect()
    assert leg.of(RecorderOver) == [RecorderOver(RecordingId("r"), RecordingEnd.STOPPED)]
    left, right = take.channels
    for channel, pitch in ((left, 500), (right, 1200)):
        spectrum = np.abs(np.fft.rfft(channel[1600:14_400].astype(float)))
        assert np.argmax(spectrum) * 8000 / 12_800 == pytest.approx(pitch, abs=1)


def test_both_tracks_keep_their_samples_and_their_place_when_packets_come_late_and_bunched():
    chance = np.random.default_rng(1)
    said, played = (audioop.lin2ulaw(chance.normal(0, 4000, 16_000).astype("<i2").tobytes(), 2) for _ in range(2))
    leg = Leg()
    take = Take(channels=RecordingChannels.STEREO)
    leg.session.attach_recorder(take.recorder)
    take.recorder.start()
    sender = Sender(said)
    leg.play(played)
    for index in range(100):
        leg.now += 20_000_000
        for late in range(index - 2, index + 1) if index % 3 == 0 else ():
            if late >= 0:
                leg.receive(sender.packet(late))
        leg.tick()
    take.recorder.finish(RecordingEnd.STOPPED)
    for channel, sent in zip(take.channels, (said, played), strict=True):
        wanted = np.frombuffer(audioop.ulaw2lin(sent, 2), dtype="<i2")
        assert np.array_equal(channel[:15_000], wanted[:15_000])


def test_digit_is_told_before_the_end_it_causes():
    leg = Leg()
    take = Take(finish_digits="#")
    leg.session.attach_recorder(take.recorder)
    take.recorder.start()
    leg.session.signalled_digit(leg.now, "#")
    leg.collect()
    kinds = [type(event).__name__ for event in leg.events]
    assert kinds.index("DigitReceived") < kinds.index("RecorderOver")
    assert leg.session.poll_event() is None
    leg.slots(3)
    assert len(take.pcm) == 0


def test_recorder_ends_with_its_session():
    leg = Leg()
    take = Take()
    leg.session.attach_recorder(take.recorder)
    take.recorder.start()
    leg.play(sine_pcm(300, 40)[:320])
    leg.slots(7)
    leg.session.closed(leg.now, None)
    assert [over.reason for over in take.over] == []
    leg.collect()
    assert [over.reason for over in leg.of(RecorderOver)] == [RecordingEnd.CALL_ENDED]
    assert len(take.pcm) == 140 * MS_BYTES


def test_a_pause_is_left_out_and_both_rows_go_on_in_step():
    take = Take(channels=RecordingChannels.STEREO)
    take.recorder.start()
    take.slots(10, number(1), number(2))
    # The far party's row is ahead: it must not stand beside what is heard after the pause.
    take.recorder.push_inbound(number(1))
    take.recorder.pause()
    take.recorder.pause()
    take.slots(40, number(3), number(3))
    take.recorder.skip(50)
    assert take.recorder.duration_ms == 200
    take.recorder.resume()
    take.slots(10, number(4), number(5))
    take.recorder.finish(RecordingEnd.STOPPED)
    left, right = take.channels
    assert take.recorder.duration_ms == 400
    level = {value: int(np.frombuffer(PCMU.decode(number(value)), "<i2")[0]) for value in range(6)}
    assert (set(left[:1600]), set(right[:1600])) == ({level[1]}, {level[2]})
    assert (set(left[1600:]), set(right[1600:])) == ({level[4]}, {level[5]})


def test_a_recorder_that_is_paused_before_it_starts_begins_with_resume():
    take = Take()
    take.recorder.pause()
    take.recorder.start()
    take.slots(5)
    assert take.recorder.duration_ms == 0
    take.recorder.resume()
    take.slots(5)
    take.recorder.pause()
    take.recorder.finish(RecordingEnd.STOPPED)
    take.recorder.resume()
    take.slots(5)
    assert (take.recorder.duration_ms, len(take.over)) == (100, 1)


def test_the_far_party_alone():
    take = Take(channels=RecordingChannels.FAR)
    take.recorder.start()
    take.slots(30, number(5), number(9))
    take.recorder.finish(RecordingEnd.STOPPED)
    (said,) = take.channels
    assert len(said) == 30 * 160
    assert set(said) == {int(np.frombuffer(PCMU.decode(number(5)), "<i2")[0])}
