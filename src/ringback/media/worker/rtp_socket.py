"""One leg's UDP socket."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable

from ringback.machine import Instant
from ringback.media.worker.ports import PortRange

PACKET_MAX_BYTES = 1_500
_RECEIVE_BUFFER_BYTES = 64 * 1024
"""Small, so that stale packets never pile up behind a stall."""
_BIND_ATTEMPTS = 32


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
