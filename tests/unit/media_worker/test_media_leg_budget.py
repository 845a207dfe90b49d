"""How many packets a leg takes from its socket, and from whom, between two checks."""

from __future__ import annotations

import socket
import struct
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.media_leg import PEER, remote

from ringback.ids import CommandId, SessionId
from ringback.machine import Instant
from ringback.media.control.commands import OpenSession
from ringback.media.control.settings import WorkerSettings
from ringback.media.worker.leg import Leg

STRANGER = ("127.0.0.1", 4_444)
NOW = Instant(1_000_000_000)


@pytest.fixture
def leg() -> Any:
    ignore = SimpleNamespace(report=lambda event: None, add=lambda *_: None, remove=lambda *_: None)
    command = OpenSession(command_id=CommandId("c"), session_id=SessionId("s"), local_host="127.0.0.1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        made: Any = Leg(ignore, command, sock, 20_000, ignore, ignore, ignore, WorkerSettings(), NOW)  # type: ignore[arg-type]
        made.set_remote(NOW, remote())
        yield made


def packet(number: int, ssrc: int) -> bytes:
    return struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160, ssrc) + b"\xff" * 160


def receive(leg: Leg, source: tuple[str, int], count: int, ssrc: int) -> None:
    for number in range(count):
        leg.receive(NOW, packet(number, ssrc), source)


def test_flood_of_a_stranger_leaves_room_for_the_caller(leg: Leg) -> None:
    receive(leg, PEER, 1, ssrc=1)
    receive(leg, STRANGER, 10_000, ssrc=2)
    receive(leg, PEER, 100, ssrc=1)
    assert leg.stats().received_packets == 101


def test_caller_is_bounded_too_until_the_next_check(leg: Leg) -> None:
    receive(leg, PEER, 10_000, ssrc=1)
    assert leg.stats().received_packets == 500
    leg.check(NOW)
    receive(leg, PEER, 10_000, ssrc=1)
    assert leg.stats().received_packets == 1_000
