"""When packets arrive: the kernel notes it, so a process that was late to look need not guess.

Linux notes it on request (`SO_TIMESTAMPNS`, socket(7)); elsewhere a packet arrives when it is read.
"""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Sequence

from ringback import clock
from ringback.machine import SECOND, Instant

_SO_TIMESTAMPNS = 35
"""Linux, asm-generic; Python's `socket` has no name for it. The option and its ancillary data have the same number."""
_TIMESPEC = struct.Struct("@qq")
_PACKET_MAX_BYTES = 65_536
_ANCILLARY_BYTES = 64
_WAITED_MAX_NS = 30 * SECOND
"""A packet that seems to have waited longer was noted by a clock that has been set since."""

Ancillary = Sequence[tuple[int, int, bytes]]


def mark_arrivals(sock: socket.socket) -> None:
    """Ask the kernel to note when each datagram arrives, where it can."""
    if sys.platform == "linux":
        sock.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)


def receive(sock: socket.socket) -> tuple[bytes, tuple[str, int], Instant]:
    """Return the next datagram, its source, and when it arrived.

    Raises:
        OSError: there is none, or the network has reported an error about one that was sent.
    """
    data, ancillary, _, source = sock.recvmsg(_PACKET_MAX_BYTES, _ANCILLARY_BYTES)
    return data, (source[0], source[1]), arrived_at(ancillary, clock.now(), clock.wall_ns())


def arrived_at(ancillary: Ancillary, now: Instant, wall_ns: int) -> Instant:
    """Return when a datagram arrived by what the kernel has noted; `now` if that is nothing, or nothing possible.

    Args:
        wall_ns: The wall clock at `now`, which is the clock of the kernel's notes.
    """
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, _SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, rest_ns = _TIMESPEC.unpack_from(data)
            waited_ns = wall_ns - (seconds * SECOND + rest_ns)
            return Instant(now - waited_ns) if 0 <= waited_ns <= _WAITED_MAX_NS else now
    return now
