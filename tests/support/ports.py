"""Ports for tests that must name one before anybody listens there, or where nobody ever does."""

from __future__ import annotations

import random
import socket

_LOW, _HIGH = 10_000, 19_999
"""Below the range from which the kernel serves whoever asks for any port, and below the platform's RTP ports."""


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """Return a port of 127.0.0.1 that nobody has and that the kernel gives to nobody by itself.

    A port that was asked for, closed and remembered may belong to another connection by the time it is used.
    """
    dice = random.SystemRandom()
    while True:
        port = dice.randint(_LOW, _HIGH)
        with socket.socket(type=kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
