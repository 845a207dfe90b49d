"""Settings of the signalling room."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class StrangerPolicy(Enum):
    """What a caller gets who is neither on loopback nor on a trunk."""

    DROP = "drop"
    """No answer at all: scanners learn nothing."""
    FORBID = "forbid"
    """403."""


@dataclass(frozen=True, slots=True)
class SignallingSettings:
    """What the operator may change; the defaults are those of `ringback dev`."""

    domain: str = "127.0.0.1"
    """Host of our From URIs; with a port if it is not 5060."""
    media_host: str = "127.0.0.1"
    """Address where RTP is bound for IPv4 peers."""
    media_host_v6: str = ""
    """Address where RTP is bound for IPv6 peers; empty: such offers get 488."""
    visible_media_host: str = "127.0.0.1"
    """IPv4 address written into SDP where RTP is bound to 0.0.0.0, which would mean hold."""
    advertised_media_host: str = ""
    """IPv4 address written into SDP for peers outside `local_networks`; empty: where RTP is bound."""
    local_networks: tuple[str, ...] = (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
    )
    """Peers that reach us by the address where RTP is bound."""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    """Offered in this order; answers follow the peer's order among these."""
    ptime_ms: int = 20
    """Packet length when the peer names none."""
    trust_loopback: bool = True
    """Whether callers on 127.0.0.0/8 and ::1 need no trunk."""
    own_address: tuple[str, int] | None = None
    """Where our own calls to our own numbers come from: the UDP listener, which no other process can send from."""
    strangers: StrangerPolicy = StrangerPolicy.DROP
    maximum_legs: int = 1_000
    """Legs in any state; one more INVITE gets 503 with Retry-After, one more dialling attempt fails."""
    retry_after_s: int = 5
    retry_after_overload_max_s: int = 15
    """Upper end of the drawn Retry-After for callers refused over load, so that they do not return together."""
    refusals_told_per_s: int = 20
    """Calls refused over load that get an event log of their own in a second; more are only counted."""
    setup_limit_ms: int = 2_000
    """Longest wait for a media session; then the caller gets 503. As long as the pool waits for a worker's answer: one
    that got no processor for a second has lost no call, and 100 has stopped the caller's retransmissions."""
    release_limit_ms: int = 2_000
    """Longest wait for a media session to close before the leg is reported as ended."""
    media_idle_ms: int = 60_000
    """Silence on RTP after which `MediaTimedOut` is reported; 0 is never."""
    maximum_waiting_events: int = 64
    """Events kept for an owner that has not set its listener yet; the oldest goes first."""
    maximum_waiting_traces: int = 64
    """SIP messages kept until their call is known; the oldest goes first."""
