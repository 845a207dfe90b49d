"""Trunks: which carrier a dialled number leaves by, and which one an incoming call belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from types import MappingProxyType

from ringback.errors import ConfigError

IpNetwork = IPv4Network | IPv6Network
IpAddress = IPv4Address | IPv6Address


class TrunkDirection(Enum):
    """Which calls a trunk carries."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"


class NatMode(Enum):
    """Whether RTP may come from elsewhere than the SDP says (sip.md section 9)."""

    AUTO = "auto"
    """Only when the SDP address is private and signalling comes from another one."""
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Gateway:
    """One SIP peer. `host` is a name or an address, IPv6 without brackets; `port` 0 lets DNS or the default decide.

    Lower `priority` is tried first; gateways of equal priority share calls by `weight`.
    """

    host: str
    port: int = 0
    transport: str = "udp"
    priority: int = 10
    weight: int = 100


@dataclass(frozen=True, slots=True)
class GatewayCredentials:
    """What answers 401 and 407; without a realm it fits any."""

    username: str
    password: str = field(repr=False)
    realm: str = ""


@dataclass(frozen=True)
class Trunk:
    """A carrier or a PBX, as `[[trunk]]` describes it.

    `numbers`: prefixes of dialled numbers that leave here, `+` optional; empty takes every number.
    `ringing_timeout_ms`: the longest that a call by this trunk may ring; 0 leaves it to the call.
    `priority`: among trunks with an equally long matching prefix the lower one is tried first.

    Raises:
        ConfigError: `allowed_addresses` holds something that is not an address or a network.
    """

    name: str
    direction: TrunkDirection = TrunkDirection.BOTH
    gateways: tuple[Gateway, ...] = ()
    credentials: tuple[GatewayCredentials, ...] = ()
    allowed_addresses: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    caller_id: str = ""
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    max_calls: int = 0
    max_cps: int = 0
    e164_plus: bool = True
    tech_prefix: str = ""
    ringing_timeout_ms: int = 0
    headers: tuple[tuple[str, str], ...] = ()
    priority: int = 10
    nat: NatMode = NatMode.AUTO

    def __post_init__(self) -> None:
        # Parsing here turns a wrong network into an error at start-up instead of a refused call at night.
        _ = self.networks

    @cached_property
    def networks(self) -> tuple[IpNetwork, ...]:
        """Return the source networks of the trunk: `allowed_addresses` and gateways given as addresses."""
        found: list[IpNetwork] = []
        for text in self.allowed_addresses:
            try:
                found.append(ip_network(text.strip(), strict=False))
            except ValueError as error:
                raise ConfigError(
                    f"trunk {self.name}: allowed_addresses has {text!r}, expected an address or a network",
                    hint="write 203.0.113.7 or 203.0.113.0/29",
                    trunk=self.name,
                ) from error
        for gateway in self.gateways:
            address = _address(gateway.host)
            if address is not None:
                found.append(ip_network(address))
        return tuple(found)

    @property
    def takes_inbound(self) -> bool:
        """Return whether calls may come in by this trunk."""
        return self.direction is not TrunkDirection.OUTBOUND

    @property
    def takes_outbound(self) -> bool:
        """Return whether calls may leave by this trunk."""
        return self.direction is not TrunkDirection.INBOUND and bool(self.gateways)

    def prefix_length(self, number: str) -> int | None:
        """Return how many digits of `number` match the longest prefix of this trunk, or `None` for no match."""
        if not self.numbers:
            return 0
        digits = number.lstrip("+")
        lengths = [len(prefix.lstrip("+")) for prefix in self.numbers if digits.startswith(prefix.lstrip("+"))]
        return max(lengths, default=None)

    def wire_number(self, number: str) -> str:
        """Return `number` as this trunk wants it: with or without `+`, behind the technical prefix."""
        digits = number.lstrip("+")
        return f"{self.tech_prefix}{'+' if self.e164_plus else ''}{digits}"


@dataclass(frozen=True, slots=True)
class OutboundRoute:
    """How a dialled number leaves: what `signalling.events.DialRequest` needs of the trunk."""

    trunk: Trunk
    wire_number: str
    gateways: tuple[Gateway, ...]
    """In the order to try."""

    @property
    def request_uri(self) -> str:
        """Return the Request-URI: the number at the first gateway."""
        gateway = self.gateways[0]
        host = f"[{gateway.host}]" if ":" in gateway.host else gateway.host
        port = f":{gateway.port}" if gateway.port else ""
        return f"sip:{self.wire_number}@{host}{port}"


def route_outbound(
    trunks: Iterable[Trunk], number: str, chance: Callable[[], float] = lambda: 0.0
) -> OutboundRoute | None:
    """Return the best trunk for `number` (digits, `+` optional), or `None` when no trunk takes it.

    The longest matching prefix wins, then the lower trunk priority, then the order of configuration. `chance` yields
    numbers in [0, 1) that spread calls over gateways of equal priority by weight.
    """
    best: tuple[tuple[int, int], Trunk] | None = None
    for trunk in trunks:
        length = trunk.prefix_length(number) if trunk.takes_outbound else None
        if length is None:
            continue
        rank = (-length, trunk.priority)
        if best is None or rank < best[0]:
            best = (rank, trunk)
    if best is None:
        return None
    trunk = best[1]
    return OutboundRoute(trunk, trunk.wire_number(number), order_gateways(trunk.gateways, chance))


def order_gateways(gateways: Sequence[Gateway], chance: Callable[[], float]) -> tuple[Gateway, ...]:
    """Return the gateways by priority, those of equal priority drawn by weight (as RFC 2782 does for SRV)."""
    ordered: list[Gateway] = []
    for priority in sorted({gateway.priority for gateway in gateways}):
        waiting = [gateway for gateway in gateways if gateway.priority == priority]
        while waiting:
            mark = chance() * sum(gateway.weight for gateway in waiting)
            chosen = waiting[-1]
            for gateway in waiting:
                mark -= gateway.weight
                if mark < 0:
                    chosen = gateway
                    break
            else:
                # All weights are zero: keep the order of configuration.
                chosen = waiting[0]
            waiting.remove(chosen)
            ordered.append(chosen)
    return tuple(ordered)


def match_inbound(
    trunks: Iterable[Trunk], source_host: str, learned: Mapping[str, frozenset[str]] = MappingProxyType({})
) -> Trunk | None:
    """Return the trunk whose networks hold the numeric address `source_host`; the smallest network wins.

    Args:
        learned: Addresses that gateways' names resolved to, by trunk name; they count like a gateway's own address.
    """
    address = _address(source_host)
    if address is None:
        return None
    best: tuple[int, Trunk] | None = None
    for trunk in trunks:
        if not trunk.takes_inbound:
            continue
        if str(address) in learned.get(trunk.name, ()):
            return trunk
        for network in trunk.networks:
            if network.version == address.version and address in network:
                size = network.max_prefixlen - network.prefixlen
                if best is None or size < best[0]:
                    best = (size, trunk)
    return None if best is None else best[1]


def _address(text: str) -> IpAddress | None:
    """Return the address that `text` is, an IPv4-mapped one as IPv4, or `None` for a name."""
    try:
        address = ip_address(text.strip().strip("[]").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
