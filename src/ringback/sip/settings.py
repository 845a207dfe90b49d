"""Settings of the SIP room: listeners, timers and every bound, with the reason for each default."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sip.flow import HostPort


@dataclass(frozen=True, slots=True)
class SipSettings:
    """What the operator may change; the defaults are those of `ringback dev`."""

    udp_listeners: tuple[HostPort, ...] = (("127.0.0.1", 5060),)
    """Addresses to bind for UDP; port 0 takes a free one (tests, phones)."""
    tcp_listeners: tuple[HostPort, ...] = (("127.0.0.1", 5060),)
    """Addresses to bind for TCP; may be empty."""
    public_host: str = ""
    """Address written into Via and Contact towards peers outside `local_networks`; empty: the interface's own."""
    local_networks: tuple[str, ...] = (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "169.254.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
    """Peers that reach us by the interface address."""
    user_agent: str = "Ringback"
    """Sent as User-Agent in requests and Server in responses."""

    t1_ms: int = 500
    """Estimate of the round trip (RFC 3261 §17.1.1.1)."""
    t2_ms: int = 4_000
    """Longest interval between repeats of non-INVITE requests and of INVITE responses."""
    t4_ms: int = 5_000
    """Longest time a message stays in the network."""
    failover_timeout_ms: int = 5_000
    """Timers B and F for a target that is not the last one: the caller hears silence meanwhile."""
    trying_ms: int = 200
    """A 100 is sent when the application has sent nothing by then (RFC 3261 §17.2.1)."""
    ringing_refresh_ms: int = 60_000
    """18x repeat: proxies cancel after 3 minutes without one (RFC 3261 §13.3.1.1)."""
    large_request_bytes: int = 1_300
    """Requests above this size leave by TCP when the target offers it (RFC 3261 §18.1.1)."""

    max_server_transactions: int = 20_000
    """Beyond it requests get 503 with Retry-After, without state."""
    max_client_transactions: int = 20_000
    """Beyond it our own requests fail locally."""
    max_invites: int = 4_000
    """Calls in any state; beyond it INVITEs get 503 with Retry-After."""
    max_asked: int = 500
    """REGISTERs whose judgement is under way; beyond it they get 503 with Retry-After."""
    retry_after_min_s: int = 5
    retry_after_max_s: int = 15
    """Range of the drawn Retry-After, so that refused peers do not return together."""

    source_rate_per_s: float = 20.0
    """Requests per second that one untrusted source (/32 or /64) may start, sustained."""
    source_burst: int = 60
    """Requests that one untrusted source may start at once."""
    max_sources: int = 10_000
    """Untrusted sources remembered; the longest silent one is forgotten first."""
    scanner_agents: tuple[str, ...] = (
        "friendly-scanner",
        "friendly-request",
        "sipvicious",
        "sundayddr",
        "sipcli",
        "sip-scan",
        "sipsak-scan",
        "pplsip",
        "smap",
        "iwar",
        "vaxsipuseragent",
    )
    """Requests whose User-Agent contains one of these are dropped without an answer."""
    info_types: tuple[str, ...] = ("application/dtmf-relay", "application/dtmf")
    """INFO bodies that are reported; others get 415."""

    max_connections: int = 2_000
    max_connections_per_source: int = 50
    """Connections beyond either bound are closed at once."""
    write_buffer_bytes: int = 256 * 1024
    """A connection whose peer lets more wait is closed."""
    connect_timeout_ms: int = 5_000
    message_timeout_ms: int = 10_000
    """Time for a message once its first byte has come."""
    idle_timeout_ms: int = 60_000
    """A connection without traffic is closed; calls on it go on over a new one."""
    udp_receive_buffer_bytes: int = 4 * 1024 * 1024
    """SO_RCVBUF asked for: the loop may be busy for 500 ms without a loss."""

    dns_servers: tuple[HostPort, ...] = ()
    """Name servers; empty: those of the system, with its hosts file."""
    dns_timeout_ms: int = 3_000
