"""`media.worker.rtp_socket`: what is read per slot, and what after a stall."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from ringback.machine import Instant
from ringback.media.worker.rtp_socket import PACKET_MAX_BYTES, RtpPoller


class Receiver:
    """Notes what it is given."""

    def __init__(self) -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.bind(("127.0.0.1", 0))
        self.received: list[bytes] = []
        self.backlogs: list[list[bytes]] = []
        self.flushes = 0

    def receive(self, now: Instant, data: bytes, source: tuple[str, int]) -> None:
        assert source[0] == "127.0.0.1"
        self.received.append(data)

    def receive_backlog(self, now: Instant, datagrams: list[tuple[bytes, tuple[str, int]]]) -> None:
        self.backlogs.append([data for data, _ in datagrams])

    def flush(self) -> None:
        self.flushes += 1


@pytest.fixture
def receivers() -> Iterator[list[Receiver]]:
    receivers = [Receiver() for _ in range(3)]
    yield receivers
    for receiver in receivers:
        receiver.sock.close()


@pytest.fixture
def poller(receivers: list[Receiver]) -> Iterator[RtpPoller]:
    poller = RtpPoller()
    for receiver in receivers:
        poller.add(receiver.sock, receiver)
    yield poller
    poller.close()
    poller.close()


def send(receiver: Receiver, count: int, start: int = 0) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for number in range(start, start + count):
            sock.sendto(b"%d" % number, receiver.sock.getsockname())


def test_one_collection_reads_every_socket(poller: RtpPoller, receivers: list[Receiver]) -> None:
    send(receivers[0], 1)
    send(receivers[2], 3)
    poller.collect(False)
    assert [receiver.received for receiver in receivers] == [[b"0"], [], [b"0", b"1", b"2"]]
    assert receivers[1].flushes == 0
    assert receivers[2].flushes == 3


def test_a_flooded_socket_is_read_eight_times_per_slot(poller: RtpPoller, receivers: list[Receiver]) -> None:
    send(receivers[0], 12)
    send(receivers[1], 1)
    poller.collect(False)
    assert len(receivers[0].received) == 8
    assert receivers[1].received == [b"0"]
    poller.collect(False)
    assert receivers[0].received == [b"%d" % number for number in range(12)]


def test_after_a_stall_everything_comes_as_one_backlog(poller: RtpPoller, receivers: list[Receiver]) -> None:
    send(receivers[0], 50)
    poller.collect(True)
    assert receivers[0].backlogs == [[b"%d" % number for number in range(50)]]
    assert receivers[0].received == []
    assert receivers[0].flushes == 1


def test_a_removed_socket_is_read_no_more(poller: RtpPoller, receivers: list[Receiver]) -> None:
    poller.remove(receivers[0].sock)
    poller.remove(receivers[0].sock)
    assert len(poller) == 2
    send(receivers[0], 1)
    poller.collect(False)
    poller.collect(True)
    assert receivers[0].received == []


def test_a_longer_packet_is_recognisable(poller: RtpPoller, receivers: list[Receiver]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.sendto(bytes(PACKET_MAX_BYTES + 200), receivers[0].sock.getsockname())
    poller.collect(False)
    assert len(receivers[0].received[0]) == PACKET_MAX_BYTES + 1
