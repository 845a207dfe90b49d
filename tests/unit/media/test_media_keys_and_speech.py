"""`sendDTMF` amid queued speech: keys leave at once, and neither costs the other anything."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from tests.support.media_leg import MS_NS, SLOT_NS, Leg, remote, samples, sine_ulaw

from ringback.media.codecs.g711 import PCMU
from ringback.media.rtp.telephone_event import DIGITS, PAYLOAD
from ringback.media.tone import digit_frequencies

SPEECH_MS = 3_000
KEYS = "19#A"


def spoken() -> bytes:
    """Return speech in which every sample counts: noise of a fixed seed."""
    dice = np.random.default_rng(5)
    return bytes(dice.integers(0, 255, 8 * SPEECH_MS, dtype=np.uint8))


@pytest.mark.parametrize("at_slot", [1, 40, 149])
def test_keys_leave_in_the_next_slot_and_every_sample_of_speech_is_heard_in_order(at_slot: int) -> None:
    leg = Leg()
    speech = spoken()
    leg.play(speech)
    leg.command({"event": "checkpoint", "name": "all"})
    leg.slots(at_slot)
    leg.command({"event": "sendDTMF", "dtmf": KEYS})
    asked = leg.now
    leg.slots(SPEECH_MS // 20 + 50)
    events = [(at, packet) for at, packet in leg.sent if packet.payload_type == 101]
    audio = [(at, packet) for at, packet in leg.sent if packet.payload_type == 0]
    assert events[0][0] - asked == SLOT_NS
    pressed = [PAYLOAD.unpack(packet.payload)[0] for _, packet in events if packet.marker]
    assert "".join(DIGITS[event] for event in pressed) == KEYS
    # No slot carries both, and speech goes on with the sample at which it stopped.
    assert not {at for at, _ in events} & {at for at, _ in audio}
    heard = b"".join(packet.payload for _, packet in audio)
    assert heard.startswith(speech)
    assert set(heard[len(speech) :]) <= {0xFF} | set(heard[len(speech) : len(speech) + 16])
    # Sequence numbers have no gap; the RTP clock runs on beneath the keys.
    numbers = [packet.sequence for _, packet in leg.sent]
    assert {(later - earlier) & 0xFFFF for earlier, later in pairwise(numbers)} == {1}
    stamps = {at: packet.timestamp for at, packet in audio}
    base_at, base = next(iter(stamps.items()))
    assert all((stamp - base) & 0xFFFFFFFF == (at - base_at) // SLOT_NS * 160 for at, stamp in stamps.items())
    # The checkpoint tells the truth: it comes when the last sample has left, which the keys put off.
    [acknowledged] = [
        at for at, message in zip(leg.heard_at, leg.heard, strict=True) if message["event"] == "playedStream"
    ]
    assert acknowledged >= (SPEECH_MS + 4 * 170) * MS_NS


def test_in_band_keys_are_clean_tones_between_whole_speech() -> None:
    leg = Leg(command=remote(dtmf_payload_type=-1))
    speech = sine_ulaw(400, 1_000)
    leg.play(speech)
    before = leg.slots(20)
    leg.command({"event": "sendDTMF", "dtmf": "5"})
    keys = leg.slots(8)
    after = leg.slots(40)
    # 100 ms of tone and 70 ms of pause are nine slots.
    assert (before + after[160:]).startswith(speech)
    tone = samples(PCMU.decode(keys[:800]))
    spectrum = np.abs(np.fft.rfft(tone * np.hanning(len(tone))))
    peaks = np.sort(np.argsort(spectrum)[-2:] * 8_000 / len(tone))
    assert peaks == pytest.approx(sorted(digit_frequencies("5")), abs=12)


def test_clearing_while_keys_are_sent_keeps_the_keys() -> None:
    leg = Leg()
    leg.play(spoken())
    leg.slots(5)
    leg.command({"event": "sendDTMF", "dtmf": KEYS})
    leg.slots(3)
    leg.command({"event": "clearAudio"})
    leg.slots(60)
    pressed = [
        PAYLOAD.unpack(packet.payload)[0] for _, packet in leg.sent if packet.payload_type == 101 and packet.marker
    ]
    assert "".join(DIGITS[event] for event in pressed) == KEYS
    assert len(leg.named("clearedAudio")) == 1
