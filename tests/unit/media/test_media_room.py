"""`media.room`: everyone hears the sum of the others and never itself, untouched where possible, without clicks."""

from __future__ import annotations

import audioop
from collections.abc import Sequence

import numpy as np
import pytest
from tests.support.media_leg import PCMA_CODEC, PEER, SLOT_NS, Leg, remote, sine_pcm

from ringback.media.codecs.g711 import PCMA, PCMU, Law
from ringback.media.place import PlaceWithSide
from ringback.media.room import Member, Room
from ringback.media.rtp.packet import RtpPacket
from ringback.testing.tones import Samples, goertzel_dbov, levels_dbov

FRAME = 160


def frames(frequency: float, count: int, law: Law = PCMU, amplitude: float = 8_000) -> list[bytes]:
    """Return `count` frames of a tone in a law."""
    audio = law.encode(sine_pcm(frequency, 20 * count, amplitude=amplitude))
    return [audio[at : at + FRAME] for at in range(0, len(audio), FRAME)]


def run(room: Room, said: dict[str, Sequence[bytes]], slots: int | None = None) -> dict[str, Samples]:
    """Let everyone say and hear one frame per slot; returns what each member heard, in linear audio."""
    heard: dict[str, list[bytes]] = {member.key: [] for member in room.members}
    for slot in range(slots if slots is not None else max(map(len, said.values()))):
        for key, audio in said.items():
            member = room.find(key)
            if member is not None and slot < len(audio):
                member.push(audio[slot])
        for member in room.members:
            frame = member.hear_frame()
            heard[member.key].append(member._law.decode(frame) if frame is not None else bytes(2 * FRAME))
    return {key: np.frombuffer(b"".join(audio), dtype=np.int16) for key, audio in heard.items()}


def steepest(samples: Samples) -> int:
    """Return the largest step between two samples."""
    return int(np.max(np.abs(np.diff(samples.astype(np.int32)))))


def test_two_members_hear_each_others_bytes_untouched() -> None:
    room = Room("r")
    a, b = room.join("a", PCMU), room.join("b", PCMU)
    for number, frame in enumerate(frames(440, 20)):
        a.push(frame)
        heard = b.hear_frame()
        # The first one is faded in.
        assert (heard == frame) is (number > 0)
        assert a.hear_frame() is None


def test_laws_are_converted_at_the_listener() -> None:
    room = Room("r")
    a, b = room.join("a", PCMU), room.join("b", PCMA)
    tone = frames(440, 3)
    for frame in tone:
        a.push(frame)
        heard = b.hear_frame()
    assert heard == tone[-1].translate(PCMA.from_other)


def test_ten_members_hear_the_other_nine_and_not_themselves() -> None:
    room = Room("r")
    pitches = {f"m{index}": 400.0 + 250 * index for index in range(10)}
    for index, key in enumerate(pitches):
        room.join(key, PCMA if index % 2 else PCMU)
    said = {
        key: frames(pitch, 50, PCMA if index % 2 else PCMU, 2_500) for index, (key, pitch) in enumerate(pitches.items())
    }
    heard = run(room, said)
    for key, samples in heard.items():
        levels = {other: goertzel_dbov(samples[1600:], pitch) for other, pitch in pitches.items()}
        own = levels.pop(key)
        assert all(level > -32 for level in levels.values()), levels
        assert own < -60


def test_sums_saturate() -> None:
    room = Room("r")
    for key in "abc":
        room.join(key, PCMU)
    loud = frames(500, 10, amplitude=30_000)
    heard = run(room, {"a": loud, "b": loud})["c"]
    assert np.max(heard) > 30_000
    # No sample wraps around: the sum keeps the sign of its parts.
    single = np.frombuffer(PCMU.decode(b"".join(loud)), dtype=np.int16)
    assert np.all((np.sign(heard[160:]) * np.sign(single[160:])) >= 0)


@pytest.mark.parametrize("ends", ["leaves", "is muted", "dries up"])
def test_no_click_when_a_voice_ends(ends: str) -> None:
    room = Room("r")
    a, b = room.join("a", PCMU), room.join("b", PCMU)
    tone = frames(300, 9)
    heard: list[bytes] = []
    for slot in range(14):
        if slot == 9 and ends == "leaves":
            room.leave(a)
        if slot == 8 and ends == "is muted":
            a.voice.mute(True)
        if slot < 9:
            a.push(tone[slot])
        frame = b.hear_frame()
        heard.append(PCMU.decode(frame) if frame is not None else bytes(2 * FRAME))
    samples = np.frombuffer(b"".join(heard), dtype=np.int16)
    assert steepest(samples) < 2_500
    assert not np.any(samples[-160:])


def test_no_click_when_a_voice_joins_or_is_unmuted_in_the_middle_of_a_word() -> None:
    room = Room("r")
    a, b = room.join("a", PCMU, is_muted=True), room.join("b", PCMU)
    tone = PCMU.encode(sine_pcm(300, 400, amplitude=20_000))[13:]
    heard: list[bytes] = []
    for slot in range(15):
        if slot == 5:
            a.voice.mute(False)
        if slot == 10:
            b = room.join("c", PCMU)
            heard.append(bytes(2 * FRAME))
        a.push(tone[slot * FRAME : slot * FRAME + FRAME])
        frame = b.hear_frame()
        heard.append(PCMU.decode(frame) if frame is not None else bytes(2 * FRAME))
        if slot == 3:
            assert not np.any(np.frombuffer(b"".join(heard), dtype=np.int16))
    samples = np.frombuffer(b"".join(heard[:10]), dtype=np.int16)
    assert steepest(samples) < 6_000
    assert steepest(np.frombuffer(b"".join(heard[11:]), dtype=np.int16)) < 6_000


def test_deaf_members_hear_nothing_and_are_heard() -> None:
    room = Room("r")
    a = room.join("a", PCMU, is_deaf=True)
    room.join("b", PCMU)
    heard = run(room, {"a": frames(400, 20), "b": frames(900, 20)})
    assert not np.any(heard["a"])
    assert goertzel_dbov(heard["b"], 400) > -20
    a.is_deaf = False
    heard = run(room, {"b": frames(900, 20)})
    assert goertzel_dbov(heard["a"], 900) > -20
    assert steepest(heard["a"]) < 8_000


def follow(arrivals: Sequence[float], slots: int, phase: float = 0.0) -> list[float]:
    """Return how long each heard frame waited, in frames; frame `n` arrives at `arrivals[n]`."""
    room = Room("r")
    a, b = room.join("a", PCMU), room.join("b", PCMU)
    waits: list[float] = []
    arrived = 0
    for slot in range(slots):
        now = slot + phase
        while arrived < len(arrivals) and arrivals[arrived] <= now:
            a.push(PCMU.encode(np.full(FRAME, 1_000 + arrived, dtype=np.int16).tobytes()))
            arrived += 1
        (ear,) = b._ears
        before = ear._at
        b.hear_frame()
        if ear._at > before:
            waits.append(now - arrivals[ear._at - 1])
    return waits


def test_a_calm_voice_waits_less_than_one_frame_whatever_the_phases() -> None:
    for phase in (0.0, 0.25, 0.5, 0.99):
        waits = follow([float(number) for number in range(400)], 400, phase)
        assert max(waits) < 1.0


def test_delay_from_a_burst_is_undone() -> None:
    # 200 ms of silence on the network, then everything at once, then calm again.
    arrivals = [float(number) if not 100 <= number < 110 else 110.0 for number in range(600)]
    waits = follow(arrivals, 600, 0.5)
    assert max(waits) <= 11
    assert max(waits[-200:]) < 1.0


def test_jitter_across_the_slot_is_absorbed_by_one_more_frame() -> None:
    arrivals = sorted(number + (0.4 if number % 3 else -0.4) for number in range(2_000))
    waits = follow(arrivals, 2_000)
    assert max(waits) < 3.0


def test_nothing_is_further_behind_than_the_limit_after_a_stall() -> None:
    room = Room("r")
    a, b = room.join("a", PCMU), room.join("b", PCMU)
    tone = frames(440, 60)
    for frame in tone[:50]:
        a.push(frame)
    b.hear_frame()
    (ear,) = b._ears
    assert ear.behind <= 2
    for frame in tone[50:]:
        a.push(frame)
        b.hear_frame()
    assert ear.behind <= 2


def test_the_loudest_takes_the_floor_and_a_cough_does_not() -> None:
    room = Room("r")
    room.join("a", PCMU, watches_floor=True)
    room.join("b", PCMU)
    taken: list[str] = []
    room.on_floor = taken.append
    speech, cough = frames(500, 40, amplitude=6_000), frames(700, 4, amplitude=20_000)
    run(room, {"a": speech})
    assert taken == ["a"]
    run(room, {"a": speech, "b": [PCMU.silence] * 20 + cough + [PCMU.silence] * 16})
    assert taken == ["a"]
    run(room, {"a": [PCMU.silence] * 60, "b": [PCMU.silence] * 10 + frames(700, 50, amplitude=6_000)})
    assert taken == ["a", "b"]


def test_the_floor_costs_nothing_while_nobody_watches() -> None:
    room = Room("r")
    a = room.join("a", PCMU)
    room.join("b", PCMU)
    run(room, {"a": frames(500, 40)})
    assert a.voice.level == 0


def test_digits_reach_the_others_where_they_are_passed_on() -> None:
    room = Room("r")
    members = {key: room.join(key, PCMU, relays_digits=key != "c") for key in "abc"}
    got: list[tuple[str, str]] = []
    for key, member in members.items():
        member.on_digit = lambda digit, key=key: got.append((key, digit))  # type: ignore[misc]  # bound per member
    members["a"].push_digit("5")
    members["c"].push_digit("6")
    assert got == [("b", "5"), ("c", "5")]


def voice_of(leg: Leg, number: int, frame: bytes, payload_type: int = 0) -> None:
    leg.receive(RtpPacket(payload_type, number, number * FRAME, 1, frame), source=PEER)


def test_a_bridge_of_two_sessions_carries_both_ways_under_agent_and_files() -> None:
    legs = [Leg(), Leg(command=remote(codec=PCMA_CODEC))]
    room = Room("r")
    for key, leg in zip("ab", legs, strict=True):
        leg.session.join_room(room.join(key, leg.session.law))
    said = [frames(500, 40), frames(1_200, 40, PCMA)]
    heard = [b"", b""]
    for number in range(40):
        for index, leg in enumerate(legs):
            leg.now += SLOT_NS
            voice_of(leg, number, said[index][number], 8 * index)
        if number == 20:
            legs[0].play(PCMU.encode(sine_pcm(2_000, 400)))
        for index, leg in enumerate(legs):
            heard[index] += b"".join(packet.payload for packet in leg.tick())
    first = np.frombuffer(audioop.ulaw2lin(heard[0], 2), dtype=np.int16)
    second = np.frombuffer(audioop.alaw2lin(heard[1], 2), dtype=np.int16)
    assert goertzel_dbov(first[800:3200], 1_200) > -20
    assert goertzel_dbov(second[800:], 500) > -20
    # The agent of the first leg is heard over the room, by that leg's party alone.
    assert goertzel_dbov(first[3_520:], 2_000) > -20
    assert goertzel_dbov(first[3_520:], 1_200) > -20
    assert goertzel_dbov(second, 2_000) < -50
    # Neither hears itself.
    assert goertzel_dbov(first, 500) < -50
    assert goertzel_dbov(second, 1_200) < -50


def test_a_lost_packet_is_no_hole_for_the_others() -> None:
    """A gap is waited for by the receiver: its frames then come late, all at once."""
    speaker, listener, room = Leg(), Leg(), Room("r")
    for key, leg in (("a", speaker), ("b", listener)):
        leg.session.join_room(room.join(key, leg.session.law))
    said = frames(250, 400)
    heard = b""
    for number, frame in enumerate(said):
        for leg in (speaker, listener):
            leg.now += SLOT_NS
        if number % 75 != 70:
            voice_of(speaker, number, frame)
        speaker.tick()
        heard += b"".join(packet.payload for packet in listener.tick())
    samples = np.frombuffer(PCMU.decode(heard), dtype=np.int16)
    levels = levels_dbov(samples[1600:], window_ms=40)
    assert min(levels) > -24
    assert steepest(samples[1600:]) < 4_000


def test_a_leg_that_sends_digits_hears_nothing_late_afterwards() -> None:
    leg, room = Leg(), Room("r")
    leg.session.join_room(room.join("a", PCMU))
    other: Member = room.join("b", PCMU)
    tone = frames(500, 60)
    assert leg.session.send_digits(leg.session._slot_at, "123")  # type: ignore[arg-type]  # now is not used
    for frame in tone:
        other.push(frame)
        leg.slots(1)
    member = leg.session.room
    assert member is not None
    (ear,) = member._ears
    assert ear.behind == 0


def test_a_side_room_is_heard_over_the_room_by_its_members_alone() -> None:
    room, side = Room("r"), Room("r-coaching")
    customer = room.join("customer", PCMU)
    agent = PlaceWithSide(room.join("agent", PCMU), side.join("agent", PCMU, is_muted=True), PCMU)
    coach = PlaceWithSide(room.join("coach", PCMU, is_muted=True), side.join("coach", PCMU), PCMU)
    said = {"customer": frames(400, 50), "agent": frames(700, 50), "coach": frames(1_000, 50)}
    heard: dict[str, list[bytes]] = {"customer": [], "agent": [], "coach": []}
    for slot in range(50):
        for key, place in (("customer", customer), ("agent", agent), ("coach", coach)):
            place.push(said[key][slot])
        for key, place in (("customer", customer), ("agent", agent), ("coach", coach)):
            frame = place.hear_frame() if key != "agent" or slot < 25 else None
            pcm = place.hear() if key == "agent" and slot >= 25 else frame and PCMU.decode(frame)
            heard[key].append(pcm or bytes(2 * FRAME))
    levels = {
        (key, pitch): goertzel_dbov(np.frombuffer(b"".join(audio), dtype=np.int16)[1600:], pitch) > -40
        for key, audio in heard.items()
        for pitch in (400, 700, 1_000)
    }
    audible = {key: {pitch for pitch in (400, 700, 1_000) if levels[key, pitch]} for key in said}
    assert audible == {"customer": {700}, "agent": {400, 1_000}, "coach": {400, 700}}


def test_speech_is_told_when_it_begins_and_a_second_after_it() -> None:
    room, told = Room("r"), list[bool]()
    a = room.join("a", PCMU)
    room.join("b", PCMU)
    a.on_speech = told.append
    run(room, {"a": [PCMU.silence] * 20 + frames(440, 25)})
    assert told == [True]
    run(room, {"a": [PCMU.silence] * 49})
    assert told == [True]
    run(room, {"a": [PCMU.silence] * 3})
    assert told == [True, False]


def test_who_is_muted_does_not_speak() -> None:
    room, told = Room("r"), list[bool]()
    a = room.join("a", PCMU, is_muted=True)
    a.on_speech = told.append
    run(room, {"a": [PCMU.silence] * 20 + frames(440, 50)})
    assert told == []
