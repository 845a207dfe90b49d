"""The legs' UDP sockets: binding one, reading all."""

from __future__ import annotations

import errno
import ipaddress
import select
import socket
from collections.abc import Callable
from typing import Protocol

from ringback import clock
from ringback.machine import Instant
from ringback.media.worker.ports import PortRange

PACKET_MAX_BYTES = 1_500
_RECEIVE_BUFFER_BYTES = 64 * 1024
"""Small, so that stale packets never pile up behind a stall."""
_BIND_ATTEMPTS = 32
_READ_BYTES = PACKET_MAX_BYTES + 1
"""One byte more than is taken, so that a longer packet is recognised."""
_BACKLOG_MAX = 256
_ROUNDS_MAX = 8
"""Datagrams read from one socket per slot: eight times the rate of 5 ms packets."""


def bind_rtp_socket(
    ports: PortRange, host: str, now: Instant, chance: Callable[[], float]
) -> tuple[socket.socket, int] | None:
    """Return a non-blocking socket on a free port of `ports`, or `None` when there is none.

    Ports that another process holds are passed over; they rest like used ones.
    Raises:
        ValueError: `host` is no numeric address.
        OSError: `host` is no address of this machine.
    """
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    port: int | None = None
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        port = _bind_any(sock, ports, host, now, chance)
    finally:
        if port is None:
            sock.close()
    return (sock, port) if port is not None else None


def _bind_any(
    sock: socket.socket, ports: PortRange, host: str, now: Instant, chance: Callable[[], float]
) -> int | None:
    busy: list[int] = []
    try:
        for _ in range(_BIND_ATTEMPTS):
            port = ports.take(now, chance)
            if port is None:
                return None
            try:
                sock.bind((host, port))
            except OSError as error:
                busy.append(port)
                if error.errno != errno.EADDRINUSE:
                    raise
            else:
                return port
        return None
    finally:
        for port in busy:
            ports.release(now, port)


class RtpReceiver(Protocol):
    """Whose packets a socket receives; no method may raise."""

    def receive_backlog(self, now: Instant, datagrams: list[tuple[bytes, tuple[str, int]]]) -> None:
        """Take all datagrams that waited while the worker stood still, oldest first."""

    def receive(self, now: Instant, data: bytes, source: tuple[str, int]) -> None:
        """Take one datagram."""

    def flush(self) -> None:
        """Send what the datagram set free."""


class RtpPoller:
    """Reads every leg's socket through one epoll, whenever `collect` is called: once per slot.

    Work is done in runs of the same kind (read all, take all, send all): the interpreter stays warm between system
    calls. Measured 2026-11-22 with benchmarks/worker_load.py against one loop callback per socket. The poll is
    level-triggered, so a socket with more to read comes again after the others.
    """

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._sockets: dict[int, tuple[Callable[[int], tuple[bytes, tuple[str, int]]], RtpReceiver]] = {}

    def __len__(self) -> int:
        return len(self._sockets)

    def add(self, sock: socket.socket, receiver: RtpReceiver) -> None:
        """Hand this socket's datagrams to `receiver`."""
        self._sockets[sock.fileno()] = (sock.recvfrom, receiver)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def remove(self, sock: socket.socket) -> None:
        """Read this socket no more; call it before closing the socket."""
        if self._sockets.pop(sock.fileno(), None) is not None:
            self._epoll.unregister(sock.fileno())

    def close(self) -> None:
        """Stop reading; idempotent."""
        self._epoll.close()

    def collect(self, has_stalled: bool) -> None:
        """Deliver what has arrived, at most `_ROUNDS_MAX` datagrams of each socket; after a stall, everything."""
        if has_stalled:
            self._empty()
        for _ in range(_ROUNDS_MAX):
            ready = self._epoll.poll(0, len(self._sockets) or 1)
            if not ready:
                return
            self._take(ready)

    def _empty(self) -> None:
        for descriptor, _ in self._epoll.poll(0, len(self._sockets) or 1):
            recvfrom, receiver = self._sockets[descriptor]
            datagrams = []
            try:
                for _ in range(_BACKLOG_MAX):
                    datagrams.append(recvfrom(_READ_BYTES))
            except OSError:
                # Empty, or an error that the network reported: what is left comes with the next slot.
                pass
            receiver.receive_backlog(clock.now(), datagrams)
            receiver.flush()

    def _take(self, ready: list[tuple[int, int]]) -> None:
        arrived = []
        sockets = self._sockets
        for descriptor, _ in ready:
            recvfrom, receiver = sockets[descriptor]
            try:
                data, source = recvfrom(_READ_BYTES)
            except OSError:
                # Nothing after all (a bad checksum), or an error that the network reported about a packet we sent.
                continue
            arrived.append((receiver, data, source))
        now = clock.now()
        for receiver, data, source in arrived:
            receiver.receive(now, data, source)
        for receiver, _, _ in arrived:
            receiver.flush()
