"""Which source of RTP a leg listens and answers to.

Rules (reference: sip.md section 9, reliability.md section 5.6):

1. The signalled address is locked at its first valid packet.
2. Another source is a candidate when it is allowed: the same host with another port; any host when the signalled
   address is private or unspecified, or the trunk says so (`LatchPolicy.NAT`). A loopback address, signalled in
   development, makes only loopback sources and the signalling host candidates.
3. A candidate locks after 3 consistent packets (one SSRC, sequence steps of 1 to 3). Later than 5 s after the answer
   only from the signalled host or the host that signalling comes from.
4. The signalled address may displace a candidate's lock for 5 s; then the lock is fixed.
5. A lock moves only when its source was silent for 1 s and an allowed source shows 5 consistent packets, at most three
   times a minute.
6. Every other packet is refused: neither played, answered nor counted as activity.

The two references differ in the number of packets (3 and 5): the first lock takes the smaller, so that a caller behind
NAT is heard 60 ms after the answer; taking a lock over takes the larger.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from ringback.machine import SECOND, Instant
from ringback.media.control.values import Address, LatchPolicy
from ringback.media.rtp.packet import sequence_distance

SocketAddress = tuple[str, int]

FIRST_LOCK_PACKETS = 3
MOVE_PACKETS = 5
OPEN_NS = 5 * SECOND
DISPLACE_NS = 5 * SECOND
SILENT_NS = 1 * SECOND
MOVES_PER_MINUTE = 3
CANDIDATES_MAX = 4


_PRIVATE = tuple(
    ipaddress.ip_network(network)
    for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
)
"""Networks behind which NAT is usual; `is_private` of the standard library would include documentation ranges."""


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_forbidden_target(address: Address) -> bool:
    """Return whether RTP may never be sent there: multicast, broadcast, link-local, reserved, or a port below 1024.

    An unspecified host or port 0 is not forbidden: it means "send nothing" (RFC 3264 §8.4).
    """
    ip = _ip(address.host)
    if ip is None:
        return True
    if ip.is_unspecified or address.port == 0:
        return False
    if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    is_reserved = ip.is_reserved and not ip.is_loopback
    return ip.is_multicast or ip.is_link_local or is_reserved or not 1024 <= address.port <= 65535


@dataclass(slots=True)
class _Candidate:
    ssrc: int
    sequence: int
    packets: int


class Latch:
    """The source lock of one leg.

    State: `signal` after each (re-)answer; `admit` for each packet that does not come from `locked`.
    """

    def __init__(self) -> None:
        self.locked: SocketAddress | None = None
        """The source that is listened to; its packets need no `admit`."""
        self.last_heard = Instant(0)
        """When the locked source was last heard; kept up to date by the session, coarsely (20 ms)."""
        self._signalled: SocketAddress | None = None
        self._any_host = False
        self._loopback_only = False
        self._signalling_host = ""
        self._opened = Instant(0)
        self._locked_at = Instant(0)
        self._is_displaceable = False
        self._candidates: dict[SocketAddress, _Candidate] = {}
        self._moves: list[Instant] = []

    def signal(self, now: Instant, address: Address, policy: LatchPolicy, signalling_host: str) -> None:
        """Apply an answer: a new address opens the latch again, a repeated one changes nothing."""
        signalled = (address.host, address.port)
        self._signalling_host = signalling_host
        ip = _ip(address.host)
        is_loopback = ip is not None and ip.is_loopback
        is_private = ip is None or ip.is_unspecified or any(ip in network for network in _PRIVATE)
        self._any_host = policy is LatchPolicy.NAT or is_private
        self._loopback_only = policy is not LatchPolicy.NAT and is_loopback
        if signalled == self._signalled:
            return
        self._signalled = signalled
        self._opened = now
        self._candidates.clear()
        if self.locked != signalled:
            self.locked = None

    @property
    def destination(self) -> SocketAddress | None:
        """Return where to send: the locked source, else the signalled address, `None` when it is unspecified."""
        if self.locked is not None:
            return self.locked
        if self._signalled is None or self._signalled[1] == 0:
            return None
        ip = _ip(self._signalled[0])
        return None if ip is None or ip.is_unspecified else self._signalled

    def admit(self, now: Instant, source: SocketAddress, ssrc: int, sequence: int) -> bool:
        """Decide on a well-formed packet of negotiated type from a source that is not locked; `True` locks it."""
        if self._signalled is None:
            return False
        if self.locked is not None:
            if source == self._signalled and self._is_displaceable and now - self._locked_at <= DISPLACE_NS:
                return self._lock(now, source)
            if now - self.last_heard < SILENT_NS or not self._may_move(now) or not self._is_allowed(now, source):
                return False
            if not self._is_consistent(source, ssrc, sequence, MOVE_PACKETS):
                return False
            self._moves.append(now)
            return self._lock(now, source)
        if source == self._signalled:
            return self._lock(now, source)
        if not self._is_allowed(now, source):
            return False
        if not self._is_consistent(source, ssrc, sequence, FIRST_LOCK_PACKETS):
            return False
        return self._lock(now, source)

    def _lock(self, now: Instant, source: SocketAddress) -> bool:
        self.locked = source
        self.last_heard = now
        self._locked_at = now
        self._is_displaceable = source != self._signalled
        self._candidates.clear()
        return True

    def _may_move(self, now: Instant) -> bool:
        self._moves = [at for at in self._moves if now - at < 60 * SECOND]
        return len(self._moves) < MOVES_PER_MINUTE

    def _is_allowed(self, now: Instant, source: SocketAddress) -> bool:
        assert self._signalled is not None
        host = source[0]
        if host in (self._signalled[0], self._signalling_host):
            return host == self._signalled[0] or self._any_host or self._loopback_only
        if now - self._opened > OPEN_NS:
            return False
        if self._loopback_only:
            ip = _ip(host)
            return ip is not None and ip.is_loopback
        return self._any_host

    def _is_consistent(self, source: SocketAddress, ssrc: int, sequence: int, needed: int) -> bool:
        candidate = self._candidates.get(source)
        if candidate is None or candidate.ssrc != ssrc or not 1 <= sequence_distance(sequence, candidate.sequence) <= 3:
            self._candidates.pop(source, None)
            if len(self._candidates) >= CANDIDATES_MAX:
                del self._candidates[next(iter(self._candidates))]
            self._candidates[source] = _Candidate(ssrc, sequence, 1)
            return False
        candidate.sequence = sequence
        candidate.packets += 1
        return candidate.packets >= needed
