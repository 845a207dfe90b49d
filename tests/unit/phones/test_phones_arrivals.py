import socket
import struct

import pytest

from ringback.machine import SECOND, Instant
from ringback.phones.arrivals import arrived_at

NOW = Instant(1_000 * SECOND)
WALL = 1_700_000_000 * SECOND


def noted(wall_ns, kind=35):
    return [(socket.SOL_SOCKET, kind, struct.pack("@qq", *divmod(wall_ns, SECOND)))]


def test_a_packet_arrived_when_the_kernel_took_it():
    assert arrived_at(noted(WALL - 1_500_000_001), NOW, WALL) == NOW - 1_500_000_001
    assert arrived_at([*noted(5, kind=29), *noted(WALL - 7)], NOW, WALL) == NOW - 7


@pytest.mark.parametrize(
    "ancillary",
    [
        [],
        noted(WALL - 5, kind=29),
        [(socket.SOL_SOCKET, 35, b"short")],
        noted(WALL + 1),
        noted(WALL - 30 * SECOND - 1),
    ],
    ids=["nothing noted", "something else", "too short", "from the future", "the clock was set"],
)
def test_a_packet_without_a_usable_note_arrives_when_it_is_read(ancillary):
    assert arrived_at(ancillary, NOW, WALL) == NOW


def test_the_longest_believable_wait():
    assert arrived_at(noted(WALL - 30 * SECOND), NOW, WALL) == NOW - 30 * SECOND
