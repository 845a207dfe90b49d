"""Which addresses a customer's URL may reach: pure rules over URLs and addresses.

Nothing here asks the network. `check_url` judges what a URL says, `check_address` what its name resolved to; both must
pass before a socket is opened (reference: reliability.md 5.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from urllib.parse import urlsplit

from ringback.egress.errors import AddressRefused, InvalidUrl

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network

HOST_MAX_CHARS = 253
FIRST_FREE_PORT = 1_024
URL_MAX_CHARS = 8_192
_DEFAULT_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_FORBIDDEN_IN_URL = re.compile(r"[\x00-\x20\x7f\\\ud800-\udfff]")
_SECURE = frozenset({"https", "wss"})
_RULE_HINT = "HOST[:PORT[-PORT]] or NETWORK[:PORT[-PORT]]"

DENIED_PORTS = frozenset(
    {
        *(1025, 1433, 1521, 2049, 2375, 2376, 2379, 2380, 3306, 3389, 4222, 5060, 5061, 5432, 5433, 5672, 5900, 5984),
        *(6379, 6380, 6443, 8086, 8200, 8500, 9042, 9092, 9200, 9300, 10250, 11211, 15672, 25565, 26257, 27017, 27018),
    }
)
"""Ports above 1023 where a database, message bus, orchestrator or SIP server usually listens."""


class Mode(Enum):
    """How strict the policy is."""

    PUBLIC = "public"
    """Public addresses over `https` and `wss`; private networks only by an allow rule."""
    DEV = "dev"
    """As `PUBLIC`, and loopback with `http` and `ws` too."""


@dataclass(frozen=True, slots=True)
class AllowRule:
    """One exception: a host name or a network, and a range of ports.

    `host` is a lower-case ASCII name; `*.example.com` allows every name below it. Exactly one of `host` and `network`
    is set.
    """

    host: str = ""
    network: IpNetwork | None = None
    low_port: int = 1
    high_port: int = 65_535

    def covers(self, host: str, address: IpAddress, port: int) -> bool:
        """Return whether the rule allows `address`, found under the name `host`."""
        if not self.low_port <= port <= self.high_port:
            return False
        if self.network is not None:
            return address.version == self.network.version and address in self.network
        if self.host.startswith("*."):
            return host.endswith(self.host[1:])
        return host == self.host


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one installation.

    `own_addresses` are the machine's, `own_ports` the ports we listen on there: both stay closed under every rule,
    except that `DEV` opens loopback but for `own_ports`.
    """

    mode: Mode = Mode.PUBLIC
    allow: tuple[AllowRule, ...] = ()
    own_addresses: frozenset[IpAddress] = field(default_factory=frozenset)
    own_ports: frozenset[int] = field(default_factory=frozenset)
    denied_ports: frozenset[int] = DENIED_PORTS
    is_plain_allowed: bool = False
    """Whether `http` and `ws` may reach public addresses."""


@dataclass(frozen=True, slots=True)
class CheckedUrl:
    """A URL taken apart; its name must still be resolved and its addresses checked."""

    scheme: str
    host: str
    """ASCII, lower-case, without brackets and without a trailing dot."""
    port: int
    authority: str
    """As configured (ASCII): what the `Host` header says."""
    target: str
    """Path and query as sent."""
    literal: IpAddress | None
    """The address, when the host is one."""

    @property
    def is_secure(self) -> bool:
        """Return whether TLS is used."""
        return self.scheme in _SECURE

    @property
    def origin(self) -> str:
        """Return scheme, host and port: the unit of per-host limits."""
        return f"{self.scheme}://{_bracketed(self.host)}:{self.port}"

    @property
    def url(self) -> str:
        """Return the URL to request, with the port always given."""
        return f"{self.origin}{self.target}"


def parse_allow(text: str) -> AllowRule:
    """Return the rule of a setting such as `10.1.0.0/16`, `agent.internal:8080` or `[fd00::/8]:8000-9000`.

    Raises:
        InvalidUrl: the text is no rule.
    """
    text = text.strip().lower()
    host, ports = _split_ports(text)
    low, high = 1, 65_535
    if ports:
        first, _, last = ports.partition("-")
        if not (_is_port(first) and (not last or _is_port(last))):
            raise InvalidUrl(f"cannot read allow rule {text[:80]!r}", hint=_RULE_HINT)
        low, high = int(first), int(last or first)
    try:
        return AllowRule(network=ip_network(host, strict=False), low_port=low, high_port=high)
    except ValueError:
        pass
    name = host[2:] if host.startswith("*.") else host
    if not _is_name(name):
        raise InvalidUrl(f"cannot read allow rule {text[:80]!r}", hint=_RULE_HINT)
    return AllowRule(host=host, low_port=low, high_port=high)


def check_url(policy: Policy, url: str, schemes: Iterable[str]) -> CheckedUrl:
    """Return `url` taken apart if it may be requested at all.

    Raises:
        InvalidUrl: it cannot be read, or has a scheme, host or character that no URL of ours has.
        AddressRefused: its port, or the address it names literally, is forbidden.
    """
    if len(url) > URL_MAX_CHARS:
        raise InvalidUrl(f"url has {len(url)} characters, expected at most {URL_MAX_CHARS}")
    if _FORBIDDEN_IN_URL.search(url):
        raise InvalidUrl("url contains a space, a control character or a backslash", hint="encode it as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidUrl("url cannot be read", hint="expected scheme://host/path") from None
    scheme = parts.scheme.lower()
    allowed = tuple(schemes)
    if scheme not in allowed:
        raise InvalidUrl(f"url has scheme {scheme[:20]!r}, expected one of {', '.join(allowed)}")
    if "@" in parts.netloc:
        raise InvalidUrl("url contains user information")
    host = _ascii_host(parts.hostname or "")
    literal = _literal(host)
    port = _DEFAULT_PORTS[scheme] if port is None else port
    if not any(rule.low_port <= port <= rule.high_port for rule in policy.allow):
        _check_port(policy, port)
    # The Host header keeps the letters of the configured URL: signatures cover them.
    plain = parts.netloc if parts.netloc.isascii() and not parts.netloc.endswith(":") else ""
    authority = plain or _bracketed(host) + (f":{parts.port}" if parts.port is not None else "")
    query = f"?{parts.query}" if parts.query else ""
    target = _ascii_target((parts.path or "/") + query)
    checked = CheckedUrl(scheme, host, port, authority, target, literal)
    if literal is not None:
        check_address(policy, checked, literal)
    return checked


def check_address(policy: Policy, url: CheckedUrl, address: IpAddress) -> None:
    """Accept `address` as a place where `url` may be requested.

    Raises:
        AddressRefused: it is not.
    """
    judged_addresses = (address, *_embedded(address))
    for judged in judged_addresses:
        if url.port in policy.own_ports and (judged in policy.own_addresses or _is_loopback(judged)):
            raise AddressRefused(f"{judged} port {url.port} is our own")
        if any(judged in network for network in _METADATA if network.version == judged.version):
            raise AddressRefused(f"{judged} is a link-local or metadata address")
    if any(rule.covers(url.host, address, url.port) for rule in policy.allow):
        return
    _check_port(policy, url.port)
    if policy.mode is Mode.DEV and _is_loopback(address):
        return
    for judged in judged_addresses:
        name = denied_network(judged)
        if name:
            raise AddressRefused(f"{judged} is {name}", hint="egress.allow can open it")
        if judged in policy.own_addresses:
            raise AddressRefused(f"{judged} is an address of this machine", hint="egress.allow can open it")
    if not url.is_secure and not policy.is_plain_allowed:
        raise AddressRefused(f"{url.scheme} is not allowed to a public address", hint="use https or wss")


def sip_refusal(policy: Policy, host: str, port: int) -> str:
    """Return why a customer's SIP URI may not lead to the numeric address `host`, or an empty text when it may.

    Under `DEV` the networks of a desk are open: loopback and private addresses, where the phones are.
    """
    address = _literal(host)
    if address is None:
        return f"{host[:80]} is no address"
    judged_addresses = (address, *_embedded(address))
    if any(
        judged in network for judged in judged_addresses for network in _METADATA if network.version == judged.version
    ):
        return f"{address} is a link-local or metadata address"
    if any(rule.covers(host, address, port) for rule in policy.allow):
        return ""
    if port < FIRST_FREE_PORT:
        return f"port {port} is none where SIP listens"
    if policy.mode is Mode.DEV:
        return ""
    for judged in judged_addresses:
        name = denied_network(judged) or ("an address of this machine" if judged in policy.own_addresses else "")
        if name:
            return f"{judged} is {name} (egress.allow can open it)"
    return ""


def denied_network(address: IpAddress) -> str:
    """Return what kind of forbidden address this is, or an empty text for a public one."""
    table: Iterable[tuple[IpNetwork, str]] = _DENIED_V4 if address.version == 4 else _DENIED_V6
    for network, name in table:
        if address in network:
            return name
    if isinstance(address, IPv6Address) and address not in _GLOBAL_V6 and not _embedded(address):
        return "reserved"
    return ""


def without_credentials(url: str) -> tuple[str, str]:
    """Return `url` without user information, and that information (`user:password`), still percent-encoded."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url, ""
    end = min((at for at in (rest.find("/"), rest.find("?"), rest.find("#")) if at >= 0), default=len(rest))
    credentials, _, authority = rest[:end].rpartition("@")
    return f"{scheme}://{authority}{rest[end:]}", credentials


def _v4(*rows: tuple[str, str]) -> tuple[tuple[IpNetwork, str], ...]:
    return tuple((IPv4Network(network), name) for network, name in rows)


def _v6(*rows: tuple[str, str]) -> tuple[tuple[IpNetwork, str], ...]:
    return tuple((IPv6Network(network), name) for network, name in rows)


_DENIED_V4 = _v4(
    ("0.0.0.0/8", "unspecified"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared address space"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "a protocol assignment"),
    ("192.0.2.0/24", "documentation"),
    ("192.31.196.0/24", "a protocol assignment"),
    ("192.52.193.0/24", "a protocol assignment"),
    ("192.88.99.0/24", "a deprecated relay"),
    ("192.168.0.0/16", "private"),
    ("192.175.48.0/24", "a protocol assignment"),
    ("198.18.0.0/15", "a benchmark network"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
)
_DENIED_V6 = _v6(
    ("::1/128", "loopback"),
    ("::/128", "unspecified"),
    ("2001:2::/48", "a benchmark network"),
    ("2001:10::/28", "a protocol assignment"),
    ("2001:20::/28", "a protocol assignment"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
    ("5f00::/16", "reserved"),
    ("fc00::/7", "private"),
    ("fe80::/10", "link-local"),
    ("fec0::/10", "site-local"),
    ("ff00::/8", "multicast"),
    ("64:ff9b:1::/48", "a local translator"),
)
_GLOBAL_V6 = IPv6Network("2000::/3")
"""IPv6 unicast in use; what lies outside is refused unless it carries a public IPv4 address."""
_METADATA: tuple[IpNetwork, ...] = (
    IPv4Network("169.254.0.0/16"),
    IPv4Network("100.100.100.200/32"),
    IPv4Network("192.0.0.192/32"),
    IPv4Network("168.63.129.16/32"),
    IPv6Network("fe80::/10"),
    IPv6Network("fd00:ec2::254/128"),
    IPv6Network("fd20:ce::254/128"),
)
"""Link-local networks and the metadata services of clouds: closed even to an allow rule."""

_NAT64 = IPv6Network("64:ff9b::/96")
_COMPATIBLE = IPv6Network("::/96")


def _embedded(address: IpAddress) -> tuple[IPv4Address, ...]:
    """Return the IPv4 addresses that a translator or tunnel would make of an IPv6 address."""
    if isinstance(address, IPv4Address):
        return ()
    if address.ipv4_mapped is not None:
        return (address.ipv4_mapped,)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    if address.teredo is not None:
        return address.teredo
    if address in _NAT64 or address in _COMPATIBLE:
        return (IPv4Address(int(address) & 0xFFFFFFFF),)
    return ()


def _is_loopback(address: IpAddress) -> bool:
    return denied_network(address) == "loopback"


def _check_port(policy: Policy, port: int) -> None:
    if port not in (80, 443) and (port < FIRST_FREE_PORT or port in policy.denied_ports):
        raise AddressRefused(f"port {port} is not allowed", hint="use 80, 443 or 1024-65535")


def _ascii_host(host: str) -> str:
    if not host:
        raise InvalidUrl("url has no host")
    if "%" in host:
        raise InvalidUrl("url host contains an escape or a zone")
    if ":" in host:
        return host
    try:
        # The codec folds full-width digits and dots first, so that the checks below see what a resolver would.
        name = host.encode("idna").decode("ascii").lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise InvalidUrl("url host is no domain name") from None
    name = name.removesuffix(".")
    if len(name) > HOST_MAX_CHARS or not _is_name(name):
        raise InvalidUrl("url host is no domain name")
    return name


def _literal(host: str) -> IpAddress | None:
    if ":" in host:
        try:
            return IPv6Address(host)
        except ValueError:
            raise InvalidUrl("url host is no IPv6 address") from None
    last = host.rpartition(".")[2]
    # getaddrinfo reads 0x7f.1, 2130706433, 0177.0.0.1 and 127.1 as addresses: only canonical dotted quads pass.
    if last.isdigit() or last.startswith("0x"):
        try:
            return IPv4Address(host)
        except ValueError:
            raise InvalidUrl("url host ends in a number but is no canonical IPv4 address") from None
    return None


_NAME_CHARS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-_")


def _is_name(name: str) -> bool:
    return bool(name) and all(
        0 < len(label) <= 63 and not (set(label) - _NAME_CHARS) and label[0] != "-" and label[-1] != "-"
        for label in name.split(".")
    )


def _ascii_target(text: str) -> str:
    return "".join(char if char.isascii() else "".join(f"%{byte:02X}" for byte in char.encode()) for char in text)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _split_ports(text: str) -> tuple[str, str]:
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        # Without its bracket, or with something else behind it, the text stays as it is: no host and no network.
        return (host, rest.removeprefix(":")) if closed and (not rest or rest.startswith(":")) else (text, "")
    if text.count(":") == 1:
        host, _, ports = text.partition(":")
        return host, ports
    return text, ""


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdigit() and 1 <= int(text[:6]) <= 65_535
