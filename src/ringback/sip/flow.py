"""Where SIP messages come from and go to: transports, flows, targets and listeners."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from enum import Enum

HostPort = tuple[str, int]
"""A numeric IP address, IPv6 without brackets, and a port."""


class Transport(Enum):
    """A SIP transport; the value is its spelling in Via."""

    UDP = "UDP"
    TCP = "TCP"

    @property
    def is_reliable(self) -> bool:
        """Return whether the transport repeats lost bytes itself (RFC 3261 §17.1.1.2)."""
        return self is not Transport.UDP


@dataclass(frozen=True, slots=True)
class Flow:
    """One path to one peer: a UDP socket and a remote address, or one connection.

    `connection_id` is 0 for UDP and unique per connection otherwise.
    """

    transport: Transport
    local: HostPort
    remote: HostPort
    connection_id: int = 0


@dataclass(frozen=True, slots=True)
class Target:
    """A place to send a request to; `host` is a numeric IP address, as `sip.resolve` yields it."""

    transport: Transport
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound socket: what it is bound to, and the host and port that we write into Via and Contact.

    `advertised_host` is numeric and is the interface's own address even if the socket is bound to a wildcard.
    """

    transport: Transport
    host: str
    port: int
    advertised_host: str
    advertised_port: int


@dataclass(frozen=True, slots=True)
class Transmit:
    """A message to be sent, in whole.

    A `Flow` names a socket or connection; when that connection is gone, or there is none to a `Target`, the shell
    opens one to `fallback` or the target. A failure is reported under `sender`, unless that is None.
    """

    payload: bytes
    to: Flow | Target
    sender: Hashable | None = None
    fallback: Target | None = None


def bracketed(host: str) -> str:
    """Return `host` as it stands in URIs and Via: an IPv6 address in brackets, anything else unchanged."""
    return f"[{host}]" if ":" in host and not host.startswith("[") else host


def is_ipv6(host: str) -> bool:
    """Return whether a numeric address is IPv6."""
    return ":" in host
