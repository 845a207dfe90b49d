"""Ports for tests: single ones that the test must name, and ranges for media workers.

All lie below the range from which the kernel serves whoever asks for any port (32768 on with Linux), and outside of
the platform's own: 20000 to 29999 for RTP, 30000 to 32767 for what it chooses itself. Test processes beside each other
never get the same ones.
"""

from __future__ import annotations

import functools
import random
import socket
from collections import deque

_LOW, _HIGH = 10_000, 14_999
_RANGES = range(15_000, 20_000, 200)
_CLAIMS_MAX = 256
_claims: deque[socket.socket] = deque(maxlen=_CLAIMS_MAX)
_kept: list[socket.socket] = []


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
        claim = claimed(f"port {port}")
        if claim is not None:
            _claims.append(claim)
            return port


@functools.cache
def port_range() -> tuple[int, int]:
    """Return the first and the last of 200 ports that this process alone may use, the same ones each time."""
    for low in random.SystemRandom().sample(_RANGES, len(_RANGES)):
        claim = claimed(f"ports from {low}")
        if claim is not None:
            _kept.append(claim)
            return low, low + _RANGES.step - 1
    raise RuntimeError(f"{len(_RANGES)} processes run media workers for tests, and there are no ports for one more")


def claimed(what: str) -> socket.socket | None:
    """Return a socket that stands for `what` until it is closed or this process ends; `None` when another one does.

    Its name lies in Linux' abstract space (unix(7)), so that nothing is left behind whatever becomes of the process.
    """
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0ringback tests: {what}")
    except OSError:
        claim.close()
        return None
    return claim
