"""RTP rules: bounds, latching against attackers, telephone events both ways, packets of each length."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.media_leg import MS_NS, SLOT_NS, unhurried

from ringback.machine import SECOND, Instant
from ringback.media.control.values import Address, LatchPolicy
from ringback.media.rtp.jitter import DROPOUT_MAX, HELD_MAX, Order, ReorderWindow
from ringback.media.rtp.latch import CANDIDATES_MAX, Latch, is_forbidden_target
from ringback.media.rtp.packet import RtpPacket, is_rtcp, parse_rtp, sequence_distance, timestamp_distance
from ringback.media.rtp.sender import RtpSender
from ringback.media.rtp.telephone_event import PAYLOAD, EventReceiver, EventSender, plan_digits

SIGNALLED = ("198.51.100.7", 4000)
OTHER_PORT = ("198.51.100.7", 4555)
STRANGER = ("203.0.113.66", 5000)
SIGNALLING_HOST = "192.0.2.9"


# -- packets


def test_a_packet_survives_the_way_to_bytes_and_back() -> None:
    packet = RtpPacket(8, 65_535, 2**32 - 1, 2**32 - 1, b"abc", marker=True)
    assert parse_rtp(packet.to_bytes()) == packet


def test_padding_extension_and_sources_are_skipped() -> None:
    head = b"\x80\x00\x00\x01\x00\x00\x00\x02\x00\x00\x00\x03"
    csrc = b"\x92" + head[1:] + b"cccc" * 2 + b"\xbe\xde\x00\x01eeee" + b"payload"
    parsed = parse_rtp(csrc)
    assert parsed is not None
    assert parsed.payload == b"payload"
    padded = parse_rtp(b"\xa0" + head[1:] + b"payload\x00\x00\x03")
    assert padded is not None
    assert padded.payload == b"payload"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 11,
        b"\x40" + bytes(30),
        b"\x8f" + bytes(30),
        b"\x90" + bytes(14),
        b"\x90" + bytes(11) + b"\x00\x00\xff\xff" + bytes(20),
        b"\xa0" + bytes(30),
        b"\xa0" + bytes(30) + b"\xff",
        b"\x80" + bytes(1500),
    ],
)
def test_packets_that_do_not_fit_their_own_lengths_are_refused(data: bytes) -> None:
    assert parse_rtp(data) is None


def test_the_largest_packet_is_taken() -> None:
    assert parse_rtp(b"\x80" + bytes(1499)) is not None


@unhurried
@given(st.binary(max_size=64))
def test_any_datagram_is_survived(data: bytes) -> None:
    packet = parse_rtp(data)
    if packet is not None:
        assert len(packet.payload) <= len(data) - 12
    is_rtcp(data)


def test_rtcp_is_told_from_rtp() -> None:
    assert is_rtcp(b"\x80\xc8\x00\x06")
    assert not is_rtcp(b"\x80\x80\x00\x06")
    assert not is_rtcp(b"\x80")


def test_distances_wrap() -> None:
    assert sequence_distance(2, 65_534) == 4
    assert sequence_distance(65_534, 2) == -4
    assert timestamp_distance(100, 2**32 - 60) == 160
    assert timestamp_distance(2**32 - 60, 100) == -160


# -- reorder window


def audio(sequence: int) -> RtpPacket:
    return RtpPacket(0, sequence & 0xFFFF, 0, 1, b"")


def test_the_window_orders_across_the_wrap() -> None:
    window = ReorderWindow(65_534)
    assert window.classify(audio(65_534)) is Order.NEXT
    assert window.classify(audio(0)) is Order.HELD
    assert window.classify(audio(0)) is Order.DUPLICATE
    assert window.pop_next() is None
    assert window.classify(audio(65_535)) is Order.NEXT
    packet = window.pop_next()
    assert packet is not None
    assert packet.sequence == 0
    assert window.give_up() == 0


def test_a_packet_that_comes_after_it_was_given_up_is_late_once() -> None:
    window = ReorderWindow(10)
    window.classify(audio(12))
    assert window.give_up() == 2
    assert window.lost == 2
    assert window.classify(audio(10)) is Order.LATE
    assert window.classify(audio(10)) is Order.DUPLICATE
    assert window.lost == 1


def test_far_packets_need_a_second_one_to_restart() -> None:
    window = ReorderWindow(100)
    assert window.classify(audio(100 + DROPOUT_MAX)) is Order.HELD
    assert window.classify(audio(101 + DROPOUT_MAX)) is Order.STRAY
    assert window.classify(audio(30_000)) is Order.STRAY
    assert window.classify(audio(30_001)) is Order.RESTART
    assert window.expected == 30_002
    assert not window.held
    assert window.classify(audio(20_000)) is Order.STRAY
    assert window.classify(audio(30_002)) is Order.NEXT
    assert window.classify(audio(20_001)) is Order.STRAY


def test_what_is_missing_is_remembered_within_bounds() -> None:
    window = ReorderWindow(0)
    window.classify(audio(2900))
    assert window.give_up() == 2900
    assert window.classify(audio(2899)) is Order.LATE
    assert HELD_MAX < 100


# -- latch


class Attack:
    """A latch with a signalled address, fed by several sources."""

    def __init__(
        self,
        address: tuple[str, int] = SIGNALLED,
        policy: LatchPolicy = LatchPolicy.SIGNALLED,
        host: str = SIGNALLING_HOST,
    ) -> None:
        self.latch = Latch()
        self.policy = policy
        self.host = host
        self.latch.signal(Instant(0), Address(*address), policy, host)

    def send(
        self, source: tuple[str, int], count: int, *, at_ms: int = 0, sequence: int = 100, ssrc: int = 1, step: int = 1
    ) -> bool:
        """Return whether the last of some consecutive packets was admitted."""
        admitted = False
        for index in range(count):
            if self.latch.locked == source:
                return True
            admitted = self.latch.admit(Instant(at_ms * MS_NS), source, ssrc, (sequence + index * step) & 0xFFFF)
        return admitted


def test_nothing_is_admitted_before_an_answer() -> None:
    latch = Latch()
    assert not latch.admit(Instant(0), SIGNALLED, 1, 1)
    assert latch.destination is None


def test_the_signalled_address_locks_at_once() -> None:
    attack = Attack()
    assert attack.latch.destination == SIGNALLED
    assert attack.send(SIGNALLED, 1)
    assert attack.latch.locked == SIGNALLED


def test_a_stranger_never_locks_a_public_address() -> None:
    attack = Attack()
    assert not attack.send(STRANGER, 100)
    assert attack.latch.destination == SIGNALLED


def test_another_port_of_the_signalled_host_locks_after_three_packets() -> None:
    attack = Attack()
    assert not attack.send(OTHER_PORT, 2)
    assert attack.send(OTHER_PORT, 1, sequence=102)
    assert attack.latch.destination == OTHER_PORT


@pytest.mark.parametrize(("step", "locks"), [(0, False), (1, True), (3, True), (4, False), (-1, False)])
def test_only_consistent_sequences_count(step: int, locks: bool) -> None:
    assert Attack().send(OTHER_PORT, 3, step=step) is locks


def test_a_change_of_ssrc_starts_the_count_again() -> None:
    attack = Attack()
    attack.send(OTHER_PORT, 2, ssrc=1)
    assert not attack.send(OTHER_PORT, 1, sequence=102, ssrc=2)


@pytest.mark.parametrize("host", ["10.1.2.3", "192.168.1.5", "0.0.0.0"])
def test_a_private_address_lets_any_source_lock_for_5_s(host: str) -> None:
    assert Attack((host, 4000)).send(STRANGER, 3, at_ms=4_999)
    late = Attack((host, 4000))
    assert not late.send(STRANGER, 10, at_ms=5_001)
    assert late.send((SIGNALLING_HOST, 9000), 3, at_ms=60_000)


def test_the_policy_nat_opens_a_public_address() -> None:
    assert Attack(policy=LatchPolicy.NAT).send(STRANGER, 3, at_ms=100)
    assert not Attack(policy=LatchPolicy.NAT).send(STRANGER, 9, at_ms=5_001)


def test_loopback_in_development_admits_loopback_alone() -> None:
    attack = Attack(("127.0.0.1", 4000), host="127.0.0.1")
    assert not attack.send(STRANGER, 50)
    assert attack.send(("127.0.0.2", 7000), 3)
    assert Attack(("127.0.0.1", 4000), host="127.0.0.1").send(("127.0.0.1", 7000), 3)


def test_the_signalled_address_displaces_an_early_lock_for_5_s_only() -> None:
    attack = Attack(policy=LatchPolicy.NAT)
    attack.send(STRANGER, 3)
    assert attack.send(SIGNALLED, 1, at_ms=4_900)
    assert attack.latch.locked == SIGNALLED
    fixed = Attack(policy=LatchPolicy.NAT)
    fixed.send(STRANGER, 3)
    fixed.latch.last_heard = Instant(5_100 * MS_NS)
    assert not fixed.send(SIGNALLED, 10, at_ms=5_100)


def test_a_live_lock_is_never_taken_over() -> None:
    attack = Attack()
    attack.send(SIGNALLED, 1)
    attack.latch.last_heard = Instant(10 * SECOND)
    assert not attack.send(OTHER_PORT, 100, at_ms=10_999)
    assert not attack.send(STRANGER, 100, at_ms=60_000)
    assert attack.latch.locked == SIGNALLED


def test_a_silent_lock_moves_inside_the_allowed_set_after_five_packets() -> None:
    attack = Attack()
    attack.send(SIGNALLED, 1)
    assert not attack.send(OTHER_PORT, 4, at_ms=1_000)
    assert attack.send(OTHER_PORT, 1, at_ms=1_000, sequence=104)
    assert attack.latch.destination == OTHER_PORT


def test_a_lock_moves_three_times_a_minute_at_most() -> None:
    attack = Attack()
    attack.send(SIGNALLED, 1)
    at_ms = 10_000
    for port in (1, 2, 3):
        at_ms += 6_000
        assert attack.send((SIGNALLED[0], 5000 + port), 5, at_ms=at_ms)
    assert not attack.send((SIGNALLED[0], 6000), 50, at_ms=at_ms + 6_000)
    assert attack.send((SIGNALLED[0], 6000), 5, at_ms=at_ms + 61_000)


def test_many_sources_cannot_fill_memory() -> None:
    attack = Attack(policy=LatchPolicy.NAT)
    for port in range(1024, 3000):
        attack.latch.admit(Instant(0), ("203.0.113.1", port), 1, 1)
    assert len(attack.latch._candidates) == CANDIDATES_MAX


def test_a_new_answer_opens_the_latch_and_a_repeated_one_does_not() -> None:
    attack = Attack()
    attack.send(OTHER_PORT, 3)
    attack.latch.signal(Instant(SECOND), Address(*SIGNALLED), LatchPolicy.SIGNALLED, "")
    assert attack.latch.locked == OTHER_PORT
    attack.latch.signal(Instant(SECOND), Address(*STRANGER), LatchPolicy.SIGNALLED, "")
    assert attack.latch.locked is None
    assert attack.latch.destination == STRANGER
    attack.latch.signal(Instant(SECOND), Address("0.0.0.0", 4000), LatchPolicy.SIGNALLED, "")
    assert attack.latch.destination is None


@pytest.mark.parametrize(
    ("host", "port", "forbidden"),
    [
        ("224.0.0.1", 4000, True),
        ("239.1.2.3", 4000, True),
        ("255.255.255.255", 4000, True),
        ("169.254.169.254", 4000, True),
        ("ff02::1", 4000, True),
        ("fe80::1", 4000, True),
        ("::ffff:224.0.0.1", 4000, True),
        ("example.com", 4000, True),
        ("198.51.100.7", 1023, True),
        ("8.8.8.8", 1024, False),
        ("127.0.0.1", 4000, False),
        ("::1", 4000, False),
        ("10.0.0.1", 4000, False),
        ("0.0.0.0", 4000, False),
        ("8.8.8.8", 0, False),
    ],
)
def test_targets(host: str, port: int, forbidden: bool) -> None:
    assert is_forbidden_target(Address(host, port)) is forbidden


# -- telephone events in


class Keys:
    """Feeds event packets to a receiver and collects the digits."""

    def __init__(self) -> None:
        self.receiver = EventReceiver()
        self.digits = ""

    def send(
        self, event: int, timestamp: int, duration: int, *, end: bool = False, at_ms: int = 0, ssrc: int = 1
    ) -> None:
        payload = PAYLOAD.pack(event, (0x80 if end else 0) | 10, duration & 0xFFFF)
        self.digits += self.receiver.take(Instant(at_ms * MS_NS), ssrc, timestamp & 0xFFFFFFFF, payload) or ""


def test_all_packets_of_a_key_press_are_one_digit() -> None:
    keys = Keys()
    for duration in range(160, 960, 160):
        keys.send(5, 1000, duration)
    for _ in range(3):
        keys.send(5, 1000, 960, end=True)
    assert keys.digits == "5"


@pytest.mark.parametrize("survivor", ["first", "update", "end"])
def test_any_surviving_packet_gives_the_digit(survivor: str) -> None:
    keys = Keys()
    keys.send(11, 1000, 480, end=survivor == "end")
    assert keys.digits == "#"


def test_the_same_key_twice_is_two_digits() -> None:
    keys = Keys()
    for timestamp in (1000, 3000):
        keys.send(7, timestamp, 160)
        for _ in range(3):
            keys.send(7, timestamp, 800, end=True)
    assert keys.digits == "77"


def test_late_end_packets_of_the_previous_digit_do_not_repeat_it() -> None:
    keys = Keys()
    keys.send(1, 1000, 800, end=True)
    keys.send(2, 3000, 160)
    keys.send(1, 1000, 800, end=True)
    keys.send(2, 3000, 320)
    assert keys.digits == "12"


def test_a_long_press_over_several_segments_is_one_digit() -> None:
    keys = Keys()
    keys.send(0, 1000, 160)
    keys.send(0, 1000, 0xFFFF)
    keys.send(0, 1000 + 0xFFFF, 160)
    keys.send(0, 1000 + 2 * 0xFFFF, 160)
    keys.send(0, 1000 + 2 * 0xFFFF, 800, end=True)
    assert keys.digits == "0"
    keys.send(0, 1000 + 3 * 0xFFFF, 160)
    assert keys.digits == "00"


def test_another_ssrc_is_another_press() -> None:
    keys = Keys()
    keys.send(3, 1000, 160)
    keys.send(3, 1000, 160, ssrc=2)
    assert keys.digits == "33"


def test_an_event_is_active_until_its_end_or_120_ms_of_silence() -> None:
    keys = Keys()
    keys.send(3, 1000, 160)
    assert keys.receiver.is_active(Instant(119 * MS_NS))
    assert not keys.receiver.is_active(Instant(120 * MS_NS))
    keys.send(3, 1000, 800, end=True, at_ms=10)
    assert not keys.receiver.is_active(Instant(11 * MS_NS))


def test_events_that_are_no_digits_and_short_payloads_are_ignored() -> None:
    keys = Keys()
    keys.send(16, 1000, 160)
    keys.send(200, 2000, 160)
    assert keys.receiver.take(Instant(0), 1, 5, b"\x05\x00") is None
    assert keys.digits == ""


@unhurried
@given(st.lists(st.tuples(st.binary(max_size=6), st.integers(0, 2**32 - 1)), max_size=30))
def test_any_event_payload_is_survived(packets: list[tuple[bytes, int]]) -> None:
    receiver = EventReceiver()
    for payload, timestamp in packets:
        receiver.take(Instant(0), 1, timestamp, payload)


# -- telephone events out


def sent_slots(digits: str, tone_ms: int = 100, gap_ms: int = 70) -> list[tuple[int, bytes, int, bool]]:
    """Return (slot, payload, timestamp, marker) of every packet."""
    sender = EventSender()
    plans = plan_digits(digits, tone_ms, gap_ms)
    assert plans is not None
    sender.queue(plans)
    packets = []
    slot = 0
    ends = ""
    while sender.is_busy:
        packet, complete = sender.next_slot(8000 + slot * 160)
        ends += complete
        if packet is not None:
            packets.append((slot, packet.payload, packet.timestamp, packet.marker))
        slot += 1
    assert ends == digits
    return packets


def test_a_digit_is_sent_by_the_rules() -> None:
    packets = sent_slots("5")
    assert [payload.hex() for _, payload, _, _ in packets] == [
        "050a00a0",
        "050a01e0",
        "058a0320",
        "058a0320",
        "058a0320",
    ]
    assert {timestamp for _, _, timestamp, _ in packets} == {8000}
    assert [marker for _, _, _, marker in packets] == [True, False, False, False, False]
    assert [slot for slot, _, _, _ in packets] == [0, 2, 4, 5, 6]


def test_what_is_sent_is_received() -> None:
    digits = "0123456789*#ABCD"
    receiver = EventReceiver()
    got = [
        receiver.take(Instant(slot * SLOT_NS), 1, timestamp, payload)
        for slot, payload, timestamp, _ in sent_slots(digits)
    ]
    assert "".join(digit for digit in got if digit) == digits


def test_pauses_and_lengths() -> None:
    packets = sent_slots("1w2W3")
    starts = [slot for slot, _, _, marker in packets if marker]
    assert starts == [0, 9 + 25, 9 + 25 + 9 + 50]
    longer = sent_slots("1@500")
    assert max(int.from_bytes(payload[2:], "big") for _, payload, _, _ in longer) == 4000
    shortest = sent_slots("1", 0, 0)
    assert max(int.from_bytes(payload[2:], "big") for _, payload, _, _ in shortest) == 320
    assert sum(bool(payload[1] & 0x80) for _, payload, _, _ in shortest) == 3


@pytest.mark.parametrize("digits", ["", "x", "12 3", "1@", "1@x", "1@123456", "@100", "１"])
def test_unusable_digit_strings(digits: str) -> None:
    plans = plan_digits(digits, 100, 70)
    assert plans is None or digits == "1@"


def test_a_cleared_sender_is_idle() -> None:
    sender = EventSender()
    plans = plan_digits("12", 100, 70)
    assert plans is not None
    sender.queue(plans)
    sender.next_slot(0)
    assert sender.waiting == 2
    sender.clear()
    assert not sender.is_busy
    assert sender.current is None
    assert sender.next_slot(0) == (None, "")


# -- sender


@pytest.mark.parametrize(("ptime_ms", "sizes"), [(10, {80}), (20, {160}), (30, {240}), (40, {320}), (25, {160})])
def test_packets_have_the_negotiated_length_and_continuous_numbers(ptime_ms: int, sizes: set[int]) -> None:
    sender = RtpSender(7, 65_530, 2**32 - 500)
    sender.configure(8, ptime_ms)
    sender.aim(("127.0.0.1", 4000))
    sender.allow(True)
    out: list[tuple[bytes, tuple[str, int]]] = []
    source = bytes(number % 251 for number in range(160 * 60))
    for slot in range(60):
        before = len(out)
        sender.send_frame(source[slot * 160 : slot * 160 + 160], out)
        assert len(out) - before <= 2
        sender.advance()
    packets = [packet for data, _ in out if (packet := parse_rtp(data))]
    assert {len(packet.payload) for packet in packets} == sizes
    assert b"".join(packet.payload for packet in packets) == source
    assert [packet.marker for packet in packets] == [True] + [False] * (len(packets) - 1)
    size = sizes.pop()
    for earlier, later in itertools.pairwise(packets):
        assert sequence_distance(later.sequence, earlier.sequence) == 1
        assert timestamp_distance(later.timestamp, earlier.timestamp) == size
    assert packets[0].timestamp == 2**32 - 500
    assert {packet.payload_type for packet in packets} == {8}


def test_audio_that_waits_for_its_packet_leaves_before_an_event() -> None:
    sender = RtpSender(7, 1, 1_000)
    sender.configure(0, 30)
    sender.aim(("127.0.0.1", 4000))
    sender.allow(True)
    out: list[tuple[bytes, tuple[str, int]]] = []
    sender.send_frame(b"x" * 160, out)
    assert not out
    sender.advance()
    sender.send_event(101, sender.timestamp, b"1234", out, marker=True)
    first, event = [packet for data, _ in out if (packet := parse_rtp(data))]
    assert (first.payload_type, first.payload, first.timestamp) == (0, b"x" * 160, 1_000)
    assert (event.payload_type, event.payload, event.timestamp, event.marker) == (101, b"1234", 1_160, True)
    assert event.sequence == first.sequence + 1


def test_nothing_is_sent_without_leave_or_target() -> None:
    sender = RtpSender(7, 1, 1)
    out: list[tuple[bytes, tuple[str, int]]] = []
    sender.send_frame(b"x" * 160, out)
    sender.aim(("127.0.0.1", 4000))
    sender.send_frame(b"x" * 160, out)
    sender.send_event(101, 1, b"1234", out, marker=True)
    sender.aim(None)
    sender.allow(True)
    sender.send_frame(b"x" * 160, out)
    assert not out
    assert sender.suppressed == 4
    assert sender.sent == 0
