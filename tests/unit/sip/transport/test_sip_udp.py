"""One UDP socket: datagrams up with their flow, failures under their sender."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Hashable

from ringback.sip.flow import Flow, Transport
from ringback.sip.transport.udp import UdpSocket


async def test_datagrams_come_with_their_flow_and_failures_with_their_sender() -> None:
    arrived: list[tuple[Flow, bytes]] = []
    failed: list[Hashable] = []
    news = asyncio.Event()

    def take(flow: Flow, payload: bytes) -> None:
        arrived.append((flow, payload))
        news.set()

    near, far = UdpSocket(take, failed.append), UdpSocket(take, failed.append)
    far.send(b"too early", ("127.0.0.1", 9), "early")
    far.send(b"too early", ("127.0.0.1", 9), None)
    for each in (near, far):
        await each.open("127.0.0.1", 0, 65_536)
    near.send(b"hello", far.local, "s1")
    async with asyncio.timeout(20):
        await news.wait()
    assert arrived == [(Flow(Transport.UDP, far.local, near.local), b"hello")]
    near.send(b"x" * 70_000, far.local, "too large")
    near.send(b"x" * 70_000, far.local, None)
    near.close()
    near.send(b"late", far.local, "late")
    far.close()
    assert failed == ["early", "too large", "late"]


async def test_a_taken_port_is_an_os_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        udp = UdpSocket(lambda flow, payload: None, lambda sender: None)
        try:
            await udp.open("127.0.0.1", taken.getsockname()[1], 65_536)
        except OSError:
            return
        raise AssertionError("bound twice")
